/* What this machine and a server can do over plain sockets: HTTP/1.1 requests over a fixed number of connections, one
 * thread, epoll, recv and send. No signatures, no checksums, no TLS, no retries: the limit that clients are compared
 * with, not a client.
 *
 *     raw ADDRESS PORT CONNECTIONS CHECK [PATH] <jobs
 *
 * A job is a line "METHOD TARGET START SIZE KIND". METHOD is G (GET) or P (PUT); START the place in the object, SIZE
 * its bytes from there; KIND r asks for them with a Range header. What is read is kept in new memory, or written to
 * PATH at START; what is written is byte i % 251 at place i, or is read from PATH at START. With CHECK 1 what is read
 * is compared with byte i % 251. On success one line per job says how many seconds it took.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD = 251, PATTERN = PERIOD * 65536, SCRATCH = 1 << 20, HEAD = 16384 };

struct job {
    char *target, method, kind;
    long long start, size;
    double seconds;
};

struct connection {
    int fd, writing;
    struct job *job;
    char head[HEAD];
    size_t head_size, head_sent;
    long long done, length;
    char *memory, *scratch;
    double began;
};

static struct job *jobs;
static size_t job_count, next_job, finished;
static int file = -1, check, poller;
static char *pattern, address[64];

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void *memory(size_t size) {
    void *found = malloc(size ? size : 1);
    if (!found) die("no memory for %zu bytes", size);
    return found;
}

/* Not made where nothing needs it: it would be a large share of a short run. */
static void make_pattern(void) {
    int needed = check;
    for (size_t number = 0; number < job_count; number++) needed |= jobs[number].method == 'P';
    if (!needed) return;
    pattern = memory(PATTERN);
    for (int place = 0; place < PERIOD; place++) pattern[place] = place;
    for (size_t done = PERIOD, count; done < PATTERN; done += count) {
        count = done < PATTERN - done ? done : PATTERN - done;
        memcpy(pattern + done, pattern, count);
    }
}

