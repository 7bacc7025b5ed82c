/* One answer for each request.
 *
 * aws-c-http takes what a server sends behind an answer for a part of it, until it has heard that the request is sent:
 * another status, further headers, and a body that is the first one's and the second one's. A refusal followed by
 * "200 OK" was a success, and an error document followed by an answer to nobody's request the content of an object. So
 * what aws-c-s3 wants to hear of an answer passes through here (--wrap, cmake/Crt.cmake), and headers that come behind
 * its own end the connection: the request fails as one whose connection broke, and is sent again.
 *
 * Where the linker cannot do that, the library's own way stays.
 */
#if defined(OBJECTFS_WRAP)
#    include <stdbool.h>
#    include <stdlib.h>

#    include <aws/common/error.h>
#    include <aws/http/http.h>
#    include <aws/http/request_response.h>

struct asked {
    struct aws_http_make_request_options theirs; /* what is called, and with what */
    bool begun;                                  /* the answer's own headers have ended */
    bool making;                                 /* who makes it frees it if that fails */
};

static int s_headers(
    struct aws_http_stream *stream,
    enum aws_http_header_block block,
    const struct aws_http_header *headers,
    size_t count,
    void *user_data) {
    struct asked *asked = user_data;
    if (asked->begun && block != AWS_HTTP_HEADER_BLOCK_TRAILING) {
        return aws_raise_error(AWS_ERROR_HTTP_PROTOCOL_ERROR);
    }
    return asked->theirs.on_response_headers(stream, block, headers, count, asked->theirs.user_data);
}

static int s_block_done(struct aws_http_stream *stream, enum aws_http_header_block block, void *user_data) {
    struct asked *asked = user_data;
    if (block == AWS_HTTP_HEADER_BLOCK_MAIN) {
        asked->begun = true;
    }
    return asked->theirs.on_response_header_block_done == NULL
               ? AWS_OP_SUCCESS
               : asked->theirs.on_response_header_block_done(stream, block, asked->theirs.user_data);
}

static int s_body(struct aws_http_stream *stream, const struct aws_byte_cursor *data, void *user_data) {
    struct asked *asked = user_data;
    return asked->theirs.on_response_body(stream, data, asked->theirs.user_data);
}

static void s_metrics(
    struct aws_http_stream *stream,
    const struct aws_http_stream_metrics *metrics,
    void *user_data) {
    struct asked *asked = user_data;
    asked->theirs.on_metrics(stream, metrics, asked->theirs.user_data);
}

static void s_complete(struct aws_http_stream *stream, int error_code, void *user_data) {
    struct asked *asked = user_data;
    asked->theirs.on_complete(stream, error_code, asked->theirs.user_data);
}

/* The last call, also of a stream that was never sent. */
static void s_destroy(void *user_data) {
    struct asked *asked = user_data;
    if (asked->theirs.on_destroy != NULL) {
        asked->theirs.on_destroy(asked->theirs.user_data);
    }
    if (!asked->making) {
        free(asked);
    }
}

struct aws_http_stream *__real_aws_http_connection_make_request(
    struct aws_http_connection *connection,
    const struct aws_http_make_request_options *options);

struct aws_http_stream *__wrap_aws_http_connection_make_request(
    struct aws_http_connection *connection,
    const struct aws_http_make_request_options *options) {
    /* what makes requests without an interest in their headers, or of HTTP/2, is not aws-c-s3 */
    if (options->on_response_headers == NULL || options->on_h2_remote_end_stream != NULL) {
        return __real_aws_http_connection_make_request(connection, options);
    }
    struct asked *asked = malloc(sizeof(*asked));
    if (asked == NULL) {
        aws_raise_error(AWS_ERROR_OOM);
        return NULL;
    }
    struct aws_http_make_request_options ours = *options;
    asked->theirs = *options;
    asked->begun = false;
    asked->making = true;
    ours.user_data = asked;
    ours.on_response_headers = s_headers;
    ours.on_response_header_block_done = s_block_done;
    ours.on_response_body = options->on_response_body == NULL ? NULL : s_body;
    ours.on_metrics = options->on_metrics == NULL ? NULL : s_metrics;
    ours.on_complete = options->on_complete == NULL ? NULL : s_complete;
    ours.on_destroy = s_destroy;
    struct aws_http_stream *stream = __real_aws_http_connection_make_request(connection, &ours);
    if (stream == NULL) {
        free(asked);
    } else {
        asked->making = false; /* not before it is activated can it end, and that is the caller's to do */
    }
    return stream;
}

#else

typedef int objectfs_nothing; /* a file of C has something in it */

#endif
