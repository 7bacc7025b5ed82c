#ifndef OBJECTFS_KEPT_H
#define OBJECTFS_KEPT_H

#include <stddef.h>
#include <stdint.h>

struct aws_event_loop;

/* From here on a block may be kept. */
#define OBJECTFS_KEPT_MIN ((size_t)1024 * 1024)

/* A block of at least so many bytes, not zeroed; NULL when there is no memory. It has *capacity bytes. */
void *objectfs_kept_acquire(size_t size, size_t *capacity);

/* It is kept for the next one, or unmapped. */
void objectfs_kept_release(void *block, size_t capacity);

/* The memory beyond size bytes goes back to the system where it is worth that; what the block has then. */
size_t objectfs_kept_shrink(void *block, size_t capacity, size_t size);

/* Where what nobody has used for a while is unmapped, and how many bytes may be kept; NULL: there is no loop any more,
 * and nothing is kept. */
void objectfs_kept_begin(struct aws_event_loop *loop, size_t limit);

/* Nothing is kept. */
void objectfs_kept_trim(void);

/* In a forked child, before anything else of this library is used. */
void objectfs_kept_after_fork(void);

/* Bytes that are kept now. */
size_t objectfs_kept_bytes(void);

/* For tests: as the task on the loop does, as if so many nanoseconds had gone by. Whether anything is left. */
int objectfs_kept_expire(uint64_t later);

#endif
