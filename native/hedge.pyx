# Hedged requests (Dean and Barroso, "The Tail at Scale", CACM 56:2, 2013; AWS's performance guidelines for S3 advise
# the same): where an answer is late, the request is sent a second time, where both are, a third, and a fourth if an
# object waits for it; the first answer counts.
#
# Only GET and HEAD, and only if whoever starts a group says from when on an answer is late. Nothing is looked at before
# all of a group has been submitted: as long as there is other work, a late answer holds up nobody.
#
# A second request (a third, a fourth) is an op_t of its own, made by a task that looks at the group from time to time.
# Rules, besides those of structs.pxi:
# - While requests wait for a connection nothing is late: a second request would wait behind them. Nor while the loop
#   is behind with answers that have come, and for as long again (other loops may be too): what it looks for may be
#   among them.
# - While others bring as much as the network can, nothing is late either: answers wait for each other then, and more of
#   them would wait longer. (bandwidth.pyx knows how much it can; before, of answers that have begun one must be
#   complete.)
# - The task pins the group, so that group and engine stay while it looks. It ends when the group does.
# - They are one for everybody else: `_request_ended` counts the op as over when all have had their shutdown callback.
#   What points from one to another (`hedge`, `hedged`, `others`, `unwanted`) is read and written under the engine's
#   lock. The hedges are freed by whoever ends the last.
# - A hedge receives into memory of its own, never into the op's: several may be answered, and with different content,
#   if the object is replaced meanwhile. If its answer counts, the content is copied when all have ended.
# - A mark in the first bytes of the memory tells whether an answer has begun: a transfer that is under way is not late.
#   What lay there of the caller's is put back if nothing came. It is looked at under the lock, and only while the
#   request has not finished: until then nobody takes the memory away. A file's memory is not to be touched: there
#   running.c notes what has come, and what it has no place for is not sent again.

from os import urandom as _urandom

cdef enum:
    MARK = 16                 # bytes
    MARKED_FROM = 65536       # what is shorter comes at once when it comes
    LATE_AT_ONCE = 16
    TRIAL = 20                # hedges of a group, and four for each that has come first: not more until it pays
    HEDGES = 2                # of an op at most,
    MOST_HEDGES = 3           # or, where a whole object waits for it, so many

cdef uint64_t _HEDGE_LOOK = 5_000_000  # nanoseconds
cdef uint64_t _HEDGE_LAG = 3_000_000   # likewise; a loop that is later than this is behind
cdef uint64_t _HEDGE_PATIENCE = 100_000_000
cdef double _ROOM = 1.5                # times `late`: what comes takes no longer, or nothing is late
cdef uint64_t _UNSEEN = 10             # times `late`: so long what may have begun is taken to have
cdef uint64_t _WAITS_KEPT = 4096       # answers, of which the older count half
cdef uint8_t _mark[MARK]               # drawn for the process: no content has it
memcpy(_mark, PyBytes_AS_STRING(_urandom(MARK)), MARK)

cdef struct hedger_t:
    aws_task task
    aws_event_loop* loop
    group_t* group                     # pinned
    uint64_t due                       # on the loop's clock


cdef void _start_hedging(group_t* group) noexcept nogil:
    """For a group with ``late`` set. The caller has pinned it."""
    cdef hedger_t* hedger = <hedger_t*>aws_mem_calloc(group.engine.alloc, 1, sizeof(hedger_t))
    cdef uint64_t now = 0
    if hedger == NULL:
        return
    _pin(group)
    hedger.group = group
    aws_mutex_lock(&group.engine.lock)
    group.hedges_before = group.engine.hedges
    group.won_before = group.engine.hedges_won
    aws_mutex_unlock(&group.engine.lock)
    hedger.loop = aws_event_loop_group_get_next_loop(_loops)
    aws_event_loop_current_clock_time(hedger.loop, &now)
    aws_task_init(&hedger.task, &_on_hedging, hedger, "objectfs_hedging")
    hedger.due = now + min(group.late, _HEDGE_LOOK)
    aws_event_loop_schedule_task_future(hedger.loop, &hedger.task, hedger.due)


