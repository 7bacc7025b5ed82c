#ifndef OBJECTFS_SINK_H
#define OBJECTFS_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct objectfs_sink;

/* A destination for a download of `size` bytes, at `position` of the file behind `fd` (open for reading and writing; it
 * is duplicated), that looks like memory to the C library. The file grows to that length. NULL with errno set where
 * there can be none: ENOTSUP if this build, or the file's file system, is not one for it. */
struct objectfs_sink *objectfs_sink_new(int fd, int64_t position, size_t size);

/* Nothing may receive into it any more. */
void objectfs_sink_free(struct objectfs_sink *sink);

/* Where the C library is to receive to. */
void *objectfs_sink_memory(struct objectfs_sink *sink);

/* The errno of the first write that failed, or 0. */
int objectfs_sink_error(struct objectfs_sink *sink);

/* Bytes written so far, those of repeated requests included. */
int64_t objectfs_sink_written(struct objectfs_sink *sink);

/* Whether the file system is one whose reads and writes an event loop may wait for. */
bool objectfs_is_local(int fd);

/* In a forked child: another thread of the parent may have held the lock, and the parent's sinks are none of ours. */
void objectfs_sinks_after_fork(void);

/* If `to` lies in a sink, writes `from` to its file: true, and in `result` what aws_byte_buf_append is to return. */
struct aws_byte_buf;
struct aws_byte_cursor;
bool objectfs_sink_append(struct aws_byte_buf *to, const struct aws_byte_cursor *from, int *result);

#endif
