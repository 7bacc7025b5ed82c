# Requests under way: the Python side of a group.

cdef int64_t _SIGNAL_INTERVAL = 50_000_000  # nanoseconds between two looks for Ctrl-C; 200 ms are promised


@cython.final
cdef class Notifier:
    """Tells an event loop that operations have ended: the descriptor becomes readable, ``drain`` names them.

    Made for one engine and one descriptor (the writing end of a socket pair, non-blocking), which must be open until
    ``close``.
    """

    cdef notifier_t* _n
    cdef Engine _engine
    cdef list _reaped  # ops that ended and whose result another thread took before the loop heard of it

    def __cinit__(self, Engine engine not None, int64_t fd):
        self._reaped = []
        self._n = <notifier_t*>malloc(sizeof(notifier_t))
        if self._n == NULL:
            raise MemoryError()
        self._n.fd = fd
        self._n.head = NULL
        self._engine = engine

    def close(self):
        """Do not touch the descriptor again."""
        cdef engine_t* e
        if self._engine._pid != objectfs_getpid():
            return
        with self._engine._lock:
            e = self._engine._e
            if e != NULL:
                aws_mutex_lock(&e.lock)
            self._n.fd = -1
            if e != NULL:
                aws_mutex_unlock(&e.lock)

    def drain(self):
        """The operations that want attention since the last call."""
        cdef engine_t* e
        cdef group_t* group
        found = []
        if self._engine._pid != objectfs_getpid():
            return found
        with self._engine._lock:  # so no op is reaped meanwhile
            found, self._reaped = self._reaped, found
            e = self._engine._e
            if e == NULL:
                return found
            aws_mutex_lock(&e.lock)
            group = self._n.head
            self._n.head = NULL
            while group != NULL:
                group.queued = False
                found.append(<object>group.owner)
                group = group.next
            aws_mutex_unlock(&e.lock)
        return found

    def __dealloc__(self):
        # ops that are watched hold the notifier, so no group points here any more
        free(self._n)


cdef void _leave_notifier(group_t* group) noexcept nogil:
    """Out of the notifier's list, if in it. The caller holds the engine's lock."""
    cdef group_t** link
    if group.queued:
        link = &group.notifier.head
        while link[0] != NULL and link[0] != group:
            link = &link[0].next
        if link[0] == group:
            link[0] = group.next
        group.queued = False


