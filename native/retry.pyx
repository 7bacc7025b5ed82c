# How the C library gives up. Its own retry strategy decides when; this file decides what is then told.
#
# For errors that it retries, aws-c-s3 reports a bare error code when no attempt is left: status, headers and document
# of the last answer are dropped (aws_s3_meta_request_set_fail_synced). They are kept for a request that failed with
# AWS_ERROR_S3_INVALID_RESPONSE_STATUS, and a retry strategy may end a retry that it had accepted with an error of its
# choice. So ours is the standard strategy with one entry of its table replaced: where that one refuses, ours accepts
# and lets the retry fail, with the error that keeps the answer. Nothing is done for a request that succeeds.
#
# A token that the server calls expired (later.c) is such an error too. Its request waits for the thread that renews the
# credentials (crt_renew.py), where there is one: that one sees `refused`, and answers with _renewed(). For a minute
# after, a request that is refused so may have been signed with the old ones: it is tried again as after an error 500.

cdef struct refusal_t:
    aws_task task
    aws_retry_token* token  # one reference held
    aws_retry_strategy_on_retry_ready_fn* ready
    void* user_data

cdef struct later_t:
    aws_task task
    aws_event_loop* loop
    engine_t* engine
    aws_retry_token* token  # one reference held, once the C library's own pause is over
    aws_retry_strategy_on_retry_ready_fn* ready
    void* user_data
    uint64_t due
    bint expired                # waits for new credentials,
    uint64_t renewals           # of which there were so many before

cdef struct strategy_t:
    aws_retry_strategy_vtable vtable  # first: the strategy's pointer to it leads here
    engine_t* engine

cdef uint32_t _LONGEST_RENEWAL = 60  # seconds

cdef aws_retry_strategy_vtable* _standard = NULL  # of the C library's standard strategy


cdef aws_retry_strategy* _new_retry_strategy(engine_t* engine, uint32_t max_retries) noexcept nogil:
    """NULL with aws_last_error() set if there is no memory. Called with the event loops made."""
    global _standard
    cdef aws_standard_retry_options options
    cdef aws_retry_strategy* strategy
    cdef strategy_t* ours
    memset(&options, 0, sizeof(options))
    options.backoff_retry_options.el_group = _loops
    options.backoff_retry_options.max_retries = max(max_retries, 1)
    # S3's own advice is to start again soon; half a second as first delay punishes one lost packet (0001-engine)
    options.backoff_retry_options.backoff_scale_factor_ms = 50
    strategy = aws_retry_strategy_new_standard(engine.alloc, &options)
    if strategy == NULL:
        return NULL
    ours = <strategy_t*>aws_mem_calloc(engine.alloc, 1, sizeof(strategy_t))
    if _standard == NULL:  # the same each time, and by then other engines' threads read it
        _standard = strategy.vtable
    ours.engine = engine
    ours.vtable = _standard[0]
    ours.vtable.destroy = &_on_destroy
    ours.vtable.schedule_retry = &_retry_or_tell if max_retries else &_only_tell
    strategy.vtable = &ours.vtable
    return strategy


cdef void _on_destroy(aws_retry_strategy* strategy) noexcept nogil:
    cdef aws_allocator* alloc = strategy.allocator
    cdef aws_retry_strategy_vtable* ours = strategy.vtable
    _standard.destroy(strategy)
    aws_mem_release(alloc, ours)


