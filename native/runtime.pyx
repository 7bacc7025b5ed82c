# What the process shares: the library's own tables, the allocator, the event loops.
#
# The event loops exist while an engine does. The last engine to close takes them down, so a program that has closed
# its clients has no thread of ours, and the memory tracer can read zero.

import os as _os
import threading as _threading

cdef extern from * nogil:
    """
    /* aws/common/private/thread_shared.h; exported, without a public declaration. See _after_fork_in_child. */
    void aws_thread_initialize_thread_management(void);
    """
    void aws_thread_initialize_thread_management()

cdef aws_allocator* _alloc = NULL
cdef bint _traced = False
cdef aws_event_loop_group* _loops = NULL
cdef aws_host_resolver* _resolver = NULL
cdef aws_client_bootstrap* _bootstrap = NULL
cdef aws_host_resolver_vtable* _default_resolver = NULL  # the C library's table of functions
cdef aws_host_resolver_vtable _forgiving_resolver         # the same, with _record_failure
cdef aws_mutex _record_lock
cdef int _users = 0
cdef size_t _keep = 0
cdef bint _forked = False
cdef aws_logger _logger
cdef bint _log_here = False  # it goes to Python, not into a file
cdef bint _log_lost = False  # it went into a file, and the thread that wrote it is the parent's
_runtime_lock = _threading.Lock()


def _init_library():
    """Once per process. The library's own tables use the plain allocator: they live until the process ends."""
    global _alloc, _traced
    aws_s3_library_init(aws_default_allocator())
    _alloc = objectfs_allocator()
    if _os.environ.get("OBJECTFS_MEMTRACE", "") not in ("", "0"):
        _alloc = _new_tracer()
        _traced = True
    _begin_log()


cdef void _begin_log():
    """While the C library has no thread."""
    global _log_here
    cdef aws_logger_standard_options log_options
    log_file = _os.environ.get("OBJECTFS_CRT_LOG", "")
    if log_file:
        path = _os.fsencode(log_file)
        memset(&log_options, 0, sizeof(log_options))
        log_options.level = AWS_LL_DEBUG
        log_options.filename = PyBytes_AS_STRING(path)
        if aws_logger_init_standard(&_logger, aws_default_allocator(), &log_options) == AWS_OP_SUCCESS:
            objectfs_discreet_logger(&_logger)
            aws_logger_set(&_logger)
            return
    _log_here = True
    objectfs_log_install()


cdef aws_allocator* _new_tracer() noexcept:
    return aws_mem_tracer_new(objectfs_allocator(), NULL, AWS_MEMTRACE_BYTES, 0)


# Bytes of the messages in which sockets are read and written (0005-cpu). Of TLS every record of 16 KiB takes one.
_FRAGMENT_SIZE = 512 * 1024  # of what is sent; received bytes come in no more than 256 KiB (lent.c)
_FRAGMENT_SIZE_TLS = 64 * 1024


cdef int _acquire_runtime(int threads, bint tls, size_t keep) except -1:
    """Make the event loops if there are none. ``keep``: bytes of dropped buffers (kept.c); of several engines' the
    largest counts. Called with _runtime_lock held."""
    global g_aws_channel_max_fragment_size  # without this, Cython would set a local name
    global _loops, _resolver, _bootstrap, _users, _default_resolver, _forgiving_resolver, _log_lost, _keep
    cdef aws_host_resolver_default_options resolver_options
    cdef aws_client_bootstrap_options bootstrap_options
    if _users == 0:
        if _log_lost:
            _log_lost = False
            _begin_log()
        # the loops' pools of messages are made for the size that is in force with their first connection
        g_aws_channel_max_fragment_size = <size_t>int(
            _os.environ.get("OBJECTFS_DEBUG_FRAGMENT_SIZE") or (_FRAGMENT_SIZE_TLS if tls else _FRAGMENT_SIZE))
        memset(&resolver_options, 0, sizeof(resolver_options))
        memset(&bootstrap_options, 0, sizeof(bootstrap_options))
        _loops = aws_event_loop_group_new_default(_alloc, <uint16_t>threads, NULL)
        if _loops == NULL:
            raise MemoryError(_error_text("cannot start the event loops", aws_last_error()))
        resolver_options.max_entries = 64
        resolver_options.el_group = _loops
        _resolver = aws_host_resolver_new_default(_alloc, &resolver_options)
        bootstrap_options.event_loop_group = _loops
        bootstrap_options.host_resolver = _resolver
        _bootstrap = aws_client_bootstrap_new(_alloc, &bootstrap_options)
        if _resolver == NULL or _bootstrap == NULL:
            raise MemoryError(_error_text("cannot start the event loops", aws_last_error()))
        if _default_resolver == NULL:
            aws_mutex_init(&_record_lock)
            _default_resolver = _resolver.vtable
            _forgiving_resolver = _default_resolver[0]
            _forgiving_resolver.record_connection_failure = &_record_failure
        _resolver.vtable = &_forgiving_resolver
        _keep = 0
    _users += 1
    _keep = max(_keep, keep)
    objectfs_kept_begin(aws_event_loop_group_get_loop_at(_loops, 0), _keep)
    return 0


