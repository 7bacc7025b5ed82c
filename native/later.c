/* What the C library does not tell its retry strategy, and what it does not take for a reason to try again (--wrap,
 * cmake/Crt.cmake).
 *
 * Retry-After. An answer's headers, its error document and the question to the retry strategy come one after the other
 * on the connection's thread, most often from one read. So the header is noted for that thread when it arrives, and
 * taken by the next retry of an answer there. Should another connection's answer of the same thread come in between,
 * that one waits in its stead: no longer than the server has asked somebody to.
 *
 * Codes of throttling. aws-c-s3 knows SlowDown, and gives up at once with the other codes that AWS's SDKs try again.
 * Here they become SlowDown for it, so that each part of a transfer has its attempts, out of the same budget.
 *
 * Tokens that have expired. It gives up at once; our strategy (retry.pyx) waits until there are new credentials.
 */
#include "later.h"

#include <stddef.h>

#include <aws/common/byte_buf.h>
#include <aws/common/clock.h>
#include <aws/s3/s3.h>

uint32_t objectfs_seconds(const uint8_t *text, uint64_t size) {
    uint64_t value = 0;
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
        --size;
    }
    for (uint64_t i = 0; i < size; ++i) {
        if (text[i] < '0' || text[i] > '9') {
            return 0;
        }
        if (value < 100000000) { /* three years */
            value = value * 10 + (uint64_t)(text[i] - '0');
        }
    }
    return (uint32_t)value;
}

#if defined(OBJECTFS_WRAP)

struct aws_http_headers;

/* Older than this, it was the answer to something that nobody tries again. */
#    define FRESH ((uint64_t)1000000000)

static __thread uint32_t t_seconds;
static __thread uint64_t t_noted;

uint32_t objectfs_take_retry_after(void) {
    uint64_t now = 0;
    uint32_t seconds = t_seconds;
    t_seconds = 0;
    if (seconds != 0) {
        aws_high_res_clock_get_ticks(&now);
        if (now - t_noted > FRESH) {
            seconds = 0;
        }
    }
    return seconds;
}

int __real_aws_http_headers_add(
    struct aws_http_headers *headers,
    struct aws_byte_cursor name,
    struct aws_byte_cursor value);

int __wrap_aws_http_headers_add(
    struct aws_http_headers *headers,
    struct aws_byte_cursor name,
    struct aws_byte_cursor value) {
    if (name.len == 11 && aws_byte_cursor_eq_c_str_ignore_case(&name, "retry-after")) {
        t_seconds = objectfs_seconds(value.ptr, value.len);
        aws_high_res_clock_get_ticks(&t_noted);
    }
    return __real_aws_http_headers_add(headers, name, value);
}

int __real_aws_s3_crt_error_code_from_recoverable_server_error_code_string(struct aws_byte_cursor code);

int __wrap_aws_s3_crt_error_code_from_recoverable_server_error_code_string(struct aws_byte_cursor code) {
    /* https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html, without those that it knows */
    static const char *const codes[] = {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "RequestThrottled",
        "TooManyRequests",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); ++i) {
        if (aws_byte_cursor_eq_c_str(&code, codes[i])) {
            return AWS_ERROR_S3_SLOW_DOWN;
        }
    }
    if (aws_byte_cursor_eq_c_str(&code, "RequestTimeoutException")) {
        return AWS_ERROR_S3_REQUEST_TIMEOUT;
    }
    if (aws_byte_cursor_eq_c_str(&code, "ExpiredToken") || aws_byte_cursor_eq_c_str(&code, "TokenRefreshRequired")) {
        return OBJECTFS_TOKEN_EXPIRED;
    }
    return __real_aws_s3_crt_error_code_from_recoverable_server_error_code_string(code);
}

#else

uint32_t objectfs_take_retry_after(void) {
    return 0;
}

#endif