cdef int _retry_or_tell(
    aws_retry_token* token, aws_retry_error_type kind, aws_retry_strategy_on_retry_ready_fn* ready, void* user_data
) noexcept nogil:
    cdef int cause = aws_last_error()
    cdef uint32_t seconds = 0
    cdef int done
    aws_reset_error()  # so that `cause` is never that of an earlier failure on this thread
    # The clock will be as wrong the next time, and AWS's SDKs do not try again either.
    # Nor will a certificate that is not trusted be so then.
    if cause == AWS_ERROR_S3_REQUEST_TIME_TOO_SKEWED or cause == AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE:
        return _refuse(token, kind, ready, user_data, cause)
    if cause == OBJECTFS_TOKEN_EXPIRED:
        if _renewed_lately(token):
            kind = AWS_RETRY_ERROR_TYPE_SERVER_ERROR  # it was answered: half the cost
        else:
            return _await_credentials(token, kind, ready, user_data, cause)
    elif kind != AWS_RETRY_ERROR_TYPE_TRANSIENT:  # those have no answer, but for two that S3 sends without the header
        seconds = objectfs_take_retry_after()
        if seconds > _LONGEST_WAIT:
            return _refuse(token, kind, ready, user_data, cause)
    _count_retry(token, 1)  # beforehand: once it is scheduled the request may end, and the engine with it
    if seconds:
        done = _retry_later(token, kind, ready, user_data, seconds)
    else:
        done = _standard.schedule_retry(token, kind, ready, user_data)
    if done == AWS_OP_SUCCESS:
        return AWS_OP_SUCCESS
    _count_retry(token, -1)
    return _refuse(token, kind, ready, user_data, cause)


cdef bint _renewed_lately(aws_retry_token* token) noexcept nogil:
    """Whether there are new credentials since so short a time that a request may have been signed with the old ones."""
    cdef engine_t* engine = (<strategy_t*>token.retry_strategy.vtable).engine
    cdef uint64_t now = 0
    cdef bint lately
    aws_high_res_clock_get_ticks(&now)
    aws_mutex_lock(&engine.lock)
    lately = engine.renewed_at != 0 and now - engine.renewed_at < <uint64_t>1_000_000_000 * _LONGEST_RENEWAL
    aws_mutex_unlock(&engine.lock)
    return lately


cdef int _await_credentials(
    aws_retry_token* token, aws_retry_error_type kind, aws_retry_strategy_on_retry_ready_fn* ready, void* user_data,
    int cause
) noexcept nogil:
    """Try again with new credentials. It is no attempt of those that are counted, nor is it paid for: hundreds of
    requests meet it at once."""
    cdef engine_t* engine = (<strategy_t*>token.retry_strategy.vtable).engine
    cdef later_t* later
    cdef uint64_t renewals
    cdef bint renews
    aws_mutex_lock(&engine.lock)
    renews = engine.renews
    if renews:
        engine.refused = True
        engine.retries += 1
    renewals = engine.renewals
    aws_mutex_unlock(&engine.lock)
    if not renews:
        return _refuse(token, kind, ready, user_data, cause)
    later = _new_later(token, ready, user_data, _LONGEST_RENEWAL)
    later.expired = True
    later.renewals = renewals
    aws_retry_token_acquire(token)
    later.token = token
    aws_event_loop_schedule_task_now(later.loop, &later.task)
    return AWS_OP_SUCCESS


cdef void _renewed(engine_t* engine, bint changed) noexcept nogil:
    """The answer to all that wait: go on, or give up."""
    cdef uint64_t now = 0
    aws_high_res_clock_get_ticks(&now)
    aws_mutex_lock(&engine.lock)
    engine.renewals += 1
    engine.changed = changed
    if changed:
        engine.renewed_at = now
    aws_mutex_unlock(&engine.lock)


cdef void _count_retry(aws_retry_token* token, int more) noexcept nogil:
    cdef engine_t* engine = (<strategy_t*>token.retry_strategy.vtable).engine
    aws_mutex_lock(&engine.lock)
    engine.retries += more
    aws_mutex_unlock(&engine.lock)


cdef int _retry_later(
    aws_retry_token* token, aws_retry_error_type kind, aws_retry_strategy_on_retry_ready_fn* ready, void* user_data,
    uint32_t seconds
) noexcept nogil:
    """The C library's own pause, which spreads the attempts, and as long as the server has asked for."""
    cdef later_t* later = _new_later(token, ready, user_data, seconds)
    if _standard.schedule_retry(token, kind, &_on_backed_off, later) == AWS_OP_SUCCESS:
        return AWS_OP_SUCCESS
    aws_mem_release(token.allocator, later)
    return AWS_OP_ERR