static void watch(struct connection *connection, int operation) {
    struct epoll_event event = {.events = connection->writing ? EPOLLOUT : EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poller, operation, connection->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static void compare(const char *bytes, long long size, long long place, const struct job *job) {
    while (size) {
        long long phase = place % PERIOD, count = PATTERN - phase;
        if (count > size) count = size;
        if (memcmp(bytes, pattern + phase, count)) die("%s: wrong content behind byte %lld", job->target, place);
        bytes += count, size -= count, place += count;
    }
}

/* The next job's request is put together; 0 when there is none. */
static int begin(struct connection *connection) {
    if (next_job == job_count) return 0;
    struct job *job = connection->job = &jobs[next_job++];
    char range[80] = "";
    if (job->method == 'P') snprintf(range, sizeof range, "Content-Length: %lld\r\n", job->size);
    else if (job->kind == 'r')
        snprintf(range, sizeof range, "Range: bytes=%lld-%lld\r\n", job->start, job->start + job->size - 1);
    const char *method = job->method == 'P' ? "PUT" : "GET", *format = "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n";
    int size = snprintf(connection->head, HEAD, format, method, job->target, address, range);
    if (size >= HEAD) die("%s: too long", job->target);
    connection->head_size = size, connection->head_sent = 0, connection->done = 0, connection->length = -1;
    connection->memory = job->method == 'G' && file < 0 ? memory(job->size) : NULL;
    connection->began = now();
    connection->writing = 1;
    return 1;
}

/* Sends what the socket takes; 1 when all is sent. */
static int transmit(struct connection *connection) {
    struct job *job = connection->job;
    for (;;) {
        ssize_t count;
        if (connection->head_sent < connection->head_size) {
            int more = job->method == 'P' && job->size ? MSG_MORE : 0;
            const char *bytes = connection->head + connection->head_sent;
            count = send(connection->fd, bytes, connection->head_size - connection->head_sent, MSG_NOSIGNAL | more);
            if (count > 0) connection->head_sent += count;
        } else if (job->method == 'P' && connection->done < job->size) {
            long long place = job->start + connection->done, left = job->size - connection->done;
            const char *bytes = pattern + place % PERIOD;
            if (file >= 0) {
                if (left > SCRATCH) left = SCRATCH;
                left = pread(file, connection->scratch, left, place);
                if (left <= 0) die("%s: the file ends at %lld", job->target, place);
                bytes = connection->scratch;
            } else if (left > PATTERN - place % PERIOD) {
                left = PATTERN - place % PERIOD;
            }
            count = send(connection->fd, bytes, left, MSG_NOSIGNAL);
            if (count > 0) connection->done += count;
        } else {
            connection->head_size = 0, connection->done = 0;
            return 1;
        }
        if (count < 0) {
            if (errno == EAGAIN) return 0;
            die("%s: send: %s", job->target, strerror(errno));
        }
    }
}

static void keep(struct connection *connection, const char *bytes, ssize_t count) {
    struct job *job = connection->job;
    if (job->method == 'G') {
        if (check) compare(bytes, count, job->start + connection->done, job);
        if (file >= 0)
            for (ssize_t written = 0; written < count;) {
                ssize_t part = pwrite(file, bytes + written, count - written, job->start + connection->done + written);
                if (part <= 0) die("%s: write: %s", job->target, strerror(errno));
                written += part;
            }
        else if (bytes != connection->memory + connection->done)
            memcpy(connection->memory + connection->done, bytes, count);
    }
    connection->done += count;
}

/* The head of an answer is complete: its length, and what of the body came with it. */
static void head(struct connection *connection, size_t end) {
    struct job *job = connection->job;
    if (connection->head_size < 12 || memcmp(connection->head, "HTTP/1.1 2", 10))
        die("%s: %.60s", job->target, connection->head);
    char *field = strcasestr(connection->head, "\r\ncontent-length:");
    connection->length = field && field < connection->head + end ? atoll(field + 17) : 0;
    if (job->method == 'G' && connection->length != job->size)
        die("%s: %lld bytes, not %lld", job->target, connection->length, job->size);
    keep(connection, connection->head + end, connection->head_size - end);
}

/* Reads what there is; 1 when the answer is complete. */
static int receive(struct connection *connection) {
    struct job *job = connection->job;
    for (;;) {
        ssize_t count;
        if (connection->length < 0) {
            count = recv(connection->fd, connection->head + connection->head_size, HEAD - 1 - connection->head_size, 0);
            if (count > 0) {
                connection->head_size += count;
                connection->head[connection->head_size] = 0;
                char *end = strstr(connection->head, "\r\n\r\n");
                if (end) head(connection, end + 4 - connection->head);
                else if (connection->head_size == HEAD - 1) die("%s: a head without an end", job->target);
            }
        } else {
            long long left = connection->length - connection->done;
            char *place = connection->memory ? connection->memory + connection->done : connection->scratch;
            if (!connection->memory && left > SCRATCH) left = SCRATCH;
            count = recv(connection->fd, place, left, 0);
            if (count > 0) keep(connection, place, count);
        }
        if (count < 0) {
            if (errno == EAGAIN) return 0;
            die("%s: recv: %s", job->target, strerror(errno));
        }
        if (connection->length >= 0 && connection->done == connection->length) return 1;
        if (count == 0) die("%s: the connection was closed after %lld bytes", job->target, connection->done);
    }
}

static void read_jobs(void) {
    size_t room = 0, capacity = 0;
    char *line = NULL;
    while (getline(&line, &capacity, stdin) > 0) {
        if (job_count == room && !(jobs = realloc(jobs, (room = room ? 2 * room : 1024) * sizeof *jobs)))
            die("no memory for jobs");
        struct job *job = &jobs[job_count++];
        char *target = memory(strlen(line) + 1);
        if (sscanf(line, "%c %s %lld %lld %c", &job->method, target, &job->start, &job->size, &job->kind) != 5)
            die("no job: %s", line);
        job->target = target;
    }
    free(line);
}

int main(int count, char **values) {
    if (count < 5) die("usage: raw ADDRESS PORT CONNECTIONS CHECK [PATH] <jobs");
    snprintf(address, sizeof address, "%.40s:%.8s", values[1], values[2]);
    check = atoi(values[4]);
    read_jobs();
    if (count > 5 && (file = open(values[5], O_RDWR | O_CREAT, 0666)) < 0) die("%s: %s", values[5], strerror(errno));
    if (check || file < 0) make_pattern();
    poller = epoll_create1(0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(values[2]))};
    if (!inet_pton(AF_INET, values[1], &to.sin_addr)) die("%s is no IPv4 address", values[1]);
    for (int number = atoi(values[3]); number > 0 && next_job < job_count; number--) {
        struct connection *connection = memory(sizeof *connection);
        connection->scratch = memory(SCRATCH);
        connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int on = 1;
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connect(connection->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
            die("connect: %s", strerror(errno));
        begin(connection);
        watch(connection, EPOLL_CTL_ADD);
    }
    while (finished < job_count) {
        struct epoll_event events[64];
        int ready = epoll_wait(poller, events, 64, -1);
        for (int number = 0; number < ready; number++) {
            struct connection *connection = events[number].data.ptr;
            if (connection->writing) {
                if (!transmit(connection)) continue;
                connection->writing = 0;
                watch(connection, EPOLL_CTL_MOD);
            }
            if (!receive(connection)) continue;
            connection->job->seconds = now() - connection->began;
            finished++;
            if (begin(connection)) {
                connection->writing = !transmit(connection);
                if (connection->writing) watch(connection, EPOLL_CTL_MOD);
            }
        }
    }
    for (size_t number = 0; number < job_count; number++) printf("%.6f\n", jobs[number].seconds);
    return 0;
}
