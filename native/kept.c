/* The memory of a download that nobody wants any more is kept for the next one.
 *
 * Memory that a process touches for the first time costs more than the download itself: the system clears each page,
 * and on a virtual machine it may have to get the page from its host first (docs/design/0005-cpu.md, "Memory that is
 * used again"). malloc gives blocks of this size back as soon as they are freed.
 *
 * Rules.
 * - A block of 1 MiB or more is a mapping of its own, in steps of a quarter of a power of two. It belongs to whom it
 *   was given, or to the list here; never to both. Its content is undefined.
 * - No more than s_limit bytes are kept: then the one that was freed longest ago goes. What has been kept for KEEP is
 *   unmapped, STEP bytes at a time, by a task on an event loop. Without an event loop nothing is kept, so a program
 *   that has closed its clients has none of this.
 * - s_loop is alive while it is set: it is set and taken away under the lock, and tasks are scheduled under it. A loop
 *   that ends runs its tasks as cancelled; if there is another one then, that one goes on.
 * - Nothing is called under the lock but malloc, free and the loop's scheduling, which takes no other lock of ours.
 * - In a forked child nothing here is touched (s_pid) before it has heard of the fork. Then it unmaps what was kept if
 *   the lock was free; else the list may be in the middle of a change, and it is forgotten. The task is the parent's.
 * With a sanitizer, or with OBJECTFS_DEBUG, every block is malloc's, or errors would go unseen.
 */
#include "kept.h"

#if defined(_WIN32) || defined(OBJECTFS_PLAIN_ALLOCATOR)

#    include <stdlib.h>

void *objectfs_kept_acquire(size_t size, size_t *capacity) {
    *capacity = 0;
    return malloc(size);
}

void objectfs_kept_release(void *block, size_t capacity) {
    (void)block;
    (void)capacity;
    abort(); /* no block is of here */
}

size_t objectfs_kept_shrink(void *block, size_t capacity, size_t size) {
    (void)block;
    (void)capacity;
    (void)size;
    abort();
}

void objectfs_kept_begin(struct aws_event_loop *loop, size_t limit) {
    (void)loop;
    (void)limit;
}

void objectfs_kept_trim(void) {
}

void objectfs_kept_after_fork(void) {
}

size_t objectfs_kept_bytes(void) {
    return 0;
}

int objectfs_kept_expire(uint64_t later) {
    (void)later;
    return 0;
}

#else

#    include <pthread.h>
#    include <stdbool.h>
#    include <stdlib.h>
#    include <sys/mman.h>
#    include <sys/types.h>
#    include <unistd.h>

#    include <aws/common/clock.h>
#    include <aws/common/task_scheduler.h>
#    include <aws/io/event_loop.h>

#    include "linked.h"

#    define CLASSES 120 /* up to 2^50 bytes */
#    define ALIGNMENT ((size_t)2 * 1024 * 1024)
#    define KEEP ((uint64_t)5000000000)  /* 5 s: the C library's pool of part buffers waits as long */
#    define PAUSE ((uint64_t)1000000000) /* between two looks */
#    define SOON ((uint64_t)5000000)     /* between two steps */
#    define STEP ((size_t)64 * 1024 * 1024) /* unmapping them takes 1 to 10 ms, for which the loop's sockets wait */

struct kept {
    struct kept *newer, *older; /* by when they were freed */
    struct kept *below;         /* in the stack of the class, and */
    struct kept *above;
    uint8_t *block;
    size_t capacity;
    uint64_t since;
    uint32_t class;
};

static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept *s_stack[CLASSES + 1]; /* the last one: of no class, because a part is unmapped already */
static struct kept *s_newest;
static struct kept *s_oldest;
static size_t s_bytes;
static size_t s_limit;
static struct aws_event_loop *s_loop;
static struct aws_task s_task;
static bool s_scheduled;
static pid_t s_pid; /* of who has s_loop: atomic */

static size_t s_size(uint32_t class) {
    return (OBJECTFS_KEPT_MIN / 4 * (4 + class % 4)) << (class / 4);
}

/* CLASSES if there is none. */
static uint32_t s_class(size_t size) {
    uint32_t class = 0;
    while (class < CLASSES && s_size(class) < size) {
        ++class;
    }
    return class;
}

