/* What the C library tells of each attempt of a request: histograms, always, and a ring of records if somebody asks.
 *
 * It is called on the C library's threads, which take neither the interpreter's lock nor, while nobody traces, any
 * other: the histograms are counted with relaxed atomics, some twenty for an attempt. A reader may see an attempt in
 * one histogram and not yet in the next one. The ring has a lock of its own, held for the copy of a record.
 *
 * Lifetime: belongs to a Shared (shared.pyx), which each of its engines holds for as long as a callback may come.
 */
#include "telemetry.h"

#include <stdlib.h>
#include <string.h>

#include <aws/common/atomics.h>
#include <aws/common/clock.h>
#include <aws/common/condition_variable.h>
#include <aws/common/math.h>
#include <aws/common/mutex.h>
#include <aws/common/string.h>
#include <aws/s3/s3_client.h>

struct histogram {
    struct aws_atomic_var counts[OBJECTFS_BUCKETS];
    struct aws_atomic_var sum;
    struct aws_atomic_var most;
};

struct objectfs_telemetry {
    struct histogram phases[OBJECTFS_PHASES];
    struct aws_atomic_var attempts[OBJECTFS_OPERATIONS];
    struct aws_atomic_var failed[OBJECTFS_OPERATIONS];
    struct aws_atomic_var tracing; /* whether there is a ring; changes under the lock */
    struct aws_mutex lock;         /* of all below */
    struct aws_condition_variable arrived;
    struct objectfs_trace_record *ring;
    size_t capacity;
    size_t first;
    size_t held;
    size_t waiting; /* threads in objectfs_trace_wait */
    uint64_t lost;
};

/* Those that aws-c-s3 knows by number stand first, in its order; then those that go out as DEFAULT. */
static const char *s_operations[OBJECTFS_OPERATIONS] = {
    "other",
    "HeadObject",
    "GetObject",
    "ListParts",
    "CreateMultipartUpload",
    "UploadPart",
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "UploadPartCopy",
    "CopyObject",
    "PutObject",
    "CreateSession",
    "DeleteObject",
    "DeleteObjects",
    "ListObjectsV2",
    "ListObjectVersions",
    "ListBuckets",
    "GetObjectTagging",
    "PutObjectTagging",
};
enum { NAMED_BY_LIBRARY = 12 };

static int s_operation(const struct aws_s3_request_metrics *metrics, const char *name, size_t name_len) {
    enum aws_s3_request_type type = AWS_S3_REQUEST_TYPE_UNKNOWN;
    aws_s3_request_metrics_get_request_type(metrics, &type);
    if (type > AWS_S3_REQUEST_TYPE_UNKNOWN && (int)type < NAMED_BY_LIBRARY) {
        return (int)type;
    }
    for (int i = NAMED_BY_LIBRARY; i < OBJECTFS_OPERATIONS; ++i) {
        if (strlen(s_operations[i]) == name_len && memcmp(s_operations[i], name, name_len) == 0) {
            return i;
        }
    }
    return 0;
}

const char *objectfs_telemetry_operation(int operation) {
    return s_operations[operation];
}

int objectfs_telemetry_bucket(uint64_t nanoseconds) {
    /* below 1,024 ns the first; then the two bits below the highest one decide between four */
    if (nanoseconds < 1024) {
        return 0;
    }
    const int log = 63 - (int)aws_clz_u64(nanoseconds);
    const int bucket = 1 + (log - 10) * 4 + (int)((nanoseconds >> (log - 2)) & 3);
    return bucket < OBJECTFS_BUCKETS ? bucket : OBJECTFS_BUCKETS - 1;
}

static void s_count(struct histogram *histogram, int64_t nanoseconds) {
    const size_t value = (size_t)nanoseconds;
    aws_atomic_fetch_add_explicit(
        &histogram->counts[objectfs_telemetry_bucket((uint64_t)nanoseconds)], 1, aws_memory_order_relaxed);
    aws_atomic_fetch_add_explicit(&histogram->sum, value, aws_memory_order_relaxed);
    size_t most = aws_atomic_load_int_explicit(&histogram->most, aws_memory_order_relaxed);
    while (value > most &&
           !aws_atomic_compare_exchange_int_explicit(
               &histogram->most, &most, value, aws_memory_order_relaxed, aws_memory_order_relaxed)) {
    }
}

