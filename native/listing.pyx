# ListObjectsV2 answers, read without a DOM. The grammar is S3's own and fixed:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html

from xml.sax.saxutils import unescape as _unescape

_ENTITIES = {"&quot;": '"', "&apos;": "'"}


cdef bytes _text(const char* start, const char* end):
    return start[:end - start]


cdef str _plain(bytes raw):
    """Character data with its entities resolved."""
    text = raw.decode("utf-8")
    if "&" in text:
        if "&#" in text:
            text = _numeric(text)
        text = _unescape(text, _ENTITIES)
    return text


def _numeric(text):
    import re
    return re.sub(
        r"&#(?:x([0-9a-fA-F]+)|([0-9]+));",
        lambda m: _character(int(m[1], 16) if m[1] else int(m[2])).replace("&", "&amp;"), text)


def _character(code):
    if code > 0x10FFFF:
        raise ValueError(f"no character has the number {code}")
    return chr(code)


cdef const char* _find(const char* at, const char* end, const char* what, size_t size) noexcept nogil:
    """The first occurrence of a tag, or NULL."""
    while at != NULL and <size_t>(end - at) >= size:
        at = <const char*>memchr(at, what[0], end - at)
        if at == NULL or <size_t>(end - at) < size:
            return NULL
        if memcmp(at, what, size) == 0:
            return at
        at += 1
    return NULL


cdef bytes _element(const char* at, const char* end, bytes name):
    """The character data of the first element of that name in the range, or None."""
    open_tag = b"<" + name + b">"
    cdef const char* start = _find(at, end, PyBytes_AS_STRING(open_tag), len(open_tag))
    cdef const char* stop
    if start == NULL:
        return None
    start += len(open_tag)
    stop = <const char*>memchr(start, c"<", end - start)
    return None if stop == NULL else _text(start, stop)


def parse_list(data):
    """Read a ListObjectsV2 answer.

    Returns:
        (objects, prefixes, next_token): objects are tuples (key, size, etag, last_modified, storage_class) of str,
        int, str, str, str; missing ones None. Names are as the answer has them (url-encoded if that was asked for).

    Raises:
        ValueError: this is not such an answer.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return _parse_list(<const char*>view.buf, <const char*>view.buf + view.len)
    finally:
        PyBuffer_Release(&view)


cdef tuple _parse_list(const char* at, const char* end):
    cdef const char* tag
    cdef const char* close
    cdef const char* name_end
    cdef const char* value
    cdef const char* stop
    cdef size_t n
    cdef list objects = []
    cdef list prefixes = []
    if _find(at, end, b"<ListBucketResult", 17) == NULL or _find(at, end, b"</ListBucketResult>", 19) == NULL:
        raise ValueError("the answer is not a complete ListBucketResult")
    truncated = _element(at, end, b"IsTruncated")
    token = _element(at, end, b"NextContinuationToken")
    while True:
        tag = _find(at, end, b"<Co", 3)  # <Contents> or <CommonPrefixes>; <ContinuationToken> is passed over
        if tag == NULL:
            break
        if <size_t>(end - tag) > 10 and memcmp(tag, b"<Contents>", 10) == 0:
            close = _find(tag, end, b"</Contents>", 11)
            if close == NULL:
                raise ValueError("an unfinished <Contents>")
            key = size = etag = modified = storage = None
            value = tag + 10
            while value < close:
                value = <const char*>memchr(value, c"<", close - value)
                if value == NULL:
                    break
                name_end = <const char*>memchr(value, c">", close - value)
                if name_end == NULL:
                    break
                n = name_end - value - 1
                stop = <const char*>memchr(name_end, c"<", close - name_end + 1)
                if stop == NULL:
                    break
                if n == 3 and memcmp(value + 1, b"Key", 3) == 0:
                    key = _plain(_text(name_end + 1, stop))
                elif n == 4 and memcmp(value + 1, b"Size", 4) == 0:
                    size = int(_plain(_text(name_end + 1, stop)))
                elif n == 4 and memcmp(value + 1, b"ETag", 4) == 0:
                    etag = _plain(_text(name_end + 1, stop))
                elif n == 12 and memcmp(value + 1, b"LastModified", 12) == 0:
                    modified = _text(name_end + 1, stop).decode("ascii")
                elif n == 12 and memcmp(value + 1, b"StorageClass", 12) == 0:
                    storage = _plain(_text(name_end + 1, stop))
                value = stop
            if key is None or size is None:
                raise ValueError("an entry without key or size")
            objects.append((key, size, etag, modified, storage))
            at = close + 11
        elif <size_t>(end - tag) > 16 and memcmp(tag, b"<CommonPrefixes>", 16) == 0:
            close = _find(tag, end, b"</CommonPrefixes>", 17)
            if close == NULL:
                raise ValueError("an unfinished <CommonPrefixes>")
            prefix = _element(tag, close, b"Prefix")
            if prefix is None:
                raise ValueError("a common prefix without its name")
            prefixes.append(_plain(prefix))
            at = close + 17
        else:
            at = tag + 3
    next_token = _plain(token) if token is not None and truncated == b"true" else None
    return objects, prefixes, next_token
