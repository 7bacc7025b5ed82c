/* The allocator that the C libraries are given: small blocks come from, and go back to, a list of the thread's own.
 *
 * One request to S3 makes about ninety blocks of up to a few KiB and frees them again, a fifth of its instructions
 * (docs/design/0005-cpu.md), and the same sizes are wanted again with the next request. Half of them are made on the
 * thread that submits and freed on the event loop's: what is too much in one list goes to a depot, from where an empty
 * one is filled, many at a time.
 *
 * Rules. A block has a header of 16 bytes before it with its size class; the class alone says how it is freed, so any
 * thread may free any block: it goes to the list of the thread that frees it. A list holds at most two batches, the
 * depot DEPOT_BYTES of each class; what is more goes back to malloc. The medium classes of a thread have MEDIUM_BYTES
 * together: for more, blocks of other classes than the one that is in use are freed. A thread's lists are freed when it
 * ends. The depot's locks are only ever tried: who does not get one uses malloc, so that a lock that a fork left behind
 * locked is no harm, and the child forgets the depot (objectfs_allocator_after_fork).
 * With a sanitizer, or with OBJECTFS_DEBUG, every block is malloc's, or errors would go unseen.
 */
#include "alloc.h"

#include <aws/common/allocator.h>

#if defined(_WIN32) || defined(OBJECTFS_PLAIN_ALLOCATOR)

struct aws_allocator *objectfs_allocator(void) {
    return aws_default_allocator();
}

void objectfs_allocator_after_fork(void) {
}

#else

#    include <pthread.h>
#    include <stdbool.h>
#    include <stdint.h>
#    include <stdlib.h>
#    include <string.h>

#    define HEADER ((size_t)16)         /* keeps malloc's alignment */
#    define LARGE_HEADER ((size_t)64)   /* keeps the library's: large blocks begin on a cache line */
#    define FINE_MAX ((size_t)1024)     /* up to here in steps of 64 bytes */
#    define SMALL_MAX ((size_t)8192)    /* up to here in steps of 512 */
#    define MEDIUM_MIN ((size_t)16384)  /* from here in steps of a quarter */
#    define MEDIUM_CLASSES 22           /* to 640 KiB: messages of sockets: malloc would map and unmap each */
#    define FINE_CLASSES (FINE_MAX / 64)
#    define SMALL_CLASSES (FINE_CLASSES + (SMALL_MAX - FINE_MAX) / 512)
#    define CLASSES (SMALL_CLASSES + MEDIUM_CLASSES)
#    define LARGE ((uint32_t)0xffffffff)
#    define BATCH_BYTES ((size_t)16 * 1024)
#    define MEDIUM_BATCH 16
#    define MEDIUM_BYTES ((size_t)12 * 1024 * 1024) /* both batches of the messages' class, and some more */
#    define DEPOT_BYTES ((size_t)256 * 1024)

struct header {
    uint32_t class;
    uint32_t unused;
    struct header *next; /* in a list */
};

_Static_assert(sizeof(struct header) <= 16, "the header does not fit before the block");

struct cache {
    struct header *free[CLASSES];
    uint32_t count[CLASSES];
    size_t medium; /* bytes in the lists of medium classes */
    uint32_t hand; /* the medium class that gives up blocks next */
};

/* Batches of a class: lists whose first block holds, behind its header, the pointer to the next one. */
struct depot {
    pthread_mutex_t lock;
    struct header *batches;
    uint32_t count;
};

static struct depot s_depot[CLASSES];

static __thread struct cache *t_cache;
static pthread_key_t s_key;
static pthread_once_t s_once = PTHREAD_ONCE_INIT;

static size_t s_size(uint32_t class) {
    if (class < FINE_CLASSES) {
        return ((size_t)class + 1) * 64;
    }
    if (class < SMALL_CLASSES) {
        return FINE_MAX + ((size_t)class - FINE_CLASSES + 1) * 512;
    }
    uint32_t step = class - (uint32_t)SMALL_CLASSES;
    return (MEDIUM_MIN / 4 * (4 + step % 4)) << (step / 4);
}

