/* A look at memory that the C library may be receiving into (hedge.pyx). */
#include "mark.h"

#if defined(__clang__) || defined(__GNUC__)
/* A race, and meant to be one: what is read decides only whether a request is sent a second time. */
__attribute__((no_sanitize("thread"), noinline))
#endif
bool objectfs_untouched(const uint8_t *memory, const uint8_t *mark, size_t size) {
    const volatile uint8_t *at = memory;
    for (size_t i = 0; i < size; ++i) {
        if (at[i] != mark[i]) {
            return false;
        }
    }
    return true;
}
