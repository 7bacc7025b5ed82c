#ifndef OBJECTFS_LINKED_H
#define OBJECTFS_LINKED_H

#include <stdbool.h>
#include <stddef.h>

struct aws_event_loop_group;

/* Whether this build is one in which the C library's calls come here. */
bool objectfs_linked(void);

/* The S3 client that this thread makes next is lent the group, instead of making one of its own for its callbacks.
 * NULL: no more. */
void objectfs_lend_loops(struct aws_event_loop_group *group);

/* What the borrower wants to be told when the group that it takes for its own has ended: it waits for that.
 * False if the group was not taken: then nothing is owed. */
bool objectfs_lent_loops(void (**ended)(void *), void **user_data);

/* Advises the kernel to back a block of memory with pages of 2 MiB, where it is large enough for that to matter. */
void objectfs_advise_large_pages(void *pointer, size_t size);

#endif
