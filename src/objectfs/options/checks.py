"""What a value must be, and the text that it is sent as. Each check takes the option's name and the value, and raises
TypeError for a wrong type and InvalidRequestError for a wrong value."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from objectfs.errors import InvalidRequestError

__all__ = [
    "Check",
    "Expected",
    "Hidden",
    "attributes",
    "checked_headers",
    "checked_metadata",
    "context",
    "customer_key",
    "expected_checksum",
    "flag",
    "http_date",
    "iso_date",
    "one_of",
    "owner",
    "redirect",
    "tagging",
    "text",
    "whole",
]

Check = Callable[[str, Any], Any]

MAX_METADATA_BYTES = 2048
"""S3's limit for the names and values of user metadata together."""

MAX_TAGS, MAX_TAG_KEY, MAX_TAG_VALUE = 10, 128, 256
"""S3's limits for an object's tags; lengths in characters
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html)."""

DIGESTS = {"CRC64NVME": 8, "CRC32": 4, "CRC32C": 4, "SHA1": 20, "SHA256": 32}
"""The algorithms, and the bytes of their values."""

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# Headers that the engine writes itself: a second one would make the request ambiguous, or its signature
# wrong.
_OWN_HEADERS = frozenset(
    (
        "authorization",
        "connection",
        "content-length",
        "expect",
        "host",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
    )
)


class Hidden(str):
    """Text that is sent, and never shown: its repr and its formatted forms are stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __reduce__(self) -> Any:
        raise TypeError("a customer's key is not pickled")


class Expected(NamedTuple):
    """A checksum that the caller knows."""

    algorithm: str
    value: str
    """In base64, as S3 has it."""


def type_error(name: str, what: str, value: Any) -> TypeError:
    return TypeError(f"{name} must be {what} or None, not {type(value).__name__}")


def text(name: str, value: Any) -> str:
    """Printable ASCII, for a header or a query."""
    if not isinstance(value, str):
        raise type_error(name, "a string", value)
    if not value:
        raise InvalidRequestError(f"{name} is empty")
    check_printable(name, value)
    return value


def check_printable(name: str, value: str) -> None:
    if not value.isascii() or any(ord(char) < 32 or ord(char) == 127 for char in value if char != "\t"):
        raise InvalidRequestError(f"{name}={value!r} must be printable ASCII: it is sent as a header")


def one_of(*allowed: str) -> Check:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise type_error(name, f"one of {', '.join(map(repr, allowed))}", value)
        if value not in allowed:
            raise InvalidRequestError(f"{name}={value!r} must be one of {', '.join(map(repr, allowed))}")
        return value

    return check


def whole(least: int, most: int) -> Check:
    def check(name: str, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int):
            raise type_error(name, "a whole number", value)
        if not least <= value <= most:
            raise InvalidRequestError(f"{name}={value} must be from {least} to {most}")
        return str(value)

    return check


def flag(name: str, value: Any) -> str:
    if not isinstance(value, bool):
        raise type_error(name, "True or False", value)
    return "true" if value else "false"


def _moment(name: str, value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise type_error(name, "a datetime", value)
    if value.utcoffset() is None:
        raise InvalidRequestError(
            f"{name}={value!r} has no time zone", hint="Give datetime(..., tzinfo=timezone.utc), or .astimezone()"
        )
    return value.astimezone(UTC)


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(name: str, value: Any) -> str:
    """As RFC 9110, 5.6.7 has it, to the second; whatever the process's locale."""
    at = _moment(name, value)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year:04} {at.hour:02}:{at.minute:02}:{at.second:02} GMT"


def iso_date(name: str, value: Any) -> str:
    at = _moment(name, value)
    # S3 takes milliseconds
    fraction = f".{at.microsecond // 1000:03}" if at.microsecond else ""
    return f"{at.year:04}-{at.month:02}-{at.day:02}T{at.hour:02}:{at.minute:02}:{at.second:02}{fraction}Z"


