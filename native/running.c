/* The CRC of a range is computed as its bytes come.
 *
 * What has arrived in memory went past the caches (append.c), so to compute its CRC afterwards means to read it all
 * from memory: 0.08 s per GiB, against 0.015 for bytes that have just been read from the socket. So where a request
 * wants the CRC of what it receives, the place that it receives in is noted here, and what the C library appends
 * there is computed along (docs/design/0005-cpu.md). That something has come there at all is worth knowing too: of a
 * file nobody sees it otherwise (hedge.pyx).
 *
 * Rules.
 * - A place is noted from before its request is made until after its shutdown callback, and one thread at a time
 *   appends there. So an append that finds it by its address finds it alive, and changes it without the lock.
 * - Bytes count only in their order: a request that is made again begins again at 0, and anything else leaves a CRC of
 *   other than all the bytes, which _end does not give: who asks computes it from memory then.
 */
#include "running.h"

#include <aws/checksums/crc.h>
#include <aws/common/byte_buf.h>

uint64_t objectfs_crc(int kind, const uint8_t *data, size_t size, uint64_t previous) {
    switch (kind) {
        case OBJECTFS_CRC_64NVME:
            return aws_checksums_crc64nvme_ex(data, size, previous);
        case OBJECTFS_CRC_32:
            return aws_checksums_crc32_ex(data, size, (uint32_t)previous);
        default:
            return aws_checksums_crc32c_ex(data, size, (uint32_t)previous);
    }
}

#if defined(OBJECTFS_WRAP)
#    include <pthread.h>
#    include <string.h>

#    define PLACES 512 /* at a time in a process */

struct place {
    const uint8_t *base; /* NULL: free */
    int kind;
    uint64_t crc;
    size_t size; /* so many bytes it is of; atomic */
};

static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static struct place s_places[PLACES]; /* whether they are free, and where they are: under the lock */
static int s_highest;                 /* those in use lie below it; under the lock */
static int s_open;                    /* how many are in use; atomic, for those who have none */
static int64_t s_bytes;               /* atomic */

int objectfs_running_begin(const uint8_t *base, int kind) {
    int found = 0;
    pthread_mutex_lock(&s_lock);
    for (int i = 0; i < PLACES && found == 0; ++i) {
        if (s_places[i].base == NULL) {
            s_places[i] = (struct place){.base = base, .kind = kind};
            s_highest = i < s_highest ? s_highest : i + 1;
            __atomic_fetch_add(&s_open, 1, __ATOMIC_RELEASE);
            found = i + 1;
        }
    }
    pthread_mutex_unlock(&s_lock);
    return found;
}

bool objectfs_running_end(int running, size_t size, uint64_t *crc) {
    if (running == 0) {
        return false;
    }
    struct place *place = &s_places[running - 1];
    bool known = place->kind != OBJECTFS_CRC_NONE && place->size == size;
    *crc = place->crc;
    pthread_mutex_lock(&s_lock);
    place->base = NULL;
    while (s_highest > 0 && s_places[s_highest - 1].base == NULL) {
        --s_highest;
    }
    __atomic_fetch_sub(&s_open, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&s_lock);
    return known;
}

size_t objectfs_running_size(int running) {
    return running == 0 ? 0 : __atomic_load_n(&s_places[running - 1].size, __ATOMIC_RELAXED);
}

static struct place *s_find(const uint8_t *base) {
    struct place *found = NULL;
    pthread_mutex_lock(&s_lock);
    for (int i = 0; i < s_highest && found == NULL; ++i) {
        if (s_places[i].base == base) {
            found = &s_places[i];
        }
    }
    pthread_mutex_unlock(&s_lock);
    return found;
}

void objectfs_running_append(const struct aws_byte_buf *to, const struct aws_byte_cursor *from) {
    if (__atomic_load_n(&s_open, __ATOMIC_ACQUIRE) == 0 || from->len == 0) {
        return;
    }
    struct place *place = s_find(to->buffer);
    if (place == NULL) {
        return;
    }
    size_t start = to->len - from->len;
    size_t size = start == 0 ? 0 : place->size; /* which nobody else changes */
    if (start != size) {
        return;
    }
    if (place->kind != OBJECTFS_CRC_NONE) {
        place->crc = objectfs_crc(place->kind, from->ptr, from->len, start == 0 ? 0 : place->crc);
        __atomic_fetch_add(&s_bytes, (int64_t)from->len, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&place->size, size + from->len, __ATOMIC_RELAXED);
}

void objectfs_running_after_fork(void) {
    pthread_mutex_init(&s_lock, NULL);
    memset(s_places, 0, sizeof(s_places));
    s_highest = 0;
    __atomic_store_n(&s_open, 0, __ATOMIC_RELEASE);
}

int64_t objectfs_running_bytes(void) {
    return __atomic_load_n(&s_bytes, __ATOMIC_RELAXED);
}

#else

int objectfs_running_begin(const uint8_t *base, int kind) {
    (void)base;
    (void)kind;
    return 0;
}

size_t objectfs_running_size(int running) {
    (void)running;
    return 0;
}

bool objectfs_running_end(int running, size_t size, uint64_t *crc) {
    (void)running;
    (void)size;
    (void)crc;
    return false;
}

void objectfs_running_append(const struct aws_byte_buf *to, const struct aws_byte_cursor *from) {
    (void)to;
    (void)from;
}

void objectfs_running_after_fork(void) {
}

int64_t objectfs_running_bytes(void) {
    return -1;
}

#endif
