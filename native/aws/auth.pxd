# aws-c-auth: credentials, the delegate provider, the signing configuration
from libc.stdint cimport uint64_t
from aws.common cimport aws_allocator, aws_byte_cursor


cdef extern from "aws/auth/credentials.h" nogil:
    ctypedef struct aws_credentials "struct aws_credentials":
        pass
    ctypedef struct aws_credentials_provider "struct aws_credentials_provider":
        pass
    ctypedef void (*aws_on_get_credentials_callback_fn)(
        aws_credentials*, int error_code, void* user_data) noexcept nogil
    ctypedef int (*delegate_get_credentials_fn)(
        void* user_data, aws_on_get_credentials_callback_fn callback, void* callback_user_data) noexcept nogil
    ctypedef struct aws_credentials_provider_delegate_options "struct aws_credentials_provider_delegate_options":
        delegate_get_credentials_fn get_credentials
        void* delegate_user_data
    aws_credentials* aws_credentials_new(
        aws_allocator*, aws_byte_cursor access_key_id, aws_byte_cursor secret, aws_byte_cursor token,
        uint64_t expiration)
    aws_credentials* aws_credentials_new_anonymous(aws_allocator*)
    void aws_credentials_acquire(const aws_credentials*)
    void aws_credentials_release(const aws_credentials*)
    aws_credentials_provider* aws_credentials_provider_new_delegate(
        aws_allocator*, const aws_credentials_provider_delegate_options*)
    aws_credentials_provider* aws_credentials_provider_release(aws_credentials_provider*)

cdef extern from "aws/auth/signing_config.h" nogil:
    enum aws_signing_algorithm:
        AWS_SIGNING_ALGORITHM_V4_S3EXPRESS
    ctypedef struct aws_signing_config_aws "struct aws_signing_config_aws":
        aws_signing_algorithm algorithm
        aws_byte_cursor service