cdef int _record_failure(aws_host_resolver* resolver, const aws_host_address* address) noexcept nogil:
    """Called when no connection to an address came about: as the C library has it, but the last address stays.

    It takes an address that failed out of use for a while, be it the only one, and then answers with a failed DNS query
    for a host that resolves. The lock: else two threads take out one each of the last two.
    """
    cdef int code = AWS_OP_SUCCESS
    aws_mutex_lock(&_record_lock)
    if aws_host_resolver_get_host_address_count(
        resolver, address.host,
        AWS_GET_HOST_ADDRESS_COUNT_RECORD_TYPE_A | AWS_GET_HOST_ADDRESS_COUNT_RECORD_TYPE_AAAA,
    ) > 1:
        code = _default_resolver.record_connection_failure(resolver, address)
    aws_mutex_unlock(&_record_lock)
    return code


cdef void _release_runtime() noexcept:
    """The threads end in the background. Called with _runtime_lock held."""
    global _loops, _resolver, _bootstrap, _users
    _users -= 1
    if _users == 0:
        with nogil:  # it may be much that is unmapped
            objectfs_kept_begin(NULL, 0)
        aws_client_bootstrap_release(_bootstrap)
        aws_host_resolver_release(_resolver)
        aws_event_loop_group_release(_loops)
        _bootstrap = NULL
        _resolver = NULL
        _loops = NULL


def _after_fork_in_child():
    """The parent's threads do not exist here: forget what they ran on, free nothing, and let new engines make new."""
    global _alloc, _loops, _resolver, _bootstrap, _users, _forked, _runtime_lock, _log_lost
    _loops = NULL
    _resolver = NULL
    _bootstrap = NULL
    _users = 0
    _forked = True
    objectfs_allocator_after_fork()
    objectfs_kept_after_fork()
    if _traced:  # the parent's has a lock, which one of its threads may have held; nothing of its is freed here
        _alloc = _new_tracer()
    objectfs_sinks_after_fork()
    objectfs_sources_after_fork()
    objectfs_running_after_fork()
    objectfs_trailers_after_fork()
    objectfs_gates_after_fork()
    objectfs_log_after_fork()
    # Of the library's threads that join themselves the last one that ended waits in a list to be joined by the next.
    # It is the parent's: here its id is soon that of another thread, which would be joined, and freed, in its place.
    aws_thread_initialize_thread_management()
    if not _log_here:  # lines would pile up for that thread, under a lock that it may have held
        aws_logger_set(NULL)
        _log_lost = True
    aws_mutex_init(&_record_lock)  # a thread of the parent may have held it
    _runtime_lock = _threading.Lock()


cdef str _error_text(str what, int code):
    return f"{what}: {aws_error_str(code).decode()} ({aws_error_name(code).decode()})"


def error_name(int code):
    """The C library's name of an error code."""
    return aws_error_name(code).decode()


def handshake_failure():
    """Of the TLS handshake that failed last in this process: the server's name and why, or None where nobody knows."""
    cdef char server[256]
    cdef const char* why = NULL
    if not objectfs_handshake_failure(server, sizeof(server), &why):
        return None
    return (<bytes>server).decode("utf-8", "replace"), (<bytes>why).decode("utf-8", "replace")


def debug_outstanding_bytes(double timeout=5.0):
    """Bytes that the C libraries hold, or None when the memory tracer is off (``OBJECTFS_MEMTRACE=1`` turns it on).

    With no engine left, waits up to ``timeout`` seconds for the library's threads to end first.
    """
    if not _traced:
        return None
    # a forked child cannot join its parent's threads
    if _users == 0 and not _forked:
        with nogil:
            aws_thread_set_managed_join_timeout_ns(<uint64_t>(timeout * 1e9))
            aws_thread_join_all_managed()
    return aws_mem_tracer_bytes(_alloc)


def debug_fragment_size():
    """Bytes of a socket's messages, as the C library has it in force: the first of the engines that live chose it."""
    return g_aws_channel_max_fragment_size


def debug_lent_bytes():
    """Bytes of request bodies that the kernel took from where they lie (``lent.c``), or None where no build does."""
    cdef int64_t count = objectfs_lent_bytes()
    return None if count < 0 else count


def debug_running_bytes():
    """For tests: bytes whose CRC was computed as they came; None where this build cannot (running.c)."""
    cdef int64_t count = objectfs_running_bytes()
    return None if count < 0 else count


def debug_source_bytes():
    """Bytes of files that the kernel sent from its page cache (``source.c``), or None where no build does."""
    cdef int64_t count = objectfs_source_bytes()
    return None if count < 0 else count


def debug_streamed_bytes():
    """Received bytes that were put in their place past the caches (``append.c``), or None where no build does."""
    cdef int64_t count = objectfs_streamed_bytes()
    return None if count < 0 else count


def debug_uncleared_bytes():
    """Bytes of messages that were given back without being cleared (``message.c``), or None where no build does."""
    cdef int64_t count = objectfs_uncleared_bytes()
    return None if count < 0 else count


def debug_linked():
    """Whether the linker put ``linked.c`` between the C library and itself."""
    return objectfs_linked()


_init_library()
if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_child=_after_fork_in_child)