cdef later_t* _new_later(
    aws_retry_token* token, aws_retry_strategy_on_retry_ready_fn* ready, void* user_data, uint32_t seconds
) noexcept nogil:
    cdef later_t* later = <later_t*>aws_mem_calloc(token.allocator, 1, sizeof(later_t))
    cdef uint64_t now = 0
    later.loop = aws_event_loop_group_get_next_loop(_loops)
    aws_event_loop_current_clock_time(later.loop, &now)
    later.due = now + <uint64_t>1_000_000_000 * seconds
    later.engine = (<strategy_t*>token.retry_strategy.vtable).engine
    later.ready = ready
    later.user_data = user_data
    aws_task_init(&later.task, &_on_later, later, "objectfs_later")
    return later


cdef void _on_backed_off(aws_retry_token* token, int error_code, void* user_data) noexcept nogil:
    cdef later_t* later = <later_t*>user_data
    if error_code != 0:
        later.ready(token, error_code, later.user_data)
        aws_mem_release(token.allocator, later)
        return
    aws_retry_token_acquire(token)
    later.token = token
    aws_event_loop_schedule_task_now(later.loop, &later.task)


cdef void _on_later(aws_task* task, void* arg, aws_task_status status) noexcept nogil:
    """Looks again and again whether it is time, or whether somebody has cancelled something and still waits for its
    end. Which request this is nobody tells a retry strategy: one that is not meant goes out early."""
    cdef later_t* later = <later_t*>arg
    cdef aws_retry_token* token = later.token
    cdef uint64_t now = 0
    cdef bint go
    cdef int error_code = AWS_ERROR_SUCCESS
    if status == AWS_TASK_STATUS_RUN_READY:
        aws_event_loop_current_clock_time(later.loop, &now)
        aws_mutex_lock(&later.engine.lock)
        go = now >= later.due or later.engine.stopping != 0
        if later.expired:
            if later.engine.renewals != later.renewals:
                go = True
                if not later.engine.changed:
                    error_code = AWS_ERROR_S3_INVALID_RESPONSE_STATUS  # the answer is told, as in _on_refused
            elif now >= later.due:
                error_code = AWS_ERROR_S3_INVALID_RESPONSE_STATUS
        aws_mutex_unlock(&later.engine.lock)
        if not go:
            aws_event_loop_schedule_task_future(later.loop, &later.task, min(later.due, now + _LOOK))
            return
    later.ready(token, error_code, later.user_data)
    aws_mem_release(token.allocator, later)
    aws_retry_token_release(token)


cdef int _only_tell(
    aws_retry_token* token, aws_retry_error_type kind, aws_retry_strategy_on_retry_ready_fn* ready, void* user_data
) noexcept nogil:
    cdef int cause = aws_last_error()
    aws_reset_error()
    if cause == OBJECTFS_TOKEN_EXPIRED and not _renewed_lately(token):
        return _await_credentials(token, kind, ready, user_data, cause)
    return _refuse(token, kind, ready, user_data, cause)


cdef int _refuse(
    aws_retry_token* token, aws_retry_error_type kind, aws_retry_strategy_on_retry_ready_fn* ready, void* user_data,
    int cause
) noexcept nogil:
    """No attempt is left. If a server answered, have its answer told; otherwise the bare error code says it all."""
    cdef refusal_t* refusal
    # 5xx have kinds of their own; those below share theirs with broken connections, which have no answer to tell.
    # aws-c-s3 raises the error of an answer right before it asks for a retry, so that it stands in the thread's slot.
    if kind == AWS_RETRY_ERROR_TYPE_TRANSIENT and not (
        cause == AWS_ERROR_S3_REQUEST_TIME_TOO_SKEWED
        or cause == AWS_ERROR_S3_REQUEST_TIMEOUT
        or cause == OBJECTFS_TOKEN_EXPIRED
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
