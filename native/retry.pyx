# How the C library gives up. Its own retry strategy decides when; this file decides what is then told.
#
# For errors that it retries, aws-c-s3 reports a bare error code when no attempt is left: status, headers and document
# of the last answer are dropped (aws_s3_meta_request_set_fail_synced). They are kept for a request that failed with
# AWS_ERROR_S3_INVALID_RESPONSE_STATUS, and a retry strategy may end a retry that it had accepted with an error of its
# choice. So ours is the standard strategy with one entry of its table replaced: where that one refuses, ours accepts
# and lets the retry fail, with the error that keeps the answer. Nothing is done for a request that succeeds.

cdef struct refusal_t:
    aws_task task
    aws_retry_token* token  # one reference held
    aws_retry_strategy_on_retry_ready_fn* ready
    void* user_data

cdef aws_retry_strategy_vtable* _standard = NULL      # of the C library's standard strategy
cdef aws_retry_strategy_vtable _standard_then_tell
cdef aws_retry_strategy_vtable _tell                  # never a second attempt


cdef aws_retry_strategy* _new_retry_strategy(aws_allocator* alloc, uint32_t max_retries) noexcept nogil:
    """NULL with aws_last_error() set if there is no memory. Called with the event loops made."""
    global _standard, _standard_then_tell, _tell
    cdef aws_standard_retry_options options
    cdef aws_retry_strategy* strategy
    memset(&options, 0, sizeof(options))
    options.backoff_retry_options.el_group = _loops
    options.backoff_retry_options.max_retries = max(max_retries, 1)
    # S3's own advice is to start again soon; half a second as first delay punishes one lost packet (0001-engine)
    options.backoff_retry_options.backoff_scale_factor_ms = 50
    strategy = aws_retry_strategy_new_standard(alloc, &options)
    if strategy == NULL:
        return NULL
    if _standard == NULL:
        _standard = strategy.vtable
        _standard_then_tell = _standard[0]
        _standard_then_tell.schedule_retry = &_retry_or_tell
        _tell = _standard[0]
        _tell.schedule_retry = &_only_tell
    strategy.vtable = &_standard_then_tell if max_retries else &_tell
    return strategy


cdef int _retry_or_tell(
    aws_retry_token* token, aws_retry_error_type kind, aws_retry_strategy_on_retry_ready_fn* ready, void* user_data
) noexcept nogil:
    cdef int cause = aws_last_error()
    aws_reset_error()  # so that `cause` is never that of an earlier failure on this thread
    # The clock will be as wrong the next time, and AWS's SDKs do not try again either.
    if cause == AWS_ERROR_S3_REQUEST_TIME_TOO_SKEWED:
        return _refuse(token, kind, ready, user_data, cause)
    if _standard.schedule_retry(token, kind, ready, user_data) == AWS_OP_SUCCESS:
        return AWS_OP_SUCCESS
    return _refuse(token, kind, ready, user_data, cause)


cdef int _only_tell(
    aws_retry_token* token, aws_retry_error_type kind, aws_retry_strategy_on_retry_ready_fn* ready, void* user_data
) noexcept nogil:
    cdef int cause = aws_last_error()
    aws_reset_error()
    return _refuse(token, kind, ready, user_data, cause)


cdef int _refuse(
    aws_retry_token* token, aws_retry_error_type kind, aws_retry_strategy_on_retry_ready_fn* ready, void* user_data,
    int cause
) noexcept nogil:
    """No attempt is left. If a server answered, have its answer told; otherwise the bare error code says it all."""
    cdef refusal_t* refusal
    # 5xx have kinds of their own; the two below share theirs with broken connections, which have no answer to tell.
    # aws-c-s3 raises the error of an answer right before it asks for a retry, so that it stands in the thread's slot.
    if kind == AWS_RETRY_ERROR_TYPE_TRANSIENT and not (
        cause == AWS_ERROR_S3_REQUEST_TIME_TOO_SKEWED or cause == AWS_ERROR_S3_REQUEST_TIMEOUT
    ):
        return aws_raise_error(AWS_IO_MAX_RETRIES_EXCEEDED)
    refusal = <refusal_t*>aws_mem_calloc(token.allocator, 1, sizeof(refusal_t))
    aws_retry_token_acquire(token)
    refusal.token = token
    refusal.ready = ready
    refusal.user_data = user_data
    aws_task_init(&refusal.task, &_on_refused, refusal, "objectfs_refusal")
    # as the contract of schedule_retry has it: never from within the call
    aws_event_loop_schedule_task_now(aws_event_loop_group_get_next_loop(_loops), &refusal.task)
    return AWS_OP_SUCCESS


cdef void _on_refused(aws_task* task, void* arg, aws_task_status status) noexcept nogil:
    cdef refusal_t* refusal = <refusal_t*>arg
    cdef aws_retry_token* token = refusal.token
    refusal.ready(token, AWS_ERROR_S3_INVALID_RESPONSE_STATUS, refusal.user_data)
    aws_mem_release(token.allocator, refusal)
    aws_retry_token_release(token)
