# How many bytes a second come while several requests receive at a time: what the network, the server or the processor
# can do, however long each of them had to wait. By that hedge.pyx knows whether there is room for second requests
# (docs/design/0022-hedging.md, "Room for them").
#
# A group tells when it has ended, while its results are taken: nobody else looks at its ops any more. Of each op whose
# content came in one answer it is known when that began and ended; in between it is taken to have come evenly. What is
# kept is the rate, of all ops together, at which the average byte came: times in which little came count little.

from libc.stdlib cimport qsort as _qsort

cdef enum:
    BANDWIDTH_OPS = 512                # of a group are looked at, at most: neighbours, which were under way together
    BANDWIDTH_FROM = 131072            # bytes of each, in the mean: what is shorter comes at once when it comes

cdef double _AS_WIDE = 0.8             # of what has told it: a group has failures, and hedges that were faster

cdef struct stretch_t:
    uint64_t began                     # nanoseconds
    uint64_t ended
    double rate                        # bytes a nanosecond


cdef int _by_beginning(const void* one, const void* other) noexcept nogil:
    cdef uint64_t a = (<const stretch_t*>one).began
    cdef uint64_t b = (<const stretch_t*>other).began
    return -1 if a < b else 1 if a > b else 0


cdef void _note_bandwidth(group_t* group) noexcept nogil:
    """It has ended. What it tells counts if it is more than is known, or if about as many received at a time and came
    to less."""
    cdef engine_t* engine = group.engine
    cdef size_t most = min(group.n, <size_t>BANDWIDTH_OPS)
    cdef size_t first = (group.n - most) // 2
    cdef size_t n = 0
    cdef size_t i
    cdef uint64_t began = <uint64_t>-1
    cdef uint64_t ended = 0
    cdef double total = 0
    cdef double alone = 0
    cdef double size
    cdef double found
    cdef double width
    cdef op_t* op
    cdef stretch_t* stretches
    if group.n < 2:
        return
    stretches = <stretch_t*>malloc(most * sizeof(stretch_t))
    if stretches == NULL:  # it is no more than a hint
        return
    for i in range(first, first + most):
        op = &group.ops[i]
        size = <double>(op.received if op.recv.capacity else op.data_len)
        if op.error_code == 0 and op.answers == 1 and size > 0 and op.answer_ended > op.answer_began:
            stretches[n].began = op.answer_began
            stretches[n].ended = op.answer_ended
            stretches[n].rate = size / <double>(op.answer_ended - op.answer_began)
            total += size
            alone += size * stretches[n].rate
            began = min(began, op.answer_began)
            ended = max(ended, op.answer_ended)
            n += 1
    if n >= 2:
        if total >= <double>n * BANDWIDTH_FROM:
            found = _together(stretches, n)
            width = found / alone
            found /= total
        else:  # but so much has come
            found = total / <double>(ended - began)
            width = 0
        aws_mutex_lock(&engine.lock)
        if found >= engine.bandwidth or width != 0 and width >= _AS_WIDE * engine.bandwidth_width:
            engine.bandwidth = found
            engine.bandwidth_width = width
            engine.bandwidth_each = <uint64_t>total // n
        aws_mutex_unlock(&engine.lock)
    free(stretches)


cdef double _together(stretch_t* stretches, size_t n) noexcept nogil:
    """The square of the rate of all, over the time."""
    cdef double found = 0
    cdef double both
    cdef size_t i
    cdef size_t k
    _qsort(stretches, n, sizeof(stretch_t), &_by_beginning)
    for i in range(n):
        found += stretches[i].rate * stretches[i].rate * <double>(stretches[i].ended - stretches[i].began)
        for k in range(i + 1, n):
            if stretches[k].began >= stretches[i].ended:
                break
            both = <double>(min(stretches[i].ended, stretches[k].ended) - stretches[k].began)
            found += 2 * stretches[i].rate * stretches[k].rate * both
    return found
