# Answers of ListObjectsV2 and ListObjectVersions, read without a DOM in one pass. The grammar is S3's own and fixed:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

_VALUES = frozenset((
    b"EncodingType", b"ETag", b"IsLatest", b"IsTruncated", b"Key", b"LastModified", b"NextContinuationToken",
    b"NextKeyMarker", b"NextVersionIdMarker", b"Prefix", b"Size", b"StorageClass", b"VersionId"))
_MEANT = _VALUES | {b"CommonPrefixes", b"Contents", b"DeleteMarker", b"Version"}


cdef bint _is(span_t name, const char* what, size_t size) noexcept nogil:
    return <size_t>(name.end - name.at) == size and memcmp(name.at, what, size) == 0


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


cdef const char* _next_tag(const char* at, const char* end, span_t* name) noexcept nogil:
    """The place behind the next tag, or NULL; ``name`` is what stands in it, with its slash."""
    if at < end and at[0] != c"<":
        at = <const char*>memchr(at, c"<", end - at)
    if at == NULL or at >= end:
        return NULL
    name.at = at + 1
    name.end = <const char*>memchr(name.at, c">", end - name.at)
    if name.end == NULL:
        return NULL
    return name.end + 1


cdef const char* _data(const char* at, const char* end, span_t* value) noexcept nogil:
    """The character data up to the next tag, and where that begins; NULL if there is none."""
    value.at = at
    value.end = <const char*>memchr(at, c"<", end - at)
    return value.end


cdef bint _closes(const char* at, const char* end) noexcept nogil:
    """Whether the tag there closes an element. Behind a value, any other may be followed by more of it."""
    return end - at > 1 and at[1] == c"/"


cdef int _pass_over(span_t name, bint value_ends) except -1:
    """A tag that means nothing here.

    Args:
        value_ends: whether character data and a closing tag follow.

    Raises:
        ValueError: it may hide something: a comment or a CDATA section, which S3 never sends; or a tag that does mean
            something, with attributes, white space or elements in it.
    """
    cdef char last
    if name.at == name.end:
        return 0
    if name.at[0] == c"!":
        raise ValueError("a comment, a section or a declaration")
    if not value_ends and name.at[:name.end - name.at] in _VALUES:
        raise ValueError("something in a value")
    last = (name.end - 1)[0]
    if last == c" " or last == c"\n" or last == c"\r" or last == c"\t" or last == c'"' or last == c"'":
        for word in name.at[:name.end - name.at].split(None, 1)[:1]:
            if word in _MEANT:
                raise ValueError("a tag with attributes or white space")
    return 0


