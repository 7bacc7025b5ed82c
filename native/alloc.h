#ifndef OBJECTFS_ALLOC_H
#define OBJECTFS_ALLOC_H

struct aws_allocator;

/* Never fails; lives as long as the process. */
struct aws_allocator *objectfs_allocator(void);

#endif
