# Turning an op_t into a meta request. Runs on Python's threads with the GIL released.

cdef enum:
    KIND_DEFAULT = 0   # one HTTP request, body collected
    KIND_GET_INTO = 1  # parallel ranges into caller memory
    KIND_GET_FILE = 2  # parallel ranges into a file
    KIND_PUT_FILE = 3  # parallel parts from a file


cdef int _add_headers(aws_http_message* message, header_t* headers, size_t n) noexcept nogil:
    cdef aws_http_header header
    cdef size_t i
    memset(&header, 0, sizeof(header))
    for i in range(n):
        header.name = aws_byte_cursor_from_array(headers[i].name, headers[i].name_len)
        header.value = aws_byte_cursor_from_array(headers[i].value, headers[i].value_len)
        if aws_http_message_add_header(message, header) != AWS_OP_SUCCESS:
            return AWS_OP_ERR
    return AWS_OP_SUCCESS


cdef aws_s3_meta_request* _make_meta_request(op_t* op) noexcept nogil:
    """NULL with aws_last_error() set if the request cannot start."""
    cdef engine_t* engine = op.group.engine
    cdef aws_s3_meta_request_options options
    cdef aws_s3_checksum_config checksum
    cdef aws_s3_file_io_options file_io
    cdef aws_s3_meta_request* meta = NULL
    cdef aws_http_message* message = aws_http_message_new_request(engine.alloc)
    if message == NULL:
        return NULL
    memset(&options, 0, sizeof(options))
    memset(&checksum, 0, sizeof(checksum))
    memset(&file_io, 0, sizeof(file_io))
    if (
        aws_http_message_set_request_method(message, aws_byte_cursor_from_array(op.method, op.method_len))
        == AWS_OP_SUCCESS
        and aws_http_message_set_request_path(message, aws_byte_cursor_from_array(op.path, op.path_len))
        == AWS_OP_SUCCESS
        and _add_headers(message, op.headers, op.headers_len) == AWS_OP_SUCCESS
        and _add_headers(message, op.more, op.more_len) == AWS_OP_SUCCESS
    ):
        options.message = message
        options.endpoint = op.endpoint
        options.user_data = op
        options.operation_name = aws_byte_cursor_from_array(op.operation, op.operation_len)
        options.headers_callback = &_on_headers
        options.telemetry_callback = &_on_telemetry
        options.finish_callback = &_on_finish
        options.shutdown_callback = &_on_shutdown
        options.part_size = op.part_size
        options.max_active_connections_override = op.max_connections
        if op.trailer and op.has_body and op.body_len > 0:
            op.running = objectfs_trailer_begin(op.body_ptr, op.body_len)
            op.behind = op.running != 0
            op.checksum_location = AWS_SCL_TRAILER if op.behind else AWS_SCL_HEADER
        if op.checksum_location != 0 or op.validate:
            checksum.location = <aws_s3_checksum_location>op.checksum_location
            checksum.checksum_algorithm = <aws_s3_checksum_algorithm>op.checksum_algorithm
            checksum.validate_response_checksum = op.validate
            checksum.response_checksum_validation_mode = <aws_s3_checksum_validation_mode>op.validate_mode
            options.checksum_config = &checksum
        if op.kind == KIND_DEFAULT:
            options.type = AWS_S3_META_REQUEST_TYPE_DEFAULT
            options.body_callback = &_on_body
            if op.has_body and op.body_len > 0:
                options.request_body = aws_byte_cursor_from_array(op.body_ptr, op.body_len)
        elif op.kind == KIND_GET_INTO:
            options.type = AWS_S3_META_REQUEST_TYPE_GET_OBJECT
            options.recv_buffer = &op.recv
            if op.crc_kind != OBJECTFS_CRC_NONE or _seen_as_it_comes(op):
                op.running = objectfs_running_begin(op.recv.buffer, op.crc_kind)
            options.progress_callback = &_on_progress
        elif op.kind == KIND_GET_FILE:
            options.type = AWS_S3_META_REQUEST_TYPE_GET_OBJECT
            options.recv_filepath = aws_byte_cursor_from_array(op.recv_path, op.recv_path_len)
            options.recv_file_option = AWS_S3_RECV_FILE_WRITE_TO_POSITION
            options.recv_file_position = op.recv_position
            options.progress_callback = &_on_progress
        else:
            options.type = AWS_S3_META_REQUEST_TYPE_PUT_OBJECT
            options.send_filepath = aws_byte_cursor_from_array(op.send_path, op.send_path_len)
            # read the parts into the buffer pool: a checksum header needs the whole part beforehand
            options.fio_opts = &file_io
            options.progress_callback = &_on_progress
            options.upload_review_callback = &_on_upload_review
        _expect_answer(op)
        objectfs_gate_enter(<objectfs_gate*>engine.gate)
        meta = aws_s3_client_make_meta_request(engine.client, &options)
        objectfs_gate_enter(NULL)
    aws_http_message_release(message)
    return meta


