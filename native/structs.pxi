# The C structures that cross threads. Cython objects stand in op.pyx and client.pyx.
#
# LIFETIME RULES (docs/design/0001-engine.md has the reasons; tests/native holds them)
#
# 1. op_t: one meta request. Lives in its group's array. The CRT refers to it from aws_s3_client_make_meta_request
#    until its shutdown callback has returned; nothing frees it before.
# 2. group_t: 1..n op_t that were started together. Owned by the engine, which recycles it (free list) after the
#    Python object `Op` has reaped it, and frees it only after the S3 client's shutdown callback. A Python thread that
#    works on a group without the GIL has pinned it (`users`, of group and engine): a group that another thread reaps
#    meanwhile is recycled by the last user, and the engine's memory is freed after its last user has gone.
# 3. A group is *done* when each op that was submitted has had its shutdown callback (not merely finish: borrowed
#    upload memory is in use until shutdown).
# 4. The Python object `Op` holds the Py_buffers, the strings and the requests that op_t points into. The engine's
#    `inflight` set and the module's `_live` set hold `Op` from start to reap, so neither dropping a handle nor the
#    garbage collector frees memory under the CRT. `Op` holds the engine.
# 5. meta (the CRT's handle, needed for cancel): our reference is taken by make_meta_request and given back in the
#    finish callback, or by the submitting thread if finish came first. It is read only under the engine's lock.
# 6. Threads: callbacks run on CRT threads, without the GIL, and touch only op_t, group_t and engine_t. They take
#    engine_t.lock for a few instructions. Python threads take the same lock only with the GIL released or for
#    as few instructions; no Python object is touched under it.
# 7. Retries: what a refused retry needs (refusal_t, retry.pyx) lives from schedule_retry until its task has run, on an
#    event loop that outlives the client; it holds a reference of the C library's token, which holds the strategy. So
#    does what waits for a Retry-After (later_t). Until it has told the C library to go on, that has a request, and so a
#    client and an engine; after that it touches neither. A strategy's table (strategy_t) goes with the strategy.
# 8. Fork: engine_t.pid is compared before each use. In a forked child nothing here is touched or freed again, and no
#    thread of the parent's is joined (runtime.pyx empties the library's list of those that have ended). What is the
#    process's and has a lock, which a thread of the parent may hold for ever, is made anew (_after_fork_in_child): the
#    allocator's depots, kept memory, sinks, sources, CRCs, gates, the log (ring or file), the memory tracer.
#    Numbers are read without the lock.
# 9. With one event loop the client borrows the process's group for its callbacks (linked.c). It gives its reference
#    back when its end begins, and ends when loops_ended has been called: once, just before we release the client.
# 10. An op that is made anew (again.pyx) has not ended in between, so its group, engine and client stay; the task that
#    does it pins the group like a Python thread.
# 11. A FileSink is received into, and a FileSource sent from, by its address (sink.c, source.c). It is a request's
#     Py_buffer, so rule 4 keeps it until rule 3 is fulfilled.
# 12. Telemetry is its Shared's, which the Engine holds until it has closed, and so beyond rule 3 for every op: the last
#     callback that counts comes before finish. The log's ring is the process's, and is never freed.

cdef struct op_t:
    group_t* group
    aws_s3_meta_request* meta          # rule 5
    bint finished                      # finish callback has run
    bint shielded                      # a cancel does not cut it short; under the engine's lock
    unsigned int again                 # so often it has been made anew (again.pyx)
    # --- the request (read by the submitting thread)
    int kind
    const char* operation
    size_t operation_len
    const char* method
    size_t method_len
    const char* path
    size_t path_len
    const aws_uri* endpoint
    header_t* headers                  # of the request, shared by a batch
    size_t headers_len
    header_t* more                     # of this op alone
    size_t more_len
    uint8_t* body_ptr                  # borrowed upload memory
    size_t body_len
    bint has_body
    const char* recv_path
    size_t recv_path_len
    uint64_t recv_position
    const char* send_path
    size_t send_path_len
    int64_t send_size                  # of the file when the upload was started, and its time
    int64_t send_mtime
    int checksum_algorithm
    int checksum_location
    bint validate
    int validate_mode
    uint64_t part_size
    uint32_t max_connections
    int crc_kind                       # of what it receives, to be computed, or sends: digest.pyx
    bint trailer                       # its checksum is to go behind its body
    bint shields                       # whether `shielded` is set when it begins
    # --- the result (written by callbacks, read after the group is done)
    aws_byte_buf recv                  # the caller's memory
    uint64_t crc
    int running                        # where that is computed (running.c) or noted (trailer.c); 0: nowhere
    bint behind                        # its checksum went behind its body,
    bint behind_known                  # and is `crc`
    uint64_t received                  # bytes of content that came of parts that are complete; under the engine's lock
    unsigned int answers               # of GetObject that came; of the last one,
    uint64_t answer_began              # when its content did, in nanoseconds,
    uint64_t answer_ended              # and when it was complete
    uint8_t* data                      # collected body; malloc'd, handed over to a Buffer
    size_t data_len
    size_t data_cap
    aws_http_headers* response_headers  # one reference held
    int status
    int error_code
    int failed_code                    # of the last HTTP request that failed by itself: its error,
    bint failed_midway                 # and whether its answer had begun; telemetry and finish run on one thread
    bint in_doubt                      # an HTTP request may have been done all the same: no answer, half of one, or 5xx
    bint started_body                  # the failed request had begun to answer
    bint source_changed
    bint validated
    int validation_algorithm
    char error_operation[48]
    # --- more requests for the same (hedge.pyx)
    op_t* hedge                        # of this op, the newest, until all have ended; of a hedge, the one before it
    op_t* hedged                       # the op that this one is a hedge of
    unsigned int others                # so many of them have still to end, besides the one that ends last
    unsigned int nth                   # of them, this one
    bint unwanted                      # to be cancelled: another has the answer
    uint64_t sent_at                   # 0: nobody asks
    bint marked
    uint8_t under_mark[16]

