# Memory that downloaded bytes live in.

cdef extern from "Python.h":
    void* PyMem_RawMalloc(size_t) nogil
    void PyMem_RawFree(void*) nogil


cdef class Response  # of response.pyx

# Of a block that most likely stays empty but for a small part: the bytes for which pages of 4 KiB are right.
cdef size_t SPARSE_BEGINNING = 1024 * 1024


@cython.final
@cython.freelist(64)
@cython.no_gc  # what describes it does not refer back to it (Response.take_body)
cdef class Buffer:
    """An owned block of native memory; see ``objectfs.types.Buffer``.

    ``sparse``: most likely little of it will be written to. ``keep``: once dropped, its memory may wait a while for the
    next one (kept.c).
    """

    cdef uint8_t* _data
    cdef size_t _size
    cdef size_t _capacity  # of a block of kept.c; 0: the block is malloc's
    cdef Py_ssize_t _exports  # changed with the GIL held, or in the buffer's critical section
    cdef object _info
    cdef object _make_info
    cdef object _bucket
    cdef object _key
    cdef Response _response
    cdef object _total
    cdef Buffer _parent  # whose memory this is a part of
    cdef object __weakref__

    def __cinit__(self, size_t size=0, bint sparse=False, bint keep=False):
        cdef size_t beginning
        if keep and not sparse and size >= OBJECTFS_KEPT_MIN:
            self._data = <uint8_t*>objectfs_kept_acquire(size, &self._capacity)
        elif size:
            self._data = <uint8_t*>malloc(size)
            # sparse: most such blocks are written to no farther than their beginning, the others in whole
            beginning = SPARSE_BEGINNING if sparse else 0
            if self._data != NULL and size > beginning:
                objectfs_advise_large_pages(self._data + beginning, size - beginning)
        if size and self._data == NULL:
            raise MemoryError(f"cannot allocate {size} bytes")
        self._size = size

    def __dealloc__(self):
        if self._parent is not None or self._data == NULL:
            return
        if self._capacity:
            objectfs_kept_release(self._data, self._capacity)
        else:
            free(self._data)

    def __getbuffer__(self, Py_buffer* view, int flags):
        # a block of no bytes still needs an address
        PyBuffer_FillInfo(view, self, self._data if self._data != NULL else <uint8_t*>b"", self._size, 0, flags)
        with cython.critical_section(self):
            self._exports += 1

    def __releasebuffer__(self, Py_buffer* view):
        with cython.critical_section(self):
            self._exports -= 1

    def __len__(self):
        return self._size

    def __bytes__(self):
        return PyBytes_FromStringAndSize(<char*>self._data, self._size)

    def __getitem__(self, index):
        return memoryview(self)[index]

    def __iter__(self):
        return iter(memoryview(self))

    def __eq__(self, other):
        cdef Py_buffer view
        cdef bint same
        if not PyObject_CheckBuffer(other):
            return NotImplemented
        PyObject_GetBuffer(other, &view, PyBUF_SIMPLE)
        # memcmp may not be given NULL, be it for no bytes
        same = <size_t>view.len == self._size and (
            self._size == 0 or memcmp(view.buf, self._data, self._size) == 0)
        PyBuffer_Release(&view)
        return same

    __hash__ = None

    def __repr__(self):
        return f"<objectfs.Buffer of {self._size} bytes>"

    def __reduce__(self):
        return (_buffer_from, (bytes(self), self.info))

    def _shrink(self, size_t size):
        """Give back the memory beyond ``size`` bytes. Only while the buffer is not exported."""
        cdef uint8_t* smaller
        if self._exports:
            raise BufferError("the buffer is in use")
        if size < self._size and self._capacity:
            self._capacity = objectfs_kept_shrink(self._data, self._capacity, size)
            self._size = size
        elif size < self._size:
            smaller = <uint8_t*>realloc(self._data, size if size else 1)
            if smaller != NULL:
                self._data = smaller
            self._size = size

    def _slice(self, size_t start, size_t end):
        """The bytes from ``start`` to ``end`` as a Buffer that shares this one's memory and keeps it alive."""
        cdef Buffer part
        if end > self._size or start > end:
            raise ValueError(f"no part of {self._size} bytes: {start} to {end}")
        part = Buffer.__new__(Buffer)
        part._parent = self if self._parent is None else self._parent
        part._data = self._data + start
        part._size = end - start
        part._exports = 1  # a part is never shrunk, nor is what it is a part of
        with cython.critical_section(part._parent):
            part._parent._exports += 1
        return part

    @property
    def info(self):
        """What the response said of the object (``ObjectInfo``), made when first asked for."""
        if self._parent is not None:
            return self._parent.info
        with cython.critical_section(self):
            if self._make_info is not None:
                self._info = self._make_info(self._bucket, self._key, self._response, self._total)
                self._make_info = self._response = None
            return self._info

    def _describe(self, make, bucket, key, Response response not None, total):
        """``make(bucket, key, response, total)`` will be the info, if somebody asks: most never do."""
        if response.body is self:
            raise ValueError("the response still holds this body: see Response.take_body")
        self._make_info = make
        self._bucket = bucket
        self._key = key
        self._response = response
        self._total = total


