#ifndef OBJECTFS_ALLOC_H
#define OBJECTFS_ALLOC_H

struct aws_allocator;

/* Never fails; lives as long as the process. */
struct aws_allocator *objectfs_allocator(void);

/* In a forked child, before anything else of this library is used. */
void objectfs_allocator_after_fork(void);

#endif
