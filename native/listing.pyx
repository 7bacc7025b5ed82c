# Answers of ListObjectsV2 and ListObjectVersions, read without a DOM in one pass. The grammar is S3's own and fixed:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

import_datetime()

cdef struct span_t:
    const char* at
    const char* end


cdef enum:
    MOST_DIGITS = 18


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


# -- character data --------------------------------------------------------------------------------------------------
cdef str _text(span_t raw, bint encoded=False):
    """Character data as text: its entities resolved, then, if it is URL-encoded, its escapes."""
    cdef size_t n = raw.end - raw.at
    cdef bint entities = memchr(raw.at, c"&", n) != NULL
    cdef bint escapes = encoded and (memchr(raw.at, c"%", n) != NULL or memchr(raw.at, c"+", n) != NULL)
    cdef char small[1024]
    cdef char* to
    cdef bytes large
    if not entities and not escapes:
        return PyUnicode_DecodeUTF8(raw.at, n, NULL)
    if n <= sizeof(small):
        to = small
    else:
        large = PyBytes_FromStringAndSize(NULL, n)
        to = PyBytes_AS_STRING(large)
    if entities:
        n = _resolve(raw, to)
        raw.at, raw.end = to, to + n
        # among what was an entity there may be escapes
        escapes = encoded
    if escapes:
        n = _unquote(raw, to)
    if encoded:  # an URL can name bytes that are no UTF-8; botocore replaces them too
        return PyUnicode_DecodeUTF8(to, n, b"replace")
    return PyUnicode_DecodeUTF8(to, n, NULL)


cdef size_t _resolve(span_t raw, char* to) except? 0:
    """Write the data with its entities resolved, which is never longer; the size."""
    cdef const char* at = raw.at
    cdef const char* semicolon
    cdef char* start = to
    cdef uint32_t code
    while at < raw.end:
        if at[0] != c"&":
            to[0] = at[0]
            to += 1
            at += 1
            continue
        semicolon = <const char*>memchr(at, c";", raw.end - at)
        code = 0xFFFFFFFF if semicolon == NULL else _entity(at + 1, semicolon)
        if code == 0xFFFFFFFF:  # what it was to mean only its sender knows: as it stands it would be another key
            raise ValueError("an ampersand that begins no entity")
        if code > 0x10FFFF:
            raise ValueError(f"no character has the number {code}")
        to = _encode_character(code, to)
        at = semicolon + 1
    return to - start


cdef uint32_t _entity(const char* at, const char* end) noexcept nogil:
    """The code point of an entity, without ampersand and semicolon; 0xFFFFFFFF if it is none."""
    cdef size_t n = end - at
    cdef uint32_t code = 0
    cdef int digit
    cdef bint hexadecimal
    if n == 4 and memcmp(at, b"quot", 4) == 0:
        return c'"'
    if n == 4 and memcmp(at, b"apos", 4) == 0:
        return c"'"
    if n == 3 and memcmp(at, b"amp", 3) == 0:
        return c"&"
    if n == 2 and memcmp(at, b"lt", 2) == 0:
        return c"<"
    if n == 2 and memcmp(at, b"gt", 2) == 0:
        return c">"
    if n < 2 or at[0] != c"#":
        return 0xFFFFFFFF
    hexadecimal = at[1] == c"x"
    at += 2 if hexadecimal else 1
    if at == end:
        return 0xFFFFFFFF
    while at < end:
        digit = _digit(at[0])
        if digit < 0 or (not hexadecimal and digit > 9):
            return 0xFFFFFFFF
        code = min(code * (16 if hexadecimal else 10) + <uint32_t>digit, <uint32_t>0x110000)
        at += 1
    return code