/* LARGE if there is none. */
static uint32_t s_class(size_t size) {
    if (size <= FINE_MAX) {
        return size == 0 ? 0 : (uint32_t)((size - 1) / 64);
    }
    if (size <= SMALL_MAX) {
        return (uint32_t)(FINE_CLASSES + (size - FINE_MAX - 1) / 512);
    }
    uint32_t class = (uint32_t)SMALL_CLASSES;
    while (class < CLASSES && s_size(class) < size) {
        ++class;
    }
    return class < CLASSES ? class : LARGE;
}

/* Of more than SMALL_MAX bytes: the C library's own allocator makes it, and frees it. */
static struct header *s_new_large(size_t size, uint32_t class, bool zeroed) {
    struct aws_allocator *plain = aws_default_allocator();
    if (size > SIZE_MAX - LARGE_HEADER) {
        return NULL;
    }
    size += LARGE_HEADER;
    uint8_t *base = zeroed ? plain->mem_calloc(plain, 1, size) : plain->mem_acquire(plain, size);
    if (base == NULL) {
        return NULL;
    }
    struct header *block = (struct header *)(base + LARGE_HEADER - HEADER);
    block->class = class;
    return block;
}

static void s_free_block(struct header *block) {
    if (block->class < SMALL_CLASSES) {
        free(block);
    } else {
        struct aws_allocator *plain = aws_default_allocator();
        plain->mem_release(plain, (uint8_t *)block + HEADER - LARGE_HEADER);
    }
}

static uint32_t s_batch(uint32_t class) {
    if (class >= SMALL_CLASSES) {
        return MEDIUM_BATCH;
    }
    size_t fit = BATCH_BYTES / s_size(class);
    return fit < 4 ? 4 : fit > 64 ? 64 : (uint32_t)fit;
}

static struct header **s_next_batch(struct header *batch) {
    return (struct header **)(batch + 1);
}

static void s_free_list(struct header *block) {
    while (block != NULL) {
        struct header *next = block->next;
        s_free_block(block);
        block = next;
    }
}

/* Half of a full list goes to the depot, or back to malloc if that is full too. */
static void s_give_batch(struct cache *cache, uint32_t class) {
    struct depot *depot = &s_depot[class];
    uint32_t size = s_batch(class);
    struct header *batch = cache->free[class];
    struct header *last = batch;
    for (uint32_t i = 1; i < size; ++i) {
        last = last->next;
    }
    cache->free[class] = last->next;
    cache->count[class] -= size;
    if (class >= SMALL_CLASSES) {
        cache->medium -= size * s_size(class);
    }
    last->next = NULL;
    if (pthread_mutex_trylock(&depot->lock) == 0) {
        if (((size_t)depot->count + 1) * size * s_size(class) <= DEPOT_BYTES) {
            *s_next_batch(batch) = depot->batches;
            depot->batches = batch;
            depot->count++;
            batch = NULL;
        }
        pthread_mutex_unlock(&depot->lock);
    }
    s_free_list(batch);
}

static void s_take_batch(struct cache *cache, uint32_t class) {
    struct depot *depot = &s_depot[class];
    if (pthread_mutex_trylock(&depot->lock) == 0) {
        struct header *batch = depot->batches;
        if (batch != NULL) {
            depot->batches = *s_next_batch(batch);
            depot->count--;
            cache->free[class] = batch;
            cache->count[class] = s_batch(class);
            if (class >= SMALL_CLASSES) {
                cache->medium += s_batch(class) * s_size(class);
            }
        }
        pthread_mutex_unlock(&depot->lock);
    }
}

/* Of a list that is not empty. */
static struct header *s_pop(struct cache *cache, uint32_t class) {
    struct header *block = cache->free[class];
    cache->free[class] = block->next;
    cache->count[class]--;
    if (class >= SMALL_CLASSES) {
        cache->medium -= s_size(class);
    }
    return block;
}

/* Down to MEDIUM_BYTES. What other sizes have left behind goes first: nobody may ever want it again. */
static void s_shrink(struct cache *cache, uint32_t class) {
    uint32_t looked = 0;
    while (cache->medium > MEDIUM_BYTES) {
        uint32_t other = (uint32_t)SMALL_CLASSES + cache->hand;
        if (looked == MEDIUM_CLASSES) {
            s_free_block(s_pop(cache, class));
        } else if (other == class || cache->free[other] == NULL) {
            cache->hand = (cache->hand + 1) % MEDIUM_CLASSES;
            ++looked;
        } else {
            s_free_block(s_pop(cache, other));
        }
    }
}

