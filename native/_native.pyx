# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# cython: freethreading_compatible=True
"""The engine: aws-c-s3 behind a handful of Python classes.

Engine     one S3 client of the C library: threads, connections, memory, credentials
Request    what is to be sent and where its bytes come from or go to
Op         one or many requests under way: wait, await, cancel, result
Response   what came back
Buffer     memory that downloaded bytes live in
Shared     what several engines have in common

No policy lives here: which requests make up a verb, what an error means in Python, what a default is, all that
stands in ``objectfs.backends.crt``. Lifetime rules: ``structs.pxi``.
"""
cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport datetime_new, get_utc, import_datetime
from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_REFCNT, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memset, strlen, strncpy, strstr

from aws.auth cimport *
from aws.checksums cimport *
from aws.common cimport *
from aws.http cimport *
from aws.io cimport *
from aws.s3 cimport *


cdef extern from "compat.h" nogil:
    long objectfs_getpid()
    void objectfs_wake(int64_t fd)
    void objectfs_trim()
    int objectfs_stat(const char* path, int64_t* size, int64_t* mtime_ns)

cdef extern from "alloc.h" nogil:
    aws_allocator* objectfs_allocator()
    void objectfs_allocator_after_fork()

cdef extern from "kept.h" nogil:
    enum:
        OBJECTFS_KEPT_MIN
    void* objectfs_kept_acquire(size_t size, size_t* capacity)
    void objectfs_kept_release(void* block, size_t capacity)
    size_t objectfs_kept_shrink(void* block, size_t capacity, size_t size)
    void objectfs_kept_begin(aws_event_loop* loop, size_t limit)
    void objectfs_kept_trim()
    void objectfs_kept_after_fork()
    size_t objectfs_kept_bytes()
    bint objectfs_kept_expire(uint64_t later)

cdef extern from "discreet.h" nogil:
    void objectfs_discreet_logger(aws_logger*)

cdef extern from "append.h" nogil:
    int64_t objectfs_streamed_bytes()

cdef extern from "lent.h" nogil:
    int64_t objectfs_lent_bytes()

cdef extern from "mark.h" nogil:
    bint objectfs_untouched(const uint8_t* memory, const uint8_t* mark, size_t size)

cdef extern from "sink.h" nogil:
    cdef struct objectfs_sink:
        pass
    void objectfs_sinks_after_fork()
    objectfs_sink* objectfs_sink_new(int fd, int64_t position, size_t size)
    void objectfs_sink_free(objectfs_sink*)
    void* objectfs_sink_memory(objectfs_sink*)
    int objectfs_sink_error(objectfs_sink*)
    int64_t objectfs_sink_written(objectfs_sink*)

cdef extern from "message.h" nogil:
    int64_t objectfs_uncleared_bytes()

cdef extern from "running.h" nogil:
    enum:
        OBJECTFS_CRC_NONE
        OBJECTFS_CRC_64NVME
        OBJECTFS_CRC_32
        OBJECTFS_CRC_32C
    uint64_t objectfs_crc(int kind, const uint8_t* data, size_t size, uint64_t previous)
    int objectfs_running_begin(const uint8_t* base, int kind)
    size_t objectfs_running_size(int running)
    bint objectfs_running_end(int running, size_t size, uint64_t* crc)
    void objectfs_running_after_fork()
    int64_t objectfs_running_bytes()

cdef extern from "trailer.h" nogil:
    int objectfs_trailer_begin(const uint8_t* body, size_t size)
    bint objectfs_trailer_end(int place, uint64_t* crc)
    void objectfs_trailers_after_fork()

cdef extern from "source.h" nogil:
    cdef struct objectfs_source:
        pass
    objectfs_source* objectfs_source_new(int fd, size_t size)
    void objectfs_source_free(objectfs_source*)
    const void* objectfs_source_memory(objectfs_source*)
    int objectfs_source_error(objectfs_source*)
    void objectfs_sources_after_fork()
    size_t objectfs_source_send(objectfs_source*, const uint8_t* address, size_t size, int socket)
    int64_t objectfs_source_bytes()

cdef extern from "later.h" nogil:
    enum:
        OBJECTFS_TOKEN_EXPIRED
    uint32_t objectfs_take_retry_after()
    uint32_t objectfs_seconds(const uint8_t* text, uint64_t size)

cdef extern from "handshake.h" nogil:
    bint objectfs_handshake_failure(char* server, size_t size, const char** why)

cdef extern from "linked.h" nogil:
    bint objectfs_linked()
    void objectfs_lend_loops(aws_event_loop_group*)
    bint objectfs_lent_loops(void (**ended)(void*) noexcept nogil, void** user_data)
    void objectfs_advise_large_pages(void*, size_t)

cdef extern from *:
    """
    #define PyInit__native objectfs_init_native /* interpreter.c */
    #define CYTHON_NO_PYINIT_EXPORT 1
    #include "interpreter.h"
    #if defined(__has_include)
    #  if __has_include("objectfs_versions.h")
    #    include "objectfs_versions.h"
    #  endif
    #endif
    #ifndef OBJECTFS_CRT_VERSIONS
    #  define OBJECTFS_CRT_VERSIONS ""
    #endif
    #ifndef OBJECTFS_CRT_ARCHIVE
    #  define OBJECTFS_CRT_ARCHIVE "unknown"
    #endif
    #ifndef OBJECTFS_CRT_LINK
    #  define OBJECTFS_CRT_LINK "unknown"
    #endif
    #ifndef OBJECTFS_BUILD_TYPE
    #  define OBJECTFS_BUILD_TYPE "unknown"
    #endif
    #ifdef Py_GIL_DISABLED
    #  define OBJECTFS_FREE_THREADED 1
    #else
    #  define OBJECTFS_FREE_THREADED 0
    #endif
    """
    const bint OBJECTFS_FREE_THREADED
    const char* OBJECTFS_CRT_VERSIONS
    const char* OBJECTFS_CRT_ARCHIVE
    const char* OBJECTFS_CRT_LINK
    const char* OBJECTFS_BUILD_TYPE

CRT_VERSIONS = dict(
    line.split("=", 1) for line in OBJECTFS_CRT_VERSIONS.decode().splitlines() if "=" in line)
CRT_ARCHIVE = OBJECTFS_CRT_ARCHIVE.decode()
CRT_LINK = OBJECTFS_CRT_LINK.decode()
BUILD_TYPE = OBJECTFS_BUILD_TYPE.decode()

include "structs.pxi"
include "telemetry.pyx"
include "shared.pyx"
include "digest.pyx"
include "window.pyx"
include "submit.pyx"
include "again.pyx"
include "hedge.pyx"
include "bandwidth.pyx"
include "callbacks.pyx"
include "logring.pyx"
include "runtime.pyx"
include "retry.pyx"
include "express.pyx"
include "buffers.pyx"
include "response.pyx"
include "request.pyx"
include "counted.pyx"
include "engine.pyx"
include "op.pyx"
include "slots.pyx"
include "values.pyx"
include "listing.pyx"
