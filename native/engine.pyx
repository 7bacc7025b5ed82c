# One S3 client of the C library.

import atexit as _atexit
import weakref as _weakref

_open = _weakref.WeakSet()  # engines, to be closed while Python still works
# References to an Op that nobody else knows: two sets, a list, two variables. Without a GIL another thread's are
# counted apart, and nothing is concluded from their sum.
cdef Py_ssize_t _HELD_BY_US = 0 if OBJECTFS_FREE_THREADED else 5
_live = set()  # operations under way, of all engines: no garbage collection may take them (lifetime rule 4)


@cython.final
@cython.no_gc_clear
cdef class Engine(_Counted):
    """One S3 client of the C library: one endpoint's scheme, one set of connections, one memory limit.

    Args:
        region, service: for the signature.
        sessions: for directory buckets: the credentials are those of a session (express.pyx).
        tls: whether its requests go over TLS; ``verify`` and ``ca`` (PEM) then say what is trusted.
        threads: event loops, shared by the process: the first engine decides, and its ``tls`` on the messages' size.
        shared: what it has in common with others; nothing without.
        Others: as ``aws_s3_client_config`` has them; bytes, milliseconds, seconds.
    """

    cdef set _inflight
    cdef bint _closed
    cdef bint _runtime
    cdef object _lock
    cdef Shared _shared
    cdef public object watchers
    """Who makes futures for operations (``objectfs.backends.crt_watch.Watchers``)."""
    cdef public object paces
    """What its transfers have told (``objectfs.backends.crt_pace.Paces``)."""
    cdef object __weakref__

    def __cinit__(self):
        self._inflight = set()
        self._pid = objectfs_getpid()
        self._lock = _threading.RLock()

    def __init__(
        self, *, str region not None, str service not None="s3", bint sessions=False, bint tls, bint verify=True,
        bytes ca=None, int threads=1, uint64_t part_size, uint32_t max_connections, uint64_t memory_limit,
        double throughput_gbps, uint32_t connect_timeout_ms, uint32_t read_timeout_s, uint32_t max_retries,
        uint16_t file_threads=0, bint env_proxy=True, Shared shared=None, size_t keep=0,
    ):
        cdef aws_s3_client_config config
        cdef aws_signing_config_aws signing
        cdef aws_credentials_provider_delegate_options delegate
        cdef aws_http_connection_monitoring_options monitoring
        cdef proxy_env_var_settings proxy
        cdef aws_tls_ctx_options tls_options
        cdef aws_tls_connection_options connection_options
        cdef aws_byte_cursor cursor
        cdef engine_t* e
        cdef int code
        if self._e != NULL:
            raise RuntimeError("an Engine is made once")
        e = <engine_t*>malloc(sizeof(engine_t))
        if e == NULL:
            raise MemoryError()
        memset(e, 0, sizeof(engine_t))
        e.alloc = _alloc
        e.pid = objectfs_getpid()
        e.client_gone = True
        aws_mutex_init(&e.lock)
        aws_condition_variable_init(&e.cond)
        self._e = e
        with _runtime_lock:
            _acquire_runtime(threads, tls, keep)
            self._runtime = True
        if shared is not None:
            self._shared = shared
            e.gate = shared._gate
            e.telemetry = shared.telemetry._t
        e.credentials = aws_credentials_new_anonymous(e.alloc)
        memset(&delegate, 0, sizeof(delegate))
        delegate.get_credentials = &_on_get_credentials
        delegate.delegate_user_data = e
        e.provider = aws_credentials_provider_new_delegate(e.alloc, &delegate)
        region_bytes = region.encode("ascii")
        service_bytes = service.encode("ascii")
        memset(&config, 0, sizeof(config))
        memset(&signing, 0, sizeof(signing))
        memset(&monitoring, 0, sizeof(monitoring))
        memset(&proxy, 0, sizeof(proxy))
        memset(&connection_options, 0, sizeof(connection_options))
        config.region = aws_byte_cursor_from_array(PyBytes_AS_STRING(region_bytes), PyBytes_GET_SIZE(region_bytes))
        aws_s3_init_default_signing_config(&signing, config.region, e.provider)
        signing.service = aws_byte_cursor_from_array(PyBytes_AS_STRING(service_bytes), PyBytes_GET_SIZE(service_bytes))
        if sessions:
            signing.algorithm = AWS_SIGNING_ALGORITHM_V4_S3EXPRESS
            config.enable_s3express = True
            config.s3express_provider_override_factory = &_new_session_provider
        config.signing_config = &signing
        config.client_bootstrap = _bootstrap
        config.part_size = part_size
        config.multipart_upload_threshold = part_size
        config.max_active_connections_override = max_connections
        config.throughput_target_gbps = throughput_gbps
        config.memory_limit_in_bytes = memory_limit
        if shared is not None:
            config.buffer_pool_factory_fn = &_shared_pool
            config.buffer_pool_user_data = &shared._pool
        config.connect_timeout_ms = connect_timeout_ms
        config.num_file_io_threads = file_threads
        # below one byte per second for so long: the connection counts as dead
        monitoring.minimum_throughput_bytes_per_second = 1
        monitoring.allowable_throughput_failure_interval_seconds = read_timeout_s
        config.monitoring_options = &monitoring
        e.max_retries = max_retries
        e.hedge_most = max(<uint64_t>33554432, memory_limit // 16)
        config.retry_strategy = _new_retry_strategy(e, max_retries)
        config.shutdown_callback = &_on_client_shutdown
        config.shutdown_callback_user_data = e
        proxy.env_var_type = AWS_HPEV_ENABLE if env_proxy else AWS_HPEV_DISABLE
        config.proxy_ev_settings = &proxy
        config.tls_mode = AWS_MR_TLS_DISABLED
        if tls:
            config.tls_mode = AWS_MR_TLS_ENABLED
            aws_tls_ctx_options_init_default_client(&tls_options, e.alloc)
            code = AWS_OP_SUCCESS
            if not verify:
                aws_tls_ctx_options_set_verify_peer(&tls_options, False)
            elif ca is not None:
                cursor = aws_byte_cursor_from_array(PyBytes_AS_STRING(ca), PyBytes_GET_SIZE(ca))
                code = aws_tls_ctx_options_override_default_trust_store(&tls_options, &cursor)
            if code == AWS_OP_SUCCESS:
                e.tls = aws_tls_client_ctx_new(e.alloc, &tls_options)
            aws_tls_ctx_options_clean_up(&tls_options)
            if e.tls == NULL:
                code = aws_last_error()
                aws_retry_strategy_release(config.retry_strategy)
                self.close()
                raise ValueError(_error_text("cannot set up TLS (is the CA bundle valid PEM?)", code))
            aws_tls_connection_options_init_from_ctx(&connection_options, e.tls)
            connection_options.timeout_ms = connect_timeout_ms
            config.tls_connection_options = &connection_options
        code = aws_last_error()  # why there is no strategy, if there is none
        if config.retry_strategy != NULL:
            # rule 9: one loop, and the library's own callbacks run there too
            objectfs_lend_loops(_loops if aws_event_loop_group_get_loop_count(_loops) == 1 else NULL)
            e.client = aws_s3_client_new(e.alloc, &config)
            code = aws_last_error()
            e.lent = objectfs_lent_loops(&e.loops_ended, &e.loops_ended_data)
            objectfs_lend_loops(NULL)
            if e.lent and e.client == NULL:  # the library forgets its group when what comes after it fails
                e.lent = False
                aws_event_loop_group_release(_loops)
        aws_retry_strategy_release(config.retry_strategy)  # the client holds its own reference
        if tls:
            aws_tls_connection_options_clean_up(&connection_options)
        if e.client == NULL:
            self.close()
            raise ValueError(_error_text("cannot make the S3 client", code))
        e.client_gone = False
        _open.add(self)

    cdef int _check(self) except -1:
        if self._pid != objectfs_getpid():
            raise _closed_error("the engine belongs to the process that this one was forked from")
        if self._e == NULL or self._closed:
            raise _closed_error("the engine is closed")
        return 0

    def set_credentials(self, access_key_id, secret_access_key, session_token=None):
        """Sign from now on with these (str); with None as access key, do not sign."""
        self._check()  # before the lock, which a forked child may find taken
        with self._lock:
            self._check()
            self._set_credentials(access_key_id, secret_access_key, session_token)

    cdef int _set_credentials(self, access_key_id, secret_access_key, session_token) except -1:
        cdef aws_credentials* new
        cdef aws_credentials* old
        if access_key_id is None:
            new = aws_credentials_new_anonymous(self._e.alloc)
        else:
            key = access_key_id.encode()
            secret = secret_access_key.encode()
            token = (session_token or "").encode()
            new = aws_credentials_new(
                self._e.alloc,
                aws_byte_cursor_from_array(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)),
                aws_byte_cursor_from_array(PyBytes_AS_STRING(secret), PyBytes_GET_SIZE(secret)),
                aws_byte_cursor_from_array(PyBytes_AS_STRING(token), PyBytes_GET_SIZE(token)),
                <uint64_t>-1,
            )
        if new == NULL:
            raise ValueError(_error_text("not usable as credentials", aws_last_error()))
        aws_mutex_lock(&self._e.lock)
        old = self._e.credentials
        self._e.credentials = new
        aws_mutex_unlock(&self._e.lock)
        aws_credentials_release(old)
        return 0

    def renews(self, bint whether):
        """Whether requests whose token the server calls expired wait until :meth:`renewed` is called."""
        if self._e != NULL and self._pid == objectfs_getpid():
            aws_mutex_lock(&self._e.lock)
            self._e.renews = whether
            aws_mutex_unlock(&self._e.lock)

    def take_refused(self):
        """Whether the server has called the token expired since the last call."""
        cdef bint found = False
        if self._e != NULL and self._pid == objectfs_getpid():
            aws_mutex_lock(&self._e.lock)
            found = self._e.refused
            self._e.refused = False
            aws_mutex_unlock(&self._e.lock)
        return found

    def renewed(self, bint changed):
        """Requests that wait for new credentials go on if there are any, else they fail with the server's answer."""
        if self._e != NULL and self._pid == objectfs_getpid():
            _renewed(self._e, changed)

    def start(self, list requests not None, *, size_t window=1, bint fixed=False, bint stop_on_error=False,
              list into=None, double late=0, bint marks=False, bint each=False):
        """Start requests; an Op stands for them all.

        Args:
            window: at most so many of them are with the CRT at a time.
            fixed: as many, neither fewer nor what other batches have found, and other batches hear nothing of it.
            stop_on_error: the first failure cancels the others.
            into: the Op is appended to it before anything is sent. Whoever looks there after Ctrl-C finds it, also
                where the call was left before it could return.
            late: seconds after which a GET or HEAD without an answer is sent again (hedge.pyx); 0: none is.
            marks: that memory is memory, and no file: a mark in it tells when an answer begins, which is what ``late``
                then means.
            each: whoever waits needs them all. So twice as many as there are may be sent again, and not a third of
                them; each three times at most, and not twice.
        """
        cdef Op op
        cdef group_t* group = NULL
        cdef size_t i
        cdef size_t n = len(requests)
        cdef Request request
        if n == 0:
            raise ValueError("no requests")
        self._check()
        requests = list(requests)  # the caller's own list may change, the memory behind its requests may not
        self._reap_cancelled()
        op = Op.__new__(Op)
        op._engine = self
        with self._lock:  # a close in another thread comes before or after all of this
            self._check()
            for item in requests:
                if (<Request?>item)._started or (<Request>item)._endpoint is None:
                    raise ValueError("a Request is sent once")
                (<Request>item)._started = True
            group = self._new_group(n)
            for i in range(n):
                request = <Request>requests[i]
                request._fill(&group.ops[i], group)
            # no window so large that sums with it wrap around
            group.window = min(max(window, 2), n + 2)
            group.fixed = fixed
            aws_mutex_lock(&self._e.lock)
            _begin_window(group)
            aws_mutex_unlock(&self._e.lock)
            group.stop_on_error = stop_on_error
            if late > 0:
                group.late = <uint64_t>(late * 1e9)
                group.marks = marks
                group.each = each
                group.spare = max(2 * n if each else min(n, group.window) // 3 + 1, HEDGES)
            group.wake_at = n
            group.owner = <void*>op
            op._requests = requests
            op._group = group
            self._inflight.add(op)
            _live.add(op)
            # for the driver of the steps that call this (objectfs.backends.started): nothing looks for signals from
            # here to the return, but right after it Ctrl-C may come before the caller has the Op
            noted = _here.ops
            if noted is not None:
                noted.append(op)
            if into is not None:
                into.append(op)
            _pin(group)
        with nogil:
            _feed(group)
            if group.late != 0:
                _start_hedging(group)
            _unpin(group)
        return op

    cdef group_t* _new_group(self, size_t n) except NULL:
        cdef group_t* group
        cdef op_t* ops
        aws_mutex_lock(&self._e.lock)
        group = self._e.free_groups
        if group != NULL:
            self._e.free_groups = group.next
        aws_mutex_unlock(&self._e.lock)
        if group == NULL:
            group = <group_t*>malloc(sizeof(group_t))
            if group == NULL:
                raise MemoryError()
            memset(group, 0, sizeof(group_t))
            aws_condition_variable_init(&group.cond)
        if group.capacity < n:
            ops = <op_t*>realloc(group.ops, n * sizeof(op_t))
            if ops == NULL:
                group.engine = self._e
                aws_mutex_lock(&self._e.lock)
                _recycle(group)
                aws_mutex_unlock(&self._e.lock)
                raise MemoryError()
            group.ops = ops
            group.capacity = n
        memset(group.ops, 0, n * sizeof(op_t))
        group.engine = self._e
        group.next = NULL
        group.n = n
        group.submitted = group.ended = group.failed = 0
        group.transferred = 0
        group.cancelled = group.stop_on_error = group.queued = group.reaped = group.stopping = False
        group.users = 0
        group.late = group.late_from = 0
        group.marks = group.each = False
        group.spare = 0
        group.notifier = NULL
        return group

    def _reap_cancelled(self):
        """Let go of the memory of operations whose handle was dropped: cancel them, and take the results of those that
        have ended since.

        A signal's handler may raise between the start of an operation and the moment when its caller knows of it.
        """
        cdef Op op
        if self._inflight:
            for item in list(self._inflight):
                op = item
                if not op._cancelled and Py_REFCNT(op) <= _HELD_BY_US:
                    op.cancel()
                if op._cancelled:
                    op._try_reap()

    @property
    def inflight(self):
        """Operations that have not ended, or whose result nobody has taken."""
        return len(self._inflight)

    def cancel(self):
        """Cancel what runs. Before several engines with connections in common (shared.pyx) are closed one after the
        other: requests of the first may wait for a connection that the last one has."""
        if self._e != NULL and self._pid == objectfs_getpid():
            for item in list(self._inflight):
                (<Op>item)._cancel(True)

    def close(self, double timeout=10.0):
        """Cancel what runs, wait for it, free everything. True if all was freed within ``timeout`` seconds.

        What does not end in time (the C library waits for a connection attempt, say) keeps its memory: nothing is
        ever freed under the C library's feet.
        """
        if self._pid != objectfs_getpid():
            return True  # rule 8
        with self._lock:
            if self._e == NULL or self._closed:
                return True
            self._closed = True
        ended = False
        try:
            ended = self._end(_monotonic() + timeout)
        finally:
            if not ended:  # late, or Ctrl-C: what the C library still uses stays, beyond the end of Python too
                for item in list(self._inflight):
                    Py_INCREF(item)
        return ended

    cdef bint _end(self, double deadline) except -1:
        cdef Op op
        cdef engine_t* e = self._e
        cdef bint gone = False
        for item in list(self._inflight):
            (<Op>item)._cancel(True)
        for item in list(self._inflight):
            op = item
            while not op._wait(_SIGNAL_INTERVAL) and _monotonic() < deadline:
                PyErr_CheckSignals()
            op._try_reap()
        if self._inflight:
            return False
        # first threads that still leave a group of ours, then the client
        while not gone:
            with nogil:
                aws_mutex_lock(&e.lock)
                if e.users == 0 and e.client != NULL:
                    aws_mutex_unlock(&e.lock)
                    if e.lent:
                        e.loops_ended(e.loops_ended_data)
                    aws_s3_client_release(e.client)
                    aws_mutex_lock(&e.lock)
                    e.client = NULL
                if e.users != 0 or not e.client_gone:
                    aws_condition_variable_wait_for(&e.cond, &e.lock, _SIGNAL_INTERVAL)
                gone = e.users == 0 and e.client == NULL and e.client_gone
                aws_mutex_unlock(&e.lock)
            if not gone:
                PyErr_CheckSignals()
                if _monotonic() >= deadline:
                    return False
        self._free()
        return True

    cdef void _free(self) noexcept:
        """The client is gone: no callback will come."""
        cdef engine_t* e = self._e
        cdef group_t* group
        if e.provider != NULL:
            aws_credentials_provider_release(e.provider)
        if e.credentials != NULL:
            aws_credentials_release(e.credentials)
        if e.tls != NULL:
            aws_tls_ctx_release(e.tls)
        while e.free_groups != NULL:
            group = e.free_groups
            e.free_groups = group.next
            aws_condition_variable_clean_up(&group.cond)
            free(group.ops)
            free(group)
        aws_condition_variable_clean_up(&e.cond)
        aws_mutex_clean_up(&e.lock)
        free(e)
        self._e = NULL
        if self._runtime:
            self._runtime = False
            with _runtime_lock:
                _release_runtime()

    def __dealloc__(self):
        # `inflight` holds operations and they hold the engine, so none is under way here
        if self._e != NULL and not self._closed:
            self.close()


from time import monotonic as _monotonic

from objectfs.backends.started import here as _here


def _closed_error(str message):
    from objectfs.errors import ClosedError
    return ClosedError(message)


def _close_all():
    for engine in list(_open):
        engine.close()


_atexit.register(_close_all)
