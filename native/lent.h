#ifndef OBJECTFS_LENT_H
#define OBJECTFS_LENT_H

#include <stdint.h>

/* Bytes of request bodies that the kernel took from where they lie, since the process began; -1 where this build does
 * not do it. */
int64_t objectfs_lent_bytes(void);

#endif