@cython.final
@cython.no_gc_clear
cdef class Op:
    """One or many requests under way; see ``objectfs.backends.base.Op``."""

    cdef Engine _engine
    cdef group_t* _group
    cdef list _requests
    cdef list _responses
    cdef Notifier _notifier
    cdef size_t _moved
    cdef bint _cancelled
    cdef object __weakref__

    def __init__(self):
        raise TypeError("made by Engine.start")

    cdef int _check_process(self) except -1:
        if self._engine._pid != objectfs_getpid():
            raise _closed_error("the operation belongs to the process that this one was forked from")
        return 0

    cdef group_t* _pinned(self) except? NULL:
        """The group, pinned, or NULL if it is reaped."""
        cdef group_t* group
        with self._engine._lock:
            group = self._group
            if group != NULL:
                _pin(group)
        return group

    cdef bint _wait(self, int64_t nanoseconds) except -1:
        cdef bint done
        cdef group_t* group
        self._check_process()
        group = self._pinned()
        if group == NULL:
            return True
        with nogil:
            done = _wait_group(group, nanoseconds)
            _unpin(group)
        return done

    cdef int _cancel(self, bint force) except -1:
        cdef group_t* group
        if self._engine._pid != objectfs_getpid():
            return 0
        group = self._pinned()
        if group != NULL:
            with nogil:
                _cancel_group(group, force)
                _unpin(group)
        return 0

    def wait(self, timeout=None):
        """Block until all have ended, or ``timeout`` seconds passed; True when ended. Signals are served meanwhile."""
        cdef double left
        if self._group == NULL:
            return True
        if timeout is None:
            while not self._wait(_SIGNAL_INTERVAL):
                PyErr_CheckSignals()
        else:
            deadline = _monotonic() + timeout
            while True:
                left = max(0.0, min(deadline - _monotonic(), 3600.0)) * 1e9
                if self._wait(<int64_t>min(left, <double>_SIGNAL_INTERVAL)):
                    break
                PyErr_CheckSignals()
                if left <= 0:
                    return False
        self._try_reap()
        return True

    @property
    def engine(self):
        """What sends them."""
        return self._engine

    def done(self):
        """Whether all have ended."""
        if self._group == NULL:
            return True
        if self._engine._pid != objectfs_getpid():
            return False
        return self._try_reap()

    def advance(self):
        """Submit what the window allows now; True when all have ended. For event loops, after a notification."""
        return self._wait(0) and self._try_reap()

    def cancel(self, bint force=False):
        """Ask all to stop. Each of them still ends, soon; if nobody asks for the result, the engine lets go of it.

        What is shielded goes on, unless ``force``.
        """
        self._cancelled = True
        self._cancel(force)

    def future(self, loop):
        """A future of that loop, resolved with None when all have ended."""
        return self._engine.watchers.future(self, loop)

    def watch(self, Notifier notifier not None):
        """Have the notifier tell when all have ended or the window wants feeding. False if they have ended already."""
        cdef engine_t* e
        cdef group_t* group
        cdef bint ready
        self._check_process()
        if notifier._engine is not self._engine:
            raise ValueError("the notifier belongs to another engine")
        while True:
            with self._engine._lock:
                group = self._group
                if group == NULL:
                    return False
                e = group.engine
                aws_mutex_lock(&e.lock)
                ready = group.ended >= group.wake_at
                if not ready and group.notifier != notifier._n:
                    _leave_notifier(group)
                    group.notifier = notifier._n
                aws_mutex_unlock(&e.lock)
                if not ready:
                    self._notifier = notifier  # only now: nobody reaches the former one from the group any more
                    return True
            if self.advance():
                return False

    cdef bint _try_reap(self):
        """Move the results out if all have ended; whether they have."""
        cdef group_t* group
        cdef engine_t* e
        cdef bint done
        cdef bint queued
        cdef size_t i
        if self._group == NULL:
            return True
        with self._engine._lock:
            group = self._group
            if group == NULL:
                return True
            e = group.engine
            aws_mutex_lock(&e.lock)
            done = _group_done(group)
            if done:
                queued = group.queued
                _leave_notifier(group)
                group.notifier = NULL
            aws_mutex_unlock(&e.lock)
            if not done:
                return False
            _note_bandwidth(group)
            responses = []
            for i in range(group.n):
                if i >= group.submitted:
                    group.ops[i].error_code = AWS_ERROR_S3_CANCELED
                responses.append(_take_response(&group.ops[i]))
            self._moved = group.transferred
            for request in self._requests:
                (<Request>request)._release()
            self._requests = None
            self._responses = responses
            self._group = NULL
            aws_mutex_lock(&e.lock)
            group.reaped = True
            if group.users == 0:
                _recycle(group)
            aws_mutex_unlock(&e.lock)
            if queued and self._notifier is not None:
                self._notifier._reaped.append(self)  # its wake-up is on the way
            self._notifier = None
            self._engine._inflight.discard(self)
            _live.discard(self)
        return True

    def result(self):
        """The Responses, in the order of the requests. RuntimeError if not all have ended."""
        if not self.done():
            raise RuntimeError("the operation has not ended")
        return self._responses

    @property
    def transferred(self):
        """Bytes of content moved so far."""
        if self._engine._pid == objectfs_getpid():
            with self._engine._lock:
                if self._group != NULL:
                    aws_mutex_lock(&self._group.engine.lock)
                    self._moved = self._group.transferred
                    aws_mutex_unlock(&self._group.engine.lock)
        return self._moved
