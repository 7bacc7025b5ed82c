/* What the C library decides without asking, and has no option for: the linker (--wrap, cmake/Crt.cmake) sends these
 * calls of a static library here. Elsewhere the library's own functions run, and nothing but time is different.
 *
 * One loop. The library runs sockets on the event loops that it is given, and prepares, signs and delivers on others of
 * its own making: a small request goes back and forth between two threads. Where there is one core for both, that is
 * two context switches for nothing (docs/design/0005-cpu.md). So the group that it would make is replaced by the one
 * that it has. It counts references, as ever; but the library waits for the end of "its" group before its client ends,
 * and this one lives on, so who lends it says so in its stead (Engine._end). Not with more cores: there, files are
 * written while sockets are read.
 *
 * Large pages. The library's pool of part buffers is up to all of the memory limit, in blocks of 16 parts: in pages of
 * 4 KiB their first use is 50,000 page faults.
 */
#include <stdint.h>

#include <aws/common/allocator.h>
#include <aws/common/shutdown_types.h>
#include <aws/io/event_loop.h>

#include "linked.h"

#if defined(__linux__)
#    include <sys/mman.h>
#endif

#define LARGE_PAGE ((uintptr_t)2 * 1024 * 1024)

void objectfs_advise_large_pages(void *pointer, size_t size) {
#if defined(MADV_HUGEPAGE)
    uintptr_t start = ((uintptr_t)pointer + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    uintptr_t stop = ((uintptr_t)pointer + size) & ~(LARGE_PAGE - 1);
    if (pointer != NULL && size >= LARGE_PAGE && start < stop) {
        madvise((void *)start, stop - start, MADV_HUGEPAGE); /* refused: as good as without */
    }
#else
    (void)pointer;
    (void)size;
#endif
}

#if defined(OBJECTFS_WRAP)

bool objectfs_linked(void) {
    return true;
}

static __thread struct aws_event_loop_group *t_lent;
static __thread struct aws_shutdown_callback_options t_borrower;
static __thread bool t_taken;

void objectfs_lend_loops(struct aws_event_loop_group *group) {
    t_lent = group;
    t_taken = false;
}

bool objectfs_lent_loops(void (**ended)(void *), void **user_data) {
    if (t_taken) {
        *ended = t_borrower.shutdown_callback_fn;
        *user_data = t_borrower.shutdown_callback_user_data;
    }
    return t_taken;
}

struct aws_event_loop_group *__real_aws_event_loop_group_new_default(
    struct aws_allocator *allocator,
    uint16_t max_threads,
    const struct aws_shutdown_callback_options *shutdown);

struct aws_event_loop_group *__wrap_aws_event_loop_group_new_default(
    struct aws_allocator *allocator,
    uint16_t max_threads,
    const struct aws_shutdown_callback_options *shutdown) {
    struct aws_event_loop_group *lent = t_lent;
    if (lent == NULL || shutdown == NULL) {
        return __real_aws_event_loop_group_new_default(allocator, max_threads, shutdown);
    }
    t_lent = NULL; /* the first that a client makes is for its callbacks, the second for files */
    t_borrower = *shutdown;
    t_taken = true;
    return aws_event_loop_group_acquire(lent);
}

static void *(*s_aligned_acquire)(struct aws_allocator *allocator, size_t size);

static void *s_acquire(struct aws_allocator *allocator, size_t size) {
    void *pointer = __atomic_load_n(&s_aligned_acquire, __ATOMIC_ACQUIRE)(allocator, size);
    objectfs_advise_large_pages(pointer, size);
    return pointer;
}

struct aws_allocator *__real_aws_explicit_aligned_allocator_new(size_t alignment);

/* The pool's allocator, for nobody else asks for one. */
struct aws_allocator *__wrap_aws_explicit_aligned_allocator_new(size_t alignment) {
    struct aws_allocator *allocator = __real_aws_explicit_aligned_allocator_new(alignment);
    if (allocator != NULL) {
        /* the same for all of them; other pools' threads may be reading it */
        __atomic_store_n(&s_aligned_acquire, allocator->mem_acquire, __ATOMIC_RELEASE);
        allocator->mem_acquire = s_acquire;
    }
    return allocator;
}

#else

bool objectfs_linked(void) {
    return false;
}

void objectfs_lend_loops(struct aws_event_loop_group *group) {
    (void)group;
}

bool objectfs_lent_loops(void (**ended)(void *), void **user_data) {
    (void)ended;
    (void)user_data;
    return false;
}

#endif
