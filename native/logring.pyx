# The log of the C library, for objectfs.backends.crt_log: logring.c.

cdef extern from "logring.h" nogil:
    cdef struct objectfs_log_line:
        int64_t ticks
        uint32_t subject
        int level
        size_t length
        char text[1000]
    void objectfs_log_install()
    bint objectfs_log_level(int level)
    size_t objectfs_log_take(objectfs_log_line*, size_t most, uint64_t* dropped)
    bint objectfs_log_wait(int64_t nanoseconds)
    void objectfs_log_after_fork()

cdef enum:
    _LINES_AT_ONCE = 32


def log_level(int level):
    """Have lines of up to that level (of the C library: 1 fatal to 6 trace) wait for :func:`log_take`; 0: none.

    False where they go to a file instead (``OBJECTFS_CRT_LOG``).
    """
    if not _log_here:
        return False
    if not objectfs_log_level(level):
        raise MemoryError()
    return True


def log_wait(double seconds):
    """Wait for lines, with the GIL released; whether there are any."""
    cdef int64_t nanoseconds = <int64_t>(seconds * 1e9)
    cdef bint found
    with nogil:
        found = objectfs_log_wait(nanoseconds)
    return found


def log_take():
    """([(Unix time in ns, level, library's number, subject, text)], lines that were dropped since the last call)."""
    cdef objectfs_log_line[_LINES_AT_ONCE] lines
    cdef uint64_t dropped = 0
    cdef uint64_t now = 0
    cdef size_t n
    cdef size_t i
    aws_high_res_clock_get_ticks(&now)
    wall = _time_ns() - <int64_t>now
    with nogil:
        n = objectfs_log_take(lines, _LINES_AT_ONCE, &dropped)
    return [
        (
            lines[i].ticks + wall, lines[i].level, lines[i].subject >> 10,
            aws_log_subject_name(lines[i].subject).decode("ascii", "replace"),
            lines[i].text[:lines[i].length].decode("utf-8", "replace"),
        )
        for i in range(n)
    ], dropped
