/* The few calls that differ between platforms and that Cython's own libc wrappers do not cover. */
#ifndef OBJECTFS_COMPAT_H
#define OBJECTFS_COMPAT_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifdef _WIN32
#    include <process.h>
#    include <winsock2.h>
static inline long objectfs_getpid(void) {
    return (long)_getpid();
}
/* fd is a SOCKET there: the wake-up descriptor is always a socket pair, which every event loop can watch. */
static inline void objectfs_wake(int64_t fd) {
    char one = 1;
    (void)send((SOCKET)fd, &one, 1, 0);
}
static inline int objectfs_stat(const char *path, int64_t *size, int64_t *mtime_ns) {
    struct _stat64 st;
    if (_stat64(path, &st) != 0) {
        return -1;
    }
    *size = st.st_size;
    *mtime_ns = (int64_t)st.st_mtime * 1000000000;
    return 0;
}
#else
#    include <sys/socket.h>
#    include <unistd.h>
#    ifndef MSG_NOSIGNAL
#        define MSG_NOSIGNAL 0
#    endif
static inline long objectfs_getpid(void) {
    return (long)getpid();
}
/* The socket is non-blocking. When its buffer is full there is a wake-up pending already, so a failure is none. */
static inline void objectfs_wake(int64_t fd) {
    char one = 1;
    ssize_t sent = send((int)fd, &one, 1, MSG_NOSIGNAL);
    (void)sent;
}
static inline int objectfs_stat(const char *path, int64_t *size, int64_t *mtime_ns) {
    struct stat st;
    if (stat(path, &st) != 0) {
        return -1;
    }
    *size = (int64_t)st.st_size;
#    ifdef __APPLE__
    *mtime_ns = (int64_t)st.st_mtimespec.tv_sec * 1000000000 + st.st_mtimespec.tv_nsec;
#    else
    *mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
#    endif
    return 0;
}
#endif

/* What malloc keeps for later goes back to the system. Each thread allocates in an arena of its own, so that what one
 * has freed another does not use. */
#if defined(__GLIBC__)
#    include <malloc.h>
static inline void objectfs_trim(void) {
    malloc_trim(0);
}
#else
static inline void objectfs_trim(void) {
}
#endif

#endif