def _buffer_from(bytes data, info):
    cdef Buffer buffer = Buffer(len(data))
    if data:
        memcpy(buffer._data, PyBytes_AS_STRING(data), len(data))
    buffer._info = info
    return buffer


cdef Buffer _buffer_adopt(uint8_t* data, size_t size):
    """A Buffer around malloc'd memory, which it will free."""
    cdef Buffer buffer = Buffer.__new__(Buffer)
    buffer._data = data
    buffer._size = size
    return buffer


def copy_into(object target, size_t offset, object source):
    """Copy a buffer's bytes into another, at an offset; the GIL is released meanwhile."""
    cdef Py_buffer to
    cdef Py_buffer frm
    PyObject_GetBuffer(target, &to, PyBUF_SIMPLE | PyBUF_WRITABLE)
    try:
        PyObject_GetBuffer(source, &frm, PyBUF_SIMPLE)
        try:
            if offset + <size_t>frm.len > <size_t>to.len:
                raise ValueError("the source does not fit into the target")
            if frm.len:
                with nogil:
                    memcpy(<uint8_t*>to.buf + offset, frm.buf, frm.len)
        finally:
            PyBuffer_Release(&frm)
    finally:
        PyBuffer_Release(&to)


@cython.final
@cython.no_gc
cdef class FileSink:
    """A place in a file that a request receives into as if it were memory (``Request(recv=…)``); see ``sink.c``.

    Made by :func:`file_sink`.
    """

    cdef objectfs_sink* _s
    cdef size_t _size
    cdef long _pid

    def __init__(self):
        raise TypeError("made by file_sink")

    def __dealloc__(self):
        # in a forked child another thread of the parent may have left the lock of sink.c taken
        if self._s != NULL and self._pid == objectfs_getpid():
            objectfs_sink_free(self._s)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, objectfs_sink_memory(self._s), self._size, 0, flags)

    def __len__(self):
        return self._size

    @property
    def error(self):
        """The errno of the first write that failed, or 0."""
        return objectfs_sink_error(self._s)

    @property
    def written(self):
        """Bytes written, those of repeated requests included."""
        return objectfs_sink_written(self._s)


def file_sink(int fd, int64_t position, size_t size):
    """A :class:`FileSink` of ``size`` bytes at ``position`` of a file that is open for reading and writing.

    The descriptor is duplicated, and the file grows to that length. None where there can be none: no Linux, shared C
    libraries, a file system that is not local, no address space left.
    """
    cdef objectfs_sink* made
    cdef FileSink sink
    with nogil:
        made = objectfs_sink_new(fd, position, size)
    if made == NULL:
        return None
    sink = FileSink.__new__(FileSink)
    sink._s = made
    sink._size = size
    sink._pid = objectfs_getpid()
    return sink


@cython.final
@cython.no_gc
cdef class FileSource:
    """A file that requests send from as if it were memory (``Request(body=…)``); see ``source.c``.

    Made by :func:`file_source`. What it exports is not to be read: of a file that has become shorter there is no
    memory.
    """

    cdef objectfs_source* _s
    cdef size_t _size
    cdef long _pid

    def __init__(self):
        raise TypeError("made by file_source")

    def __dealloc__(self):
        # in a forked child another thread of the parent may have left the lock of source.c taken
        if self._s != NULL and self._pid == objectfs_getpid():
            objectfs_source_free(self._s)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, <void*>objectfs_source_memory(self._s), self._size, 1, flags)

    def __len__(self):
        return self._size

    @property
    def error(self):
        """The errno of the first read that failed, or 0; ENODATA: the file has become shorter."""
        return objectfs_source_error(self._s)


def file_source(int fd, size_t size):
    """A :class:`FileSource` of the first ``size`` bytes of a file that is open for reading.

    The descriptor is duplicated. None where there can be none: no Linux, shared C libraries, a file system that is not
    local, no address space left.
    """
    cdef objectfs_source* made
    cdef FileSource source
    with nogil:
        made = objectfs_source_new(fd, size)
    if made == NULL:
        return None
    source = FileSource.__new__(FileSource)
    source._s = made
    source._size = size
    source._pid = objectfs_getpid()
    return source


def debug_source_send(FileSource source not None, int fd):
    """For tests: bytes from the source's beginning that a socket takes now."""
    cdef size_t sent
    with nogil:
        sent = objectfs_source_send(source._s, <const uint8_t*>objectfs_source_memory(source._s), source._size, fd)
    return sent
