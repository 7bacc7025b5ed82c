/* Received bytes go to their place: into a file at once (sink.c), or past the caches; and their CRC is computed along
 * (running.c).
 *
 * aws-c-s3 copies what it has read from a socket into the part's memory with aws_byte_buf_append, 64 KiB at a time.
 * That memory is not read again by anything here, and parts in flight exceed every cache, so an ordinary copy reads
 * each destination line from memory only to overwrite it, and pushes the socket's own buffers out of the cache.
 * Non-temporal stores do neither: 0.045 s instead of 0.11 s for 1 GiB (docs/design/0005-cpu.md).
 *
 * The linker sends the C library's calls here (--wrap, CMakeLists.txt), where it can and where that library is linked
 * statically; elsewhere the library's own function does it, and nothing but time is different.
 */
#include <stdint.h>
#include <string.h>

#include <aws/common/byte_buf.h>

#include "append.h"
#include "running.h"
#include "sink.h"

/* Pieces of this size and more. A message from the socket is 64 KiB or more where the connection is busy. */
#define STREAM_MIN ((size_t)16 * 1024)
/* Into destinations of this size and more: what is smaller may still be in the cache when its reader comes. */
#define STREAM_DESTINATION_MIN ((size_t)1024 * 1024)

#if defined(OBJECTFS_WRAP)
int __real_aws_byte_buf_append(struct aws_byte_buf *to, const struct aws_byte_cursor *from);

static int s_append(struct aws_byte_buf *to, const struct aws_byte_cursor *from);

int __wrap_aws_byte_buf_append(struct aws_byte_buf *to, const struct aws_byte_cursor *from) {
    int result;
    if (!objectfs_sink_append(to, from, &result)) {
        result = s_append(to, from);
    }
    if (result == AWS_OP_SUCCESS) {
        objectfs_running_append(to, from);
    }
    return result;
}
#endif

#if defined(OBJECTFS_WRAP) && defined(__x86_64__)
#    include <emmintrin.h> /* SSE2: part of every x86-64 */

static uint64_t s_streamed; /* for tests: atomic, its order with anything else does not matter */

static void s_copy(uint8_t *to, const uint8_t *from, size_t size) {
    /* up to the first whole cache line: a line that is written in part would be read first after all */
    size_t head = (64 - ((uintptr_t)to & 63)) & 63;
    memcpy(to, from, head);
    to += head;
    from += head;
    size -= head;
    for (; size >= 64; size -= 64, to += 64, from += 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)from);
        __m128i b = _mm_loadu_si128((const __m128i *)(from + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(from + 32));
        __m128i d = _mm_loadu_si128((const __m128i *)(from + 48));
        _mm_stream_si128((__m128i *)to, a);
        _mm_stream_si128((__m128i *)(to + 16), b);
        _mm_stream_si128((__m128i *)(to + 32), c);
        _mm_stream_si128((__m128i *)(to + 48), d);
    }
    memcpy(to, from, size);
    _mm_sfence(); /* these stores are not ordered by the locks that later say "done" */
}

static int s_append(struct aws_byte_buf *to, const struct aws_byte_cursor *from) {
    if (from->len < STREAM_MIN || to->capacity < STREAM_DESTINATION_MIN || to->capacity - to->len < from->len) {
        return __real_aws_byte_buf_append(to, from); /* which also says what is wrong */
    }
    s_copy(to->buffer + to->len, from->ptr, from->len);
    to->len += from->len;
    __atomic_fetch_add(&s_streamed, from->len, __ATOMIC_RELAXED);
    return AWS_OP_SUCCESS;
}

int64_t objectfs_streamed_bytes(void) {
    return (int64_t)__atomic_load_n(&s_streamed, __ATOMIC_RELAXED);
}
#else
#    if defined(OBJECTFS_WRAP)
static int s_append(struct aws_byte_buf *to, const struct aws_byte_cursor *from) {
    return __real_aws_byte_buf_append(to, from);
}
#    endif

int64_t objectfs_streamed_bytes(void) {
    return -1;
}
#endif
