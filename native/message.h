#ifndef OBJECTFS_MESSAGE_H
#define OBJECTFS_MESSAGE_H

#include <stdint.h>

/* Bytes of messages that were given back without being cleared; -1 where this build clears them all. */
int64_t objectfs_uncleared_bytes(void);

#endif
