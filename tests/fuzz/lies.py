"""What a hostile server makes of an honest answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .documents import DOCUMENTS, make, number, spoil
from .draw import Draw
from .honest import CONTENT, Answer, Request, answer, checksum

__all__ = ["CUT", "SMUGGLED", "Reply", "reply"]

SMUGGLED = b"SMUGGLED" * 8
"""What stands in an answer that nobody asked for."""
_SECOND = b'HTTP/1.1 200 OK\r\nETag: "s"\r\nContent-Length: %d\r\n\r\n' % len(SMUGGLED) + SMUGGLED

STATUS_LINES = (
    b"HTTP/1.1 200\r\n",
    b"HTTP/1.1  200 OK\r\n",
    b"HTTP/1.1 2000 OK\r\n",
    b"HTTP/1.1 20 OK\r\n",
    b"HTTP/1.1 -20 OK\r\n",
    b"HTTP/1.1 999 X\r\n",
    b"HTTP/1.1 000 X\r\n",
    b"HTTP/1.1 2\xb200 OK\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/9.9 200 OK\r\n",
    b"HTTP/2 200\r\n",
    b"http/1.1 200 OK\r\n",
    b"HTTP/1.1\r\n",
    b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n",
    b"\r\n",
    b"\x00\x00\x00\x04\x08\x00\x00\x00\x00",
    b"\x16\x03\x01\x02\x00",
    b"GET / HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\n",
    b"HTTP/1.1 200 O\0K\r\n",
)
LINES = (
    b"no colon\r\n",
    b": no name\r\n",
    b"Name : space\r\n",
    b"X: a\r\n folded\r\n",
    b"X: a\nSet: b\r\n",
    b"X: a\rb\r\n",
    b"X: \0\r\n",
    b"X: \xff\xfe\r\n",
    b"X" * 70_000 + b": y\r\n",
    b"X: " + b"y" * 200_000 + b"\r\n",
    b"X: y\r\n" * 300,
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: aws-chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Range: bytes 0-4/5\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"Location: http://127.0.0.1:1/\r\n",
    b"Retry-After: 3600\r\n",
    b"Retry-After: -1\r\n",
    b"Retry-After: 99999999999999999999\r\n",
    b'ETag: "other"\r\n',
    b"ETag: \r\n",
    b"x-amz-missing-meta: x\r\n",
    b"x-amz-mp-parts-count: 99999\r\n",
    b"x-amz-checksum-sha256: nonsense\r\n",
    b"x-amz-checksum-crc32: AAAAAA==-2\r\n",
    b"x-amz-checksum-type: COMPOSITE\r\n",
    b"x-amz-restore: x\r\n",
    b"x-amz-meta-a: =?utf-8?b?a?=\r\n",
    b"Last-Modified: Mon, 01 Jan 99999999999999999999 00:00:00 GMT\r\n",
    b"Last-Modified: Mon, 01 Jan 2024 00:00:00 +999999999999\r\n",
    b"Expires: never\r\n",
)
INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 200,
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nabcde",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 199 X\r\n\r\n",
    b"HTTP/1.1 100\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"\r\n\r\n",
)
OTHER_STATUSES = (
    200,
    204,
    206,
    201,
    205,
    226,
    299,
    300,
    304,
    400,
    403,
    404,
    409,
    411,
    412,
    416,
    429,
    500,
    501,
    503,
    507,
)
LOCATIONS = ("http://127.0.0.1:1/x", "/", "", "http://[::", "//", "https://127.0.0.1:1/", "\xff")
CHUNK_SIZES = (
    b"-1",
    b"zz",
    b"",
    b"0x5",
    b" 5",
    b"+5",
    b"5;ext=1",
    b"FFFFFFFFFFFFFFFF",
    b"FFFFFFFFFFFFFFFFF",
    b"FFFFFFFFFFFF",
    b"0",
    b"00005",
)


@dataclass
class Reply:
    """What is sent, and what must come of it."""

    wire: bytes = b""
    early: bool = False
    """Sent before the request's body has been read."""
    ends: str = "keep"
    """What becomes of the connection: ``keep``, ``close`` or ``reset``."""
    slow: bool = False
    """Sent in small pieces."""
    spoiled: bool = False
    """The content is another than its checksum says: no client may believe it."""
    honest: bool = True


