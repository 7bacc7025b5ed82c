/* Blocks of kept.c on several threads, while time goes by on an event loop, others trim, and loops come and go. Without
 * arguments all is well. "race" makes the mistake that a sanitizer has to report; "twice" gives a block back and goes
 * on writing to it, which the program itself has to find. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <aws/common/clock.h>
#include <aws/common/task_scheduler.h>
#include <aws/io/event_loop.h>

#include "kept.h"
#include "linked.h"

#define THREADS 4
#define ROUNDS 4000
#define HELD 4
#define MiB ((size_t)1024 * 1024)

/* --- what of the C library it uses: a loop that a thread of ours turns --------------------------------------- */

struct aws_event_loop {
    pthread_mutex_t lock;
    struct aws_task *task;
};

static uint64_t s_clock; /* atomic; each look is a millisecond later */

int aws_high_res_clock_get_ticks(uint64_t *now) {
    *now = __atomic_add_fetch(&s_clock, 1000000, __ATOMIC_RELAXED);
    return 0;
}

int aws_event_loop_current_clock_time(const struct aws_event_loop *loop, uint64_t *now) {
    (void)loop;
    return aws_high_res_clock_get_ticks(now);
}

void aws_task_init(struct aws_task *task, aws_task_fn *fn, void *arg, const char *tag) {
    (void)tag;
    task->fn = fn;
    task->arg = arg;
}

void aws_event_loop_schedule_task_future(struct aws_event_loop *loop, struct aws_task *task, uint64_t at) {
    (void)at;
    pthread_mutex_lock(&loop->lock);
    if (loop->task != NULL) { /* one at a time */
        abort();
    }
    loop->task = task;
    pthread_mutex_unlock(&loop->lock);
}

void objectfs_advise_large_pages(void *pointer, size_t size) {
    (void)pointer;
    (void)size;
}

static struct aws_event_loop s_loops[2] = {{PTHREAD_MUTEX_INITIALIZER, NULL}, {PTHREAD_MUTEX_INITIALIZER, NULL}};
static bool s_stop; /* atomic */

static bool s_turn(struct aws_event_loop *loop, enum aws_task_status status) {
    pthread_mutex_lock(&loop->lock);
    struct aws_task *task = loop->task;
    loop->task = NULL;
    pthread_mutex_unlock(&loop->lock);
    if (task != NULL) {
        task->fn(task, task->arg, status);
    }
    return task != NULL;
}

static void *s_turn_loops(void *arg) {
    (void)arg;
    for (uint32_t i = 0; !__atomic_load_n(&s_stop, __ATOMIC_ACQUIRE); ++i) {
        s_turn(&s_loops[0], i % 16 ? AWS_TASK_STATUS_RUN_READY : AWS_TASK_STATUS_CANCELED);
        s_turn(&s_loops[1], AWS_TASK_STATUS_RUN_READY);
        usleep(100);
    }
    return NULL;
}

/* --- the stress ---------------------------------------------------------------------------------------------- */

struct held {
    uint64_t *block;
    size_t capacity;
    uint64_t mark;
};

static uint64_t *s_end(const struct held *held) {
    return held->block + held->capacity / sizeof(uint64_t) - 1;
}

static bool s_race;
static bool s_twice;
static int s_counter;

static void *s_work(void *arg) {
    struct held held[HELD] = {0};
    uint32_t seed = (uint32_t)(uintptr_t)arg * 7919u;
    for (uint64_t i = 0; i < ROUNDS; ++i) {
        seed = seed * 1664525u + 1013904223u;
        struct held *one = &held[(seed >> 8) % HELD];
        if (s_race) {
            s_counter++;
        }
        if (one->block != NULL) {
            if (one->block[0] != one->mark || *s_end(one) != one->mark) {
                fputs("another has written here\n", stderr);
                abort();
            }
            objectfs_kept_release(one->block, one->capacity);
            one->block = s_twice ? one->block : NULL;
            continue;
        }
        size_t size = MiB + (seed >> 12) % (200 * MiB);
        one->block = objectfs_kept_acquire(size, &one->capacity);
        if (one->block == NULL || one->capacity < size) {
            abort();
        }
        if (seed % 5 == 0) {
            one->capacity = objectfs_kept_shrink(one->block, one->capacity, size / 3);
            if (one->capacity < size / 3) {
                abort();
            }
        }
        one->mark = (uint64_t)(uintptr_t)arg << 32 | i;
        one->block[0] = *s_end(one) = one->mark;
    }
    for (size_t i = 0; i < HELD; ++i) {
        if (held[i].block != NULL) {
            objectfs_kept_release(held[i].block, held[i].capacity);
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    s_race = argc > 1 && strcmp(argv[1], "race") == 0;
    s_twice = argc > 1 && strcmp(argv[1], "twice") == 0;
    bool forks = argc > 1 && strcmp(argv[1], "fork") == 0;
    pthread_t threads[THREADS];
    pthread_t loops;
    objectfs_kept_begin(&s_loops[0], 1024 * MiB);
    pthread_create(&loops, NULL, s_turn_loops, NULL);
    for (uintptr_t i = 0; i < THREADS; ++i) {
        pthread_create(&threads[i], NULL, s_work, (void *)(i + 1));
    }
    for (int i = 0; i < 200; ++i) { /* meanwhile */
        usleep(1000);
        if (objectfs_kept_bytes() > 1024 * MiB) {
            abort();
        }
        objectfs_kept_expire((uint64_t)1000000000 * (uint64_t)(i % 7));
        if (i % 20 == 0) {
            objectfs_kept_trim();
        }
        if (i % 50 == 0) {
            objectfs_kept_begin(NULL, 0);
            objectfs_kept_begin(&s_loops[i / 50 % 2], 1024 * MiB);
        }
        pid_t child = forks && i % 10 == 0 ? fork() : -1;
        if (child == 0) { /* of many threads, each of which may hold the lock */
            size_t capacity = 0;
            objectfs_kept_after_fork();
            char *block = objectfs_kept_acquire(5 * MiB, &capacity);
            block[0] = block[capacity - 1] = 1;
            objectfs_kept_release(block, capacity);
            _exit(objectfs_kept_bytes() == 0 ? 7 : 1);
        }
        int status = 0;
        if (child > 0 && (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7)) {
            abort();
        }
    }
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(threads[i], NULL);
    }
    while (objectfs_kept_expire(UINT64_C(1000000000000))) {
    }
    __atomic_store_n(&s_stop, true, __ATOMIC_RELEASE);
    pthread_join(loops, NULL);
    objectfs_kept_begin(NULL, 0);
    puts("done");
    return 0;
}