static uint64_t s_now(void) {
    uint64_t now = 0;
    aws_high_res_clock_get_ticks(&now);
    return now;
}

/* --- under the lock ------------------------------------------------------------------------------------------ */

static void s_stack_up(struct kept *kept) {
    kept->below = s_stack[kept->class];
    kept->above = NULL;
    if (kept->below != NULL) {
        kept->below->above = kept;
    }
    s_stack[kept->class] = kept;
}

static void s_unstack(struct kept *kept) {
    *(kept->above == NULL ? &s_stack[kept->class] : &kept->above->below) = kept->below;
    if (kept->below != NULL) {
        kept->below->above = kept->above;
    }
}

static void s_put(struct kept *kept) {
    kept->older = s_newest;
    kept->newer = NULL;
    *(s_newest == NULL ? &s_oldest : &s_newest->newer) = kept;
    s_newest = kept;
    s_stack_up(kept);
    s_bytes += kept->capacity;
}

static struct kept *s_take(struct kept *kept) {
    *(kept->newer == NULL ? &s_newest : &kept->newer->older) = kept->older;
    *(kept->older == NULL ? &s_oldest : &kept->older->newer) = kept->newer;
    s_unstack(kept);
    s_bytes -= kept->capacity;
    return kept;
}

/* Those that are too many, linked by ->below. */
static struct kept *s_take_beyond(size_t limit) {
    struct kept *taken = NULL;
    while (s_bytes > limit) {
        struct kept *kept = s_take(s_oldest);
        kept->below = taken;
        taken = kept;
    }
    return taken;
}

static void s_on_time(struct aws_task *task, void *arg, enum aws_task_status status);

static void s_schedule(uint64_t pause) {
    uint64_t now = 0;
    if (s_loop == NULL || s_scheduled || s_oldest == NULL) {
        return;
    }
    aws_task_init(&s_task, s_on_time, NULL, "objectfs_kept");
    aws_event_loop_current_clock_time(s_loop, &now);
    aws_event_loop_schedule_task_future(s_loop, &s_task, now + pause);
    s_scheduled = true;
}

/* --- not under the lock -------------------------------------------------------------------------------------- */

static void s_unmap(struct kept *kept) {
    while (kept != NULL) {
        struct kept *next = kept->below;
        munmap(kept->block, kept->capacity);
        free(kept);
        kept = next;
    }
}

/* What has been kept for too long at that time, STEP bytes of it at most. Whether there is more to do at once. */
static bool s_expire(uint64_t now) {
    uint8_t *rest = NULL;
    size_t size = 0;
    struct kept *whole = NULL;
    bool more = false;
    pthread_mutex_lock(&s_lock);
    while (s_oldest != NULL && s_oldest->since + KEEP <= now && size < STEP) {
        struct kept *kept = s_oldest;
        if (kept->capacity > STEP) { /* its end first */
            s_unstack(kept);
            kept->class = CLASSES;
            s_stack_up(kept);
            kept->capacity -= STEP;
            s_bytes -= STEP;
            rest = kept->block + kept->capacity;
            size += STEP; /* so it is the last one here */
        } else {
            size += s_take(kept)->capacity;
            kept->below = whole;
            whole = kept;
        }
    }
    more = s_oldest != NULL && s_oldest->since + KEEP <= now;
    pthread_mutex_unlock(&s_lock);
    if (rest != NULL && munmap(rest, STEP) != 0) { /* too many mappings to split one: the memory at least */
        madvise(rest, STEP, MADV_DONTNEED);
    }
    s_unmap(whole);
    return more;
}

static void s_on_time(struct aws_task *task, void *arg, enum aws_task_status status) {
    (void)task;
    (void)arg;
    bool more = status == AWS_TASK_STATUS_RUN_READY && s_expire(s_now());
    pthread_mutex_lock(&s_lock);
    s_scheduled = false;
    s_schedule(more ? SOON : PAUSE);
    pthread_mutex_unlock(&s_lock);
}

/* Whether there is something to keep blocks for. Not in a child before it has heard of the fork: the lock may be that
 * of a thread that does not exist here. */
static bool s_ours(void) {
    return __atomic_load_n(&s_pid, __ATOMIC_RELAXED) == getpid();
}