static void s_thread_ended(void *pointer) {
    struct cache *cache = pointer;
    t_cache = NULL;
    for (size_t i = 0; i < CLASSES; ++i) {
        s_free_list(cache->free[i]);
    }
    free(cache);
}

static void s_init(void) {
    pthread_key_create(&s_key, s_thread_ended);
    objectfs_allocator_after_fork();
}

void objectfs_allocator_after_fork(void) {
    for (size_t i = 0; i < CLASSES; ++i) {
        pthread_mutex_init(&s_depot[i].lock, NULL);
        s_depot[i].batches = NULL;
        s_depot[i].count = 0;
    }
}

/* NULL when there is no memory for it: then malloc does. */
static struct cache *s_cache(void) {
    if (t_cache == NULL) {
        pthread_once(&s_once, s_init);
        t_cache = calloc(1, sizeof(struct cache));
        if (t_cache != NULL && pthread_setspecific(s_key, t_cache) != 0) {
            free(t_cache); /* nobody would free it at the thread's end */
            t_cache = NULL;
        }
    }
    return t_cache;
}

static void *s_acquire(struct aws_allocator *allocator, size_t size) {
    (void)allocator;
    struct header *block = NULL;
    uint32_t class = s_class(size);
    if (class == LARGE) {
        block = s_new_large(size, class, false);
    } else {
        struct cache *cache = s_cache();
        if (cache != NULL && cache->free[class] == NULL) {
            s_take_batch(cache, class);
        }
        if (cache != NULL && cache->free[class] != NULL) {
            block = s_pop(cache, class);
        } else if (class >= SMALL_CLASSES) {
            block = s_new_large(s_size(class), class, false);
        } else {
            block = malloc(HEADER + s_size(class));
            if (block != NULL) {
                block->class = class;
            }
        }
    }
    return block == NULL ? NULL : (uint8_t *)block + HEADER;
}

static void s_release(struct aws_allocator *allocator, void *pointer) {
    (void)allocator;
    if (pointer == NULL) {
        return;
    }
    struct header *block = (struct header *)((uint8_t *)pointer - HEADER);
    uint32_t class = block->class;
    struct cache *cache = class == LARGE ? NULL : s_cache();
    if (cache == NULL) {
        s_free_block(block);
        return;
    }
    block->next = cache->free[class];
    cache->free[class] = block;
    if (class >= SMALL_CLASSES) {
        cache->medium += s_size(class);
    }
    if (++cache->count[class] >= 2 * s_batch(class)) {
        s_give_batch(cache, class);
    }
    if (cache->medium > MEDIUM_BYTES) {
        s_shrink(cache, class);
    }
}

static void *s_calloc(struct aws_allocator *allocator, size_t num, size_t size) {
    if (size != 0 && num > SIZE_MAX / size) {
        return NULL;
    }
    size *= num;
    if (s_class(size) == LARGE) { /* fresh pages are zero already: leave it to the library's */
        struct header *block = s_new_large(size, LARGE, true);
        return block == NULL ? NULL : (uint8_t *)block + HEADER;
    }
    void *pointer = s_acquire(allocator, size);
    return pointer == NULL ? NULL : memset(pointer, 0, size);
}

static void *s_realloc(struct aws_allocator *allocator, void *old, size_t old_size, size_t new_size) {
    if (old != NULL) {
        uint32_t class = ((struct header *)((uint8_t *)old - HEADER))->class;
        if (class != LARGE && new_size <= s_size(class)) {
            return old;
        }
    }
    void *new = s_acquire(allocator, new_size);
    if (new != NULL && old != NULL) {
        memcpy(new, old, old_size < new_size ? old_size : new_size);
        s_release(allocator, old);
    }
    return new;
}

static struct aws_allocator s_allocator = {
    .mem_acquire = s_acquire,
    .mem_release = s_release,
    .mem_realloc = s_realloc,
    .mem_calloc = s_calloc,
};

struct aws_allocator *objectfs_allocator(void) {
    return &s_allocator;
}

#endif