/* Durations that the library has not measured are left as they are: OBJECTFS_NO_TIME. */
static void s_phases(const struct aws_s3_request_metrics *metrics, int64_t *phases) {
    uint64_t sent = 0;
    uint64_t began = 0;
    uint64_t ended = 0;
    uint64_t value = 0;
    for (int i = 0; i < OBJECTFS_PHASES; ++i) {
        phases[i] = OBJECTFS_NO_TIME;
    }
#define PHASE(at, get)                                                                                                 \
    if (aws_s3_request_metrics_get_##get##_duration_ns(metrics, &value) == AWS_OP_SUCCESS) {                           \
        phases[at] = (int64_t)value;                                                                                   \
    }
    PHASE(0, mem_acquire)
    PHASE(1, signing)
    PHASE(2, conn_acquire)
    PHASE(3, sending)
    PHASE(6, retry_delay)
#undef PHASE
    if (aws_s3_request_metrics_get_receive_start_timestamp_ns(metrics, &began) == AWS_OP_SUCCESS) {
        if (aws_s3_request_metrics_get_send_end_timestamp_ns(metrics, &sent) == AWS_OP_SUCCESS) {
            /* an answer may come before the library has heard that the request is written */
            phases[4] = began > sent ? (int64_t)(began - sent) : 0;
        }
        if (aws_s3_request_metrics_get_receive_end_timestamp_ns(metrics, &ended) == AWS_OP_SUCCESS && ended >= began) {
            phases[5] = (int64_t)(ended - began);
        }
    }
    aws_s3_request_metrics_get_total_duration_ns(metrics, &value);
    phases[7] = (int64_t)value;
}

static void s_copy(char *to, size_t size, const struct aws_string *from) {
    const size_t length = from == NULL ? 0 : from->len < size - 1 ? from->len : size - 1;
    if (length > 0) {
        memcpy(to, aws_string_bytes(from), length);
    }
    to[length] = 0;
}

static void s_keep(
    struct objectfs_telemetry *telemetry,
    const struct aws_s3_request_metrics *metrics,
    const int64_t *phases,
    int operation,
    int error) {
    struct objectfs_trace_record *record;
    uint64_t start = 0;
    size_t connection = 0;
    const struct aws_string *text = NULL;
    aws_mutex_lock(&telemetry->lock);
    if (telemetry->ring == NULL) {
        aws_mutex_unlock(&telemetry->lock);
        return;
    }
    if (telemetry->held == telemetry->capacity) {
        telemetry->first = (telemetry->first + 1) % telemetry->capacity;
        telemetry->held -= 1;
        telemetry->lost += 1;
    }
    record = &telemetry->ring[(telemetry->first + telemetry->held) % telemetry->capacity];
    telemetry->held += 1;
    memset(record, 0, sizeof(*record));
    memcpy(record->phases, phases, sizeof(record->phases));
    aws_s3_request_metrics_get_start_timestamp_ns(metrics, &start);
    record->start = (int64_t)start;
    aws_s3_request_metrics_get_part_range_start(metrics, &record->range_start);
    aws_s3_request_metrics_get_part_range_end(metrics, &record->range_end);
    if (aws_s3_request_metrics_get_connection_id(metrics, &connection) == AWS_OP_SUCCESS) {
        record->connection = connection;
    }
    record->attempt = aws_s3_request_metrics_get_retry_attempt(metrics);
    if (aws_s3_request_metrics_get_response_status_code(metrics, &record->status) != AWS_OP_SUCCESS ||
        record->status < 0) {
        record->status = 0;
    }
    record->error = error;
    record->operation = operation;
    if (aws_s3_request_metrics_get_request_id(metrics, &text) == AWS_OP_SUCCESS) {
        s_copy(record->request_id, sizeof(record->request_id), text);
    }
    text = NULL;
    if (aws_s3_request_metrics_get_ip_address(metrics, &text) == AWS_OP_SUCCESS) {
        s_copy(record->address, sizeof(record->address), text);
    }
    text = NULL;
    aws_s3_request_metrics_get_host_address(metrics, &text);
    s_copy(record->host, sizeof(record->host), text);
    text = NULL;
    aws_s3_request_metrics_get_request_path_query(metrics, &text);
    s_copy(record->path, sizeof(record->path), text);
    if (telemetry->waiting > 0) {
        aws_condition_variable_notify_all(&telemetry->arrived);
    }
    aws_mutex_unlock(&telemetry->lock);
}

