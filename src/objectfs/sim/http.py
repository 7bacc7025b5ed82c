"""HTTP/1.1 messages without sockets: parse a request head, render a response head."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus

from objectfs.sim.errors import ProtocolError

# What is kept of a head that is not complete yet; a complete one is answered RequestHeaderSectionTooLarge from
# ``MAX_FIELDS`` on, which is S3's limit for the header section: the request line does not count.
MAX_HEAD = 64 * 1024
MAX_FIELDS = 8192

# One match validates the whole head; what follows may then split without checking again.
# Targets may carry raw bytes >= 0x80: clients exist that send UTF-8 unescaped. Possessive quantifiers keep the match
# linear: no other way to read a prefix is tried.
_HEAD = re.compile(
    rb"(?:\r\n)*+([A-Z]{1,32}) ([!-~\x80-\xff]++) HTTP/1\.([01])\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n)*+)\r\n"
)
# RFC 3986's authority without user information; RFC 9112 demands that another Host is answered 400.
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")
_SINGLE = frozenset(
    (
        "host",
        "content-length",
        "transfer-encoding",
        "authorization",
        "range",
        "expect",
        "date",
        "content-type",
        "content-md5",
        "x-amz-date",
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "x-amz-security-token",
    )
)
_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(slots=True)
class Head:
    """The head of a request. Text is Latin-1, so that any byte survives the round trip."""

    method: str
    target: str
    version: int
    headers: dict[str, str]
    size: int = 0
    """Bytes of the head."""

    @property
    def keep_alive(self) -> bool:
        value = self.headers.get("connection")
        if value is None:
            return self.version == 1
        tokens = [token.strip(" \t") for token in value.lower().split(",")]
        return "close" not in tokens if self.version else "keep-alive" in tokens

    def content_length(self) -> int | None:
        """The declared length; None without one. Raises ProtocolError when it is no plain number."""
        value = self.headers.get("content-length")
        if value is None:
            return None
        if not value.isascii() or not value.isdigit() or len(value) > 18:
            raise ProtocolError("invalid Content-Length")
        return int(value)


def parse_head(data: bytes) -> Head:
    """Parse a head, from the request line to the empty line, both included. Raises ProtocolError."""
    match = _HEAD.fullmatch(data)
    if match is None:
        raise ProtocolError("malformed request head")
    method, target, version, fields = match.groups()
    if len(fields) > MAX_FIELDS:
        raise ProtocolError(
            "Your request header section exceeds the maximum allowed size.",
            code="RequestHeaderSectionTooLarge",
            extra={"MaxSizeAllowed": str(MAX_FIELDS)},
        )
    headers: dict[str, str] = {}
    for line in fields.decode("latin-1").split("\r\n"):
        if not line:
            continue
        name, _, value = line.partition(":")
        name = name.lower()
        value = value.strip(" \t")
        if name in headers:
            if name in _SINGLE:
                raise ProtocolError(f"repeated header {name}")
            value = f"{headers[name]},{value}"
        headers[name] = value
    host = headers.get("host")
    if host is None:
        if version == b"1":
            raise ProtocolError("missing Host header")
    elif not _HOST.fullmatch(host):
        raise ProtocolError("invalid Host header")
    if "transfer-encoding" in headers:
        # Whoever sent this may not mean what the next server reads: RFC 9112, 6.1.
        if "content-length" in headers:
            raise ProtocolError("both Transfer-Encoding and Content-Length")
        if version == b"0":
            raise ProtocolError("Transfer-Encoding in HTTP/1.0")
    return Head(method.decode(), target.decode("latin-1"), int(version), headers, len(data))


class OpenFile:
    """A descriptor that closes with its last reference: responses in flight outlive a delete."""

    __slots__ = ("fd",)

    def __init__(self, path: str) -> None:
        import os

        self.fd = -1
        self.fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __del__(self) -> None:
        if self.fd >= 0:
            import os

            os.close(self.fd)


@dataclass(slots=True)
class FileSlice:
    """Part of a file, to be sent with ``sendfile`` where the socket allows."""

    file: OpenFile
    offset: int
    length: int


Chunk = bytes | memoryview | FileSlice


def chunk_length(chunk: Chunk) -> int:
    return chunk.length if isinstance(chunk, FileSlice) else len(chunk)


def limit_chunks(chunks: Iterable[Chunk], count: int) -> Iterator[Chunk]:
    """The first ``count`` bytes of ``chunks``."""
    for chunk in chunks:
        if count <= 0:
            return
        size = chunk_length(chunk)
        if size > count:
            if isinstance(chunk, FileSlice):
                chunk = FileSlice(chunk.file, chunk.offset, count)
            else:
                chunk = chunk[:count]
        yield chunk
        count -= size


@dataclass(slots=True)
class Response:
    """A response: ``body`` is bytes, or chunks of ``length`` bytes in all, produced as they are sent."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterable[Chunk] = b""
    length: int | None = None
    close: bool = False

    def content_length(self) -> int:
        if self.length is not None:
            return self.length
        assert isinstance(self.body, bytes)
        return len(self.body)


_date: tuple[int, str] = (0, "")


def http_date(timestamp: float | None = None) -> str:
    """RFC 9110 date; the current second's is kept, it is asked for once per response."""
    global _date
    if timestamp is not None:
        return formatdate(int(timestamp), usegmt=True)
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]


def parse_http_date(value: str) -> float | None:
    """Seconds since the epoch, or None when the value is no date: such conditions are ignored."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def render_head(status: int, headers: list[tuple[str, str]]) -> bytes:
    """The status line and header lines. Line breaks in values cannot split the response."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    text = "\r\n".join(lines)
    if text.count("\n") != len(headers) or text.count("\r") != len(headers):
        clean = [line.replace("\r", " ").replace("\n", " ") for line in lines]
        text = "\r\n".join(clean)
    return (text + "\r\n\r\n").encode("latin-1", "replace")