cdef void _on_hedging(aws_task* task, void* arg, aws_task_status status) noexcept nogil:
    cdef hedger_t* hedger = <hedger_t*>arg
    cdef group_t* group = hedger.group
    cdef engine_t* engine = group.engine
    cdef op_t* found[LATE_AT_ONCE]
    cdef size_t n = 0
    cdef size_t i
    cdef uint64_t now = 0
    cdef uint64_t wait = _HEDGE_LOOK
    cdef bint behind
    cdef bint over
    cdef size_t limit = <size_t>-1  # of connections
    cdef size_t used = 0
    cdef size_t most = 0
    cdef size_t waiting = 0
    if engine.gate != NULL:
        limit = objectfs_gate_limit(<objectfs_gate*>engine.gate)
        objectfs_gate_count(<objectfs_gate*>engine.gate, &used, &most, &waiting)
    aws_event_loop_current_clock_time(hedger.loop, &now)
    behind = now > hedger.due + _HEDGE_LAG
    if behind:
        wait = min(max(now - hedger.due, _HEDGE_LOOK), _HEDGE_PATIENCE)
    aws_high_res_clock_get_ticks(&now)
    aws_mutex_lock(&engine.lock)
    # A transfer of the C library's is one op and has many connections: others wait, within the library, if all are
    # taken and not by one op each.
    if waiting != 0 or engine.under_way > limit or (used >= limit and used != engine.under_way):
        group.late_from = now
    over = status != AWS_TASK_STATUS_RUN_READY or group.cancelled or _group_done(group) or group.spare == 0
    if not over and not behind and group.submitted == group.n and used < limit:
        n = _find_late(group, now, found, limit - used)
    aws_mutex_unlock(&engine.lock)
    for i in range(n):
        _submit_one(found[i])
    if over:
        aws_mem_release(engine.alloc, hedger)
        _unpin(group)
        return
    aws_event_loop_current_clock_time(hedger.loop, &now)
    hedger.due = now + wait
    aws_event_loop_schedule_task_future(hedger.loop, &hedger.task, hedger.due)


cdef size_t _find_late(group_t* group, uint64_t now, op_t** found, size_t most) noexcept nogil:
    """Hedges for what is late, to be submitted, so many at most. The caller holds the engine's lock."""
    cdef size_t n = 0
    cdef size_t i
    cdef op_t* op
    cdef op_t* hedge
    cdef uint64_t made = group.engine.hedges - group.hedges_before  # by others at the same time too
    cdef uint64_t allowed = TRIAL
    if group.each:  # some have a third and a fourth request before any second one can have come first
        allowed = max(allowed, group.n)
    allowed += 4 * (group.engine.hedges_won - group.won_before)
    most = min(most, group.spare, allowed - made if allowed > made else 0)
    if most == 0:
        return 0
    for i in range(group.n):
        op = &group.ops[i]
        if not _is_late(op, now):
            continue
        if n == 0 and _no_room(group, now):
            break
        hedge = _new_hedge(op)
        if hedge == NULL:
            break
        hedge.sent_at = now
        found[n] = hedge
        n += 1
        group.spare -= 1
        group.engine.hedges += 1
        if n == LATE_AT_ONCE or n == most:
            break
    return n


