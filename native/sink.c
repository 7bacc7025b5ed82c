/* Received bytes go from the socket's message into the file.
 *
 * aws-c-s3 collects a part of a download in memory and writes that to the file when it is complete. With 25 parts of
 * 8 MiB in flight that memory is in no cache: the copy into it, and the kernel's copy out of it, go all the way, and it
 * has to be got from the system and cleared first. But it can also receive into memory that the caller gives, and here
 * that is a mapping of the file, which is never touched: what the library appends to it (aws_byte_buf_append, see
 * append.c) is written to the file with pwrite, straight from the socket's message, which the cache still holds. The
 * address says which file, and where in it. (Touching the mapping instead would cost a page fault for every 4 KiB.)
 * Should the library read there, to compute a checksum over what has arrived, it finds the bytes. See
 * docs/design/0005-cpu.md.
 *
 * Lifetime (rule 11 of structs.pxi): a sink is the Py_buffer of the request that receives into it, so it lives until
 * that request's shutdown callback has returned, and an append that finds it by its address finds it alive.
 */
#define _GNU_SOURCE /* fcntl's F_DUPFD_CLOEXEC */
#include "sink.h"

#include <errno.h>

#if defined(OBJECTFS_WRAP) && defined(__linux__)
#    include <fcntl.h>
#    include <pthread.h>
#    include <stdlib.h>
#    include <string.h>
#    include <sys/mman.h>
#    include <sys/stat.h>
#    include <sys/vfs.h>
#    include <unistd.h>

#    include <aws/common/byte_buf.h>
#    include <aws/common/error.h>

#    define SINKS 256 /* at a time in a process; beyond it downloads go the C library's way */

struct objectfs_sink {
    uint8_t *mapping; /* from the page on that `base` lies in */
    size_t mapped;
    uint8_t *base;
    size_t size;
    int64_t position;
    int64_t written; /* atomic, as is error */
    int fd;
    int error;
    int slot;
};

static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static struct objectfs_sink *s_sinks[SINKS]; /* under the lock */
static int s_open;                           /* how many there are; atomic, for those who have none */
static int s_highest;                        /* slots in use lie below it; under the lock */

/* Of file systems with the page cache of this machine. Event loops do the writing, and reading (source.c), and one of a
 * server that does not answer (NFS, FUSE) would stop all that an event loop does. */
bool objectfs_is_local(int fd) {
    struct statfs about;
    if (fstatfs(fd, &about) != 0) {
        return false;
    }
    switch ((uint32_t)about.f_type) {
        case 0x0000EF53: /* ext2, ext3, ext4 */
        case 0x01021994: /* tmpfs */
        case 0x858458F6: /* ramfs */
        case 0x58465342: /* XFS */
        case 0x9123683E: /* Btrfs */
        case 0x794C7630: /* overlayfs */
        case 0x2FC12FC1: /* ZFS */
        case 0xF2F52010: /* F2FS */
        case 0xCA451A4E: /* bcachefs */
            return true;
        default:
            return false;
    }
}

static bool s_register(struct objectfs_sink *sink) {
    pthread_mutex_lock(&s_lock);
    for (int i = 0; i < SINKS; ++i) {
        if (s_sinks[i] == NULL) {
            s_sinks[i] = sink;
            sink->slot = i;
            s_highest = i < s_highest ? s_highest : i + 1;
            __atomic_fetch_add(&s_open, 1, __ATOMIC_RELEASE);
            pthread_mutex_unlock(&s_lock);
            return true;
        }
    }
    pthread_mutex_unlock(&s_lock);
    return false;
}

static void s_unregister(struct objectfs_sink *sink) {
    pthread_mutex_lock(&s_lock);
    s_sinks[sink->slot] = NULL;
    while (s_highest > 0 && s_sinks[s_highest - 1] == NULL) {
        --s_highest;
    }
    __atomic_fetch_sub(&s_open, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&s_lock);
}

static struct objectfs_sink *s_find(const uint8_t *address) {
    struct objectfs_sink *found = NULL;
    pthread_mutex_lock(&s_lock);
    for (int i = 0; i < s_highest; ++i) {
        struct objectfs_sink *sink = s_sinks[i];
        if (sink != NULL && address >= sink->base && address < sink->base + sink->size) {
            found = sink;
            break;
        }
    }
    pthread_mutex_unlock(&s_lock);
    return found;
}

