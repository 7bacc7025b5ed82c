/* Files are sent from the page cache.
 *
 * To upload from a file aws-c-s3 reads each part into memory of its own, of which it takes as much as it may have
 * connections, goes through it for the checksum, and sends it: of 1 GiB, 0.6 s of processor time and 600 MiB, most of
 * it for memory that no cache holds. But it can also send from the caller's memory, and here that is a mapping of the
 * file that is never touched: an address says which file, and where in it. The three places that look at such memory
 * come here (by the linker, cmake/Crt.cmake):
 *
 * - the checksum of a part, before it is sent (aws_checksum_compute): read in small pieces, which stay in the cache;
 * - a message that is given to a socket (lent.c): the kernel sends from its page cache (sendfile);
 * - what is copied into a message after all, because the socket has no room for it or because TLS has to read it
 *   (aws_byte_buf_write, lent.c): read into the message.
 *
 * The mapping is the library's to read, should it ever look elsewhere. Nobody else may touch it: of a file that has
 * become shorter there is no memory. See docs/design/0005-cpu.md.
 *
 * What the file was at the checksum, and is when it is sent, may differ: then the server refuses the part. A file that
 * cannot be read, or has become shorter: the reason is kept, the checksum is of anything, and sending fails, which ends
 * the connection: no part of which a byte is missing is ever complete.
 *
 * Event loops do the reading, and one of a server that does not answer (NFS, FUSE) would stop all that an event loop
 * does: only local file systems (sink.c). What is not in memory yet is asked for ahead, some parts at once.
 *
 * Lifetime (rule 11 of structs.pxi): a source is the Py_buffer of the requests that send from it, so it lives until
 * their shutdown callbacks have returned, and who finds it by an address of theirs finds it alive.
 */
#define _GNU_SOURCE /* preadv2, F_DUPFD_CLOEXEC */
#include "source.h"

#include <errno.h>

#if defined(OBJECTFS_WRAP) && defined(__linux__)
#    include <fcntl.h>
#    include <pthread.h>
#    include <signal.h>
#    include <stdlib.h>
#    include <string.h>
#    include <sys/mman.h>
#    include <sys/sendfile.h>
#    include <sys/uio.h>
#    include <unistd.h>

#    include <aws/common/allocator.h>
#    include <aws/common/byte_buf.h>
#    include <aws/common/error.h>
#    include <aws/s3/s3_client.h> /* the algorithms */

#    include "sink.h"

#    define SOURCES 256 /* at a time in a process; beyond it uploads go the C library's way */
#    define PIECE ((size_t)128 * 1024)
#    define AHEAD 4 /* times what is read now */

struct objectfs_source {
    uint8_t *base;
    size_t size;
    int fd;
    int error; /* atomic */
    int slot;
};

static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static struct objectfs_source *s_sources[SOURCES]; /* under the lock */
static int s_open;                                 /* how many there are; atomic, for those who have none */
static int s_highest;                              /* slots in use lie below it; under the lock */
static int64_t s_sent;                             /* atomic */

static bool s_register(struct objectfs_source *source) {
    bool found = false;
    pthread_mutex_lock(&s_lock);
    for (int i = 0; i < SOURCES && !found; ++i) {
        if (s_sources[i] == NULL) {
            s_sources[i] = source;
            source->slot = i;
            s_highest = i < s_highest ? s_highest : i + 1;
            __atomic_fetch_add(&s_open, 1, __ATOMIC_RELEASE);
            found = true;
        }
    }
    pthread_mutex_unlock(&s_lock);
    return found;
}

static void s_unregister(struct objectfs_source *source) {
    pthread_mutex_lock(&s_lock);
    s_sources[source->slot] = NULL;
    while (s_highest > 0 && s_sources[s_highest - 1] == NULL) {
        --s_highest;
    }
    __atomic_fetch_sub(&s_open, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&s_lock);
}

void objectfs_sources_after_fork(void) {
    pthread_mutex_init(&s_lock, NULL);
    memset(s_sources, 0, sizeof(s_sources));
    __atomic_store_n(&s_open, 0, __ATOMIC_RELEASE);
    s_highest = 0;
}