@dataclass
class _Writing:
    answer: Answer
    reply: Reply
    line: bytes = b""
    lines: bytes = b""
    length: str | None = ""
    """Content-Length; empty for the truth, None for none."""
    chunks: bytes | None = None
    before: bytes = b""
    after: bytes = b""
    cut: float | None = None


def reply(draw: Draw, asked: Request) -> Reply:
    """The answer to a request, as the bytes behind ``draw`` will have it."""
    writing = _Writing(answer(asked), Reply())
    while draw.left and draw.below(3):
        draw.one_of(LIES)(draw, asked, writing)
        writing.reply.honest = False
    return _written(asked, writing)


def _written(asked: Request, writing: _Writing) -> Reply:
    found, made = writing.answer, writing.reply
    line = writing.line or b"HTTP/1.1 %d X\r\n" % found.status
    head = line + b"".join(f"{name}: {value}\r\n".encode("latin-1", "replace") for name, value in found.headers)
    head += writing.lines
    if writing.chunks is not None:
        head += b"Transfer-Encoding: chunked\r\n"
    elif writing.length is not None and found.status not in (204, 304):
        head += f"Content-Length: {writing.length or len(found.body)}\r\n".encode("latin-1", "replace")
    body = found.body if writing.chunks is None else writing.chunks
    body = b"" if asked.method == "HEAD" and not writing.after else body
    wire = writing.before + head + b"\r\n" + body + writing.after
    if writing.cut is not None:
        wire = wire[: int(len(wire) * writing.cut)]
        made.ends = "close" if made.ends == "keep" else made.ends
    made.wire = wire
    return made


