#ifndef OBJECTFS_DISCREET_H
#define OBJECTFS_DISCREET_H

struct aws_logger;

/* Has a logger leave out what is signed. Once per process, before it is set. */
void objectfs_discreet_logger(struct aws_logger *logger);

#endif