cdef bint _is_late(op_t* op, uint64_t now) noexcept nogil:
    """Whether it is to be sent once more. The caller holds the engine's lock."""
    cdef group_t* group = op.group
    cdef op_t* hedge = op.hedge
    # once it has a handle, whoever has submitted it changes nothing any more
    if op.finished or op.meta == NULL or op.unwanted or op.sent_at == 0:
        return False
    if hedge == NULL:
        if now < max(op.sent_at, group.late_from) + group.late:
            return False
        if _has_begun(op) or _unseen(op):
            op.sent_at = 0  # with a hedge it stays: should that come first, _settle_one counts the op's wait
            return False
        return True
    if hedge.nth >= (MOST_HEDGES if group.each else HEDGES):
        return False
    # less than the first time: most answers would have come by then
    if now < max(hedge.sent_at, group.late_from) + (group.late * 3 // 10 if group.each else group.late // 2):
        return False
    if _has_begun(op):
        return False
    while hedge != NULL:
        if not hedge.finished and _has_begun(hedge):
            return False
        hedge = hedge.hedge
    return True


cdef bint _unseen(op_t* op) noexcept nogil:
    """Whether it may have come for the most part, and nobody sees it: there was no place in running.c."""
    return op.kind == KIND_GET_INTO and op.recv.capacity >= MARKED_FROM and not op.marked and op.running == 0


cdef bint _no_room(group_t* group, uint64_t now) noexcept nogil:
    """Whether what others have begun to bring takes so long that a second answer would wait for it, or it for that. The
    caller holds the engine's lock."""
    cdef engine_t* engine = group.engine
    cdef size_t coming = 0
    cdef size_t unseen = 0
    cdef size_t i
    cdef uint64_t most = group.ops[0].recv.capacity
    cdef uint64_t each = most if most != 0 else engine.bandwidth_each
    cdef double rate = engine.bandwidth
    cdef op_t* op
    cdef op_t* hedge
    for i in range(group.n):
        op = &group.ops[i]
        if op.finished or op.meta == NULL:
            continue
        if not op.marked and op.running == 0:  # nobody sees whether it has begun; it has not for ever
            unseen += now < op.sent_at + _UNSEEN * group.late
        elif _has_begun(op):
            coming += 1
        hedge = op.hedge
        while hedge != NULL:
            coming += not hedge.finished and _has_begun(hedge)
            hedge = hedge.hedge
    if rate <= 0:
        return coming != 0 and group.ended == group.failed
    if group.ended > group.failed:  # memory may be for more than comes
        each = group.transferred // (group.ended - group.failed)
        if most != 0:
            each = min(each, most)  # what has come of ops that have not ended counts above
    if unseen != 0:  # of which the one that is late is one
        coming += unseen - 1
    if 0 < engine.bandwidth_width < coming:  # which did not need more
        rate *= <double>coming / engine.bandwidth_width
    return <double>(coming * each) > _ROOM * rate * <double>group.late


cdef bint _has_begun(op_t* op) noexcept nogil:
    """Whether its answer has. It has not finished; the caller holds the engine's lock."""
    if op.marked:
        return not objectfs_untouched(op.recv.buffer, _mark, MARK)
    return not op.trailer and objectfs_running_size(op.running) != 0  # (a trailer's place is trailer.c's)


cdef op_t* _new_hedge(op_t* op) noexcept nogil:
    """NULL where there is no memory for it. The caller holds the engine's lock."""
    cdef engine_t* engine = op.group.engine
    cdef size_t size = op.recv.capacity if op.kind == KIND_GET_INTO else 0
    cdef void* memory = NULL
    cdef op_t* hedge
    if engine.hedge_memory + size > engine.hedge_most:
        return NULL
    if size:
        memory = malloc(size)  # the C library's allocator ends the process where there is no memory
        if memory == NULL:
            return NULL
    hedge = <op_t*>aws_mem_calloc(engine.alloc, 1, sizeof(op_t))
    if hedge == NULL:
        free(memory)
        return NULL
    engine.hedge_memory += size
    engine.under_way += 1
    hedge.group = op.group
    hedge.kind = op.kind
    hedge.operation = op.operation
    hedge.operation_len = op.operation_len
    hedge.method = op.method
    hedge.method_len = op.method_len
    hedge.path = op.path
    hedge.path_len = op.path_len
    hedge.endpoint = op.endpoint
    hedge.headers = op.headers
    hedge.headers_len = op.headers_len
    hedge.more = op.more
    hedge.more_len = op.more_len
    hedge.validate = op.validate
    hedge.validate_mode = op.validate_mode
    hedge.part_size = op.part_size
    hedge.max_connections = op.max_connections
    if size:
        hedge.recv = aws_byte_buf_from_empty_array(memory, size)
        if size >= MARKED_FROM:
            memcpy(memory, _mark, MARK)
            hedge.marked = True
    hedge.hedged = op
    hedge.hedge = op.hedge
    hedge.nth = 1 if op.hedge == NULL else op.hedge.nth + 1
    op.hedge = hedge
    op.others += 1
    return hedge


cdef bint _may_hedge(op_t* op) noexcept nogil:
    """Whether the request is one that can be sent twice, and its answer kept apart."""
    return (op.kind == KIND_DEFAULT and not op.has_body or op.kind == KIND_GET_INTO) and (
        op.method_len == 3 and memcmp(op.method, b"GET", 3) == 0
        or op.method_len == 4 and memcmp(op.method, b"HEAD", 4) == 0)


cdef bint _seen_as_it_comes(op_t* op) noexcept nogil:
    """Whether it is to be noted that an answer has begun, where no mark can be made."""
    return op.group.late != 0 and not op.group.marks and op.hedged == NULL


cdef void _expect_answer(op_t* op) noexcept nogil:
    """It is about to be submitted."""
    if op.hedged != NULL or op.group.late == 0 or not _may_hedge(op):
        return
    if op.group.marks and op.kind == KIND_GET_INTO and op.recv.capacity >= MARKED_FROM:
        memcpy(op.under_mark, op.recv.buffer, MARK)
        memcpy(op.recv.buffer, _mark, MARK)
        op.marked = True
    aws_high_res_clock_get_ticks(&op.sent_at)


cdef void _take_mark_off(op_t* op) noexcept nogil:
    """Nothing comes any more: what lay under the mark, where nothing else lies there now."""
    if op.received >= MARK:
        return
    if op.received == 0 and not objectfs_untouched(op.recv.buffer, _mark, MARK):
        return  # part of an answer that broke off
    memcpy(op.recv.buffer + op.received, op.under_mark + op.received, MARK - op.received)


cdef size_t _others_unwanted(op_t* op, aws_s3_meta_request** metas) noexcept nogil:
    """For an op that has finished, and whose answer counts: the other requests for the same, acquired, to be cancelled
    (MOST_HEDGES at most), and how many. The caller holds the engine's lock."""
    cdef op_t* first = op.hedged if op.hedged != NULL else op
    cdef op_t* other = first
    cdef size_t n = 0
    # what the server refuses it would refuse again; a broken connection says nothing of the others
    if first.others == 0 or not (op.error_code == 0 or op.hedged == NULL and op.status >= 400):
        return 0
    while other != NULL:
        if other != op and not other.finished:
            other.unwanted = True
            n += _acquire(other.meta, metas + n)
        other = other.hedge
    return n


cdef size_t _acquire(aws_s3_meta_request* meta, aws_s3_meta_request** into) noexcept nogil:
    """One, or nothing where it is NULL: how many."""
    if meta == NULL:
        return 0
    aws_s3_meta_request_acquire(meta)
    into[0] = meta
    return 1


cdef void _cancel_all(aws_s3_meta_request** metas, size_t n) noexcept nogil:
    """And release them. The caller does not hold the lock."""
    cdef size_t i
    for i in range(n):
        aws_s3_meta_request_cancel(metas[i])
        aws_s3_meta_request_release(metas[i])


cdef void _settle(op_t* op) noexcept nogil:
    """All have ended: what the op has come to, if a hedge was faster."""
    cdef engine_t* engine = op.group.engine
    cdef op_t* hedge
    cdef op_t* following
    aws_mutex_lock(&engine.lock)
    hedge = op.hedge
    op.hedge = NULL
    aws_mutex_unlock(&engine.lock)
    while hedge != NULL:
        following = hedge.hedge
        _settle_one(op, hedge)
        hedge = following


cdef void _settle_one(op_t* op, op_t* hedge) noexcept nogil:
    """The op has the hedge's answer, if it has none; the hedge is freed."""
    cdef engine_t* engine = op.group.engine
    cdef uint64_t now = 0
    cdef aws_byte_cursor content
    if op.error_code != 0 and hedge.error_code == 0:
        if op.kind == KIND_GET_INTO and hedge.received != 0:
            op.recv.len = 0
            content = aws_byte_cursor_from_array(hedge.recv.buffer, hedge.received)
            if aws_byte_buf_append(&op.recv, &content) != AWS_OP_SUCCESS:  # the file that it goes to is full, say
                hedge.error_code = aws_last_error()
    if op.error_code != 0 and hedge.error_code == 0:
        op.error_code = op.failed_code = 0
        op.failed_midway = op.started_body = op.in_doubt = False
        op.error_operation[0] = 0
        op.status = hedge.status
        op.validated = hedge.validated
        op.validation_algorithm = hedge.validation_algorithm
        op.response_headers, hedge.response_headers = hedge.response_headers, op.response_headers
        op.data, hedge.data = hedge.data, op.data
        op.data_len = hedge.data_len
        op.data_cap = hedge.data_cap
        aws_high_res_clock_get_ticks(&now)
        aws_mutex_lock(&engine.lock)
        if op.sent_at != 0 and _gets_object(op):  # without the answers that were too late, all would seem early
            _note_wait(engine.waits, &engine.waits_total, now - op.sent_at)
            engine.pace.answers += 1
            engine.pace.waited += now - op.sent_at
        op.group.transferred += hedge.received - op.received
        op.received = hedge.received
        engine.hedges_won += 1
        aws_mutex_unlock(&engine.lock)
    aws_mutex_lock(&engine.lock)
    engine.hedge_memory -= hedge.recv.capacity
    engine.under_way -= 1
    aws_mutex_unlock(&engine.lock)
    if hedge.response_headers != NULL:
        aws_http_headers_release(hedge.response_headers)
    free(hedge.data)
    free(hedge.recv.buffer)
    aws_mem_release(engine.alloc, hedge)


cdef void _note_wait(uint32_t* counts, uint64_t* total, uint64_t nanoseconds) noexcept nogil:
    """For a first byte, in one of the engine's histograms. The caller holds the engine's lock."""
    cdef size_t i
    counts[objectfs_telemetry_bucket(nanoseconds)] += 1
    total[0] += 1
    if total[0] == _WAITS_KEPT:
        total[0] = 0
        for i in range(OBJECTFS_BUCKETS):
            counts[i] //= 2
            total[0] += counts[i]
