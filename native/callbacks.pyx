# What aws-c-s3 calls, on its own threads. Nothing here knows Python: no GIL, no object, no exception.


cdef void _op_ended(op_t* op) noexcept nogil:
    """Count one op as over and wake who waits. The caller holds the engine's lock."""
    cdef group_t* group = op.group
    group.ended += 1
    group.engine.under_way -= 1
    if group.stopping:
        group.engine.stopping -= 1
    if op.error_code != 0:
        group.failed += 1
        # 416 is how a range of an empty object is refused: for a batch of whole objects that is no failure
        if group.stop_on_error and not group.cancelled and op.status != 416:
            group.cancelled = True  # nothing further is submitted; the waiter cancels what runs
            group.wake_at = group.ended
    else:
        if op.kind == KIND_DEFAULT and op.method_len != 4:  # what POST sends and gets is no content
            group.transferred += op.data_len + op.body_len
        if group.engine.spent:
            _regain(op)
    if group.ended >= group.wake_at:
        _wake_group(group)


cdef void _wake_group(group_t* group) noexcept nogil:
    """The caller holds the engine's lock."""
    cdef notifier_t* notifier = group.notifier
    aws_condition_variable_notify_all(&group.cond)
    if notifier != NULL and not group.queued:
        group.queued = True
        group.next = notifier.head
        notifier.head = group
        if group.next == NULL and notifier.fd >= 0:  # else a wake-up is on its way already
            objectfs_wake(notifier.fd)


cdef int _on_headers(
    aws_s3_meta_request* meta, const aws_http_headers* headers, int status, void* user_data
) noexcept nogil:
    cdef op_t* op = <op_t*>user_data
    op.status = status
    if op.response_headers == NULL:
        aws_http_headers_acquire(<aws_http_headers*>headers)
        op.response_headers = <aws_http_headers*>headers
    return AWS_OP_SUCCESS


cdef int _append(op_t* op, const uint8_t* data, size_t size) noexcept nogil:
    """Append to the op's collected body."""
    cdef size_t need = op.data_len + size
    cdef size_t capacity
    cdef uint8_t* grown
    if size == 0:
        return AWS_OP_SUCCESS
    if need > op.data_cap:
        # a first block of the exact size: most bodies come in one piece
        capacity = need if op.data_cap == 0 else need + need // 2
        grown = <uint8_t*>realloc(op.data, capacity)
        if grown == NULL:
            return aws_raise_error(AWS_ERROR_OOM)
        objectfs_advise_large_pages(grown, capacity)
        op.data = grown
        op.data_cap = capacity
    memcpy(op.data + op.data_len, data, size)
    op.data_len = need
    return AWS_OP_SUCCESS


cdef int _on_body(
    aws_s3_meta_request* meta, const aws_byte_cursor* body, uint64_t range_start, void* user_data
) noexcept nogil:
    cdef op_t* op = <op_t*>user_data
    if body.len == 0:
        return AWS_OP_SUCCESS
    return _append(op, body.ptr, body.len)


cdef void _on_progress(
    aws_s3_meta_request* meta, const aws_s3_meta_request_progress* progress, void* user_data
) noexcept nogil:
    cdef op_t* op = <op_t*>user_data
    cdef engine_t* engine = op.group.engine
    aws_mutex_lock(&engine.lock)
    if op.hedged == NULL:
        op.group.transferred += progress.bytes_transferred
    op.received += progress.bytes_transferred
    aws_mutex_unlock(&engine.lock)


cdef void _on_telemetry(aws_s3_meta_request* meta, aws_s3_request_metrics* metrics, void* user_data) noexcept nogil:
    """After each HTTP request. Of one that broke off, finish does not tell whether its answer had begun."""
    cdef op_t* op = <op_t*>user_data
    cdef int status = 0
    cdef int code = aws_s3_request_metrics_get_error_code(metrics)
    if op.group.engine.telemetry != NULL:
        objectfs_telemetry_note(
            <objectfs_telemetry*>op.group.engine.telemetry, metrics, op.operation, op.operation_len)
    if op.kind == KIND_PUT_FILE:
        _lower_shield(op, meta, metrics)
    if code == AWS_ERROR_SUCCESS and _gets_object(op):
        _note_pace(op, metrics)
    if code == AWS_ERROR_SUCCESS or code == AWS_ERROR_S3_CANCELED:
        return
    op.failed_code = code
    aws_s3_request_metrics_get_response_status_code(metrics, &status)
    if status < 300 or status >= 500:
        op.in_doubt = True
    op.failed_midway = status >= 200
    if status == 503 or status == 429:
        aws_mutex_lock(&op.group.engine.lock)
        op.group.engine.pace.slowed += 1
        aws_mutex_unlock(&op.group.engine.lock)


