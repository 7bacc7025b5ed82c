/* Messages are not cleared as a whole (--wrap, cmake/Crt.cmake).
 *
 * aws-c-io clears each message that goes back to its pool, all that has lain in it: of what is received 256 KiB each
 * time, bytes that lie in the caller's memory or file by then. What is worth clearing is in front: the head of a
 * request, with its signature and perhaps a session token. So that is cleared, and not the content behind it, which
 * lies in the process's memory anyway (docs/design/0005-cpu.md). What TLS has decrypted comes in messages of a
 * record, which are no longer than that.
 *
 * The function that clears and gives back is called within one file of the library, where the linker changes nothing.
 * But each message names it, as its allocator's, so it is replaced there when the message is got. Rules:
 * - It is called once for a message, by whoever has it last, and it still does all but the clearing.
 * - A message's length is nobody's any more when it is given back: the next one who gets it begins with 0.
 */
#include "message.h"

#if defined(OBJECTFS_WRAP)

#    include <aws/common/allocator.h>
#    include <aws/io/channel.h>
#    include <aws/io/message_pool.h>

#    define CLEARED ((size_t)16 * 1024) /* a TLS record; heads are no longer */

typedef void release_fn(struct aws_allocator *allocator, void *message);

static release_fn *s_release; /* the library's, one for all messages; atomic */
static int64_t s_uncleared;   /* for tests: atomic, its order with anything else does not matter */

static void s_release_message(struct aws_allocator *allocator, void *pointer) {
    struct aws_io_message *message = pointer;
    size_t size = message->message_data.len;
    if (size > CLEARED) {
        message->message_data.len = CLEARED; /* so much of it is cleared */
        __atomic_fetch_add(&s_uncleared, (int64_t)(size - CLEARED), __ATOMIC_RELAXED);
    }
    __atomic_load_n(&s_release, __ATOMIC_RELAXED)(allocator, message);
}

struct aws_io_message *__real_aws_message_pool_acquire(
    struct aws_message_pool *pool, enum aws_io_message_type type, size_t size_hint);

struct aws_io_message *__wrap_aws_message_pool_acquire(
    struct aws_message_pool *pool, enum aws_io_message_type type, size_t size_hint) {
    struct aws_io_message *message = __real_aws_message_pool_acquire(pool, type, size_hint);
    if (message != NULL && message->allocator != NULL) {
        if (__atomic_load_n(&s_release, __ATOMIC_RELAXED) != message->allocator->mem_release) {
            __atomic_store_n(&s_release, message->allocator->mem_release, __ATOMIC_RELAXED);
        }
        message->allocator->mem_release = s_release_message;
    }
    return message;
}

int64_t objectfs_uncleared_bytes(void) {
    return __atomic_load_n(&s_uncleared, __ATOMIC_RELAXED);
}

#else

int64_t objectfs_uncleared_bytes(void) {
    return -1;
}

#endif