@cython.final
cdef class _Entries:
    """Reads elements that describe an object, or a version of one, into copies of a template."""

    cdef _Maker _maker
    cdef Py_ssize_t _key, _size, _etag, _modified, _class, _version, _latest, _owner, _restoring, _restored
    cdef span_t _class_text, _modified_text
    cdef object _class_value, _modified_value
    cdef bint _sized  # a delete marker has no content: no size, ETag or class, whatever the server says

    def __cinit__(self, template not None, bint sized):
        self._sized = sized
        self._maker = _Maker(template)
        self._key = self._maker.offset("key")
        self._size = self._maker.offset("size")
        self._etag = self._maker.offset("etag")
        self._modified = self._maker.offset("last_modified")
        self._class = self._maker.offset("storage_class")
        self._version = self._maker.offset("version_id")
        self._latest = self._slot("is_latest")
        self._owner = self._slot("owner")
        self._restoring = self._slot("restore_in_progress") if sized else -1
        self._restored = self._slot("restored_until") if sized else -1

    cdef Py_ssize_t _slot(self, str name) except -2:
        """The place of a slot; -1 if the class does not have it."""
        return self._maker.offset(name) if name in self._maker._class.__slots__ else -1

    cdef const char* read(self, const char* at, const char* end, span_t outer, bint encoded, list into) except NULL:
        """Read one element, whose name is ``outer``, from behind its tag; the place behind it."""
        cdef object made = self._maker.make()
        cdef span_t name, value
        cdef bint has_key = False, has_size = not self._sized
        cdef str owner_id = None, owner_name = None
        while True:
            at = _next_tag(at, end, &name)
            if at == NULL:
                raise ValueError("an unfinished entry")
            if name.at[0] == c"/":
                name.at += 1
                if _is(name, outer.at, outer.end - outer.at):
                    break
                continue
            at = _data(at, end, &value)
            if at == NULL:
                raise ValueError("an unfinished entry")
            if not _closes(at, end):
                _pass_over(name, False)
            elif _is(name, b"Key", 3):
                if has_key:
                    raise ValueError("an entry with two keys")
                _put(made, self._key, _text(value, encoded))
                has_key = True
            elif self._sized and _is(name, b"Size", 4):
                if has_size:
                    raise ValueError("an entry with two sizes")
                _put(made, self._size, _size(value))
                has_size = True
            elif self._sized and _is(name, b"ETag", 4):
                _put(made, self._etag, _text(value))
            elif _is(name, b"LastModified", 12):
                if not _same(value, self._modified_text):
                    self._modified_value, self._modified_text = _moment(value), value
                _put(made, self._modified, self._modified_value)
            elif self._sized and _is(name, b"StorageClass", 12):
                if not _same(value, self._class_text):
                    self._class_value, self._class_text = _text(value), value
                _put(made, self._class, self._class_value)
            elif _is(name, b"VersionId", 9):
                _put(made, self._version, _text(value))
            elif _is(name, b"IsLatest", 8):
                if self._latest >= 0:
                    _put(made, self._latest, _is(value, b"true", 4))
            elif self._owner >= 0 and _is(name, b"ID", 2):
                owner_id = _text(value)
            elif self._owner >= 0 and _is(name, b"DisplayName", 11):
                owner_name = _text(value)
            elif self._restoring >= 0 and _is(name, b"IsRestoreInProgress", 19):
                _put(made, self._restoring, _is(value, b"true", 4))
            elif self._restored >= 0 and _is(name, b"RestoreExpiryDate", 17):
                _put(made, self._restored, _moment(value))
            else:
                _pass_over(name, True)
        if not has_key or not has_size:
            raise ValueError("an entry without key or size")
        if owner_id is not None or owner_name is not None:
            _put(made, self._owner, owner_id or owner_name)
        into.append(made)
        return at


cdef bint _same(span_t one, span_t other) noexcept nogil:
    return other.at != NULL and _is(one, other.at, other.end - other.at)


cdef const char* _read_prefix(
    const char* at, const char* end, _Maker maker, Py_ssize_t offset, bint encoded, list into
) except NULL:
    """Read a CommonPrefixes from behind its tag; the place behind it."""
    cdef span_t name, value
    cdef str text = None
    cdef object made
    while True:
        at = _next_tag(at, end, &name)
        if at == NULL:
            raise ValueError("an unfinished <CommonPrefixes>")
        if _is(name, b"/CommonPrefixes", 15):
            break
        if _is(name, b"Prefix", 6):
            at = _data(at, end, &value)
            if at == NULL or not _closes(at, end) or text is not None:
                raise ValueError("a common prefix whose name cannot be read")
            text = _text(value, encoded)
        else:
            _pass_over(name, True)
    if text is None:
        raise ValueError("a common prefix without its name")
    made = maker.make()
    _put(made, offset, text)
    into.append(made)
    return at


cdef bint _says_encoded(const char* at, const char* end) noexcept nogil:
    """Whether there is <EncodingType>url behind the last entry, where some servers have it. From the end on."""
    cdef const char* tag = end
    while tag > at:
        tag -= 1
        if tag[0] == c"<" and end - tag > 16:
            if memcmp(tag, b"<EncodingType>", 14) == 0:
                return memcmp(tag + 14, b"url", 3) == 0
            if memcmp(tag, b"</Contents>", 11) == 0 or memcmp(tag, b"</CommonPrefixes>", 16) == 0:
                return False
            if memcmp(tag, b"</Version>", 10) == 0 or memcmp(tag, b"</DeleteMarker>", 15) == 0:
                return False
    return False


