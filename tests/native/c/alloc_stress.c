/* Blocks that are made on some threads and freed on others. Without arguments, and with "fork", all is well; with
 * "race" or "after-free" it makes the mistake that the sanitizer has to report: a run that sees nothing proves nothing
 * unless it could have. With "kept" it prints the most bytes of medium blocks that a thread kept, and how many
 * blocks had to be made anew for one size in use, after other sizes had been. */
#include <aws/common/allocator.h>

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"

#define PAIRS 4
#define ROUNDS 5000
#define SLOTS 256

/* Of what is beyond the small blocks, which malloc makes: for "kept", which has one thread; others only write it. */
static size_t s_held, s_made;

static void *s_plain_acquire(struct aws_allocator *a, size_t size) {
    (void)a;
    void *p = malloc(size);
    __atomic_fetch_add(&s_held, malloc_usable_size(p), __ATOMIC_RELAXED);
    __atomic_fetch_add(&s_made, 1, __ATOMIC_RELAXED);
    return p;
}
static void s_plain_release(struct aws_allocator *a, void *p) {
    (void)a;
    __atomic_fetch_sub(&s_held, malloc_usable_size(p), __ATOMIC_RELAXED);
    free(p);
}
static void *s_plain_calloc(struct aws_allocator *a, size_t n, size_t size) {
    (void)a;
    return calloc(n, size);
}
static struct aws_allocator s_plain = {
    .mem_acquire = s_plain_acquire, .mem_release = s_plain_release, .mem_calloc = s_plain_calloc};
struct aws_allocator *aws_default_allocator(void) {
    return &s_plain;
}

struct pipe {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint8_t *slots[SLOTS];
    size_t sizes[SLOTS];
    size_t made, taken;
};

static int s_counter; /* for "race" */

static size_t s_next(uint32_t *seed) {
    static const size_t limits[] = {64, 200, 1024, 1025, 8192, 8193, 70000, 700000};
    *seed = *seed * 1664525u + 1013904223u;
    size_t limit = limits[(*seed >> 8) % 8];
    return 1 + (*seed >> 12) % limit;
}

static void *s_produce(void *arg) {
    struct pipe *pipe = arg;
    struct aws_allocator *a = objectfs_allocator();
    uint32_t seed = (uint32_t)(uintptr_t)arg;
    for (size_t i = 0; i < ROUNDS; ++i) {
        size_t size = s_next(&seed);
        uint8_t *block = i % 3 ? a->mem_acquire(a, size) : a->mem_calloc(a, 1, size);
        if (i % 3 == 0 && (block[0] != 0 || block[size - 1] != 0)) {
            abort();
        }
        if ((uintptr_t)block % 16) {
            abort();
        }
        memset(block, (int)(size & 0xff), size);
        if (i % 7 == 0) { /* grown and shrunk on the way */
            size_t other = s_next(&seed);
            size_t kept = other < size ? other : size;
            uint8_t value = (uint8_t)(size & 0xff);
            block = a->mem_realloc(a, block, size, other);
            for (size_t at = 0; at < kept; ++at) {
                if (block[at] != value) {
                    abort();
                }
            }
            size = other;
            memset(block, (int)(size & 0xff), size);
        }
        pthread_mutex_lock(&pipe->lock);
        while (pipe->made - pipe->taken == SLOTS) {
            pthread_cond_wait(&pipe->changed, &pipe->lock);
        }
        pipe->slots[pipe->made % SLOTS] = block;
        pipe->sizes[pipe->made % SLOTS] = size;
        pipe->made++;
        pthread_cond_signal(&pipe->changed);
        pthread_mutex_unlock(&pipe->lock);
    }
    return NULL;
}

static void *s_consume(void *arg) {
    struct pipe *pipe = arg;
    struct aws_allocator *a = objectfs_allocator();
    for (size_t i = 0; i < ROUNDS; ++i) {
        pthread_mutex_lock(&pipe->lock);
        while (pipe->made == pipe->taken) {
            pthread_cond_wait(&pipe->changed, &pipe->lock);
        }
        uint8_t *block = pipe->slots[pipe->taken % SLOTS];
        size_t size = pipe->sizes[pipe->taken % SLOTS];
        pipe->taken++;
        pthread_cond_signal(&pipe->changed);
        pthread_mutex_unlock(&pipe->lock);
        for (size_t at = 0; at < size; ++at) {
            if (block[at] != (uint8_t)(size & 0xff)) {
                abort();
            }
        }
        a->mem_release(a, block);
    }
    return NULL;
}

static void *s_race(void *arg) {
    (void)arg;
    s_counter++;
    return NULL;
}

enum { BURST = 24 };

static void s_burst(struct aws_allocator *a, size_t size) {
    void *blocks[BURST];
    for (int i = 0; i < BURST; ++i) {
        blocks[i] = a->mem_acquire(a, size);
    }
    for (int i = 0; i < BURST; ++i) {
        a->mem_release(a, blocks[i]);
    }
}

static void s_kept(struct aws_allocator *a) {
    const size_t message = 256 * 1024 + 200; /* of a socket */
    size_t most = 0;
    for (size_t size = 10000; size < 700000; size += 10000) {
        s_burst(a, size);
        most = s_held > most ? s_held : most;
    }
    s_burst(a, message);
    size_t made = s_made;
    for (int i = 0; i < 1000; ++i) {
        s_burst(a, message);
    }
    printf("%zu %zu\n", most, s_made - made);
}

int main(int argc, char **argv) {
    struct aws_allocator *a = objectfs_allocator();
    if (argc > 1 && strcmp(argv[1], "kept") == 0) {
        s_kept(a);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "race") == 0) {
        pthread_t threads[2];
        for (int i = 0; i < 2; ++i) {
            pthread_create(&threads[i], NULL, s_race, NULL);
        }
        for (int i = 0; i < 2; ++i) {
            pthread_join(threads[i], NULL);
        }
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "after-free") == 0) {
        volatile uint8_t *block = a->mem_acquire(a, 1000000);
        a->mem_release(a, (void *)block);
        return block[0];
    }
    if (a->mem_calloc(a, SIZE_MAX, 2) != NULL || a->mem_acquire(a, SIZE_MAX) != NULL) {
        abort();
    }
    static struct pipe pipes[PAIRS];
    pthread_t threads[2 * PAIRS];
    for (int i = 0; i < PAIRS; ++i) {
        pthread_mutex_init(&pipes[i].lock, NULL);
        pthread_cond_init(&pipes[i].changed, NULL);
        pthread_create(&threads[2 * i], NULL, s_produce, &pipes[i]);
        pthread_create(&threads[2 * i + 1], NULL, s_consume, &pipes[i]);
    }
    /* While all of them hold and try locks. Only without a sanitizer: the allocator of gcc's own is not to be used in a
     * child of many threads, its locks stay as the fork found them. */
    bool forks = argc > 1 && strcmp(argv[1], "fork") == 0;
    pid_t child = forks ? fork() : -1;
    if (child == 0) {
        objectfs_allocator_after_fork();
        for (size_t i = 0; i < 1000; ++i) {
            a->mem_release(a, a->mem_acquire(a, 1 + i % 9000));
        }
        _exit(7);
    }
    for (int i = 0; i < 2 * PAIRS; ++i) {
        pthread_join(threads[i], NULL);
    }
    int status = 0;
    if (forks && (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7)) {
        abort();
    }
    puts("done");
    return 0;
}
