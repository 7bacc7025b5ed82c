# What is to be sent. A Request owns every string and buffer that its op_t points into (lifetime rule 4).

@cython.final
cdef class Endpoint:
    """Scheme, host and port of a server, parsed once and used by every request to it."""

    cdef aws_uri _uri
    cdef bint _parsed
    cdef readonly str url

    def __cinit__(self, str url not None):
        cdef aws_byte_cursor cursor
        text = url.encode("ascii")
        cursor = aws_byte_cursor_from_array(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        # the plain allocator: an endpoint may outlive every engine
        if aws_uri_init_parse(&self._uri, aws_default_allocator(), &cursor) != AWS_OP_SUCCESS:
            raise ValueError(_error_text(f"not an endpoint URL: {url!r}", aws_last_error()))
        self._parsed = True
        self.url = url

    def __dealloc__(self):
        if self._parsed:
            aws_uri_clean_up(&self._uri)


@cython.final
@cython.no_gc
cdef class Headers:
    """Request headers in C form, shared by all requests of a batch."""

    cdef header_t* _items
    cdef size_t _n
    cdef tuple _keep

    def __cinit__(self, pairs):
        """``pairs``: (name, value) of bytes."""
        cdef size_t i = 0
        self._keep = tuple((bytes(name), bytes(value)) for name, value in pairs)
        if self._keep:
            self._items = <header_t*>malloc(len(self._keep) * sizeof(header_t))
            if self._items == NULL:
                raise MemoryError()
        for name, value in self._keep:
            self._items[i].name = PyBytes_AS_STRING(name)
            self._items[i].name_len = PyBytes_GET_SIZE(name)
            self._items[i].value = PyBytes_AS_STRING(value)
            self._items[i].value_len = PyBytes_GET_SIZE(value)
            i += 1
        self._n = i

    def __dealloc__(self):
        free(self._items)


@cython.final
@cython.freelist(64)
@cython.no_gc  # a batch makes thousands of these; nothing of a caller's refers to one
cdef class Request:
    """One request.

    Args:
        operation: the S3 operation's name (``b"PutObject"``).
        method, path: of HTTP; ``path`` percent-encoded and with the query.
        endpoint: where to.
        headers: for this request and its batch.
        more: further headers for this request alone, or None.
        body: memory to send (borrowed until the op has ended), or None.
        recv: writable memory for the content, parallel ranges; or None.
        recv_path, recv_position: an existing file to write to, from that byte on; or None.
        send_path, send_stat: a file to send, and its size and mtime_ns now; or None.
        checksum: the algorithm for the upload, or None.
        trailer: send that, a CRC, behind the body, computed as the body is sent (aws-chunked), instead of in a header;
            ``Response.crc`` is what it was. In a header all the same where ``Response.behind`` says so.
        validate: validate the answer's checksum; ``"full"`` asks for the object's checksum first (HEAD).
        crc: the algorithm of a CRC that is computed of what ``recv`` has got, for ``Response.crc``; or None.
        part_size, max_connections: for parallel transfers; 0 for the engine's.
        shielded: a cancel does not cut it short (of a file that is sent: not before CreateMultipartUpload is answered,
            because nobody could abort an upload whose id is unknown); ``Op.cancel(force=True)`` does.
    """

    cdef bytes _operation
    cdef bytes _method
    cdef bytes _path
    cdef Endpoint _endpoint
    cdef Headers _headers
    cdef Headers _more
    cdef bytes _recv_path
    cdef bytes _send_path
    cdef uint64_t _recv_position
    cdef Py_buffer _body
    cdef bint _has_body
    cdef Py_buffer _recv
    cdef bint _has_recv
    cdef bint _started
    cdef bint _shielded
    cdef int _checksum
    cdef bint _trailer
    cdef int _validate
    cdef int _crc
    cdef int64_t _send_size
    cdef int64_t _send_mtime
    cdef uint64_t _part_size
    cdef uint32_t _max_connections

    def __init__(
        self, bytes operation not None, bytes method not None, bytes path not None, Endpoint endpoint not None,
        Headers headers not None, Headers more=None, *, body=None, recv=None, bytes recv_path=None,
        uint64_t recv_position=0, bytes send_path=None, send_stat=None, checksum=None, validate=None, str crc=None,
        uint64_t part_size=0, uint32_t max_connections=0, bint shielded=False, bint trailer=False,
    ):
        if self._method is not None:
            raise RuntimeError("a Request is made once")
        self._operation = operation
        self._method = method
        self._path = path
        self._endpoint = endpoint
        self._headers = headers
        self._more = more
        self._recv_path = recv_path
        self._recv_position = recv_position
        self._send_path = send_path
        if send_stat is not None:
            self._send_size, self._send_mtime = send_stat
        self._checksum = 0 if checksum is None else _ALGORITHM_CODES[checksum]
        self._trailer = trailer
        if trailer:
            crc = checksum
        self._validate = 0 if validate is None else 2 if validate == "full" else 1
        self._crc = OBJECTFS_CRC_NONE if crc is None else _crc_kind(crc)
        self._part_size = part_size
        self._max_connections = max_connections
        self._shielded = shielded
        if body is not None:
            PyObject_GetBuffer(body, &self._body, PyBUF_SIMPLE)
            self._has_body = True
        if recv is not None:
            PyObject_GetBuffer(recv, &self._recv, PyBUF_SIMPLE | PyBUF_WRITABLE)
            self._has_recv = True

    def __dealloc__(self):
        self._release()

    cdef void _release(self) noexcept:
        """Let go of the caller's memory: the op has ended, or never began."""
        if self._has_body:
            self._has_body = False
            PyBuffer_Release(&self._body)
        if self._has_recv:
            self._has_recv = False
            PyBuffer_Release(&self._recv)

    cdef void _fill(self, op_t* op, group_t* group) noexcept:
        """Point a zeroed op_t at this request."""
        op.group = group
        op.kind = KIND_DEFAULT
        op.operation = PyBytes_AS_STRING(self._operation)
        op.operation_len = PyBytes_GET_SIZE(self._operation)
        op.method = PyBytes_AS_STRING(self._method)
        op.method_len = PyBytes_GET_SIZE(self._method)
        op.path = PyBytes_AS_STRING(self._path)
        op.path_len = PyBytes_GET_SIZE(self._path)
        op.endpoint = &self._endpoint._uri
        op.headers = self._headers._items
        op.headers_len = self._headers._n
        if self._more is not None:
            op.more = self._more._items
            op.more_len = self._more._n
        if self._has_body:
            op.has_body = True
            op.body_ptr = <uint8_t*>self._body.buf
            op.body_len = self._body.len
        if self._has_recv:
            op.kind = KIND_GET_INTO
            op.recv = aws_byte_buf_from_empty_array(self._recv.buf, self._recv.len)
            op.crc_kind = self._crc
        elif self._recv_path is not None:
            op.kind = KIND_GET_FILE
            op.recv_path = PyBytes_AS_STRING(self._recv_path)
            op.recv_path_len = PyBytes_GET_SIZE(self._recv_path)
            op.recv_position = self._recv_position
        elif self._send_path is not None:
            op.kind = KIND_PUT_FILE
            op.send_path = PyBytes_AS_STRING(self._send_path)
            op.send_path_len = PyBytes_GET_SIZE(self._send_path)
            op.send_size = self._send_size
            op.send_mtime = self._send_mtime
        if self._checksum:
            op.checksum_location = AWS_SCL_HEADER
            op.checksum_algorithm = self._checksum
            op.trailer = self._trailer
            if self._trailer:
                op.crc_kind = self._crc
        if self._validate:
            op.validate = True
            op.validate_mode = AWS_SCVM_FULL_OBJECT if self._validate == 2 else AWS_SCVM_REQUEST_ONLY
        op.part_size = self._part_size
        op.max_connections = self._max_connections
        op.shields = op.shielded = self._shielded


def object_path(str base not None, str key not None, str query=""):
    """The path of a request for an object, as bytes: ``base/key?query``.

    Args:
        base: percent-encoded already, as is ``query``.
        key: only what RFC 3986 calls unreserved, and the slash, stays as it is.

    Raises:
        UnicodeEncodeError: the key is no text (it has lone surrogates).
    """
    cdef bytes text = key.encode("utf-8")
    cdef bytes before = base.encode("ascii")
    cdef bytes after = query.encode("ascii")
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(text)
    cdef const uint8_t* end = at + PyBytes_GET_SIZE(text)
    cdef size_t size = 0
    cdef bytes path
    cdef char* to
    while at < end:
        size += 1 if _stays(at[0]) else 3
        at += 1
    path = PyBytes_FromStringAndSize(NULL, len(before) + 1 + size + (1 + len(after) if after else 0))
    to = PyBytes_AS_STRING(path)
    memcpy(to, PyBytes_AS_STRING(before), PyBytes_GET_SIZE(before))
    to += PyBytes_GET_SIZE(before)
    to[0] = c"/"
    to += 1
    at = <const uint8_t*>PyBytes_AS_STRING(text)
    while at < end:
        if _stays(at[0]):
            to[0] = <char>at[0]
            to += 1
        else:
            to[0] = c"%"
            to[1] = _HEX[at[0] >> 4]
            to[2] = _HEX[at[0] & 15]
            to += 3
        at += 1
    if after:
        to[0] = c"?"
        memcpy(to + 1, PyBytes_AS_STRING(after), PyBytes_GET_SIZE(after))
    return path


cdef const char* _HEX = b"0123456789ABCDEF"


cdef bint _stays(uint8_t byte) noexcept nogil:
    return (
        c"a" <= byte <= c"z" or c"A" <= byte <= c"Z" or c"-" <= byte <= c"9"  # -./0-9
        or byte == c"_" or byte == c"~")
