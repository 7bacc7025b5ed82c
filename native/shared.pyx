# What the engines of one client have in common: the pool of part buffers, and the number of connections.
#
# The C library's pool is made with its first client and counts references; the clients that come later are given the
# same one, so that what it may hold is held once. Connections: gate.c.

cdef extern from "gate.h" nogil:
    cdef struct objectfs_gate:
        pass
    objectfs_gate* objectfs_gate_new(size_t limit)
    void objectfs_gate_release(objectfs_gate*)
    void objectfs_gate_enter(objectfs_gate*)
    size_t objectfs_gate_limit(objectfs_gate*)
    void objectfs_gate_count(objectfs_gate*, size_t* used, size_t* most, size_t* waiting)
    bint objectfs_gate_works()
    void objectfs_gates_after_fork()


@cython.final
cdef class Shared:
    """Engines that are made with it share ``max_connections`` connections and one pool of part buffers, whose size and
    part size the first of them decides."""

    cdef aws_s3_buffer_pool* _pool
    cdef objectfs_gate* _gate
    cdef long _pid
    cdef readonly Telemetry telemetry

    def __cinit__(self, size_t max_connections):
        self._pid = objectfs_getpid()
        self._gate = objectfs_gate_new(max_connections)
        if self._gate == NULL:
            raise MemoryError()
        self.telemetry = Telemetry()

    @property
    def bounds_connections(self):
        """Whether they do share connections: not where the C library is linked dynamically."""
        return objectfs_gate_works()

    def connections(self):
        """Connections in use now, the most that were at a time, and requests that wait for one."""
        cdef size_t used = 0
        cdef size_t most = 0
        cdef size_t waiting = 0
        objectfs_gate_count(self._gate, &used, &most, &waiting)
        return used, most, waiting

    def close(self):
        """Let go of the pool, which engines that have not ended keep."""
        if self._pool != NULL and self._pid == objectfs_getpid():
            aws_s3_buffer_pool_release(self._pool)
            self._pool = NULL

    def __dealloc__(self):
        if self._pid == objectfs_getpid():
            self.close()
            if self._gate != NULL:
                objectfs_gate_release(self._gate)


cdef aws_s3_buffer_pool* _shared_pool(
    aws_allocator* alloc, aws_s3_buffer_pool_config config, void* user_data
) noexcept nogil:
    cdef aws_s3_buffer_pool** pool = <aws_s3_buffer_pool**>user_data
    if pool[0] == NULL:
        pool[0] = aws_s3_default_buffer_pool_new(alloc, config)
        if pool[0] == NULL:
            return NULL
    return aws_s3_buffer_pool_acquire(pool[0])


def trim(bint everything=True):
    """Give memory that has been freed, and is kept for later by kept.c or (``everything``) by malloc, back to the
    system."""
    with nogil:
        objectfs_kept_trim()
        if everything:
            objectfs_trim()


def kept_bytes():
    """Memory of dropped buffers that is kept for the next ones."""
    return objectfs_kept_bytes()


def debug_kept_expire(uint64_t nanoseconds):
    """For tests: one step of giving kept memory back, as if so much time had gone by. Whether some is left."""
    return bool(objectfs_kept_expire(nanoseconds))
