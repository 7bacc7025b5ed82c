# Signing for directory buckets (S3 Express One Zone): with the keys of a session, in headers of their own.
#
# The C library would make sessions itself, by asking the bucket's host. Who asks whom is botocore's business here
# (backends/crt_express.py), so that addresses, proxies and certificates are the same on both backends. The keys of the
# session are set as the engine's credentials, and this provider, which the C library asks for those of a session, hands
# on what it is given. It has no state: the client holds the only reference.

cdef aws_s3express_credentials_provider_vtable _session_vtable
_session_vtable.get_credentials = &_session_credentials
_session_vtable.destroy = &_destroy_session_provider


cdef int _session_credentials(
    aws_s3express_credentials_provider* provider, const aws_credentials* original,
    const aws_credentials_properties_s3express* properties, aws_on_get_credentials_callback_fn callback,
    void* user_data
) noexcept nogil:
    callback(<aws_credentials*>original, AWS_ERROR_SUCCESS, user_data)
    return AWS_OP_SUCCESS


cdef void _destroy_session_provider(aws_s3express_credentials_provider* provider) noexcept nogil:
    cdef session_provider_ended_fn ended = provider.shutdown_complete_callback
    cdef void* user_data = provider.shutdown_user_data
    aws_mem_release(provider.allocator, provider)
    if ended != NULL:
        ended(user_data)


cdef aws_s3express_credentials_provider* _new_session_provider(
    aws_allocator* alloc, aws_s3_client* client, session_provider_ended_fn ended, void* ended_data, void* user_data
) noexcept nogil:
    cdef aws_s3express_credentials_provider* provider = <aws_s3express_credentials_provider*>aws_mem_calloc(
        alloc, 1, sizeof(aws_s3express_credentials_provider))
    aws_s3express_credentials_provider_init_base(provider, alloc, &_session_vtable, NULL)
    provider.shutdown_complete_callback = ended
    provider.shutdown_user_data = ended_data
    return provider
