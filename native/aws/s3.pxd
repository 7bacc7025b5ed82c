# aws-c-s3: client and meta requests
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from aws.auth cimport (
    aws_credentials, aws_credentials_provider, aws_on_get_credentials_callback_fn, aws_signing_config_aws)
from aws.common cimport aws_allocator, aws_byte_buf, aws_byte_cursor, aws_string, aws_uri
from aws.http cimport (
    aws_http_connection_monitoring_options, aws_http_headers, aws_http_message, proxy_env_var_settings)
from aws.io cimport aws_client_bootstrap, aws_retry_strategy, aws_tls_connection_options


ctypedef void (*session_provider_ended_fn)(void*) noexcept nogil  # aws_simple_completion_callback

cdef extern from "aws/s3/s3express_credentials_provider.h" nogil:
    ctypedef struct aws_credentials_properties_s3express "struct aws_credentials_properties_s3express":
        pass
    ctypedef struct aws_s3express_credentials_provider "struct aws_s3express_credentials_provider":
        aws_allocator* allocator
        session_provider_ended_fn shutdown_complete_callback
        void* shutdown_user_data
    ctypedef struct aws_s3express_credentials_provider_vtable "struct aws_s3express_credentials_provider_vtable":
        int (*get_credentials)(
            aws_s3express_credentials_provider*, const aws_credentials*, const aws_credentials_properties_s3express*,
            aws_on_get_credentials_callback_fn, void*) noexcept nogil
        void (*destroy)(aws_s3express_credentials_provider*) noexcept nogil
    void aws_s3express_credentials_provider_init_base(
        aws_s3express_credentials_provider*, aws_allocator*, aws_s3express_credentials_provider_vtable*, void* impl)

cdef extern from "aws/s3/s3.h" nogil:
    enum:
        AWS_ERROR_S3_CANCELED
        AWS_ERROR_S3_INVALID_RESPONSE_STATUS
        AWS_ERROR_S3_REQUEST_TIME_TOO_SKEWED
        AWS_ERROR_S3_REQUEST_TIMEOUT
    void aws_s3_library_init(aws_allocator*)