cdef struct header_t:
    const char* name
    size_t name_len
    const char* value
    size_t value_len

cdef struct group_t:
    engine_t* engine
    group_t* next                      # free list, or the notifier's list
    op_t* ops
    size_t n
    size_t capacity                    # of ops
    size_t submitted
    size_t ended                       # ops whose shutdown callback has run, or that could not start
    size_t failed
    size_t window                      # at most so many in flight
    size_t width                       # so many in flight now, and what that is decided on: window.pyx
    bint fixed                         # the window is the width, whatever others have found, and who began it says so
    bint adapts
    bint climbing
    bint trying
    bint settling
    unsigned int hold
    double rate
    size_t mark_ended
    uint64_t mark_time
    size_t wake_at                     # wake the waiter when `ended` reaches this
    uint64_t transferred
    bint cancelled
    bint stop_on_error
    bint stopping                      # its ops are counted in the engine's `stopping`
    bint queued                        # stands in the notifier's list
    bint reaped                        # the results are taken; the last user recycles it
    size_t users                       # Python threads that work on it without the GIL
    uint64_t late                      # nanoseconds after which an op is hedged; 0: never (hedge.pyx)
    bint marks
    bint alone                         # its only op is also the engine's, and has no answer yet
    uint64_t late_from                 # before it, requests waited for a connection, and not for an answer
    bint each                          # whoever waits needs them all
    size_t spare                       # hedges that may still be made
    uint64_t hedges_before             # the engine's, and those of them that came first, when the group began
    uint64_t won_before
    notifier_t* notifier               # the list it stands in, if queued
    void* owner                        # the Op object, borrowed (rule 4)
    aws_condition_variable cond

cdef struct notifier_t:
    int64_t fd                         # -1: nobody listens any more
    group_t* head

cdef enum:
    ALONE = 5

cdef struct pace_t:
    uint64_t answers                   # ranges of parallel downloads that came complete,
    uint64_t bytes                     # what they brought,
    uint64_t waited                    # nanoseconds from the last byte of each request to its answer's first,
    uint64_t received                  # and from there to its last
    uint64_t slowed                    # requests of any kind that were answered 503 or 429

cdef struct engine_t:
    aws_allocator* alloc
    long pid
    aws_mutex lock
    aws_condition_variable cond        # client shut down; last user gone
    size_t users                       # Python threads that work on any of its groups
    aws_s3_client* client
    bint client_gone
    bint lent                          # rule 9
    void (*loops_ended)(void*) noexcept nogil
    void* loops_ended_data
    aws_credentials* credentials       # under lock; what the next signature uses
    aws_credentials_provider* provider
    aws_tls_ctx* tls
    void* gate                         # of its Shared, which the Engine holds
    void* telemetry                    # likewise; NULL without one
    group_t* free_groups
    size_t width                       # at which the last batch ran well; 0: none has told yet
    double rate                        # and its requests a nanosecond
    unsigned int hold                  # samples for which the next batch does not try to narrow
    unsigned int held                  # so many after the last try that did not pay; 0: it did
    pace_t pace                        # under the lock
    size_t submitted_total
    size_t under_way                   # ops that were submitted and have not ended, and hedges
    size_t stopping                    # ops of groups that were cancelled, until they have ended
    bint renews                        # somebody brings new credentials where the server calls the token expired,
    bint refused                       # as it has since they were asked for last,
    uint64_t renewals                  # and has answered so often,
    bint changed                       # at last with others,
    uint64_t renewed_at                # and then (nanoseconds) with others; all under the lock
    uint64_t retries                   # HTTP requests that were sent again, or are about to be
    uint64_t hedges                    # requests that were sent a second time (hedge.pyx)
    uint64_t hedges_won                # those of them that were faster
    size_t hedge_memory                # bytes that they receive in, and how many it may be
    size_t hedge_most
    uint32_t waits[128]                # OBJECTFS_BUCKETS: for first bytes of GetObject
    uint64_t waits_total
    uint32_t first_waits[128]          # likewise, and for the connection, of its first request
    uint64_t first_waits_total
    uint64_t alone[ALONE]              # nanoseconds to the first byte of GetObjects that were alone, the last ones
    size_t alone_total
    double bandwidth                   # bytes a nanosecond (bandwidth.pyx); 0: nobody knows. It came while
    double bandwidth_width             # so many ops received at a time (0: nobody knows),
    uint64_t bandwidth_each            # of so many bytes each
    unsigned int spent                 # of the budget for making ops anew (again.pyx)
    uint32_t max_retries
