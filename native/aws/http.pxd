# aws-c-http: messages and headers, connection monitoring
from libc.stdint cimport uint32_t, uint64_t
from aws.common cimport aws_allocator, aws_byte_cursor


cdef extern from "aws/http/connection.h" nogil:
    ctypedef struct aws_http_connection_monitoring_options "struct aws_http_connection_monitoring_options":
        uint64_t minimum_throughput_bytes_per_second
        uint32_t allowable_throughput_failure_interval_seconds

cdef extern from "aws/http/proxy.h" nogil:
    enum aws_http_proxy_env_var_type:
        AWS_HPEV_DISABLE
        AWS_HPEV_ENABLE
    ctypedef struct proxy_env_var_settings "struct proxy_env_var_settings":
        aws_http_proxy_env_var_type env_var_type

cdef extern from "aws/http/request_response.h" nogil:
    ctypedef struct aws_http_message "struct aws_http_message":
        pass
    ctypedef struct aws_http_headers "struct aws_http_headers":
        pass
    ctypedef struct aws_http_header "struct aws_http_header":
        aws_byte_cursor name
        aws_byte_cursor value
    void aws_http_headers_acquire(aws_http_headers*)
    void aws_http_headers_release(aws_http_headers*)
    size_t aws_http_headers_count(const aws_http_headers*)
    int aws_http_headers_get(const aws_http_headers*, aws_byte_cursor name, aws_byte_cursor* out)
    int aws_http_headers_get_index(const aws_http_headers*, size_t, aws_http_header* out)
    aws_http_message* aws_http_message_new_request(aws_allocator*)
    aws_http_message* aws_http_message_release(aws_http_message*)
    int aws_http_message_set_request_method(aws_http_message*, aws_byte_cursor)
    int aws_http_message_set_request_path(aws_http_message*, aws_byte_cursor)
    int aws_http_message_add_header(aws_http_message*, aws_http_header)