cdef bint _gets_object(op_t* op) noexcept nogil:
    """Lists are GETs too, and take longer."""
    return op.operation_len == 9 and memcmp(op.operation, b"GetObject", 9) == 0


cdef void _note_pace(op_t* op, aws_s3_request_metrics* metrics) noexcept nogil:
    """How long a GetObject's first byte took, and of ranges of a parallel download the others:
    ``objectfs.backends.crt_pace`` decides by it."""
    cdef engine_t* engine = op.group.engine
    cdef uint64_t sent = 0
    cdef uint64_t began = 0
    cdef uint64_t ended = 0
    cdef uint64_t first = 0
    cdef uint64_t last = 0
    cdef uint64_t connecting = 0
    cdef uint32_t stream = 0
    if (
        aws_s3_request_metrics_get_send_end_timestamp_ns(metrics, &sent) != AWS_OP_SUCCESS
        or aws_s3_request_metrics_get_receive_start_timestamp_ns(metrics, &began) != AWS_OP_SUCCESS
        or aws_s3_request_metrics_get_receive_end_timestamp_ns(metrics, &ended) != AWS_OP_SUCCESS
    ):
        return
    if ended < began:
        return
    if op.kind == KIND_GET_INTO or op.kind == KIND_GET_FILE:
        aws_s3_request_metrics_get_part_range_start(metrics, &first)
        aws_s3_request_metrics_get_part_range_end(metrics, &last)
    aws_s3_request_metrics_get_request_stream_id(metrics, &stream)
    aws_s3_request_metrics_get_conn_acquire_duration_ns(metrics, &connecting)
    aws_mutex_lock(&engine.lock)
    # an answer may come before the library has heard that the request is written
    _note_wait(engine.waits, &engine.waits_total, began - sent if began > sent else 0)
    if stream == 1:  # its connection's first request: what a connection costs may show with its first answer only
        _note_wait(engine.first_waits, &engine.first_waits_total, connecting + (began - sent if began > sent else 0))
    if op.group.alone and engine.under_way == 1:  # what waited for no other request tells how far the server is
        engine.alone[engine.alone_total % ALONE] = began - sent if began > sent else 1
        engine.alone_total += 1
    op.group.alone = False  # the parts that follow are many at once
    op.answers += 1
    op.answer_began, op.answer_ended = began, ended
    if last > first and began >= sent:  # HEAD has no range
        engine.pace.answers += 1
        engine.pace.bytes += last - first + 1
        engine.pace.waited += began - sent
        engine.pace.received += ended - began
    aws_mutex_unlock(&engine.lock)


cdef void _lower_shield(op_t* op, aws_s3_meta_request* meta, aws_s3_request_metrics* metrics) noexcept nogil:
    """A cancel has waited for the answer to CreateMultipartUpload: with the upload's id, the C library can abort it."""
    cdef engine_t* engine = op.group.engine
    cdef aws_s3_request_type kind
    cdef bint cancel
    aws_s3_request_metrics_get_request_type(metrics, &kind)
    if kind != AWS_S3_REQUEST_TYPE_CREATE_MULTIPART_UPLOAD:
        return
    aws_mutex_lock(&engine.lock)
    cancel = op.shielded and op.group.cancelled  # else whoever cancelled it has told the C library
    # one that has failed and is tried again stays shielded
    if cancel or aws_s3_request_metrics_get_error_code(metrics) == AWS_ERROR_SUCCESS:
        op.shielded = False
    aws_mutex_unlock(&engine.lock)
    if cancel:
        aws_s3_meta_request_cancel(meta)  # its lock is not held while events are delivered


cdef int _on_upload_review(
    aws_s3_meta_request* meta, const aws_s3_upload_review* review, void* user_data
) noexcept nogil:
    """All parts are sent, CompleteMultipartUpload is not: the last moment to see that the file has changed."""
    cdef op_t* op = <op_t*>user_data
    if not _source_unchanged(op):
        op.source_changed = True
        return aws_raise_error(AWS_ERROR_S3_CANCELED)
    return _note_parts(op, review)


cdef int _note_parts(op_t* op, const aws_s3_upload_review* review) noexcept nogil:
    """Keep what was said of the parts: the library tells of the answer to CompleteMultipartUpload only its ETag."""
    cdef const aws_s3_upload_part_review* part
    cdef char size[32]
    cdef size_t i
    op.data_len = 0
    for i in range(review.part_count):
        part = &review.part_array[i]
        if part.checksum.len == 0:
            op.data_len = 0
            return AWS_OP_SUCCESS
        snprintf(size, sizeof(size), b"%llu:", <unsigned long long>part.size)
        if (
            _append(op, <const uint8_t*>size, strlen(size)) != AWS_OP_SUCCESS
            or _append(op, part.checksum.ptr, part.checksum.len) != AWS_OP_SUCCESS
            or _append(op, <const uint8_t*>b"\n", 1) != AWS_OP_SUCCESS
        ):
            return AWS_OP_ERR
    return AWS_OP_SUCCESS


