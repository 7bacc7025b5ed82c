#ifndef OBJECTFS_SOURCE_H
#define OBJECTFS_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct objectfs_source;

/* The first `size` bytes of the file behind `fd` (open for reading; it is duplicated), as what looks like memory to
 * the C library. NULL with errno set where there can be none: ENOTSUP if this build, or the file's file system, is
 * not one for it. */
struct objectfs_source *objectfs_source_new(int fd, size_t size);

/* Nothing may be sent from it any more. */
void objectfs_source_free(struct objectfs_source *source);

/* Where the C library is to send from. */
const void *objectfs_source_memory(struct objectfs_source *source);

/* The errno of the first read that failed, or 0; ENODATA: the file has become shorter. */
int objectfs_source_error(struct objectfs_source *source);

/* In a forked child: another thread of the parent may have held the lock, and the parent's sources are none of ours. */
void objectfs_sources_after_fork(void);

/* The source that the address lies in; NULL: it is memory. Only while something is to be sent from there. */
struct objectfs_source *objectfs_source_find(const uint8_t *address);

/* The bytes that an address of the source stands for, to memory. False if they cannot be read; the reason is kept. */
bool objectfs_source_read(struct objectfs_source *source, const uint8_t *address, uint8_t *to, size_t size);

/* To a socket, from where the kernel has them: as many as it takes now. */
size_t objectfs_source_send(struct objectfs_source *source, const uint8_t *address, size_t size, int socket);

/* For tests: bytes that the kernel sent so; -1 where this build does not do it. */
int64_t objectfs_source_bytes(void);

#endif
