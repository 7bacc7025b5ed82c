# What stands between two tags of an S3 answer, as Python's objects: text, moments, sizes (listing.pyx finds the tags).

import_datetime()

cdef struct span_t:
    const char* at
    const char* end


cdef enum:
    MOST_DIGITS = 18


cdef str _text(span_t raw, bint encoded=False):
    """Character data as text: its entities resolved, then, if it is URL-encoded, its escapes.

    Raises:
        ValueError: it is no UTF-8, which S3's is whatever the document declares (botocore does not ask that either).
    """
    cdef size_t n = raw.end - raw.at
    cdef bint entities = memchr(raw.at, c"&", n) != NULL
    cdef bint escapes = encoded and (memchr(raw.at, c"%", n) != NULL or memchr(raw.at, c"+", n) != NULL)
    cdef char small[1024]
    cdef char* to
    cdef bytes large
    if not entities and not escapes:
        return PyUnicode_DecodeUTF8(raw.at, n, NULL)
    if not _ascii(raw):  # below, what the escapes name is replaced where it is no UTF-8
        PyUnicode_DecodeUTF8(raw.at, n, NULL)
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


cdef bint _ascii(span_t raw) noexcept nogil:
    cdef const char* at = raw.at
    cdef unsigned char bits = 0
    while at < raw.end:
        bits |= <unsigned char>at[0]
        at += 1
    return bits < 0x80


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
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
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
    """UTF-8."""
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