cdef bint _source_unchanged(op_t* op) noexcept nogil:
    cdef int64_t size = 0
    cdef int64_t mtime = 0
    if objectfs_stat(op.send_path, &size, &mtime) != 0:
        return False
    return size == op.send_size and mtime == op.send_mtime


cdef void _on_finish(
    aws_s3_meta_request* meta, const aws_s3_meta_request_result* result, void* user_data
) noexcept nogil:
    cdef op_t* op = <op_t*>user_data
    cdef engine_t* engine = op.group.engine
    cdef aws_byte_buf* body = result.error_response_body
    cdef aws_s3_meta_request* held
    cdef aws_s3_meta_request* others[MOST_HEDGES]
    cdef size_t n
    op.error_code = result.error_code
    op.validated = result.did_validate
    op.validation_algorithm = <int>result.validation_algorithm
    if result.error_code != 0:
        if result.error_response_headers != NULL:
            if op.response_headers != NULL:
                aws_http_headers_release(op.response_headers)
            aws_http_headers_acquire(result.error_response_headers)
            op.response_headers = result.error_response_headers
        if result.error_response_operation_name != NULL:
            strncpy(op.error_operation, aws_string_c_str(result.error_response_operation_name), 47)
        op.status = result.response_status
        op.data_len = 0
        # A response that broke off after it had begun is a truncated body; the partial content is of no use.
        op.started_body = result.response_status == 0 and (
            result.error_response_headers != NULL
            or (body != NULL and body.len > 0)
            or (op.failed_midway and op.failed_code == result.error_code))
        # Anything longer than an error document is the beginning of content, and of no use.
        if body != NULL and body.len <= 65536 and _append(op, body.buffer, body.len) != AWS_OP_SUCCESS:
            op.data_len = 0
    else:
        op.status = result.response_status
    aws_mutex_lock(&engine.lock)
    op.finished = True
    held = op.meta
    op.meta = NULL
    n = _others_unwanted(op, others)
    aws_mutex_unlock(&engine.lock)
    _cancel_all(others, n)
    if held != NULL:
        aws_s3_meta_request_release(held)


cdef void _on_shutdown(void* user_data) noexcept nogil:
    _request_ended(<op_t*>user_data)


cdef void _request_ended(op_t* op) noexcept nogil:
    """The C library has let go of it, or could not start it."""
    cdef engine_t* engine = op.group.engine
    cdef bint again
    if op.marked:
        _take_mark_off(op)
        op.marked = False
    if op.hedged != NULL:
        op = op.hedged
    aws_mutex_lock(&engine.lock)
    if op.others:
        op.others -= 1
        aws_mutex_unlock(&engine.lock)
        return
    aws_mutex_unlock(&engine.lock)
    if op.hedge != NULL:  # nobody else changes it any more
        _settle(op)
    if op.trailer:
        op.behind_known = objectfs_trailer_end(op.running, &op.crc)
        op.running = 0
    elif op.running != 0 or op.crc_kind != OBJECTFS_CRC_NONE:
        if (
            not objectfs_running_end(op.running, op.received, &op.crc)
            and op.crc_kind != OBJECTFS_CRC_NONE
            and op.error_code == 0
        ):
            op.crc = objectfs_crc(op.crc_kind, op.recv.buffer, op.received, 0)
        op.running = 0
    aws_mutex_lock(&engine.lock)
    again = op.error_code != 0 and _worth_again(op)
    aws_mutex_unlock(&engine.lock)
    if again and _make_again(op):
        return
    aws_mutex_lock(&engine.lock)
    _op_ended(op)
    aws_mutex_unlock(&engine.lock)


cdef void _on_client_shutdown(void* user_data) noexcept nogil:
    cdef engine_t* engine = <engine_t*>user_data
    aws_mutex_lock(&engine.lock)
    engine.client_gone = True
    aws_condition_variable_notify_all(&engine.cond)
    aws_mutex_unlock(&engine.lock)


cdef int _on_get_credentials(
    void* user_data, aws_on_get_credentials_callback_fn callback, void* callback_user_data
) noexcept nogil:
    """botocore decides which credentials are in force; Python puts them into the engine, signing takes them from it."""
    cdef engine_t* engine = <engine_t*>user_data
    cdef aws_credentials* credentials
    aws_mutex_lock(&engine.lock)
    credentials = engine.credentials
    aws_credentials_acquire(credentials)
    aws_mutex_unlock(&engine.lock)
    callback(credentials, AWS_ERROR_SUCCESS, callback_user_data)
    aws_credentials_release(credentials)
    return AWS_OP_SUCCESS
