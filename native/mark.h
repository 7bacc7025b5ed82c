#ifndef OBJECTFS_MARK_H
#define OBJECTFS_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the mark still lies there. Another thread may be writing over it, in any order: whatever is read then is not
 * the mark, or is so only because its bytes have not come yet. */
bool objectfs_untouched(const uint8_t *memory, const uint8_t *mark, size_t size);

#endif