struct objectfs_source *objectfs_source_new(int fd, size_t size) {
    if (size == 0 || !objectfs_is_local(fd)) {
        errno = ENOTSUP;
        return NULL;
    }
    struct objectfs_source *source = calloc(1, sizeof(*source));
    if (source == NULL) {
        return NULL;
    }
    source->size = size;
    source->base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (source->base == MAP_FAILED) {
        int error = errno;
        free(source);
        errno = error;
        return NULL;
    }
    source->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (source->fd < 0 || !s_register(source)) {
        int error = source->fd < 0 ? errno : EAGAIN;
        if (source->fd >= 0) {
            close(source->fd);
        }
        munmap(source->base, size);
        free(source);
        errno = error;
        return NULL;
    }
    return source;
}

void objectfs_source_free(struct objectfs_source *source) {
    s_unregister(source);
    munmap(source->base, source->size);
    close(source->fd);
    free(source);
}

const void *objectfs_source_memory(struct objectfs_source *source) {
    return source->base;
}

int objectfs_source_error(struct objectfs_source *source) {
    return __atomic_load_n(&source->error, __ATOMIC_ACQUIRE);
}

int64_t objectfs_source_bytes(void) {
    return __atomic_load_n(&s_sent, __ATOMIC_RELAXED);
}

struct objectfs_source *objectfs_source_find(const uint8_t *address) {
    struct objectfs_source *found = NULL;
    if (__atomic_load_n(&s_open, __ATOMIC_ACQUIRE) == 0) {
        return NULL;
    }
    pthread_mutex_lock(&s_lock);
    for (int i = 0; i < s_highest && found == NULL; ++i) {
        struct objectfs_source *source = s_sources[i];
        if (source != NULL && address >= source->base && address < source->base + source->size) {
            found = source;
        }
    }
    pthread_mutex_unlock(&s_lock);
    return found;
}

static void s_fail(struct objectfs_source *source, int error) {
    int none = 0;
    __atomic_compare_exchange_n(&source->error, &none, error, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* What is in memory; -1 also where nobody can tell. */
static ssize_t s_read_now(int fd, const struct iovec *place, off_t offset) {
#    if defined(RWF_NOWAIT)
    return preadv2(fd, place, 1, offset, RWF_NOWAIT);
#    else
    (void)fd;
    (void)place;
    (void)offset;
    errno = ENOSYS;
    return -1;
#    endif
}

bool objectfs_source_read(struct objectfs_source *source, const uint8_t *address, uint8_t *to, size_t size) {
    off_t offset = (off_t)(address - source->base);
    bool asked = false;
    if (objectfs_source_error(source) != 0) { /* the first one's reason is kept */
        return false;
    }
    while (size > 0) {
        struct iovec place = {.iov_base = to, .iov_len = size};
        ssize_t n = asked ? pread(source->fd, to, size, offset) : s_read_now(source->fd, &place, offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (!asked && n <= 0) { /* not in memory, or this file system does not say; an end is not believed either */
            posix_fadvise(source->fd, offset, (off_t)(AHEAD * size), POSIX_FADV_WILLNEED);
            asked = true;
            continue;
        }
        if (n <= 0) {
            s_fail(source, n < 0 ? errno : ENODATA);
            return false;
        }
        to += n;
        size -= (size_t)n;
        offset += n;
    }
    return true;
}

/* A write to a socket that its peer has closed raises SIGPIPE, and sendfile cannot be told not to. It is the thread's
 * own, and this one is an event loop's: it does without from here on. */
static void s_without_sigpipe(void) {
    static __thread bool t_done;
    if (!t_done) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGPIPE);
        t_done = pthread_sigmask(SIG_BLOCK, &set, NULL) == 0;
    }
}

size_t objectfs_source_send(struct objectfs_source *source, const uint8_t *address, size_t size, int socket) {
    off_t offset = (off_t)(address - source->base);
    size_t sent = 0;
    s_without_sigpipe();
    while (sent < size && objectfs_source_error(source) == 0) {
        ssize_t n = sendfile(socket, source->fd, &offset, size - sent);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) { /* no room; or an error or an end, which come again when what is left is read or written */
            break;
        }
        sent += (size_t)n;
    }
    __atomic_fetch_add(&s_sent, (int64_t)sent, __ATOMIC_RELAXED);
    return sent;
}

