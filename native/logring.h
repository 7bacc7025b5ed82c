#ifndef OBJECTFS_LOGRING_H
#define OBJECTFS_LOGRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct objectfs_log_line {
    int64_t ticks; /* nanoseconds of the C library's clock */
    uint32_t subject;
    int level;
    size_t length;
    char text[1000]; /* cut where it is longer */
};

/* Once per process, before the C library has any thread: its log comes here, and is off. */
void objectfs_log_install(void);

/* Lines of up to `level` (aws_log_level) from now on; 0: none. False where there is no memory. */
bool objectfs_log_level(int level);

/* Takes the oldest lines, `most` of them at most; how many there were. `dropped`: since the last call. */
size_t objectfs_log_take(struct objectfs_log_line *to, size_t most, uint64_t *dropped);

/* Waits for lines; whether there are any. */
bool objectfs_log_wait(int64_t nanoseconds);

/* In a forked child: a thread of the parent may have held the lock, and nobody reads here. */
void objectfs_log_after_fork(void);

#endif
