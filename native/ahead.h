/* Memory that no cache holds is read four pages at a time.
 *
 * A processor sees by itself that somebody reads on and on, and fetches what comes next, but no further than to the end
 * of a page: at each one it begins anew, and waits. So who reads much memory once, for a checksum, first asks for the
 * lines of four pages in turns: 1 to 13 % less processor time of an upload (docs/design/0023-trailers.md).
 */
#ifndef OBJECTFS_AHEAD_H
#define OBJECTFS_AHEAD_H

#include <stddef.h>
#include <stdint.h>

#define OBJECTFS_AHEAD ((size_t)16 * 1024) /* at a time: half of a first-level cache */

/* Ask for the first OBJECTFS_AHEAD bytes, if there are so many. It changes nothing and cannot fail. */
static inline void objectfs_ahead(const uint8_t *bytes, size_t size) {
#if defined(__GNUC__)
    if (size >= OBJECTFS_AHEAD) {
        for (size_t line = 0; line < 4096; line += 64) {
            for (size_t page = 0; page < OBJECTFS_AHEAD; page += 4096) {
                __builtin_prefetch(bytes + page + line, 0, 3);
            }
        }
    }
#else
    (void)bytes;
    (void)size;
#endif
}

#endif