cdef extern from "aws/s3/s3_client.h" nogil:
    ctypedef struct aws_s3_client "struct aws_s3_client":
        pass
    ctypedef struct aws_s3_meta_request "struct aws_s3_meta_request":
        pass
    enum aws_s3_meta_request_type:
        AWS_S3_META_REQUEST_TYPE_DEFAULT
        AWS_S3_META_REQUEST_TYPE_GET_OBJECT
        AWS_S3_META_REQUEST_TYPE_PUT_OBJECT
    enum aws_s3_meta_request_tls_mode:
        AWS_MR_TLS_ENABLED
        AWS_MR_TLS_DISABLED
    enum aws_s3_checksum_algorithm:
        AWS_SCA_NONE
        AWS_SCA_CRC32C
        AWS_SCA_CRC32
        AWS_SCA_SHA1
        AWS_SCA_SHA256
        AWS_SCA_CRC64NVME
    enum aws_s3_checksum_location:
        AWS_SCL_NONE
        AWS_SCL_HEADER
        AWS_SCL_TRAILER
    enum aws_s3_checksum_validation_mode:
        AWS_SCVM_REQUEST_ONLY
        AWS_SCVM_FULL_OBJECT
    enum aws_s3_recv_file_options:
        AWS_S3_RECV_FILE_CREATE_OR_REPLACE
        AWS_S3_RECV_FILE_CREATE_NEW
        AWS_S3_RECV_FILE_WRITE_TO_POSITION
    ctypedef struct aws_s3_meta_request_progress "struct aws_s3_meta_request_progress":
        uint64_t bytes_transferred
        uint64_t content_length
    ctypedef struct aws_s3_file_io_options "struct aws_s3_file_io_options":
        bint should_stream
        double disk_throughput_gbps
        bint direct_io
    ctypedef aws_s3express_credentials_provider* (*aws_s3express_provider_factory_fn)(
        aws_allocator*, aws_s3_client*, session_provider_ended_fn, void*, void*) noexcept nogil
    ctypedef struct aws_s3_buffer_pool "struct aws_s3_buffer_pool":
        pass
    ctypedef struct aws_s3_buffer_pool_config "struct aws_s3_buffer_pool_config":
        pass
    aws_s3_buffer_pool* aws_s3_buffer_pool_acquire(aws_s3_buffer_pool*)
    aws_s3_buffer_pool* aws_s3_buffer_pool_release(aws_s3_buffer_pool*)
    ctypedef aws_s3_buffer_pool* (*aws_s3_buffer_pool_factory_fn)(
        aws_allocator*, aws_s3_buffer_pool_config, void*) noexcept nogil
    ctypedef struct aws_s3_client_config "struct aws_s3_client_config":
        uint32_t max_active_connections_override
        aws_byte_cursor region
        aws_client_bootstrap* client_bootstrap
        aws_s3_meta_request_tls_mode tls_mode
        const aws_tls_connection_options* tls_connection_options
        const aws_signing_config_aws* signing_config
        uint64_t part_size
        uint64_t max_part_size
        uint64_t multipart_upload_threshold
        double throughput_target_gbps
        uint64_t memory_limit_in_bytes
        aws_retry_strategy* retry_strategy
        void (*shutdown_callback)(void*) noexcept nogil
        void* shutdown_callback_user_data
        const proxy_env_var_settings* proxy_ev_settings
        uint32_t connect_timeout_ms
        const aws_http_connection_monitoring_options* monitoring_options
        uint16_t num_file_io_threads
        bint enable_s3express
        aws_s3express_provider_factory_fn s3express_provider_override_factory
        aws_s3_buffer_pool_factory_fn buffer_pool_factory_fn
        void* buffer_pool_user_data
    ctypedef struct aws_s3_checksum_config "struct aws_s3_checksum_config":
        aws_s3_checksum_location location
        aws_s3_checksum_algorithm checksum_algorithm
        bint validate_response_checksum
        aws_s3_checksum_validation_mode response_checksum_validation_mode
    ctypedef struct aws_s3_request_metrics "struct aws_s3_request_metrics":
        pass
    enum aws_s3_request_type:
        AWS_S3_REQUEST_TYPE_CREATE_MULTIPART_UPLOAD
    int aws_s3_request_metrics_get_error_code(const aws_s3_request_metrics*)
    void aws_s3_request_metrics_get_request_type(const aws_s3_request_metrics*, aws_s3_request_type*)
    int aws_s3_request_metrics_get_response_status_code(const aws_s3_request_metrics*, int*)
    int aws_s3_request_metrics_get_send_end_timestamp_ns(const aws_s3_request_metrics*, uint64_t*)
    int aws_s3_request_metrics_get_receive_start_timestamp_ns(const aws_s3_request_metrics*, uint64_t*)
    int aws_s3_request_metrics_get_receive_end_timestamp_ns(const aws_s3_request_metrics*, uint64_t*)
    int aws_s3_request_metrics_get_conn_acquire_duration_ns(const aws_s3_request_metrics*, uint64_t*)
    int aws_s3_request_metrics_get_request_stream_id(const aws_s3_request_metrics*, uint32_t*)
    void aws_s3_request_metrics_get_part_range_start(const aws_s3_request_metrics*, uint64_t*)
    void aws_s3_request_metrics_get_part_range_end(const aws_s3_request_metrics*, uint64_t*)
    ctypedef struct aws_s3_upload_part_review "struct aws_s3_upload_part_review":
        uint64_t size
        aws_byte_cursor checksum
    ctypedef struct aws_s3_upload_review "struct aws_s3_upload_review":
        size_t part_count
        aws_s3_upload_part_review* part_array
    ctypedef struct aws_s3_meta_request_result "struct aws_s3_meta_request_result":
        aws_http_headers* error_response_headers
        aws_byte_buf* error_response_body
        aws_string* error_response_operation_name
        int response_status
        bint did_validate
        aws_s3_checksum_algorithm validation_algorithm
        int error_code
    ctypedef struct aws_s3_meta_request_options "struct aws_s3_meta_request_options":
        aws_s3_meta_request_type type
        aws_byte_cursor operation_name
        aws_http_message* message
        aws_byte_cursor recv_filepath
        aws_s3_recv_file_options recv_file_option
        uint64_t recv_file_position
        aws_byte_buf* recv_buffer
        aws_byte_cursor send_filepath
        aws_s3_file_io_options* fio_opts
        aws_byte_cursor request_body
        const aws_s3_checksum_config* checksum_config
        uint64_t part_size
        uint64_t multipart_upload_threshold
        void* user_data
        int (*headers_callback)(aws_s3_meta_request*, const aws_http_headers*, int status, void*) noexcept nogil
        int (*body_callback)(
            aws_s3_meta_request*, const aws_byte_cursor* body, uint64_t range_start, void*) noexcept nogil
        void (*finish_callback)(aws_s3_meta_request*, const aws_s3_meta_request_result*, void*) noexcept nogil
        void (*shutdown_callback)(void*) noexcept nogil
        void (*telemetry_callback)(aws_s3_meta_request*, aws_s3_request_metrics*, void*) noexcept nogil
        void (*progress_callback)(aws_s3_meta_request*, const aws_s3_meta_request_progress*, void*) noexcept nogil
        int (*upload_review_callback)(aws_s3_meta_request*, const aws_s3_upload_review*, void*) noexcept nogil
        const aws_uri* endpoint
        uint32_t max_active_connections_override
    aws_s3_client* aws_s3_client_new(aws_allocator*, const aws_s3_client_config*)
    void aws_s3_client_release(aws_s3_client*)
    aws_s3_meta_request* aws_s3_client_make_meta_request(aws_s3_client*, const aws_s3_meta_request_options*)
    void aws_s3_meta_request_acquire(aws_s3_meta_request*)
    void aws_s3_meta_request_release(aws_s3_meta_request*)
    void aws_s3_meta_request_cancel(aws_s3_meta_request*)
    void aws_s3_init_default_signing_config(aws_signing_config_aws*, aws_byte_cursor region, aws_credentials_provider*)

cdef extern from * nogil:
    """
    #include <aws/s3/s3_buffer_pool.h>
    /* exported, but its header (aws/s3/private/s3_default_buffer_pool.h) is not installed */
    extern struct aws_s3_buffer_pool *aws_s3_default_buffer_pool_new(
        struct aws_allocator *allocator, struct aws_s3_buffer_pool_config config);
    """
    aws_s3_buffer_pool* aws_s3_default_buffer_pool_new(aws_allocator*, aws_s3_buffer_pool_config)