void objectfs_telemetry_note(
    struct objectfs_telemetry *telemetry,
    const struct aws_s3_request_metrics *metrics,
    const char *name,
    size_t name_len) {
    int64_t phases[OBJECTFS_PHASES];
    const int operation = s_operation(metrics, name, name_len);
    const int last_error = aws_last_error(); /* the getters of what was not measured raise */
    const int error = aws_s3_request_metrics_get_error_code(metrics);
    s_phases(metrics, phases);
    for (int i = 0; i < OBJECTFS_PHASES; ++i) {
        if (phases[i] >= 0) {
            s_count(&telemetry->phases[i], phases[i]);
        }
    }
    aws_atomic_fetch_add_explicit(&telemetry->attempts[operation], 1, aws_memory_order_relaxed);
    if (error != AWS_ERROR_SUCCESS && error != AWS_ERROR_S3_CANCELED) { /* given up, most often for a faster one */
        aws_atomic_fetch_add_explicit(&telemetry->failed[operation], 1, aws_memory_order_relaxed);
    }
    if (aws_atomic_load_int_explicit(&telemetry->tracing, aws_memory_order_relaxed)) {
        s_keep(telemetry, metrics, phases, operation, error);
    }
    if (last_error != AWS_ERROR_SUCCESS) {
        aws_raise_error(last_error);
    } else {
        aws_reset_error();
    }
}

struct objectfs_telemetry *objectfs_telemetry_new(void) {
    struct objectfs_telemetry *telemetry = calloc(1, sizeof(struct objectfs_telemetry)); /* atomics of 0 are zeros */
    if (telemetry != NULL) {
        aws_mutex_init(&telemetry->lock);
        aws_condition_variable_init(&telemetry->arrived);
    }
    return telemetry;
}

void objectfs_telemetry_free(struct objectfs_telemetry *telemetry) {
    aws_condition_variable_clean_up(&telemetry->arrived);
    aws_mutex_clean_up(&telemetry->lock);
    free(telemetry->ring);
    free(telemetry);
}

void objectfs_telemetry_attempts(struct objectfs_telemetry *telemetry, int operation, uint64_t *all, uint64_t *failed) {
    *all = aws_atomic_load_int_explicit(&telemetry->attempts[operation], aws_memory_order_relaxed);
    *failed = aws_atomic_load_int_explicit(&telemetry->failed[operation], aws_memory_order_relaxed);
}

void objectfs_telemetry_histogram(
    struct objectfs_telemetry *telemetry, int phase, uint64_t *counts, uint64_t *sum, uint64_t *most) {
    struct histogram *histogram = &telemetry->phases[phase];
    for (int i = 0; i < OBJECTFS_BUCKETS; ++i) {
        counts[i] = aws_atomic_load_int_explicit(&histogram->counts[i], aws_memory_order_relaxed);
    }
    *sum = aws_atomic_load_int_explicit(&histogram->sum, aws_memory_order_relaxed);
    *most = aws_atomic_load_int_explicit(&histogram->most, aws_memory_order_relaxed);
}

bool objectfs_trace_start(struct objectfs_telemetry *telemetry, size_t capacity) {
    struct objectfs_trace_record *ring = malloc(capacity * sizeof(struct objectfs_trace_record));
    if (ring == NULL) {
        return false;
    }
    aws_mutex_lock(&telemetry->lock);
    free(telemetry->ring);
    telemetry->ring = ring;
    telemetry->capacity = capacity;
    telemetry->first = telemetry->held = 0;
    telemetry->lost = 0;
    aws_atomic_store_int_explicit(&telemetry->tracing, 1, aws_memory_order_relaxed);
    aws_mutex_unlock(&telemetry->lock);
    return true;
}

void objectfs_trace_stop(struct objectfs_telemetry *telemetry) {
    aws_mutex_lock(&telemetry->lock);
    aws_atomic_store_int_explicit(&telemetry->tracing, 0, aws_memory_order_relaxed);
    free(telemetry->ring);
    telemetry->ring = NULL;
    telemetry->held = 0;
    aws_condition_variable_notify_all(&telemetry->arrived);
    aws_mutex_unlock(&telemetry->lock);
}

size_t objectfs_trace_take(
    struct objectfs_telemetry *telemetry, struct objectfs_trace_record *to, size_t most, uint64_t *lost) {
    size_t taken = 0;
    aws_mutex_lock(&telemetry->lock);
    while (telemetry->held > 0 && taken < most) {
        to[taken++] = telemetry->ring[telemetry->first];
        telemetry->first = (telemetry->first + 1) % telemetry->capacity;
        telemetry->held -= 1;
    }
    *lost = telemetry->lost;
    telemetry->lost = 0;
    aws_mutex_unlock(&telemetry->lock);
    return taken;
}

bool objectfs_trace_wait(struct objectfs_telemetry *telemetry, int64_t nanoseconds) {
    bool any;
    aws_mutex_lock(&telemetry->lock);
    if (telemetry->held == 0 && telemetry->ring != NULL && nanoseconds > 0) {
        telemetry->waiting += 1;
        aws_condition_variable_wait_for(&telemetry->arrived, &telemetry->lock, nanoseconds);
        telemetry->waiting -= 1;
    }
    any = telemetry->held > 0;
    aws_mutex_unlock(&telemetry->lock);
    return any;
}
