/* Request bodies go to the kernel from where they lie.
 *
 * The C library copies a body that is in memory into messages, sends each of them when the one before is sent, and
 * clears it. For uploads without TLS that copy and the clearing are a fifth of all processor time (docs/design/
 * 0005-cpu.md), and the kernel copies the bytes anyway. So a message only notes where the bytes lie, and when it comes
 * to the socket, in the same call, the kernel takes from there what it has room for. What it does not take is copied
 * into the message after all, which then goes the library's way.
 *
 * Bytes of a file (source.c) go the same way, but that the kernel takes them from its page cache.
 *
 * The calls come here by the linker (--wrap, cmake/Crt.cmake). Rules:
 * - Nothing keeps the address of a body beyond the call in which its stream was read: when aws_socket_write returns,
 *   all is sent or copied. So nobody has to keep a body longer than before.
 * - Only for a message that an HTTP/1 connection has just been given and that goes to a socket directly (no TLS, no
 *   tunnel, whose handlers look at the bytes), and for streams over memory.
 * - A checksum that is sent behind the body is computed of what a message has just been filled with
 *   (s3_checksum_stream.c): where that is lent, of the bytes where they lie (aws_checksum_update). The kernel takes
 *   them right after, from the processor's cache. Nobody else looks at what a message is filled with.
 * - An HTTP/1 connection has one message on its way at a time (h1_connection.c says so, and why): nothing waits in the
 *   socket's queue that would have to be sent before.
 * - What is noted belongs to one thread and one message. Should that message be dropped and its memory used for
 *   another, the mark that was left in the bytes' place is gone, and nothing is sent in their stead.
 */
#include "lent.h"
#include "source.h"

#if defined(OBJECTFS_WRAP)

#    include <errno.h>
#    include <stdbool.h>
#    include <stdlib.h>
#    include <string.h>
#    include <sys/socket.h>
#    include <sys/uio.h>

#    include <aws/common/byte_buf.h>
#    include <aws/io/channel.h>
#    include <aws/io/message_pool.h>
#    include <aws/io/socket.h>
#    include <aws/io/stream.h>
#    include <aws/s3/s3.h>

#    define AHEAD ((size_t)16 * 1024) /* four pages: half of a first-level cache */
#    define LEND_MIN ((size_t)32 * 1024) /* a shorter copy costs less than what is done here */

static const char s_mark[] = "objectfs: these bytes lie elsewhere";

static __thread struct {
    struct aws_io_message *message; /* that an HTTP/1 connection has got last, if it goes to a socket */
    uint8_t *place;                 /* in it, of what is lent */
    const uint8_t *bytes;
    size_t size;         /* 0: nothing is */
    unsigned depth;      /* streams that are being read, each by the one before */
    const uint8_t *room; /* what the first of them has to fill in the message; NULL if that is elsewhere */
    const uint8_t *end;
    bool reading;   /* what is in memory, into it */
    bool streaming; /* what is in memory, into anything */
    bool unread;    /* it was a file, which cannot be read */
} t_lent;

static uint64_t s_sent; /* for tests: atomic, its order with anything else does not matter */

int64_t objectfs_lent_bytes(void) {
    return (int64_t)__atomic_load_n(&s_sent, __ATOMIC_RELAXED);
}

/* --- what a message is filled with ------------------------------------------------------------------------------- */

struct aws_io_message *__real_aws_channel_slot_acquire_max_message_for_write(struct aws_channel_slot *slot);

struct aws_io_message *__wrap_aws_channel_slot_acquire_max_message_for_write(struct aws_channel_slot *slot) {
    struct aws_io_message *message = __real_aws_channel_slot_acquire_max_message_for_write(slot);
    bool direct = slot->adj_left != NULL && slot->adj_left->adj_left == NULL && slot->adj_right == NULL;
    t_lent.message = direct ? message : NULL;
    t_lent.size = 0;
    return message;
}

/* What all streams over memory have in common. */
static const struct aws_input_stream_vtable *s_over_memory(void) {
    static const struct aws_input_stream_vtable *s_found;
    const struct aws_input_stream_vtable *found = __atomic_load_n(&s_found, __ATOMIC_RELAXED);
    if (found == NULL) {
        struct aws_byte_cursor nothing = {0};
        struct aws_input_stream *stream = aws_input_stream_new_from_cursor(aws_default_allocator(), &nothing);
        found = stream->vtable;
        aws_input_stream_release(stream);
        __atomic_store_n(&s_found, found, __ATOMIC_RELAXED); /* all come to the same */
    }
    return found;
}

/* An error that is nobody else's, so that it is not tried again: the file would not be another. */
static int s_cannot_read(void) {
    return aws_raise_error(AWS_ERROR_S3_NON_RECOVERABLE_ASYNC_ERROR);
}

int __real_aws_input_stream_read(struct aws_input_stream *stream, struct aws_byte_buf *to);