static void *s_map(size_t size) {
    bool large = size >= 2 * ALIGNMENT;
    size_t more = large ? ALIGNMENT : 0; /* to begin with a large page */
    uint8_t *found = mmap(NULL, size + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) {
        return NULL;
    }
    if (large) {
        size_t before = (ALIGNMENT - (uintptr_t)found % ALIGNMENT) % ALIGNMENT;
        if (before > 0) {
            munmap(found, before);
        }
        if (before < more) {
            munmap(found + before + size, more - before);
        }
        found += before;
    }
    objectfs_advise_large_pages(found, size);
    return found;
}

void *objectfs_kept_acquire(size_t size, size_t *capacity) {
    uint32_t class = s_class(size);
    struct kept *kept = NULL;
    if (class >= CLASSES) {
        return NULL;
    }
    if (s_ours()) {
        pthread_mutex_lock(&s_lock);
        if (s_stack[class] != NULL) {
            kept = s_take(s_stack[class]);
        } else if (class + 1 < CLASSES && s_stack[class + 1] != NULL) {
            kept = s_take(s_stack[class + 1]);
        }
        pthread_mutex_unlock(&s_lock);
    }
    if (kept != NULL) {
        void *block = kept->block;
        *capacity = kept->capacity;
        free(kept);
        return block;
    }
    *capacity = s_size(class);
    void *block = s_map(*capacity);
    if (block == NULL && s_ours()) { /* what is kept may be what is missing */
        objectfs_kept_trim();
        block = s_map(*capacity);
    }
    return block;
}

void objectfs_kept_release(void *block, size_t capacity) {
    struct kept *beyond = NULL;
    struct kept *kept = s_ours() ? malloc(sizeof(struct kept)) : NULL;
    bool keep = false;
    if (kept != NULL) {
        *kept = (struct kept){.block = block, .capacity = capacity, .since = s_now(), .class = s_class(capacity)};
        pthread_mutex_lock(&s_lock);
        /* one that has shrunk is of no class */
        if (s_loop != NULL && capacity <= s_limit && kept->class < CLASSES && s_size(kept->class) == capacity) {
            keep = true;
            beyond = s_take_beyond(s_limit - capacity);
            s_put(kept);
            s_schedule(KEEP);
        }
        pthread_mutex_unlock(&s_lock);
    }
    if (!keep) {
        munmap(block, capacity);
        free(kept);
    }
    s_unmap(beyond);
}

size_t objectfs_kept_shrink(void *block, size_t capacity, size_t size) {
    size_t page = 64 * 1024; /* a multiple of every system's */
    size_t rest = (size + page - 1) / page * page;
    if (rest == 0) {
        rest = page;
    }
    if (rest >= capacity - capacity / 4) {
        return capacity; /* a quarter at most is not worth another class */
    }
    return munmap((uint8_t *)block + rest, capacity - rest) == 0 ? rest : capacity;
}

void objectfs_kept_begin(struct aws_event_loop *loop, size_t limit) {
    pthread_mutex_lock(&s_lock);
    s_loop = loop;
    s_limit = loop == NULL ? 0 : limit;
    __atomic_store_n(&s_pid, getpid(), __ATOMIC_RELAXED);
    struct kept *beyond = s_take_beyond(s_limit);
    pthread_mutex_unlock(&s_lock);
    s_unmap(beyond);
}

void objectfs_kept_trim(void) {
    pthread_mutex_lock(&s_lock);
    struct kept *all = s_take_beyond(0);
    pthread_mutex_unlock(&s_lock);
    s_unmap(all);
}

void objectfs_kept_after_fork(void) {
    if (pthread_mutex_trylock(&s_lock) == 0) {
        s_unmap(s_take_beyond(0));
    }
    pthread_mutex_init(&s_lock, NULL);
    for (size_t i = 0; i <= CLASSES; ++i) {
        s_stack[i] = NULL;
    }
    s_newest = s_oldest = NULL;
    s_bytes = s_limit = 0;
    s_loop = NULL;
    s_scheduled = false;
}

size_t objectfs_kept_bytes(void) {
    pthread_mutex_lock(&s_lock);
    size_t bytes = s_bytes;
    pthread_mutex_unlock(&s_lock);
    return bytes;
}

int objectfs_kept_expire(uint64_t later) {
    s_expire(s_now() + later);
    return objectfs_kept_bytes() > 0;
}

#endif
