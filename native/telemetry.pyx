# What the C library told of its requests, for Python to read: telemetry.c.

cdef extern from "telemetry.h" nogil:
    enum:
        OBJECTFS_PHASES
        OBJECTFS_BUCKETS
        OBJECTFS_OPERATIONS
    cdef struct objectfs_telemetry:
        pass
    cdef struct objectfs_trace_record:
        int64_t start
        int64_t phases[8]
        uint64_t range_start
        uint64_t range_end
        uint64_t connection
        uint32_t attempt
        int status
        int error
        int operation
        char request_id[80]
        char address[48]
        char host[96]
        char path[208]
    objectfs_telemetry* objectfs_telemetry_new()
    void objectfs_telemetry_free(objectfs_telemetry*)
    void objectfs_telemetry_note(objectfs_telemetry*, const aws_s3_request_metrics*, const char* name, size_t)
    const char* objectfs_telemetry_operation(int)
    void objectfs_telemetry_attempts(objectfs_telemetry*, int operation, uint64_t* all, uint64_t* failed)
    void objectfs_telemetry_histogram(objectfs_telemetry*, int phase, uint64_t* counts, uint64_t* sum, uint64_t* most)
    int objectfs_telemetry_bucket(uint64_t)
    bint objectfs_trace_start(objectfs_telemetry*, size_t capacity)
    void objectfs_trace_stop(objectfs_telemetry*)
    size_t objectfs_trace_take(objectfs_telemetry*, objectfs_trace_record*, size_t most, uint64_t* lost)
    bint objectfs_trace_wait(objectfs_telemetry*, int64_t nanoseconds)

cdef enum:
    _TAKEN_AT_ONCE = 32  # records, 20 KiB of stack


@cython.final
cdef class Telemetry:
    """Of the engines of one client."""

    cdef objectfs_telemetry* _t
    cdef long _pid

    def __cinit__(self):
        self._pid = objectfs_getpid()
        self._t = objectfs_telemetry_new()
        if self._t == NULL:
            raise MemoryError()

    def __dealloc__(self):
        if self._t != NULL and self._pid == objectfs_getpid():
            objectfs_telemetry_free(self._t)

    def attempts(self):
        """{operation: (attempts, those of them that failed)}, of operations that there were."""
        cdef uint64_t total = 0
        cdef uint64_t failed = 0
        cdef int i
        found = {}
        for i in range(OBJECTFS_OPERATIONS):
            objectfs_telemetry_attempts(self._t, i, &total, &failed)
            if total:
                found[objectfs_telemetry_operation(i).decode()] = (total, failed)
        return found

    def histograms(self):
        """For each phase: ({bucket: count} of those that are not empty, sum and longest in nanoseconds)."""
        cdef uint64_t[OBJECTFS_BUCKETS] counts
        cdef uint64_t total = 0
        cdef uint64_t most = 0
        cdef int phase
        cdef int i
        found = []
        for phase in range(OBJECTFS_PHASES):
            objectfs_telemetry_histogram(self._t, phase, counts, &total, &most)
            found.append(({i: counts[i] for i in range(OBJECTFS_BUCKETS) if counts[i]}, total, most))
        return found

    def trace(self, size_t capacity):
        """Keep the last ``capacity`` attempts from now on; none with 0."""
        self._check()
        if capacity == 0:
            objectfs_trace_stop(self._t)
        elif not objectfs_trace_start(self._t, capacity):
            raise MemoryError()

    def wait(self, double seconds):
        """Wait for attempts, with the GIL released; whether there are any. Signals are not served meanwhile."""
        cdef int64_t nanoseconds = <int64_t>(seconds * 1e9)
        cdef bint found
        self._check()
        with nogil:
            found = objectfs_trace_wait(self._t, nanoseconds)
        return found

    def take(self):
        """Attempts that have ended since the last call, as tuples, and how many more there were and are overwritten."""
        cdef objectfs_trace_record[_TAKEN_AT_ONCE] records
        cdef uint64_t lost = 0
        cdef uint64_t lost_now = 0
        cdef uint64_t now = 0
        cdef size_t n = _TAKEN_AT_ONCE
        cdef size_t i
        self._check()
        found = []
        aws_high_res_clock_get_ticks(&now)
        wall = _time_ns() - <int64_t>now
        while n == _TAKEN_AT_ONCE:
            with nogil:  # another thread may be at the ring
                n = objectfs_trace_take(self._t, records, _TAKEN_AT_ONCE, &lost_now)
            lost += lost_now
            for i in range(n):
                found.append(_record(&records[i], wall))
        return found, lost

    cdef int _check(self) except -1:
        if self._pid != objectfs_getpid():
            raise _closed_error("the trace belongs to the process that this one was forked from")
        return 0


cdef tuple _record(objectfs_trace_record* record, wall):
    return (
        objectfs_telemetry_operation(record.operation).decode(),
        record.host.decode("utf-8", "replace"),
        record.path.decode("utf-8", "replace"),
        record.address.decode("utf-8", "replace"),
        record.status,
        aws_error_name(record.error).decode() if record.error else None,
        record.request_id.decode("utf-8", "replace"),
        record.attempt,
        record.connection,
        (record.range_start, record.range_end) if record.range_end else None,
        record.start + wall,
        tuple([record.phases[i] for i in range(OBJECTFS_PHASES)]),
    )


def debug_bucket(uint64_t nanoseconds):
    """The histograms' bucket for so many."""
    return objectfs_telemetry_bucket(nanoseconds)


from time import time_ns as _time_ns
