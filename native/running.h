#ifndef OBJECTFS_RUNNING_H
#define OBJECTFS_RUNNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aws_byte_buf;
struct aws_byte_cursor;

enum objectfs_crc_kind {
    OBJECTFS_CRC_NONE = 0,
    OBJECTFS_CRC_64NVME = 1,
    OBJECTFS_CRC_32 = 2,
    OBJECTFS_CRC_32C = 3,
};

uint64_t objectfs_crc(int kind, const uint8_t *data, size_t size, uint64_t previous);

/* From here on the CRC of what is appended to memory that begins there is computed as it comes; of OBJECTFS_CRC_NONE it
 * is only noted how much that is. 0: there is no place for it, else what _size and _end want. */
int objectfs_running_begin(const uint8_t *base, int kind);

/* So many bytes have come, one behind the other; 0: none, or they have just begun anew. From any thread. */
size_t objectfs_running_size(int running);

/* Nothing is appended any more. Whether the CRC of these bytes is known. */
bool objectfs_running_end(int running, size_t size, uint64_t *crc);

/* `from` has been appended; it began `to->len - from->len` bytes from the beginning. */
void objectfs_running_append(const struct aws_byte_buf *to, const struct aws_byte_cursor *from);

/* In a forked child, before anything else of this library is used. */
void objectfs_running_after_fork(void);

/* Bytes whose CRC was computed as they came; -1 where that cannot be. */
int64_t objectfs_running_bytes(void);

#endif