# -- lies ------------------------------------------------------------------------------------------------------------
def _status_line(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.line = draw.one_of(STATUS_LINES)


def _header(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.lines += draw.one_of(LINES)


def _length(draw: Draw, asked: Request, writing: _Writing) -> None:
    near = str(max(0, len(writing.answer.body) + draw.below(5) - 2))
    writing.length = draw.one_of((None, near, number(draw) or " "))


def _range(draw: Draw, asked: Request, writing: _Writing) -> None:
    found = writing.answer
    size = len(found.body)
    values = (
        f"bytes {draw.below(20)}-{size + draw.below(20) - 10}/{size + draw.below(20)}",
        f"bytes 0-{size - 1}/{number(draw)}",
        f"bytes {number(draw)}-{number(draw)}/{number(draw)}",
        f"bytes 0-{size - 1}/*",
        "bytes */0",
        "nonsense",
    )
    found.headers = [item for item in found.headers if item[0] != "Content-Range"]
    if draw.below(4):
        found.headers.append(("Content-Range", draw.one_of(values)))
    found.status = draw.one_of((206, 200, found.status))


def _shifted(draw: Draw, asked: Request, writing: _Writing) -> None:
    """The right answer to another range: whoever believes it has the wrong bytes."""
    size = len(CONTENT.get(asked.key, b""))
    wanted = asked.range(size)
    found = writing.answer
    if asked.operation != "GetObject" or found.status not in (200, 206) or size == 0 or writing.reply.spoiled:
        return
    start, end = wanted or (0, size)
    start = min(start + draw.below(9), size - 1)
    end = max(start + 1, min(end + draw.below(9) - 4, size))
    found.headers = [item for item in found.headers if item[0] != "Content-Range"]
    found.headers.append(("Content-Range", f"bytes {start}-{end - 1}/{size}"))
    found.status, found.body = 206, CONTENT[asked.key][start:end]


def _truncated(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.length = writing.length or str(len(writing.answer.body))
    writing.answer.body = writing.answer.body[: draw.below(len(writing.answer.body) + 1)]
    writing.reply.ends = draw.one_of(("close", "reset"))


def _longer(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.after += draw.one_of((b"x", b"\r\n", _SECOND, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"))


def _chunked(draw: Draw, asked: Request, writing: _Writing) -> None:
    body, out = writing.answer.body, b""
    step = max(1, len(body) // (1 + draw.below(4)))
    for at in range(0, len(body), step):
        piece = body[at : at + step]
        out += b"%x\r\n" % len(piece) + piece + (b"\r\n" if draw.below(12) else b"")
        if draw.chance(10):
            out += draw.one_of(CHUNK_SIZES) + b"\r\n"
    trailers = (
        b"\r\n",
        b"x-amz-checksum-crc32: AAAAAA==\r\n\r\n",
        b"Content-Length: 3\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"T: " + b"x" * 70_000 + b"\r\n\r\n",
        b"",
    )
    out += b"0\r\n" + draw.one_of(trailers) if draw.below(5) else b""
    writing.chunks = out
    if not out.endswith(b"\r\n\r\n"):
        writing.reply.ends = "close"


def _checksum(draw: Draw, asked: Request, writing: _Writing) -> None:
    """Content with another checksum than its own. That it is the content that is wrong only shows where all of it was
    asked for, with its checksum."""
    found = writing.answer
    whole = asked.operation == "GetObject" and found.status == 200 and not found.document and found.body
    asks = asked.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED" and "range" not in asked.headers
    found.headers = [item for item in found.headers if not item[0].startswith("x-amz-checksum-crc32")]
    if whole and asks and draw.chance(2) and not writing.reply.spoiled:
        at = draw.below(len(found.body))
        found.headers.append(("x-amz-checksum-crc32", checksum(found.body)))
        found.body = found.body[:at] + bytes((found.body[at] ^ 1,)) + found.body[at + 1 :]
        writing.reply.spoiled = True
    else:
        name = draw.one_of(("crc32", "crc32c", "crc64nvme", "sha1", "sha256"))
        found.headers.append((f"x-amz-checksum-{name}", draw.one_of(("AAAAAA==", "", "x", "AAAA-2", "\xff"))))


def _document(draw: Draw, asked: Request, writing: _Writing) -> None:
    found = writing.answer
    if found.document:
        found.body = spoil(draw, found.body)
    elif asked.operation != "GetObject":  # there, whatever the body is, it is the content
        found.body = make(draw, draw.one_of(list(DOCUMENTS)))


def _redirect(draw: Draw, asked: Request, writing: _Writing) -> None:
    found = writing.answer
    found.status = draw.one_of((301, 302, 303, 307, 308))
    if draw.below(4):
        found.headers.append(("Location", draw.one_of(LOCATIONS)))
    if draw.chance(2):
        found.headers.append(("x-amz-bucket-region", draw.one_of(("eu-west-1", "us-east-1", "", "\xe4", "x" * 300))))
    found.body = draw.one_of((b"", DOCUMENTS["page"], b"<Error><Code>PermanentRedirect</Code></Error>"))


def _interim(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.before += draw.one_of(INTERIM)


def _cut(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.cut = draw.below(1000) / 1000 if draw.below(3) else draw.below(200) / 20_000
    writing.reply.ends = draw.one_of(("close", "reset"))


def _status(draw: Draw, asked: Request, writing: _Writing) -> None:
    found = writing.answer
    found.status = draw.one_of(OTHER_STATUSES)
    if found.status >= 300 and draw.below(3):
        found.body = make(draw, draw.one_of(("error", "page", "nothing")))


def _nothing(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.cut = 0.0
    writing.reply.ends = draw.one_of(("close", "reset"))


def _early(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.reply.early = True
    writing.reply.ends = "close"


def _slow(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.reply.slow = True


def _close(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.reply.ends = draw.one_of(("close", "reset"))


def _no_etag(draw: Draw, asked: Request, writing: _Writing) -> None:
    writing.answer.headers = [item for item in writing.answer.headers if item[0] != "ETag"]


LIES: tuple[Callable[[Draw, Request, _Writing], None], ...] = (
    _header,
    _status_line,
    _length,
    _range,
    _shifted,
    _truncated,
    _longer,
    _chunked,
    _checksum,
    _document,
    _document,
    _redirect,
    _interim,
    _cut,
    _status,
    _nothing,
    _early,
    _slow,
    _close,
    _no_etag,
)
CUT = LIES.index(_cut)
"""Which of them cuts the answer off."""
