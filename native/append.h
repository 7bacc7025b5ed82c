#ifndef OBJECTFS_APPEND_H
#define OBJECTFS_APPEND_H

#include <stdint.h>

/* Bytes that went past the caches since the process began; -1 where this build does not do it. */
int64_t objectfs_streamed_bytes(void);

#endif
