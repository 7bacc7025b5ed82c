# What came back of one request.

_ALGORITHMS = {
    AWS_SCA_CRC32C: "CRC32C", AWS_SCA_CRC32: "CRC32", AWS_SCA_SHA1: "SHA1", AWS_SCA_SHA256: "SHA256",
    AWS_SCA_CRC64NVME: "CRC64NVME"}
_ALGORITHM_CODES = {name: code for code, name in _ALGORITHMS.items()}


@cython.final
@cython.freelist(64)
@cython.no_gc  # a batch makes thousands of these, and none can be part of a cycle: see take_body
cdef class Response:
    """Status, headers and body of one request, or how it failed. Holds no memory of the C library."""

    cdef bytes _packed
    cdef dict _headers
    cdef readonly int status
    """HTTP status; 0 if there was none."""
    cdef readonly int error_code
    """The C library's error code; 0 for success."""
    cdef readonly object body
    """A Buffer with the collected body (also of an error answer), or None."""
    cdef readonly size_t received
    """Bytes that landed in the caller's memory or file. Counted, for the C library believes Content-Range: its own
    length (``recv.len``) is what was announced."""
    cdef readonly object crc
    """The CRC of those bytes, or of what was sent with it behind, if the request wanted one and all is well; else
    None."""
    cdef readonly bint behind
    """The checksum of what was sent went behind it."""
    cdef readonly bint truncated
    """The answer broke off after it had begun."""
    cdef readonly bint source_changed
    """The file changed while it was sent."""
    cdef readonly bint in_doubt
    """It may have been done all the same: no whole answer came, or one with 5xx."""
    cdef readonly bytes parts
    """Of a file that was sent in parts: the size and the checksum of each, ``b"8388608:<base64>\\n…"``; or None."""
    cdef readonly str failed_operation
    """The S3 operation that the error answer belongs to (an upload sends several), or None."""
    cdef readonly object validated
    """The algorithm whose checksum the content was validated against, or None."""
    cdef readonly int64_t first
    """Of Content-Range: the first byte's place in the object; -1 if there is none, or none that can be read."""
    cdef readonly int64_t end
    """Of Content-Range: the place after the last byte; -1 likewise."""
    cdef readonly int64_t total
    """Of Content-Range: the object's size; -1 likewise."""

    @property
    def complete(self):
        """Whether the collected body is the whole object, by the answer to a ranged GET."""
        return (
            self.error_code == 0 and self.first == 0 and self.end == self.total and self.body is not None
            and <int64_t>(<Buffer>self.body)._size == self.total)

    def take_body(self):
        """The collected body as the caller's own, an empty Buffer if there is none.

        The response forgets it: a Buffer holds the response that describes it, so the memory of a download would
        otherwise be a cycle, and stay until some garbage collection.
        """
        body, self.body = self.body, None
        return Buffer(0) if body is None else body

    @property
    def error(self):
        """The C library's name of the error, or None."""
        return None if self.error_code == 0 else aws_error_name(self.error_code).decode()

    @property
    def error_message(self):
        """The C library's words for the error, or None."""
        return None if self.error_code == 0 else aws_error_str(self.error_code).decode()

    @property
    def headers(self):
        """The response's headers as a dict, names in lower case; of a repeated name, the last."""
        if self._headers is None:
            parts = self._packed.split(b"\n") if self._packed else []  # the last one is empty
            self._headers = {
                parts[i].decode("latin-1").lower(): _decode(parts[i + 1]) for i in range(0, len(parts) - 1, 2)}
        return self._headers

    @property
    def fields(self):
        """The response's headers as they came, (name, value) of str; bytes that are not ASCII as Latin-1."""
        parts = self._packed.decode("latin-1").split("\n") if self._packed else []
        return [(parts[i], parts[i + 1]) for i in range(0, len(parts) - 1, 2)]

    def header(self, bytes name not None):
        """One header's value as bytes, or None. ``name`` in any case."""
        cdef const char* at
        cdef const char* end
        cdef const char* name_end
        cdef const char* value_end
        cdef aws_byte_cursor wanted = aws_byte_cursor_from_array(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
        cdef aws_byte_cursor found
        if self._packed is None:
            return None
        at = PyBytes_AS_STRING(self._packed)
        end = at + PyBytes_GET_SIZE(self._packed)
        while at < end:
            name_end = <const char*>memchr(at, c"\n", end - at)
            if name_end == NULL:
                return None
            value_end = <const char*>memchr(name_end + 1, c"\n", end - name_end - 1)
            if value_end == NULL:
                return None
            found = aws_byte_cursor_from_array(at, name_end - at)
            if aws_byte_cursor_eq_ignore_case(&found, &wanted):
                return (name_end + 1)[:value_end - name_end - 1]
            at = value_end + 1
        return None


cdef bytes _pack_headers(const aws_http_headers* headers):
    """Name, newline, value, newline, and so on: one small block, read only if somebody asks. HTTP forbids newlines."""
    cdef aws_http_header header
    cdef size_t i
    cdef size_t size = 0
    cdef size_t n = aws_http_headers_count(headers)
    cdef bytes packed
    cdef char* to
    for i in range(n):
        aws_http_headers_get_index(headers, i, &header)
        size += header.name.len + header.value.len + 2
    packed = PyBytes_FromStringAndSize(NULL, size)
    to = PyBytes_AS_STRING(packed)
    for i in range(n):
        aws_http_headers_get_index(headers, i, &header)
        memcpy(to, header.name.ptr, header.name.len)
        to += header.name.len
        to[0] = c"\n"
        memcpy(to + 1, header.value.ptr, header.value.len)
        to += header.value.len + 1
        to[0] = c"\n"
        to += 1
    return packed


cdef const uint8_t* _number(const uint8_t* at, const uint8_t* end, int64_t* number) noexcept nogil:
    """Read digits; where they end, or NULL if there are none or too many."""
    cdef int64_t value = 0
    cdef const uint8_t* start = at
    while at < end and c"0" <= at[0] <= c"9":
        if at - start == MOST_DIGITS:
            return NULL
        value = value * 10 + (at[0] - c"0")
        at += 1
    if at == start:
        return NULL
    number[0] = value
    return at


cdef void _read_content_range(Response response, const aws_http_headers* headers) noexcept:
    """``bytes first-last/total`` (RFC 9110, 14.4)."""
    cdef aws_byte_cursor value
    cdef const uint8_t* at
    cdef const uint8_t* end
    cdef int64_t first = 0
    cdef int64_t last = 0
    cdef int64_t total = 0
    if aws_http_headers_get(headers, aws_byte_cursor_from_c_str(b"content-range"), &value) != AWS_OP_SUCCESS:
        return
    at = value.ptr
    end = value.ptr + value.len
    if value.len < 6 or memcmp(at, b"bytes ", 6) != 0:
        return
    at = _number(at + 6, end, &first)
    if at == NULL or at == end or at[0] != c"-":
        return
    at = _number(at + 1, end, &last)
    if at == NULL or at == end or at[0] != c"/":
        return
    at = _number(at + 1, end, &total)
    if at == end and first <= last < total:
        response.first = first
        response.end = last + 1
        response.total = total


cdef str _decode(bytes value):
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


cdef Response _take_response(op_t* op):
    """Move an ended op's result into a Response. Called once per op, with the GIL."""
    cdef Response response = Response.__new__(Response)
    response.status = op.status
    response.error_code = op.error_code
    response.truncated = op.started_body
    response.source_changed = op.source_changed
    response.in_doubt = op.in_doubt
    response.received = op.received
    response.behind = op.behind
    if op.crc_kind != OBJECTFS_CRC_NONE and op.error_code == 0 and (op.behind_known or not op.trailer):
        response.crc = op.crc
    response.first = response.end = response.total = -1
    if op.response_headers != NULL:
        if op.status == 206:
            _read_content_range(response, op.response_headers)
        response._packed = _pack_headers(op.response_headers)
        aws_http_headers_release(op.response_headers)
        op.response_headers = NULL
    if op.data != NULL and op.kind == KIND_PUT_FILE and op.error_code == 0:
        response.parts = op.data[:op.data_len]
        free(op.data)
        op.data = NULL
    if op.data != NULL:
        response.body = _buffer_adopt(op.data, op.data_len)
        op.data = NULL
    if op.validated:
        response.validated = _ALGORITHMS.get(op.validation_algorithm, "unknown")
    if op.error_operation[0]:
        response.failed_operation = op.error_operation.decode()
    return response
