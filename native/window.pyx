# How many requests of a batch are with the C library at a time.
#
# The C library walks all outstanding meta requests at each of its updates, so the more are outstanding, the more each
# of them costs: 2,000 x 4 KiB on loopback, 256 at a time, take a quarter more CPU than 32 at a time. Where an answer
# takes 30 ms, 32 at a time are eight times slower than 256. So a batch starts wide, and narrows while that costs no
# throughput; when throughput falls, it widens while that brings some. Where narrowing does not pay it is tried less and
# less often: from far away each try is a time at half the throughput. The engine's next batch starts with what this
# one found (docs/design/0005-cpu.md). The parts of a transfer have a width that is found otherwise (crt_pace.py), and
# rates that say nothing of small requests: theirs is fixed.

cdef enum:
    NARROWEST = 32
    SAMPLE = 256            # requests at least that a rate is taken over: fewer are over in a few ms, and tell nothing
    HOLD = 4                # samples to go on before trying again, and twice as many each time that it fails
    LONGEST_HOLD = 64

cdef double _WORSE = 0.85   # of the rate before: below it the width is too narrow, or the times have changed
cdef double _MUCH_WORSE = 0.7
cdef double _BETTER = 1.25  # of the rate before: from it on widening was worth it
cdef double _DRAIN = 8e6    # nanoseconds after which who waits is woken to submit more: what drained is missing then


cdef void _begin_window(group_t* group) noexcept nogil:
    """For a new group whose `window` (the most that is allowed) and `n` are set. The caller holds the engine's lock."""
    cdef engine_t* engine = group.engine
    group.width = group.window
    group.rate = 0
    if group.window > NARROWEST and engine.width != 0 and not group.fixed:
        group.width = min(group.window, engine.width)
        group.rate = engine.rate
    # a shorter batch would be over before it could tell anything
    group.adapts = group.window > NARROWEST and group.n > 2 * SAMPLE and not group.fixed
    group.climbing = group.trying = False
    group.settling = True
    group.hold = engine.hold
    group.mark_ended = 0
    group.mark_time = 0


cdef void _adapt_window(group_t* group, uint64_t now) noexcept nogil:
    """A sample's worth of requests has ended: decide on the width. The caller holds the engine's lock."""
    cdef double rate = <double>(group.ended - group.mark_ended) / <double>max(now - group.mark_time, <uint64_t>1)
    cdef bint worse = rate < group.rate * _WORSE
    cdef bint better = rate >= group.rate * _BETTER
    group.mark_ended = group.ended
    group.mark_time = now
    if group.settling:  # what ended was submitted under another width, or before there were connections
        group.settling = False
        return
    if group.climbing:
        group.rate = rate
        if better and group.width < group.window:
            _set_width(group, group.width * 2)
            return
        group.climbing = False
        group.trying = False
        group.engine.held = min(LONGEST_HOLD, 2 * group.engine.held) if group.engine.held else HOLD
        group.hold = group.engine.held
        if not better:
            _set_width(group, group.width // 2)
    elif worse and group.width < group.window:
        if group.trying and rate < group.rate * _MUCH_WORSE:  # half as wide, half as fast: latency alone rules
            group.engine.held = LONGEST_HOLD
        group.climbing = True
        group.rate = rate
        _set_width(group, group.width * 2)
        return
    else:
        # smoothed where nothing changes: one lucky sample is no measure for those to come
        group.rate = rate if group.trying or group.rate == 0 else 0.75 * group.rate + 0.25 * rate
        if group.trying:
            group.engine.held = 0  # it paid
        group.trying = False
        if group.hold > 0:
            group.hold -= 1
        elif group.width > NARROWEST:
            group.trying = True
            _set_width(group, group.width // 2)
            return  # not yet known to be good
    group.engine.width = group.width
    group.engine.rate = group.rate
    group.engine.hold = group.hold


cdef void _set_width(group_t* group, size_t width) noexcept nogil:
    group.width = max(<size_t>NARROWEST, min(group.window, width))
    group.settling = True


cdef size_t _sample(group_t* group) noexcept nogil:
    return group.width if group.settling else max(group.width, <size_t>SAMPLE)


cdef void _look_at_window(group_t* group) noexcept nogil:
    """The caller holds the engine's lock."""
    cdef uint64_t now = 0
    if group.adapts and group.ended - group.mark_ended >= _sample(group):
        aws_high_res_clock_get_ticks(&now)
        _adapt_window(group, now)


cdef size_t _grant(group_t* group) noexcept nogil:
    """Up to which op may be submitted now; and when to look again, which is later than now, or who waits would spin
    until something ends (a window that has become narrow may be more than full). The caller holds the engine's lock."""
    cdef size_t last = max(group.submitted, min(group.n, group.ended + group.width))
    group.engine.submitted_total += last - group.submitted
    group.engine.under_way += last - group.submitted
    group.submitted = last
    group.alone = group.n == 1 and group.engine.under_way == 1
    group.wake_at = group.n if last == group.n else last - group.width + _drained(group)
    return last


cdef size_t _drained(group_t* group) noexcept nogil:
    """Of the window, before anybody is woken. One wake-up feeds many, at most half the window; but where answers come
    slowly, half of it would be missing for long."""
    cdef size_t half = group.width // 2
    if group.rate == 0:  # nobody knows
        return max(half // 2, <size_t>1)
    return max(min(half, <size_t>(group.rate * _DRAIN)), <size_t>1)


def debug_window(size_t window, size_t n, rate_at, int batches=1, size_t parts=0):
    """The widths that a batch of ``n`` goes through, each with the number of requests that ended meanwhile, if at a
    width w ``rate_at(w)`` requests end in a second. Of several batches, one after the other: those of the last. Before
    them the engine has a transfer of so many ``parts``, 64 at a time, 100 a second whatever their width."""
    cdef engine_t engine
    cdef group_t group
    memset(&engine, 0, sizeof(engine))
    memset(&group, 0, sizeof(group))
    group.engine = &engine
    now = 1.0
    for batch in range(-1 if parts else 0, batches):
        group.fixed = batch < 0
        group.window = 64 if group.fixed else window
        group.n = parts if group.fixed else n
        group.ended = 0
        _begin_window(&group)
        widths = []
        while group.adapts and group.ended + _sample(&group) <= group.n:
            took = _sample(&group)
            widths.append((group.width, took))
            now += took / (100 if group.fixed else rate_at(group.width))
            group.ended += took
            _adapt_window(&group, <uint64_t>(now * 1e9))
    return widths


def debug_feeds(size_t window, size_t narrow, size_t n):
    """(how often a batch of ``n`` is fed, how often that is at once wanted again), if its window becomes narrow when a
    quarter of it has ended."""
    cdef engine_t engine
    cdef group_t group
    memset(&engine, 0, sizeof(engine))
    memset(&group, 0, sizeof(group))
    group.engine = &engine
    group.n = n
    group.width = window
    feeds = spins = 0
    _grant(&group)
    while group.ended < n:
        group.ended += 1
        if group.ended >= n // 4:
            group.width = narrow
        if group.ended >= group.wake_at and group.ended < n:
            feeds += 1
            _grant(&group)
            spins += group.ended >= group.wake_at
    return feeds, spins
