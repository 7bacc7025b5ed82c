/* Event loops that sleep until a task is due (--wrap, cmake/Crt.cmake).
 *
 * aws-c-io tells epoll_wait to wait for whole milliseconds, rounded down. For the rest, up to one, it comes back at
 * once, sees that it is too early, and asks again, thousands of times: a task each 5 ms (hedge.pyx) was a fifth of a
 * core. Just before, it has told a timer, which the same epoll_wait looks at, the time to the nanosecond
 * (timerfd_settime; there for machines that were suspended). So the wait may be rounded up: the timer ends it.
 *
 * A task that is due at once sets no time, and is not waited for. Where there is no timer (older kernels and C
 * libraries), nothing is different.
 */
#include <stdint.h>

#if defined(OBJECTFS_WRAP) && defined(__linux__)

#    include <sys/epoll.h>
#    include <sys/timerfd.h>

int __real_epoll_wait(int epoll_fd, struct epoll_event *events, int most, int timeout);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *before);

static __thread int64_t t_due; /* nanoseconds after which this thread's timer ends its next wait; 0: none will */

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *before) {
    int result = __real_timerfd_settime(fd, flags, value, before);
    t_due = result == 0 && flags == 0 ? (int64_t)value->it_value.tv_sec * 1000000000 + value->it_value.tv_nsec : 0;
    return result;
}

int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int most, int timeout) {
    const int64_t due = t_due;
    t_due = 0;
    if (due > 0 && timeout >= 0 && timeout < INT32_MAX && (int64_t)timeout * 1000000 < due) {
        ++timeout;
    }
    return __real_epoll_wait(epoll_fd, events, most, timeout);
}

#endif