cdef int _digit(char c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    if c"a" <= c <= c"f":
        return c - c"a" + 10
    if c"A" <= c <= c"F":
        return c - c"A" + 10
    return -1


cdef char* _encode_character(uint32_t code, char* to) noexcept nogil:
    """UTF-8, also of surrogates: the decoder will refuse them."""
    if code < 0x80:
        to[0] = <char>code
        return to + 1
    if code < 0x800:
        to[0] = <char>(0xC0 | code >> 6)
        to[1] = <char>(0x80 | code & 0x3F)
        return to + 2
    if code < 0x10000:
        to[0] = <char>(0xE0 | code >> 12)
        to[1] = <char>(0x80 | code >> 6 & 0x3F)
        to[2] = <char>(0x80 | code & 0x3F)
        return to + 3
    to[0] = <char>(0xF0 | code >> 18)
    to[1] = <char>(0x80 | code >> 12 & 0x3F)
    to[2] = <char>(0x80 | code >> 6 & 0x3F)
    to[3] = <char>(0x80 | code & 0x3F)
    return to + 4


cdef size_t _unquote(span_t raw, char* to) noexcept nogil:
    """Write the data with its escapes resolved, and '+' as a space; the size. ``to`` may be where the data is."""
    cdef const char* at = raw.at
    cdef char* start = to
    while at < raw.end:
        if at[0] == c"%" and raw.end - at > 2 and _digit(at[1]) >= 0 and _digit(at[2]) >= 0:
            to[0] = <char>(_digit(at[1]) << 4 | _digit(at[2]))
            at += 3
        else:
            to[0] = c" " if at[0] == c"+" else at[0]
            at += 1
        to += 1
    return to - start


cdef int _decimal(const char* at, size_t n) noexcept nogil:
    """A number of so many digits; -1 if they are none."""
    cdef int value = 0
    cdef size_t i
    for i in range(n):
        if not c"0" <= at[i] <= c"9":
            return -1
        value = value * 10 + (at[i] - c"0")
    return value


cdef object _moment(span_t raw):
    """``2026-11-25T10:00:00.000Z`` as a datetime in UTC, None if it is none. With or without fraction."""
    cdef const char* at = raw.at
    cdef size_t n = raw.end - raw.at
    cdef size_t digits
    cdef int year, month, day, hour, minute, second, micros = 0
    if n < 20 or at[4] != c"-" or at[7] != c"-" or at[10] != c"T" or at[13] != c":" or at[16] != c":":
        return _odd_moment(raw)
    if at[n - 1] != c"Z":
        return _odd_moment(raw)
    if n > 20:
        digits = n - 21
        if at[19] != c"." or digits == 0 or digits > 6:
            return _odd_moment(raw)
        micros = _decimal(at + 20, digits)
        while digits < 6:
            micros = micros * 10 if micros >= 0 else -1
            digits += 1
    year, month, day = _decimal(at, 4), _decimal(at + 5, 2), _decimal(at + 8, 2)
    hour, minute, second = _decimal(at + 11, 2), _decimal(at + 14, 2), _decimal(at + 17, 2)
    if year < 0 or month < 0 or day < 0 or hour < 0 or minute < 0 or second < 0 or micros < 0:
        return _odd_moment(raw)
    try:
        return datetime_new(year, month, day, hour, minute, second, micros, get_utc())
    except ValueError:
        return None


cdef object _odd_moment(span_t raw):
    """What else ISO 8601 allows."""
    from datetime import UTC, datetime
    try:
        when = datetime.fromisoformat(_text(raw))
    except ValueError:
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


cdef object _size(span_t raw):
    cdef const char* at = raw.at
    cdef int64_t value = 0
    while at < raw.end and c"0" <= at[0] <= c"9" and at - raw.at < MOST_DIGITS:
        value = value * 10 + (at[0] - c"0")
        at += 1
    if at == raw.end and at > raw.at:
        return value
    number = int(_text(raw))  # spaces, or digits as entities
    if number < 0:
        raise ValueError("an entry's size is negative")
    return number


# -- documents -------------------------------------------------------------------------------------------------------
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
