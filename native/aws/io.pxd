# aws-c-io: event loops, host resolver, bootstrap, retries, TLS, logging, the channel's fragment size
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from aws.common cimport aws_allocator, aws_byte_cursor, aws_string, aws_task


cdef extern from "aws/io/channel.h" nogil:
    size_t g_aws_channel_max_fragment_size

cdef extern from "aws/io/channel_bootstrap.h" nogil:
    ctypedef struct aws_client_bootstrap "struct aws_client_bootstrap":
        pass
    ctypedef struct aws_client_bootstrap_options "struct aws_client_bootstrap_options":
        aws_event_loop_group* event_loop_group
        aws_host_resolver* host_resolver
    aws_client_bootstrap* aws_client_bootstrap_new(aws_allocator*, const aws_client_bootstrap_options*)
    void aws_client_bootstrap_release(aws_client_bootstrap*)

cdef extern from "aws/io/event_loop.h" nogil:
    ctypedef struct aws_event_loop_group "struct aws_event_loop_group":
        pass
    aws_event_loop_group* aws_event_loop_group_new_default(aws_allocator*, uint16_t max_threads, const void* shutdown)
    void aws_event_loop_group_release(aws_event_loop_group*)
    size_t aws_event_loop_group_get_loop_count(const aws_event_loop_group*)
    ctypedef struct aws_event_loop "struct aws_event_loop":
        pass
    aws_event_loop* aws_event_loop_group_get_next_loop(aws_event_loop_group*)
    aws_event_loop* aws_event_loop_group_get_loop_at(aws_event_loop_group*, size_t)
    void aws_event_loop_schedule_task_now(aws_event_loop*, aws_task*)
    void aws_event_loop_schedule_task_future(aws_event_loop*, aws_task*, uint64_t run_at_nanos)
    int aws_event_loop_current_clock_time(const aws_event_loop*, uint64_t* nanoseconds)

cdef extern from "aws/io/host_resolver.h" nogil:
    ctypedef struct aws_host_address "struct aws_host_address":
        const aws_string* host
    ctypedef struct aws_host_resolver "struct aws_host_resolver":
        aws_host_resolver_vtable* vtable
    ctypedef struct aws_host_resolver_vtable "struct aws_host_resolver_vtable":
        int (*record_connection_failure)(aws_host_resolver*, const aws_host_address*) noexcept nogil
    enum:
        AWS_GET_HOST_ADDRESS_COUNT_RECORD_TYPE_A
        AWS_GET_HOST_ADDRESS_COUNT_RECORD_TYPE_AAAA
    size_t aws_host_resolver_get_host_address_count(aws_host_resolver*, const aws_string* host, uint32_t flags)
    ctypedef struct aws_host_resolver_default_options "struct aws_host_resolver_default_options":
        size_t max_entries
        aws_event_loop_group* el_group
    aws_host_resolver* aws_host_resolver_new_default(aws_allocator*, const aws_host_resolver_default_options*)
    void aws_host_resolver_release(aws_host_resolver*)

cdef extern from "aws/io/io.h" nogil:
    enum:
        AWS_IO_MAX_RETRIES_EXCEEDED
        AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE

cdef extern from "aws/io/retry_strategy.h" nogil:
    enum aws_retry_error_type:
        AWS_RETRY_ERROR_TYPE_TRANSIENT
        AWS_RETRY_ERROR_TYPE_SERVER_ERROR
    ctypedef struct aws_retry_strategy "struct aws_retry_strategy"
    ctypedef struct aws_retry_token "struct aws_retry_token":
        aws_allocator* allocator
        aws_retry_strategy* retry_strategy
    ctypedef void aws_retry_strategy_on_retry_ready_fn(aws_retry_token*, int error_code, void*) noexcept nogil
    ctypedef struct aws_retry_strategy_vtable "struct aws_retry_strategy_vtable":
        void (*destroy)(aws_retry_strategy*) noexcept nogil
        int (*schedule_retry)(
            aws_retry_token*, aws_retry_error_type, aws_retry_strategy_on_retry_ready_fn*, void*) noexcept nogil
    ctypedef struct aws_retry_strategy "struct aws_retry_strategy":
        aws_allocator* allocator
        aws_retry_strategy_vtable* vtable
    ctypedef struct aws_exponential_backoff_retry_options "struct aws_exponential_backoff_retry_options":
        aws_event_loop_group* el_group
        size_t max_retries
        uint32_t backoff_scale_factor_ms
    ctypedef struct aws_standard_retry_options "struct aws_standard_retry_options":
        aws_exponential_backoff_retry_options backoff_retry_options
    aws_retry_strategy* aws_retry_strategy_new_standard(aws_allocator*, const aws_standard_retry_options*)
    void aws_retry_strategy_release(aws_retry_strategy*)
    void aws_retry_token_acquire(aws_retry_token*)
    void aws_retry_token_release(aws_retry_token*)

cdef extern from "aws/common/logging.h" nogil:
    ctypedef struct aws_logger "struct aws_logger":
        pass
    enum aws_log_level:
        AWS_LL_NONE
        AWS_LL_ERROR
        AWS_LL_DEBUG
        AWS_LL_TRACE
    ctypedef struct aws_logger_standard_options "struct aws_logger_standard_options":
        aws_log_level level
        const char* filename
    int aws_logger_init_standard(aws_logger*, aws_allocator*, aws_logger_standard_options*)
    void aws_logger_set(aws_logger*)
    const char* aws_log_subject_name(uint32_t)

cdef extern from "aws/io/tls_channel_handler.h" nogil:
    ctypedef struct aws_tls_ctx "struct aws_tls_ctx":
        pass
    ctypedef struct aws_tls_ctx_options "struct aws_tls_ctx_options":
        pass
    ctypedef struct aws_tls_connection_options "struct aws_tls_connection_options":
        uint32_t timeout_ms
    void aws_tls_ctx_options_init_default_client(aws_tls_ctx_options*, aws_allocator*)
    void aws_tls_ctx_options_clean_up(aws_tls_ctx_options*)
    void aws_tls_ctx_options_set_verify_peer(aws_tls_ctx_options*, bint)
    int aws_tls_ctx_options_override_default_trust_store(aws_tls_ctx_options*, const aws_byte_cursor*)
    aws_tls_ctx* aws_tls_client_ctx_new(aws_allocator*, const aws_tls_ctx_options*)
    void aws_tls_ctx_release(aws_tls_ctx*)
    void aws_tls_connection_options_init_from_ctx(aws_tls_connection_options*, aws_tls_ctx*)
    void aws_tls_connection_options_clean_up(aws_tls_connection_options*)
