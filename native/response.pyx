# What came back of one request.

_ALGORITHMS = {
    AWS_SCA_CRC32C: "CRC32C", AWS_SCA_CRC32: "CRC32", AWS_SCA_SHA1: "SHA1", AWS_SCA_SHA256: "SHA256",
    AWS_SCA_CRC64NVME: "CRC64NVME"}
_ALGORITHM_CODES = {name: code for code, name in _ALGORITHMS.items()}


@cython.final
@cython.freelist(64)
cdef class Response:
    """Status, headers and body of one request, or how it failed. Owns one reference to the header block."""

    cdef aws_http_headers* _headers
    cdef dict _header_dict
    cdef readonly int status
    """HTTP status; 0 if there was none."""
    cdef readonly int error_code
    """The C library's error code; 0 for success."""
    cdef readonly object body
    """A Buffer with the collected body (also of an error answer), or None."""
    cdef readonly size_t received
    """Bytes that landed in the caller's memory."""
    cdef readonly bint truncated
    """The answer broke off after it had begun."""
    cdef readonly bint source_changed
    """The file changed while it was sent."""
    cdef readonly str failed_operation
    """The S3 operation that the error answer belongs to (an upload sends several), or None."""
    cdef readonly object validated
    """The algorithm whose checksum the content was validated against, or None."""

    def __dealloc__(self):
        if self._headers != NULL:
            aws_http_headers_release(self._headers)

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
        cdef aws_http_header header
        cdef size_t i
        if self._header_dict is None:
            found = {}
            if self._headers != NULL:
                for i in range(aws_http_headers_count(self._headers)):
                    aws_http_headers_get_index(self._headers, i, &header)
                    name = (<char*>header.name.ptr)[:header.name.len].decode("latin-1").lower()
                    found[name] = _decode((<char*>header.value.ptr)[:header.value.len])
            self._header_dict = found
        return self._header_dict

    def header(self, bytes name not None):
        """One header's value as bytes, or None."""
        cdef aws_byte_cursor wanted = aws_byte_cursor_from_array(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
        cdef aws_http_header header
        cdef size_t i
        if self._headers != NULL:
            for i in range(aws_http_headers_count(self._headers)):
                aws_http_headers_get_index(self._headers, i, &header)
                if aws_byte_cursor_eq_ignore_case(&header.name, &wanted):
                    return (<char*>header.value.ptr)[:header.value.len]
        return None


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
    response.received = op.recv.len
    response._headers = op.response_headers
    op.response_headers = NULL
    if op.data != NULL:
        response.body = _buffer_adopt(op.data, op.data_len)
        op.data = NULL
    if op.validated:
        response.validated = _ALGORITHMS.get(op.validation_algorithm, "unknown")
    if op.error_operation[0]:
        response.failed_operation = op.error_operation.decode()
    return response