int __wrap_aws_input_stream_read(struct aws_input_stream *stream, struct aws_byte_buf *to) {
    if (t_lent.depth++ == 0) {
        bool direct = t_lent.message != NULL && to == &t_lent.message->message_data;
        t_lent.room = direct ? to->buffer + to->len : NULL;
        t_lent.end = direct ? to->buffer + to->capacity : NULL;
    }
    int code;
    if (stream->vtable != s_over_memory()) { /* it may read others: into a part of what it has to fill */
        code = __real_aws_input_stream_read(stream, to);
    } else {
        t_lent.streaming = true;
        t_lent.reading = t_lent.room != NULL && t_lent.size == 0 && to->capacity - to->len >= LEND_MIN &&
                         to->buffer + to->len >= t_lent.room && to->buffer + to->capacity <= t_lent.end;
        t_lent.unread = false;
        code = __real_aws_input_stream_read(stream, to);
        t_lent.streaming = t_lent.reading = false;
        code = t_lent.unread ? s_cannot_read() : code;
    }
    t_lent.depth--;
    return code;
}

bool __real_aws_byte_buf_write(struct aws_byte_buf *AWS_RESTRICT to, const uint8_t *AWS_RESTRICT from, size_t size);

bool __wrap_aws_byte_buf_write(struct aws_byte_buf *AWS_RESTRICT to, const uint8_t *AWS_RESTRICT from, size_t size) {
    if (size < LEND_MIN || !t_lent.reading || to->capacity - to->len < size) {
        struct objectfs_source *source = t_lent.streaming ? objectfs_source_find(from) : NULL;
        if (source == NULL) {
            return __real_aws_byte_buf_write(to, from, size);
        }
        if (to->capacity - to->len < size || !objectfs_source_read(source, from, to->buffer + to->len, size)) {
            t_lent.unread = true;
            return false;
        }
        to->len += size;
        return true;
    }
    t_lent.place = to->buffer + to->len;
    t_lent.bytes = from;
    t_lent.size = size;
    memcpy(t_lent.place, s_mark, sizeof(s_mark));
    to->len += size;
    return true;
}

/* --- a checksum of it --------------------------------------------------------------------------------------------- */

struct aws_s3_checksum; /* aws/s3/private/s3_checksums.h */
int __real_aws_checksum_update(struct aws_s3_checksum *checksum, const struct aws_byte_cursor *data);

/* A processor sees by itself that somebody reads on and on, and fetches what comes next, but only to the end of a page:
 * at each one it begins anew, and waits. So the lines of four pages are asked for in turns before they are read: 1 to
 * 13 % less processor time of an upload (docs/design/0023-trailers.md). */
static void s_ahead(const uint8_t *bytes, size_t size) {
    for (size_t line = 0; size >= AHEAD && line < AHEAD / 4; line += 64) {
        for (size_t page = 0; page < AHEAD; page += AHEAD / 4) {
            __builtin_prefetch(bytes + page + line, 0, 3);
        }
    }
}

static int s_update(struct aws_s3_checksum *checksum, const uint8_t *bytes, size_t size) {
    struct aws_byte_cursor data = {.ptr = (uint8_t *)bytes, .len = size};
    return size == 0 ? AWS_OP_SUCCESS : __real_aws_checksum_update(checksum, &data);
}

int __wrap_aws_checksum_update(struct aws_s3_checksum *checksum, const struct aws_byte_cursor *data) {
    const uint8_t *end = data->ptr + data->len;
    bool lent = t_lent.depth != 0 && t_lent.room != NULL && t_lent.size != 0 && t_lent.place >= data->ptr &&
                t_lent.place < end && (size_t)(end - t_lent.place) >= t_lent.size &&
                memcmp(t_lent.place, s_mark, sizeof(s_mark)) == 0;
    if (!lent) {
        return __real_aws_checksum_update(checksum, data);
    }
    struct objectfs_source *source = objectfs_source_find(t_lent.bytes);
    if (source != NULL) { /* of a file: it has to be read, and so can be sent from here */
        bool whole = objectfs_source_read(source, t_lent.bytes, t_lent.place, t_lent.size);
        t_lent.size = 0;
        return whole ? __real_aws_checksum_update(checksum, data) : s_cannot_read();
    }
    size_t head = (size_t)(t_lent.place - data->ptr);
    if (s_update(checksum, data->ptr, head) != AWS_OP_SUCCESS) {
        return AWS_OP_ERR;
    }
    for (size_t at = 0; at < t_lent.size; at += AHEAD) {
        size_t left = t_lent.size - at;
        s_ahead(t_lent.bytes + at, left);
        if (s_update(checksum, t_lent.bytes + at, left < AHEAD ? left : AHEAD) != AWS_OP_SUCCESS) {
            return AWS_OP_ERR;
        }
    }
    return s_update(checksum, t_lent.place + t_lent.size, data->len - head - t_lent.size);
}

/* A message is as large as what is sent at once (runtime.pyx), and little of it is ever written to; received bytes come
 * in pieces that the processor's cache has room for. The library has one size for both. */
#    define READ_MOST ((size_t)256 * 1024)

struct aws_channel_handler *__real_aws_socket_handler_new(
    struct aws_allocator *allocator,
    struct aws_socket *socket,
    struct aws_channel_slot *slot,
    size_t max_read_size);

