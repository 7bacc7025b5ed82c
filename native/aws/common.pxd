# aws-c-common: allocator, byte buffers, errors, threads, mutex, condition variable
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "aws/common/allocator.h" nogil:
    ctypedef struct aws_allocator "struct aws_allocator":
        pass
    enum aws_mem_trace_level:
        AWS_MEMTRACE_NONE
        AWS_MEMTRACE_BYTES
        AWS_MEMTRACE_STACKS
    aws_allocator* aws_default_allocator()
    void* aws_mem_acquire(aws_allocator*, size_t)
    void* aws_mem_calloc(aws_allocator*, size_t num, size_t size)
    void aws_mem_release(aws_allocator*, void*)
    aws_allocator* aws_mem_tracer_new(aws_allocator*, aws_allocator* deprecated, aws_mem_trace_level, size_t frames)
    size_t aws_mem_tracer_bytes(aws_allocator*)
    size_t aws_mem_tracer_count(aws_allocator*)

cdef extern from "aws/common/byte_buf.h" nogil:
    ctypedef struct aws_byte_buf "struct aws_byte_buf":
        size_t len
        uint8_t* buffer
        size_t capacity
        aws_allocator* allocator
    ctypedef struct aws_byte_cursor "struct aws_byte_cursor":
        size_t len
        uint8_t* ptr
    aws_byte_cursor aws_byte_cursor_from_array(const void*, size_t)
    aws_byte_cursor aws_byte_cursor_from_c_str(const char*)
    aws_byte_buf aws_byte_buf_from_empty_array(const void*, size_t capacity)
    int aws_byte_buf_append(aws_byte_buf*, const aws_byte_cursor*)
    bint aws_byte_cursor_eq_ignore_case(const aws_byte_cursor*, const aws_byte_cursor*)

cdef extern from "aws/common/clock.h" nogil:
    int aws_high_res_clock_get_ticks(uint64_t* nanoseconds)

cdef extern from "aws/common/condition_variable.h" nogil:
    ctypedef struct aws_condition_variable "struct aws_condition_variable":
        pass
    int aws_condition_variable_init(aws_condition_variable*)
    void aws_condition_variable_clean_up(aws_condition_variable*)
    int aws_condition_variable_notify_all(aws_condition_variable*)
    int aws_condition_variable_wait(aws_condition_variable*, aws_mutex*)
    int aws_condition_variable_wait_for(aws_condition_variable*, aws_mutex*, int64_t nanoseconds)

cdef extern from "aws/common/error.h" nogil:
    enum:
        AWS_ERROR_SUCCESS
        AWS_OP_SUCCESS
        AWS_OP_ERR
        AWS_ERROR_OOM
        AWS_ERROR_SHORT_BUFFER
        AWS_ERROR_FILE_INVALID_PATH
    int aws_last_error()
    int aws_raise_error(int)
    void aws_reset_error()
    const char* aws_error_name(int)
    const char* aws_error_str(int)

cdef extern from "aws/common/mutex.h" nogil:
    ctypedef struct aws_mutex "struct aws_mutex":
        pass
    int aws_mutex_init(aws_mutex*)
    void aws_mutex_clean_up(aws_mutex*)
    int aws_mutex_lock(aws_mutex*)
    int aws_mutex_unlock(aws_mutex*)

cdef extern from "aws/common/string.h" nogil:
    ctypedef struct aws_string "struct aws_string":
        pass
    const char* aws_string_c_str(const aws_string*)

cdef extern from "aws/common/task_scheduler.h" nogil:
    enum aws_task_status:
        AWS_TASK_STATUS_RUN_READY
    ctypedef struct aws_task "struct aws_task":
        pass
    void aws_task_init(
        aws_task*, void (*fn)(aws_task*, void*, aws_task_status) noexcept nogil, void* arg, const char* type_tag)

cdef extern from "aws/common/thread.h" nogil:
    int aws_thread_join_all_managed()
    size_t aws_thread_get_managed_thread_count()
    void aws_thread_set_managed_join_timeout_ns(uint64_t)

cdef extern from "aws/common/uri.h" nogil:
    ctypedef struct aws_uri "struct aws_uri":
        pass
    int aws_uri_init_parse(aws_uri*, aws_allocator*, const aws_byte_cursor*)
    void aws_uri_clean_up(aws_uri*)
