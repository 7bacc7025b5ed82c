"""What may come of answers: read off what was sent, by rules of HTTP's that are stricter than any client's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .honest import CONTENT, Request
from .lies import Reply

__all__ = ["contents", "deletions", "documents", "succeeded"]

Log = list[tuple[Request, Reply]]
_RANGE = re.compile(rb"(?i)^content-range:[ \t]*bytes (\d{1,18})-(\d{1,18})/(\d{1,18})[ \t]*$", re.M)
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,18})[ \t\r]*$")
_OF_PARTS = re.compile(rb"(?im)^x-amz-checksum-\w+:[^\n]*-\d+[ \t\r]*$")
"""A checksum of parts' checksums: who has not the parts cannot compare it, so that content fits any."""
_REFUSAL = re.compile(rb"\s*(?:<[?!][^>]*>\s*)*<(?:Error|html)\b")


def _final(wire: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Status, head and what is behind it, of each head that stands in what was sent: who is told of two, one within
    the other, may take either."""
    for match in re.finditer(rb"HTTP/\S* +(\d+)", wire):
        end = re.search(rb"\r?\n\r?\n", wire[match.start() :])
        if end is not None:
            start = match.start()
            yield int(match[1]), wire[start : start + end.start()].replace(b"\r\n", b"\n"), wire[start + end.end() :]


def contents(log: Log, key: str, start: int = 0, end: int | None = None, nested: bool = True) -> Iterator[bytes]:
    """All that a read of that range of that object may give: what is in the object, and what a server has said whole
    and without contradiction that it was. ``nested``: also what stands in an answer that stands behind another one."""
    whole = CONTENT[key]
    sizes = {len(whole)}
    for asked, made in log:
        if asked.key != key or asked.method not in ("GET", "HEAD"):
            continue
        answers = [found for found in _final(made.wire) if found[0] >= 200]
        for status, head, body in answers if nested else answers[:1]:
            if status not in (200, 206) or (made.spoiled and not _OF_PARTS.search(head)):
                continue
            lengths = {int(match[1]) for match in _LENGTH.finditer(head)}
            if asked.method == "HEAD":
                sizes |= lengths
                continue
            for match in _RANGE.finditer(head):
                first, last, size = int(match[1]), int(match[2]), int(match[3])
                sizes.add(size)
                wanted_end = size if end is None else min(end, size)
                if (first, last + 1) == _bounds(start, wanted_end, size):
                    yield body[: last + 1 - first]
            if start == 0 and end is None:
                yield from (body[:length] for length in lengths if length <= len(body))
                if b"chunked" in head.lower():
                    yield from _chunks(body)
    for size in sizes:
        if size <= len(whole):
            first, last = _bounds(start, size if end is None else min(end, size), size)
            yield whole[first:last]


def _bounds(start: int, end: int, size: int) -> tuple[int, int]:
    return (max(0, size + start), size) if start < 0 else (start, end)


def _chunks(body: bytes) -> Iterator[bytes]:
    """The content of a chunked body that ends as one does."""
    content, at = b"", 0
    while True:
        line = re.match(rb"\s*([0-9a-fA-F]+)[^\r\n]*\r?\n", body[at : at + 200])
        if line is None:
            return
        at += line.end()
        size = int(line[1], 16)
        if size == 0:
            yield content
            return
        content += body[at : at + size]
        at += size
        if at > len(body):
            return


def succeeded(log: Log, operation: str) -> bool:
    """Whether some request of that operation was told that it had been done."""
    for asked, made in log:
        if asked.operation != operation:
            continue
        for status, head, body in _final(made.wire):
            # 204 has no body, nor has what says that it is of no bytes: what stands behind is somebody else's
            empty = status == 204 or {match[1] for match in _LENGTH.finditer(head)} == {b"0"}
            if 200 <= status < 300 and (empty or not _REFUSAL.match(body)):
                return True
    return False


def deletions(log: Log) -> bool:
    """Whether a DeleteObjects was told that all had been deleted."""
    return any(b"<DeleteResult" in document for document in documents(log, "DeleteObjects"))


def documents(log: Log, operation: str) -> Iterator[bytes]:
    """The documents that requests of that operation were answered with."""
    for asked, made in log:
        if asked.operation == operation:
            for status, head, body in _final(made.wire):
                if 200 <= status < 300:
                    yield body
                    if b"chunked" in head.lower():
                        yield from _chunks(body)
