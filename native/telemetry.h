#ifndef OBJECTFS_TELEMETRY_H
#define OBJECTFS_TELEMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aws_s3_request_metrics;
struct objectfs_telemetry;

enum {
    OBJECTFS_PHASES = 8,      /* memory, signing, connection, send, first_byte, receive, retry_delay, total */
    OBJECTFS_BUCKETS = 128,   /* of a histogram: four for each power of two */
    OBJECTFS_OPERATIONS = 19, /* telemetry.c names them */
    OBJECTFS_NO_TIME = -1,
};

/* One attempt of one request. */
struct objectfs_trace_record {
    int64_t start;                   /* nanoseconds of the C library's clock */
    int64_t phases[OBJECTFS_PHASES]; /* nanoseconds; OBJECTFS_NO_TIME where it had none */
    uint64_t range_start;
    uint64_t range_end; /* the last byte; both 0: no range */
    uint64_t connection;
    uint32_t attempt; /* from 0 */
    int status;       /* 0: no answer */
    int error;
    int operation;
    char request_id[80];
    char address[48];
    char host[96];
    char path[208]; /* and query; cut where it is longer */
};

/* NULL where there is no memory. */
struct objectfs_telemetry *objectfs_telemetry_new(void);
void objectfs_telemetry_free(struct objectfs_telemetry *telemetry);

/* Called on the C library's threads, once for each attempt. `name`: the operation, where the C library has no name. */
void objectfs_telemetry_note(
    struct objectfs_telemetry *telemetry,
    const struct aws_s3_request_metrics *metrics,
    const char *name,
    size_t name_len);

const char *objectfs_telemetry_operation(int operation);
/* Attempts so far, and those of them that ended with an error. */
void objectfs_telemetry_attempts(struct objectfs_telemetry *telemetry, int operation, uint64_t *all, uint64_t *failed);
/* Fills `counts`; `sum` and `most` in nanoseconds. */
void objectfs_telemetry_histogram(
    struct objectfs_telemetry *telemetry, int phase, uint64_t *counts, uint64_t *sum, uint64_t *most);
/* The bucket of so many nanoseconds. */
int objectfs_telemetry_bucket(uint64_t nanoseconds);

/* Keep the last `capacity` attempts from now on. False where there is no memory. */
bool objectfs_trace_start(struct objectfs_telemetry *telemetry, size_t capacity);
void objectfs_trace_stop(struct objectfs_telemetry *telemetry);
/* Takes the oldest records, `most` of them at most; how many there were. `lost`: overwritten since the last call. */
size_t objectfs_trace_take(
    struct objectfs_telemetry *telemetry, struct objectfs_trace_record *to, size_t most, uint64_t *lost);
/* Waits for records; whether there are any. */
bool objectfs_trace_wait(struct objectfs_telemetry *telemetry, int64_t nanoseconds);

#endif
