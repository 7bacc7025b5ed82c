/* The log of the C library, for Python's: lines wait in a ring until a thread of Python's takes them.
 *
 * Who logs is a thread of the C library, which must not wait for Python: it formats its line, holds the lock for as
 * long as it takes to copy it, and where the ring is full the line is dropped and counted. Of the signing only errors
 * are logged: it writes down all headers, with session tokens and customers' keys (discreet.c likewise, for the file).
 */
#include "logring.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <aws/auth/auth.h>
#include <aws/common/atomics.h>
#include <aws/common/clock.h>
#include <aws/common/condition_variable.h>
#include <aws/common/logging.h>
#include <aws/common/mutex.h>

enum { CAPACITY = 4096 }; /* lines, 4 MiB */

static struct aws_atomic_var s_level = AWS_ATOMIC_INIT_INT(AWS_LL_NONE);
static struct aws_mutex s_lock = AWS_MUTEX_INIT; /* of all below */
static struct aws_condition_variable s_arrived = AWS_CONDITION_VARIABLE_INIT;
static struct objectfs_log_line *s_ring; /* made with the first level, kept */
static size_t s_first;
static size_t s_held;
static uint64_t s_dropped;

static enum aws_log_level s_get_level(struct aws_logger *logger, aws_log_subject_t subject) {
    (void)logger;
    const enum aws_log_level level =
        (enum aws_log_level)aws_atomic_load_int_explicit(&s_level, aws_memory_order_relaxed);
    return subject == AWS_LS_AUTH_SIGNING && level > AWS_LL_ERROR ? AWS_LL_ERROR : level;
}

#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
static int s_log(
    struct aws_logger *logger, enum aws_log_level level, aws_log_subject_t subject, const char *format, ...) {
    struct objectfs_log_line line;
    va_list arguments;
    uint64_t ticks = 0;
    (void)logger;
    va_start(arguments, format);
    const int length = vsnprintf(line.text, sizeof(line.text), format, arguments);
    va_end(arguments);
    if (length < 0) {
        return AWS_OP_SUCCESS;
    }
    aws_high_res_clock_get_ticks(&ticks);
    line.ticks = (int64_t)ticks;
    line.subject = subject;
    line.level = (int)level;
    line.length = (size_t)length < sizeof(line.text) ? (size_t)length : sizeof(line.text) - 1;
    aws_mutex_lock(&s_lock);
    if (s_ring == NULL || s_held == CAPACITY) {
        s_dropped += 1;
    } else {
        memcpy(
            &s_ring[(s_first + s_held) % CAPACITY], &line, offsetof(struct objectfs_log_line, text) + line.length);
        s_held += 1;
        if (s_held == 1) {
            aws_condition_variable_notify_one(&s_arrived);
        }
    }
    aws_mutex_unlock(&s_lock);
    return AWS_OP_SUCCESS;
}

static int s_set_level(struct aws_logger *logger, enum aws_log_level level) {
    (void)logger;
    aws_atomic_store_int_explicit(&s_level, (size_t)level, aws_memory_order_relaxed);
    return AWS_OP_SUCCESS;
}

static void s_clean_up(struct aws_logger *logger) {
    (void)logger;
}

static struct aws_logger_vtable s_vtable = {
    .log = s_log,
    .get_log_level = s_get_level,
    .clean_up = s_clean_up,
    .set_log_level = s_set_level,
};
static struct aws_logger s_logger = {.vtable = &s_vtable};

void objectfs_log_install(void) {
    aws_logger_set(&s_logger);
}

bool objectfs_log_level(int level) {
    bool ready;
    aws_mutex_lock(&s_lock);
    if (level > AWS_LL_NONE && s_ring == NULL) {
        s_ring = malloc(CAPACITY * sizeof(struct objectfs_log_line));
    }
    ready = level <= AWS_LL_NONE || s_ring != NULL;
    if (ready) {
        s_set_level(&s_logger, (enum aws_log_level)level);
    }
    aws_mutex_unlock(&s_lock);
    return ready;
}

size_t objectfs_log_take(struct objectfs_log_line *to, size_t most, uint64_t *dropped) {
    size_t taken = 0;
    aws_mutex_lock(&s_lock);
    while (s_held > 0 && taken < most) {
        to[taken++] = s_ring[s_first];
        s_first = (s_first + 1) % CAPACITY;
        s_held -= 1;
    }
    *dropped = s_dropped;
    s_dropped = 0;
    aws_mutex_unlock(&s_lock);
    return taken;
}

bool objectfs_log_wait(int64_t nanoseconds) {
    bool any;
    aws_mutex_lock(&s_lock);
    if (s_held == 0 && nanoseconds > 0) {
        aws_condition_variable_wait_for(&s_arrived, &s_lock, nanoseconds);
    }
    any = s_held > 0;
    aws_mutex_unlock(&s_lock);
    return any;
}

void objectfs_log_after_fork(void) {
    aws_mutex_init(&s_lock);
    aws_condition_variable_init(&s_arrived);
    s_set_level(&s_logger, AWS_LL_NONE);
    s_held = 0;
    s_dropped = 0;
}
