#ifndef OBJECTFS_HANDSHAKE_H
#define OBJECTFS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

/* Of the TLS handshake that failed last in this process: the server's name, cut to `size` bytes with its zero, and why,
 * a constant. False where there was none, or where the linker cannot tell (linked.h). From any thread. */
bool objectfs_handshake_failure(char *server, size_t size, const char **why);

#endif
