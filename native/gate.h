#ifndef OBJECTFS_GATE_H
#define OBJECTFS_GATE_H

#include <stdbool.h>
#include <stddef.h>

struct objectfs_gate;

/* At most `limit` connections in use at a time, of all engines behind it. NULL where there is no memory. */
struct objectfs_gate *objectfs_gate_new(size_t limit);

/* No engine will use it any more; what the C library still has keeps it. */
void objectfs_gate_release(struct objectfs_gate *gate);

/* Connection pools that this thread makes from now on lie behind it; NULL: behind none. */
void objectfs_gate_enter(struct objectfs_gate *gate);

/* Connections in use now, the most that were, and who waits for one. */
void objectfs_gate_count(struct objectfs_gate *gate, size_t *used, size_t *most, size_t *waiting);

/* How many there may be. */
size_t objectfs_gate_limit(struct objectfs_gate *gate);

/* Whether the linker lets it do anything. */
bool objectfs_gate_works(void);

/* In a forked child: the parent's connections are none of ours, and its threads may have held the lock. */
void objectfs_gates_after_fork(void);

#endif
