/* Which CRC was sent behind a body.
 *
 * The C library computes it while the body is read (s3_checksum_stream.c), and tells nobody. But what a server confirms
 * of a part has to be compared with it: one that does not know the coding stores the framing with the content, and
 * confirms the CRC of that (backends/crt_trailer.py).
 *
 * The calls come here by the linker (--wrap, cmake/Crt.cmake). Rules:
 * - A place is a request's from before it is made until all of it has ended, and is found by the body's address and
 *   size. When the library makes the message of an attempt, the place learns the address of what will hold the checksum
 *   (its "context"); when that is complete, the place is found by this.
 * - A context that ended without a checksum leaves its address behind. Whoever is made at the same address takes it
 *   away from other places first, so a place never learns another body's checksum.
 * - Two requests may send the same memory at the same time: what is computed of it is noted for both.
 */
#include "trailer.h"

#if defined(OBJECTFS_WRAP)

#    include <pthread.h>
#    include <string.h>

#    include <aws/common/byte_buf.h>

#    define PLACES 1024 /* at a time in a process */

struct place {
    const uint8_t *body; /* NULL: free */
    size_t size;
    const void *context;
    uint64_t crc;
    bool known;
};

static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static struct place s_places[PLACES]; /* under the lock */
static int s_highest;                 /* those in use lie below it; under the lock */
static int s_open;                    /* how many are in use; atomic, for those who have none */

int objectfs_trailer_begin(const uint8_t *body, size_t size) {
    int found = 0;
    pthread_mutex_lock(&s_lock);
    for (int i = 0; i < PLACES && found == 0; ++i) {
        if (s_places[i].body == NULL) {
            s_places[i] = (struct place){.body = body, .size = size};
            s_highest = i < s_highest ? s_highest : i + 1;
            __atomic_fetch_add(&s_open, 1, __ATOMIC_RELEASE);
            found = i + 1;
        }
    }
    pthread_mutex_unlock(&s_lock);
    return found;
}

bool objectfs_trailer_end(int place, uint64_t *crc) {
    if (place == 0) {
        return false;
    }
    pthread_mutex_lock(&s_lock);
    struct place ended = s_places[place - 1];
    s_places[place - 1].body = NULL;
    while (s_highest > 0 && s_places[s_highest - 1].body == NULL) {
        --s_highest;
    }
    __atomic_fetch_sub(&s_open, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&s_lock);
    *crc = ended.crc;
    return ended.known;
}

void objectfs_trailers_after_fork(void) {
    pthread_mutex_init(&s_lock, NULL);
    memset(s_places, 0, sizeof(s_places));
    s_highest = 0;
    __atomic_store_n(&s_open, 0, __ATOMIC_RELEASE);
}

/* aws/s3/private/s3_request_messages.h, s3_checksum_context.h */
struct aws_allocator;
struct aws_http_message;
struct aws_input_stream;
struct aws_s3_upload_request_checksum_context;

struct aws_input_stream *__real_aws_s3_message_util_assign_body(
    struct aws_allocator *allocator,
    struct aws_byte_buf *body,
    struct aws_input_stream *stream,
    struct aws_http_message *message,
    struct aws_s3_upload_request_checksum_context *context);

struct aws_input_stream *__wrap_aws_s3_message_util_assign_body(
    struct aws_allocator *allocator,
    struct aws_byte_buf *body,
    struct aws_input_stream *stream,
    struct aws_http_message *message,
    struct aws_s3_upload_request_checksum_context *context) {
    if (context != NULL && body != NULL && __atomic_load_n(&s_open, __ATOMIC_ACQUIRE) != 0) {
        struct place *ours = NULL;
        pthread_mutex_lock(&s_lock);
        for (int i = 0; i < s_highest; ++i) {
            struct place *place = &s_places[i];
            if (place->context == context) {
                place->context = NULL;
            }
            if (place->body == body->buffer && place->body != NULL && place->size == body->len &&
                (ours == NULL || (ours->context != NULL && place->context == NULL))) {
                ours = place;
            }
        }
        if (ours != NULL) {
            ours->context = context;
        }
        pthread_mutex_unlock(&s_lock);
    }
    return __real_aws_s3_message_util_assign_body(allocator, body, stream, message, context);
}

int __real_aws_s3_upload_request_checksum_context_finalize_checksum(
    struct aws_s3_upload_request_checksum_context *context,
    struct aws_byte_cursor raw);

int __wrap_aws_s3_upload_request_checksum_context_finalize_checksum(
    struct aws_s3_upload_request_checksum_context *context,
    struct aws_byte_cursor raw) {
    if (context != NULL && raw.len <= sizeof(uint64_t) && __atomic_load_n(&s_open, __ATOMIC_ACQUIRE) != 0) {
        uint64_t crc = 0; /* the library has it as it is sent, the highest byte first */
        for (size_t i = 0; i < raw.len; ++i) {
            crc = crc << 8 | raw.ptr[i];
        }
        const struct place *ours = NULL;
        pthread_mutex_lock(&s_lock);
        for (int i = 0; i < s_highest && ours == NULL; ++i) {
            ours = s_places[i].body != NULL && s_places[i].context == context ? &s_places[i] : NULL;
        }
        for (int i = 0; i < s_highest && ours != NULL; ++i) {
            if (s_places[i].body == ours->body && s_places[i].size == ours->size) {
                s_places[i].crc = crc;
                s_places[i].known = true;
            }
        }
        pthread_mutex_unlock(&s_lock);
    }
    return __real_aws_s3_upload_request_checksum_context_finalize_checksum(context, raw);
}

#else

int objectfs_trailer_begin(const uint8_t *body, size_t size) {
    (void)body;
    (void)size;
    return 0;
}

bool objectfs_trailer_end(int place, uint64_t *crc) {
    (void)place;
    (void)crc;
    return false;
}

void objectfs_trailers_after_fork(void) {
}

#endif
