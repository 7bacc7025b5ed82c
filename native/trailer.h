#ifndef OBJECTFS_TRAILER_H
#define OBJECTFS_TRAILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From here on it is noted which CRC the C library sends behind a body that lies there. 0: there is no place for it, or
 * this build cannot do it (linked.h); else what _end wants. */
int objectfs_trailer_begin(const uint8_t *body, size_t size);

/* The request has ended. Whether a CRC was computed, the last one if it was sent several times. */
bool objectfs_trailer_end(int place, uint64_t *crc);

/* In a forked child, before anything else of this library is used. */
void objectfs_trailers_after_fork(void);

#endif