cdef void _submit_one(op_t* op) noexcept nogil:
    cdef engine_t* engine = op.group.engine
    cdef aws_s3_meta_request* meta = _make_meta_request(op)
    cdef bint cancel = False
    if meta == NULL:
        aws_mutex_lock(&engine.lock)
        op.error_code = aws_last_error()
        op.finished = True
        aws_mutex_unlock(&engine.lock)
        _request_ended(op)
        return
    # finish may have come already, and a cancel may have passed between submission and here
    aws_mutex_lock(&engine.lock)
    if not op.finished:
        cancel = op.group.cancelled and not op.shielded or op.unwanted
        op.meta = meta
        if cancel:
            aws_s3_meta_request_acquire(meta)
    else:
        aws_mutex_unlock(&engine.lock)
        aws_s3_meta_request_release(meta)
        return
    aws_mutex_unlock(&engine.lock)
    if cancel:
        aws_s3_meta_request_cancel(meta)
        aws_s3_meta_request_release(meta)


cdef void _recycle(group_t* group) noexcept nogil:
    """A reaped group goes back to the free list, its big arrays do not stay. The caller holds the engine's lock."""
    if group.capacity > 64:
        free(group.ops)
        group.ops = NULL
        group.capacity = 0
    group.next = group.engine.free_groups
    group.engine.free_groups = group


cdef void _pin(group_t* group) noexcept nogil:
    """From here to _unpin neither the group nor the engine goes away, whoever reaps or closes."""
    cdef engine_t* engine = group.engine
    aws_mutex_lock(&engine.lock)
    group.users += 1
    engine.users += 1
    aws_mutex_unlock(&engine.lock)


cdef void _unpin(group_t* group) noexcept nogil:
    cdef engine_t* engine = group.engine
    aws_mutex_lock(&engine.lock)
    group.users -= 1
    engine.users -= 1
    if group.users == 0 and group.reaped:
        _recycle(group)
    if engine.users == 0:
        aws_condition_variable_notify_all(&engine.cond)
    aws_mutex_unlock(&engine.lock)


cdef bint _group_done(group_t* group) noexcept nogil:
    """The caller holds the engine's lock."""
    if group.cancelled:
        return group.ended == group.submitted
    return group.ended == group.n


cdef void _feed(group_t* group) noexcept nogil:
    """Submit as many ops as the window allows. The caller has pinned the group and does not hold the lock.

    A window, because the CRT walks all outstanding meta requests at each of its updates (10 % of the CPU at 4,000
    outstanding; aws-c-s3-notes).
    """
    cdef engine_t* engine = group.engine
    cdef size_t first
    cdef size_t last
    cdef size_t i
    while True:
        aws_mutex_lock(&engine.lock)
        if group.cancelled or group.submitted == group.n:
            aws_mutex_unlock(&engine.lock)
            return
        _look_at_window(group)
        first = group.submitted
        last = _grant(group)
        aws_mutex_unlock(&engine.lock)
        if last == first:
            return
        for i in range(first, last):
            _submit_one(&group.ops[i])


cdef void _cancel_group(group_t* group, bint force) noexcept nogil:
    """Ask the CRT to stop every op of the group, but not what is shielded unless ``force``. Each of them still gets
    finish and shutdown. Pinned."""
    cdef engine_t* engine = group.engine
    cdef aws_s3_meta_request* metas[1 + MOST_HEDGES]
    cdef op_t* hedge
    cdef size_t i
    cdef size_t n
    aws_mutex_lock(&engine.lock)
    group.cancelled = True
    group.stop_on_error = False
    group.wake_at = group.submitted
    if not group.stopping:
        group.stopping = True
        engine.stopping += group.submitted - group.ended
    aws_mutex_unlock(&engine.lock)
    for i in range(group.n):
        aws_mutex_lock(&engine.lock)
        if force:
            group.ops[i].shielded = False
        n = 0 if group.ops[i].shielded else _acquire(group.ops[i].meta, metas)
        hedge = group.ops[i].hedge
        while hedge != NULL:
            n += _acquire(hedge.meta, metas + n)
            hedge = hedge.hedge
        aws_mutex_unlock(&engine.lock)
        _cancel_all(metas, n)
    aws_mutex_lock(&engine.lock)
    if group.ended == group.submitted:
        _wake_group(group)
    aws_mutex_unlock(&engine.lock)


cdef bint _wait_group(group_t* group, int64_t nanoseconds) noexcept nogil:
    """Wait until the group is done, feeding it meanwhile, or until the time is over; whether it is done. Pinned."""
    cdef engine_t* engine = group.engine
    cdef bint done
    cdef bint stop
    while True:
        _feed(group)
        aws_mutex_lock(&engine.lock)
        done = _group_done(group)
        stop = not done and group.cancelled and group.stop_on_error
        if not done and not stop and group.ended < group.wake_at:
            if aws_condition_variable_wait_for(&group.cond, &engine.lock, nanoseconds) != AWS_OP_SUCCESS:
                done = _group_done(group)
                aws_mutex_unlock(&engine.lock)
                return done
        aws_mutex_unlock(&engine.lock)
        if done:
            return True
        if stop:  # the first failure stops the batch
            _cancel_group(group, False)