def owner(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise type_error(name, "a string", value)
    if not (value.isascii() and value.isalnum()):
        raise InvalidRequestError(f"{name}={value!r} must be an account's id: 12 digits on AWS")
    return value


def redirect(name: str, value: Any) -> str:
    text(name, value)
    if not value.startswith(("/", "http://", "https://")):
        raise InvalidRequestError(f"{name}={value!r} must begin with '/', 'http://' or 'https://'")
    return str(value)


def customer_key(name: str, value: Any) -> Hidden:
    """The base64 of 32 bytes. What is wrong with it is said without it."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
    elif isinstance(value, str):
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRequestError(f"{name} is no base64: it must be 32 bytes, or the base64 of 32 bytes") from None
    else:
        raise type_error(name, "32 bytes, or a string with the base64 of them", value)
    if len(raw) != 32:
        raise InvalidRequestError(f"{name} has {len(raw)} bytes; AES256 takes 32")
    return Hidden(base64.b64encode(raw).decode("ascii"))


def context(name: str, value: Any) -> str:
    """KMS's encryption context: the base64 of a JSON object."""
    if isinstance(value, Mapping):
        if not all(isinstance(each, str) for pair in value.items() for each in pair):
            raise TypeError(f"{name} must map strings to strings")
        return base64.b64encode(json.dumps(dict(value)).encode("ascii")).decode("ascii")
    if not isinstance(value, str):
        raise type_error(name, "a mapping, or a string with the base64 of its JSON", value)
    try:
        found = json.loads(base64.b64decode(value, validate=True))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidRequestError(f"{name} is not the base64 of a JSON object")
    return value


def tagging(name: str, value: Any) -> str:
    """Tags as a query string, which is how PutObject has them."""
    if not isinstance(value, Mapping):
        raise type_error(name, "a mapping of strings to strings", value)
    if len(value) > MAX_TAGS:
        raise InvalidRequestError(f"{name} has {len(value)} entries, more than S3's {MAX_TAGS}")
    for key, word in value.items():
        if not isinstance(key, str) or not isinstance(word, str):
            raise TypeError(f"{name} must map strings to strings")
        if not 1 <= len(key) <= MAX_TAG_KEY:
            raise InvalidRequestError(f"{name}: the key {key!r} must have 1 to {MAX_TAG_KEY} characters")
        if len(word) > MAX_TAG_VALUE:
            raise InvalidRequestError(f"{name}[{key!r}] has {len(word)} characters, more than S3's {MAX_TAG_VALUE}")
        if key.lower().startswith("aws:"):
            raise InvalidRequestError(f"{name}: the key {key!r} begins with 'aws:', which AWS keeps for itself")
    try:
        return urlencode(value, quote_via=quote, safe="-_.~")
    except UnicodeEncodeError:
        raise InvalidRequestError(f"{name} has no UTF-8 form (lone surrogates)") from None


def attributes(name: str, value: Any) -> str:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise type_error(name, "a sequence of strings", value)
    return ",".join(one_of("RestoreStatus")(name, each) for each in value)


def expected_checksum(name: str, value: Any) -> Expected:
    """From ``("SHA256", base64)``, or ``"sha256:…"`` with hex or base64."""
    if isinstance(value, str):
        algorithm, _, digest = value.partition(":")
    elif isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value):
        algorithm, digest = value
    else:
        raise type_error(name, "a pair (algorithm, base64) or text 'algorithm:value'", value)
    algorithm = algorithm.upper().replace("-", "")
    size = DIGESTS.get(algorithm)
    if size is None:
        raise InvalidRequestError(f"{name}={value!r}: the algorithm must be one of {', '.join(DIGESTS)}")
    raw: bytes | None = None
    with contextlib.suppress(ValueError):
        # no value can be both: base64 of these sizes ends with "=", or has another length
        raw = bytes.fromhex(digest) if _HEX.fullmatch(digest) else base64.b64decode(digest, validate=True)
    if raw is None or len(raw) != size:
        raise InvalidRequestError(
            f"{name}={value!r}: a {algorithm} is {size} bytes, in base64"
            + (" (of the whole content: 'value-N' is that of an upload's parts)" if "-" in digest else " or hex")
        )
    return Expected(algorithm, base64.b64encode(raw).decode("ascii"))


def _strings(what: str, *values: Any) -> None:
    if not all(isinstance(value, str) for value in values):
        raise TypeError(f"{what} must map strings to strings")


def _mapping(what: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise type_error(what, "a mapping of strings to strings", value)
    return value


def checked_headers(what: str, headers: Any) -> Mapping[str, str]:
    """Headers with their names in lower case."""
    checked = {}
    for name, value in _mapping(what, headers).items():
        _strings(what, name, value)
        if not _TOKEN.fullmatch(name):
            raise InvalidRequestError(f"{name!r} is no header's name")
        if name.lower() in _OWN_HEADERS:
            raise InvalidRequestError(f"the header {name} is written by the engine and cannot be given")
        if name.lower().endswith("server-side-encryption-customer-key"):
            raise InvalidRequestError(f"the header {name} cannot be given", hint="Give sse_customer_key=")
        check_printable(f"{what}[{name!r}]", value)
        checked[name.lower()] = value.strip()
    return checked


def checked_metadata(what: str, metadata: Any) -> Mapping[str, str]:
    checked = {}
    size = 0
    for name, value in _mapping(what, metadata).items():
        _strings(what, name, value)
        if not _TOKEN.fullmatch(name):
            raise InvalidRequestError(f"{what}: {name!r} cannot be a name: letters, digits and some punctuation")
        check_printable(f"{what}[{name!r}]", value)
        if value != value.strip():
            raise InvalidRequestError(f"{what}[{name!r}]: HTTP does not keep spaces at the ends of a value")
        checked[name.lower()] = value
        size += len(name) + len(value)
    if size > MAX_METADATA_BYTES:
        raise InvalidRequestError(f"{what} has {size} bytes, more than S3's {MAX_METADATA_BYTES}")
    return checked
