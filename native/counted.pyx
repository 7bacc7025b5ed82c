# What an engine has counted, for Python to read.


cdef class _Counted:
    """What of an engine is numbers."""

    cdef engine_t* _e
    cdef long _pid

    cdef engine_t _look(self) noexcept:
        """A copy for its numbers: all are 0 once it is closed."""
        cdef engine_t now
        if self._e == NULL:
            memset(&now, 0, sizeof(now))
        elif self._pid != objectfs_getpid():  # a thread of the parent may hold the lock for ever; nothing changes here
            now = self._e[0]
        else:
            aws_mutex_lock(&self._e.lock)  # with the GIL, for close() takes it away; nobody waits for the GIL under it
            now = self._e[0]
            aws_mutex_unlock(&self._e.lock)
        return now

    @property
    def pace(self):
        """(ranges of parallel downloads that came complete, their bytes, nanoseconds waited for their first bytes and
        for the others, requests that were told to slow down): sums since it was made."""
        cdef pace_t pace = self._look().pace
        return pace.answers, pace.bytes, pace.waited, pace.received, pace.slowed

    @property
    def hedged(self):
        """(requests that were sent again because the answer was late, those of them that were answered first)."""
        cdef engine_t now = self._look()
        return now.hedges, now.hedges_won

    @property
    def waits(self):
        """How long GetObjects have waited for their first byte: counts of the histograms' buckets, older ones less."""
        cdef engine_t now = self._look()
        return [now.waits[i] for i in range(OBJECTFS_BUCKETS)]

    @property
    def first_waits(self):
        """Likewise, of those that were their connection's first request, with the time that it has waited for that."""
        cdef engine_t now = self._look()
        return [now.first_waits[i] for i in range(OBJECTFS_BUCKETS)]

    @property
    def alone(self):
        """Nanoseconds to the first byte of the last five GETs during which nothing else was under way; of a parallel
        download, those of its first range."""
        cdef engine_t now = self._look()
        return [now.alone[i] for i in range(min(now.alone_total, <size_t>ALONE))]

    @property
    def bandwidth(self):
        """Bytes a second that came while several requests received at a time; 0 before anybody knows. It can be set to
        what another process has measured: that counts until this one has."""
        return self._look().bandwidth * 1e9

    @bandwidth.setter
    def bandwidth(self, double told):
        if self._e != NULL and self._pid == objectfs_getpid():
            aws_mutex_lock(&self._e.lock)
            self._e.bandwidth = told / 1e9
            self._e.bandwidth_width = 0
            aws_mutex_unlock(&self._e.lock)

    def forget_first_waits(self):
        """What new connections have cost so far may have been chance."""
        if self._e != NULL and self._pid == objectfs_getpid():
            aws_mutex_lock(&self._e.lock)
            memset(self._e.first_waits, 0, sizeof(self._e.first_waits))
            self._e.first_waits_total = 0
            aws_mutex_unlock(&self._e.lock)

    def forget_waits(self):
        """What has waited so far says nothing of the network."""
        self.forget_first_waits()
        if self._e != NULL and self._pid == objectfs_getpid():
            aws_mutex_lock(&self._e.lock)
            memset(self._e.waits, 0, sizeof(self._e.waits))
            self._e.waits_total = 0
            aws_mutex_unlock(&self._e.lock)

    @property
    def submitted(self):
        """Meta requests submitted since the start."""
        return self._look().submitted_total

    @property
    def retries(self):
        """HTTP requests that were sent again since the start."""
        return self._look().retries

    @property
    def width(self):
        """Requests of a large batch that were under way at a time when the last one ran well; 0 before."""
        return self._look().width

    @property
    def debug_lent(self):
        """Whether one event loop does all, the C library's callbacks too (``linked.c``)."""
        return self._e != NULL and self._e.lent
