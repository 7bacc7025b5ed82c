# What the C library gives up at once and AWS's SDKs try again ("standard" retry mode, which the sdk backend follows
# too): 429, and answers whose code says that there were too many requests. aws-c-s3 retries 500, 502, 503, 504 and a
# few codes; of others it is told where the linker can do that (later.c), but not of the status alone, as of HEAD. So
# the whole meta request is made anew after a pause, while nobody but the op knows that it had ended. A transfer of
# which a part has arrived already is not begun again. The budget is the C library's for each host, kept once more: what
# is made anew costs 5 of 500, which successes bring back.

cdef uint64_t _FIRST_PAUSE = 100_000_000   # nanoseconds; doubled each time, half of it by chance
cdef uint64_t _LONGEST_PAUSE = 20_000_000_000
cdef uint64_t _LOOK = 50_000_000           # a cancel during the pause is seen after so long
cdef uint32_t _LONGEST_WAIT = 60           # seconds: a server that asks for more is not asked again
cdef unsigned int _BUDGET = 500
cdef unsigned int _COST = 5

# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html, without those that aws-c-s3 retries
cdef const char* _AGAIN_CODES = (
    b" Throttling ThrottlingException ThrottledException RequestThrottledException RequestThrottled TooManyRequests"
    b" TooManyRequestsException RequestLimitExceeded BandwidthLimitExceeded LimitExceededException"
    b" PriorRequestNotComplete RequestTimeoutException ")

cdef struct again_t:
    aws_task task
    op_t* op
    aws_event_loop* loop
    uint64_t due


cdef bint _worth_again(op_t* op) noexcept nogil:
    """Whether an op that has failed is to be made anew. The caller holds the engine's lock."""
    if (
        op.error_code != AWS_ERROR_S3_INVALID_RESPONSE_STATUS
        or op.group.cancelled
        or op.again >= op.group.engine.max_retries
        or op.group.engine.spent + _COST > _BUDGET
        or op.received != 0
        or op.status < 400
        or op.status == 500 or 502 <= op.status <= 504  # these have had their attempts
    ):
        return False
    if _retry_after(op) > _LONGEST_WAIT:
        return False
    if _names_such_code(op):
        return not objectfs_linked()  # or it has had its attempts
    return op.status == 429


cdef uint32_t _retry_after(op_t* op) noexcept nogil:
    """What the last answer says, in seconds; 0 if nothing."""
    cdef aws_byte_cursor value
    if (
        op.response_headers == NULL
        or aws_http_headers_get(op.response_headers, aws_byte_cursor_from_c_str(b"retry-after"), &value)
        != AWS_OP_SUCCESS
    ):
        return 0
    return objectfs_seconds(value.ptr, value.len)


cdef void _regain(op_t* op) noexcept nogil:
    """A request that succeeded pays back into the budget. The caller holds the engine's lock."""
    cdef engine_t* engine = op.group.engine
    engine.spent -= min(engine.spent, _COST if op.again else <unsigned int>1)


cdef bint _names_such_code(op_t* op) noexcept nogil:
    """Whether the error document has one of the codes."""
    cdef char code[64]
    cdef size_t size = 1
    cdef size_t at = 0
    while at + 6 <= op.data_len and memcmp(op.data + at, b"<Code>", 6) != 0:
        at += 1
    at += 6
    code[0] = c" "
    while at < op.data_len and op.data[at] != c"<":
        if size > 60 or op.data[at] <= c" ":
            return False
        code[size] = <char>op.data[at]
        size += 1
        at += 1
    code[size] = c" "
    code[size + 1] = 0
    return size > 1 and strstr(_AGAIN_CODES, code) != NULL


cdef bint _make_again(op_t* op) noexcept nogil:
    """After a pause; False if there is no memory. Called when the C library has let go of the op."""
    cdef engine_t* engine = op.group.engine
    cdef again_t* again = <again_t*>aws_mem_calloc(engine.alloc, 1, sizeof(again_t))
    cdef uint64_t pause = min(_FIRST_PAUSE << min(op.again, <unsigned int>8), _LONGEST_PAUSE)
    cdef uint64_t now = 0
    if again == NULL:
        return False
    aws_mutex_lock(&engine.lock)
    engine.spent += _COST
    engine.retries += 1
    aws_mutex_unlock(&engine.lock)
    op.again += 1
    again.op = op
    again.loop = aws_event_loop_group_get_next_loop(_loops)
    aws_event_loop_current_clock_time(again.loop, &now)
    # spread a little also where the server says when: it has said so to many
    again.due = now + <uint64_t>1_000_000_000 * _retry_after(op) + pause // 2 + now % (pause // 2)
    aws_task_init(&again.task, &_on_again, again, "objectfs_again")
    aws_event_loop_schedule_task_future(again.loop, &again.task, min(again.due, now + _LOOK))
    return True


cdef void _on_again(aws_task* task, void* arg, aws_task_status status) noexcept nogil:
    cdef again_t* again = <again_t*>arg
    cdef op_t* op = again.op
    cdef group_t* group = op.group
    cdef engine_t* engine = group.engine
    cdef uint64_t now = 0
    cdef bint cancelled
    aws_mutex_lock(&engine.lock)
    cancelled = group.cancelled or status != AWS_TASK_STATUS_RUN_READY
    aws_mutex_unlock(&engine.lock)
    if not cancelled:
        aws_event_loop_current_clock_time(again.loop, &now)
        if now < again.due:
            aws_event_loop_schedule_task_future(again.loop, &again.task, min(again.due, now + _LOOK))
            return
    aws_mem_release(engine.alloc, again)
    _pin(group)
    if op.response_headers != NULL:
        aws_http_headers_release(op.response_headers)
        op.response_headers = NULL
    op.recv.len = 0
    op.data_len = 0
    op.unwanted = False
    op.status = op.error_code = op.failed_code = 0
    op.failed_midway = op.started_body = op.source_changed = op.validated = False
    op.error_operation[0] = 0
    aws_mutex_lock(&engine.lock)
    if cancelled:
        op.error_code = AWS_ERROR_S3_CANCELED
        _op_ended(op)
    else:
        op.finished = False
        op.shielded = op.shields
    aws_mutex_unlock(&engine.lock)
    if not cancelled:
        _submit_one(op)
    _unpin(group)