/* The file at least so long: a mapping has no bytes beyond the file's end. */
static bool s_grow(int fd, int64_t size) {
    struct stat about;
    return fstat(fd, &about) == 0 && (about.st_size >= size || ftruncate(fd, (off_t)size) == 0);
}

void objectfs_sinks_after_fork(void) {
    pthread_mutex_init(&s_lock, NULL);
    memset(s_sinks, 0, sizeof(s_sinks));
    __atomic_store_n(&s_open, 0, __ATOMIC_RELEASE);
    s_highest = 0;
}

struct objectfs_sink *objectfs_sink_new(int fd, int64_t position, size_t size) {
    if (size == 0 || !objectfs_is_local(fd)) {
        errno = ENOTSUP;
        return NULL;
    }
    struct objectfs_sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL) {
        return NULL;
    }
    size_t before = (size_t)(position % sysconf(_SC_PAGESIZE));
    sink->size = size;
    sink->position = position;
    sink->mapped = before + size;
    if (s_grow(fd, position + (int64_t)size)) {
        sink->mapping =
            mmap(NULL, sink->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(position - (int64_t)before));
    }
    if (sink->mapping == NULL || sink->mapping == MAP_FAILED) {
        int error = errno;
        free(sink);
        errno = error;
        return NULL;
    }
    sink->base = sink->mapping + before;
    sink->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (sink->fd < 0 || !s_register(sink)) {
        int error = sink->fd < 0 ? errno : EAGAIN;
        if (sink->fd >= 0) {
            close(sink->fd);
        }
        munmap(sink->mapping, sink->mapped);
        free(sink);
        errno = error;
        return NULL;
    }
    return sink;
}

void objectfs_sink_free(struct objectfs_sink *sink) {
    s_unregister(sink);
    munmap(sink->mapping, sink->mapped);
    close(sink->fd);
    free(sink);
}

void *objectfs_sink_memory(struct objectfs_sink *sink) {
    return sink->base;
}

int objectfs_sink_error(struct objectfs_sink *sink) {
    return __atomic_load_n(&sink->error, __ATOMIC_ACQUIRE);
}

int64_t objectfs_sink_written(struct objectfs_sink *sink) {
    return __atomic_load_n(&sink->written, __ATOMIC_RELAXED);
}

static int s_write(struct objectfs_sink *sink, int64_t offset, const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t n = pwrite(sink->fd, data, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : EIO;
        }
        data += n;
        size -= (size_t)n;
        offset += n;
        __atomic_fetch_add(&sink->written, (int64_t)n, __ATOMIC_RELAXED);
    }
    return 0;
}

bool objectfs_sink_append(struct aws_byte_buf *to, const struct aws_byte_cursor *from, int *result) {
    if (__atomic_load_n(&s_open, __ATOMIC_ACQUIRE) == 0 || from->len == 0) {
        return false;
    }
    struct objectfs_sink *sink = s_find(to->buffer);
    if (sink == NULL || to->capacity - to->len < from->len) {
        return false; /* too long: the library's own function says so, and copies nothing */
    }
    size_t offset = (size_t)(to->buffer - sink->base) + to->len;
    int error = objectfs_sink_error(sink);
    if (error == 0) {
        error = s_write(sink, sink->position + (int64_t)offset, from->ptr, from->len);
    }
    if (error != 0) { /* the disk will be as full for the other parts: the first one's reason is kept */
        int none = 0;
        __atomic_compare_exchange_n(&sink->error, &none, error, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
        *result = aws_raise_error(AWS_ERROR_FILE_WRITE_FAILURE);
        return true;
    }
    to->len += from->len;
    *result = AWS_OP_SUCCESS;
    return true;
}

#else

void objectfs_sinks_after_fork(void) {}

struct objectfs_sink *objectfs_sink_new(int fd, int64_t position, size_t size) {
    (void)fd;
    (void)position;
    (void)size;
    errno = ENOTSUP;
    return NULL;
}

void objectfs_sink_free(struct objectfs_sink *sink) {
    (void)sink;
}

void *objectfs_sink_memory(struct objectfs_sink *sink) {
    (void)sink;
    return NULL;
}

int objectfs_sink_error(struct objectfs_sink *sink) {
    (void)sink;
    return 0;
}

int64_t objectfs_sink_written(struct objectfs_sink *sink) {
    (void)sink;
    return 0;
}

bool objectfs_sink_append(struct aws_byte_buf *to, const struct aws_byte_cursor *from, int *result) {
    (void)to;
    (void)from;
    (void)result;
    return false;
}

#endif