struct aws_channel_handler *__wrap_aws_socket_handler_new(
    struct aws_allocator *allocator,
    struct aws_socket *socket,
    struct aws_channel_slot *slot,
    size_t max_read_size) {
    return __real_aws_socket_handler_new(
        allocator, socket, slot, max_read_size < READ_MOST ? max_read_size : READ_MOST);
}

/* --- and what becomes of it -------------------------------------------------------------------------------------- */

/* Who wants to hear that a message is written, and how much of it was before the library knew of it. */
struct written {
    aws_socket_on_write_completed_fn *theirs;
    void *user_data;
    size_t already;
};

static void s_written(struct aws_socket *socket, int error_code, size_t size, void *user_data) {
    struct written written = *(struct written *)user_data;
    free(user_data);
    size += error_code == AWS_ERROR_SUCCESS ? written.already : 0;
    written.theirs(socket, error_code, size, written.user_data);
}

/* Bytes of a message, as far as the kernel takes them. */
static size_t s_send_plain(int fd, const uint8_t *bytes, size_t size, int flags) {
    ssize_t sent;
    do {
        sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT | flags);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? 0 : (size_t)sent;
}

/* The whole message, as far as the kernel takes it. */
static size_t s_send(int fd, const struct aws_byte_cursor *whole, struct objectfs_source *source) {
    size_t head = (size_t)(t_lent.place - whole->ptr);
    size_t tail = whole->len - head - t_lent.size;
    if (source != NULL) {
        size_t done = head == 0 ? 0 : s_send_plain(fd, whole->ptr, head, MSG_MORE);
        if (done == head) {
            done += objectfs_source_send(source, t_lent.bytes, t_lent.size, fd);
        }
        if (done == head + t_lent.size && tail != 0) {
            done += s_send_plain(fd, t_lent.place + t_lent.size, tail, 0);
        }
        return done;
    }
    struct iovec parts[] = {
        {.iov_base = whole->ptr, .iov_len = head},
        {.iov_base = (void *)t_lent.bytes, .iov_len = t_lent.size},
        {.iov_base = t_lent.place + t_lent.size, .iov_len = tail},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    /* an error comes again with what is left, and the library knows what it means */
    return sent < 0 ? 0 : (size_t)sent;
}

int __real_aws_socket_write(
    struct aws_socket *socket,
    const struct aws_byte_cursor *cursor,
    aws_socket_on_write_completed_fn *written_fn,
    void *user_data);

int __wrap_aws_socket_write(
    struct aws_socket *socket,
    const struct aws_byte_cursor *cursor,
    aws_socket_on_write_completed_fn *written_fn,
    void *user_data) {
    struct aws_io_message *message = t_lent.message;
    uint8_t *end = cursor->ptr + cursor->len;
    bool ours = t_lent.size != 0 && user_data == message && t_lent.place >= cursor->ptr && t_lent.place < end &&
                (size_t)(end - t_lent.place) >= t_lent.size && memcmp(t_lent.place, s_mark, sizeof(s_mark)) == 0;
    if (!ours) {
        return __real_aws_socket_write(socket, cursor, written_fn, user_data);
    }
    struct written *written = malloc(sizeof(struct written));
    struct objectfs_source *source = objectfs_source_find(t_lent.bytes);
    size_t sent = written == NULL ? 0 : s_send(socket->io_handle.data.fd, cursor, source);
    size_t head = (size_t)(t_lent.place - cursor->ptr);
    size_t lent = sent <= head ? 0 : sent - head < t_lent.size ? sent - head : t_lent.size; /* of it, that is sent */
    bool whole = true;
    if (source == NULL) {
        memcpy(t_lent.place + lent, t_lent.bytes + lent, t_lent.size - lent);
    } else {
        whole = objectfs_source_read(source, t_lent.bytes + lent, t_lent.place + lent, t_lent.size - lent);
    }
    __atomic_fetch_add(&s_sent, lent, __ATOMIC_RELAXED);
    if (!whole) { /* what is sent of it already ends with the connection */
        free(written);
        t_lent.message = NULL;
        t_lent.size = 0;
        return s_cannot_read();
    }
    if (sent == cursor->len) {
        /* it clears what a message holds: there is nothing but the head */
        message->message_data.len = head;
    }
    t_lent.message = NULL;
    t_lent.size = 0;
    if (written == NULL) {
        return __real_aws_socket_write(socket, cursor, written_fn, user_data);
    }
    *written = (struct written){.theirs = written_fn, .user_data = user_data, .already = sent};
    /* of no bytes, if all are sent: whoever waits for it hears of it in a task of its own, as ever */
    struct aws_byte_cursor left = {.ptr = cursor->ptr + sent, .len = cursor->len - sent};
    int code = __real_aws_socket_write(socket, &left, s_written, written);
    if (code != AWS_OP_SUCCESS) {
        free(written);
    }
    return code;
}

#else

int64_t objectfs_lent_bytes(void) {
    return -1;
}

#endif