/* --- the checksum of a part -------------------------------------------------------------------------------------- */

/* aws/s3/private/s3_checksums.h */
struct aws_s3_checksum;
struct aws_s3_checksum *aws_checksum_new(struct aws_allocator *allocator, enum aws_s3_checksum_algorithm algorithm);
int aws_checksum_update(struct aws_s3_checksum *checksum, const struct aws_byte_cursor *data);
int aws_checksum_finalize(struct aws_s3_checksum *checksum, struct aws_byte_buf *output);
void aws_checksum_destroy(struct aws_s3_checksum *checksum);

int __real_aws_checksum_compute(
    struct aws_allocator *allocator,
    enum aws_s3_checksum_algorithm algorithm,
    const struct aws_byte_cursor *input,
    struct aws_byte_buf *output);

int __wrap_aws_checksum_compute(
    struct aws_allocator *allocator,
    enum aws_s3_checksum_algorithm algorithm,
    const struct aws_byte_cursor *input,
    struct aws_byte_buf *output) {
    struct objectfs_source *source = objectfs_source_find(input->ptr);
    if (source == NULL) {
        return __real_aws_checksum_compute(allocator, algorithm, input, output);
    }
    struct aws_s3_checksum *checksum = aws_checksum_new(allocator, algorithm);
    uint8_t *piece = aws_mem_acquire(allocator, PIECE); /* never fails; a thread keeps it for the next time */
    int code = AWS_OP_ERR;
    if (checksum != NULL) {
        code = AWS_OP_SUCCESS;
        for (size_t at = 0; at < input->len && code == AWS_OP_SUCCESS; at += PIECE) {
            size_t size = input->len - at < PIECE ? input->len - at : PIECE;
            /* who calls takes no failure: sending will fail */
            if (!objectfs_source_read(source, input->ptr + at, piece, size)) {
                break;
            }
            struct aws_byte_cursor data = {.ptr = piece, .len = size};
            code = aws_checksum_update(checksum, &data);
        }
        if (code == AWS_OP_SUCCESS) {
            code = aws_checksum_finalize(checksum, output);
        }
    }
    aws_mem_release(allocator, piece);
    aws_checksum_destroy(checksum);
    return code;
}

#else

#    if defined(OBJECTFS_WRAP)
struct aws_allocator;
struct aws_byte_buf;
struct aws_byte_cursor;

int __real_aws_checksum_compute(
    struct aws_allocator *allocator,
    int algorithm,
    const struct aws_byte_cursor *input,
    struct aws_byte_buf *output);

int __wrap_aws_checksum_compute(
    struct aws_allocator *allocator,
    int algorithm,
    const struct aws_byte_cursor *input,
    struct aws_byte_buf *output) {
    return __real_aws_checksum_compute(allocator, algorithm, input, output);
}
#    endif

struct objectfs_source *objectfs_source_new(int fd, size_t size) {
    (void)fd;
    (void)size;
    errno = ENOTSUP;
    return NULL;
}

void objectfs_source_free(struct objectfs_source *source) {
    (void)source;
}

const void *objectfs_source_memory(struct objectfs_source *source) {
    (void)source;
    return NULL;
}

int objectfs_source_error(struct objectfs_source *source) {
    (void)source;
    return 0;
}

void objectfs_sources_after_fork(void) {
}

struct objectfs_source *objectfs_source_find(const uint8_t *address) {
    (void)address;
    return NULL;
}

bool objectfs_source_read(struct objectfs_source *source, const uint8_t *address, uint8_t *to, size_t size) {
    (void)source;
    (void)address;
    (void)to;
    (void)size;
    return false;
}

size_t objectfs_source_send(struct objectfs_source *source, const uint8_t *address, size_t size, int socket) {
    (void)source;
    (void)address;
    (void)size;
    (void)socket;
    return 0;
}

int64_t objectfs_source_bytes(void) {
    return -1;
}

#endif