def parse_list(data, object template not None, object prefix not None, marker=None):
    """Read an answer of ListObjectsV2, or of ListObjectVersions where there is a ``marker``.

    Args:
        template: an object of a class with slots; each entry is a copy of it with those slots set that the answer has:
            key, size, etag, last_modified, storage_class, version_id, and if the class has them is_latest, owner,
            restore_in_progress and restored_until.
        prefix: the same for common prefixes, with the slot ``prefix``.
        marker: the same for delete markers.

    Returns:
        (entries, prefixes, following): ``following`` is None on the last page, else (continuation token, key marker,
        version marker), of which the answer has one or two.

    Raises:
        ValueError: this is not such an answer.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return _parse_list(<const char*>view.buf, <const char*>view.buf + view.len, template, prefix, marker)
    finally:
        PyBuffer_Release(&view)


cdef tuple _parse_list(const char* at, const char* end, object template, object prefix, object marker):
    cdef _Entries read = _Entries(template, True)
    cdef _Entries read_marker = None if marker is None else _Entries(marker, False)
    cdef _Maker prefix_maker = _Maker(prefix)
    cdef Py_ssize_t prefix_slot = prefix_maker.offset("prefix")
    cdef span_t name, value, token, key_marker, version_marker
    cdef bint truncated = False, encoded = False, encoding_known = False
    cdef list entries = [], prefixes = []
    token.at = key_marker.at = version_marker.at = NULL
    at = _find(at, end, b"<ListVersionsResult" if marker is not None else b"<ListBucketResult",
               19 if marker is not None else 17)
    if at != NULL:
        at = _next_tag(at, end, &name)
    while True:
        if at != NULL:
            at = _next_tag(at, end, &name)
        if at == NULL:
            raise ValueError("the answer is not a complete listing")
        if name.at[0] == c"/":
            if _is(name, b"/ListVersionsResult", 19) or _is(name, b"/ListBucketResult", 17):
                break
            continue
        if _is(name, b"Contents", 8) or _is(name, b"CommonPrefixes", 14) or (
            marker is not None and (_is(name, b"Version", 7) or _is(name, b"DeleteMarker", 12))
        ):
            if not encoding_known:
                encoding_known = True
                encoded = _says_encoded(at, end)
            if name.at[0] == c"C" and name.end - name.at == 14:
                at = _read_prefix(at, end, prefix_maker, prefix_slot, encoded, prefixes)
            elif name.at[0] == c"D":
                at = read_marker.read(at, end, name, encoded, entries)
            else:
                at = read.read(at, end, name, encoded, entries)
            continue
        at = _data(at, end, &value)
        if at == NULL:
            continue
        if not _closes(at, end):
            _pass_over(name, False)
        elif _is(name, b"IsTruncated", 11):
            truncated = _is(value, b"true", 4)
        elif _is(name, b"EncodingType", 12):
            encoding_known, encoded = True, _is(value, b"url", 3)
        elif _is(name, b"NextContinuationToken", 21):
            token = value
        elif _is(name, b"NextKeyMarker", 13):
            key_marker = value
        elif _is(name, b"NextVersionIdMarker", 19):
            version_marker = value
        else:
            _pass_over(name, True)
    if not truncated:
        return entries, prefixes, None
    if (token if marker is None else key_marker).at == NULL:
        raise ValueError("there is more, but the answer does not say where to go on")
    return entries, prefixes, (
        None if token.at == NULL else _text(token),
        None if key_marker.at == NULL else _text(key_marker, encoded or _says_encoded(key_marker.at, end)),
        None if version_marker.at == NULL else _text(version_marker))
