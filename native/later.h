#ifndef OBJECTFS_LATER_H
#define OBJECTFS_LATER_H

#include <stdint.h>

#include <aws/auth/auth.h>

/* The Retry-After of the answer that came last on this thread, in seconds, and forgets it; 0 if it had none. Where the
 * linker cannot tell (linked.h), always 0. */
uint32_t objectfs_take_retry_after(void);

/* What an answer that calls the token expired is told as: an error that nothing else comes to. The C library names its
 * own and knows none for this. */
#define OBJECTFS_TOKEN_EXPIRED AWS_AUTH_CREDENTIALS_PROVIDER_INVALID_DELEGATE

/* Digits of a Retry-After as seconds; 0 for anything else, a date among it, and the most that fits for too many. */
uint32_t objectfs_seconds(const uint8_t *text, uint64_t size);

#endif
