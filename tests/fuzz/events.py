"""Event streams (SelectObjectContent) and what a hostile server makes of them."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from objectfs.backends.call_answer import received

from .draw import Draw

__all__ = ["needs_error", "read", "source", "stream"]

RECORDS = b"a,b\n1,2\n"


def message(headers: dict[str, str], payload: bytes) -> bytes:
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    start = prelude + struct.pack("!I", zlib.crc32(prelude)) + head + payload
    return start + struct.pack("!I", zlib.crc32(start))


def event(kind: str, payload: bytes = b"", content: str = "application/octet-stream") -> bytes:
    return message({":message-type": "event", ":event-type": kind, ":content-type": content}, payload)


EVENTS = (
    event("Records", RECORDS),
    event("Stats", b"<Stats><BytesScanned>5</BytesScanned></Stats>", "text/xml"),
    event("Progress", b"<Progress><Details", "text/xml"),
    event("Cont"),
    event("Unknown", b"x"),
    message({":message-type": "error", ":error-code": "InternalError", ":error-message": "m"}, b""),
    message({":message-type": "exception", ":exception-type": "x"}, b"<Error><Code>SlowDown</Code></Error>"),
    message({}, b""),
    message({":message-type": "event"}, b"x"),
    event("End"),
)


def stream(draw: Draw) -> tuple[bytes, bytes, bool]:
    """What was meant to be sent, what is, and whether that was a whole answer."""
    chosen = [draw.one_of(EVENTS) for _ in range(draw.below(4))]
    sent = b"".join([*chosen, EVENTS[-1]])
    spoiled = sent
    while draw.chance(2):
        at = draw.below(len(spoiled) + 1)
        kind = draw.below(4)
        if kind == 0:
            spoiled = spoiled[:at]
        elif kind == 1:
            spoiled = spoiled[:at] + bytes((draw.byte(),)) + spoiled[at + 1 :]
        elif kind == 2:
            spoiled = spoiled[:at] + draw.rest(6) + spoiled[at:]
        else:
            size = draw.one_of((0, 1, 15, 16, 0x7FFFFFFF, 0xFFFFFFFF, 24 * 2**20))
            prelude = struct.pack("!II", size, draw.one_of((0, 1, size)))
            spoiled = spoiled[:at] + prelude + struct.pack("!I", zlib.crc32(prelude)) + spoiled[at:]
    return sent, spoiled, not any(each in EVENTS[2:3] + EVENTS[4:9] for each in chosen)


@functools.cache
def source(session: Any) -> Any:
    """Where an event stream is read: botocore's request for one."""
    return session.serialize(
        "SelectObjectContent",
        {
            "Bucket": "b",
            "Key": "k",
            "Expression": "SELECT * FROM S3Object",
            "ExpressionType": "SQL",
            "InputSerialization": {"CSV": {}},
            "OutputSerialization": {"CSV": {}},
        },
    )


def read(content: bytes, request: Any) -> Iterator[dict[str, Any]]:
    answer = received(request.parse(200, [], content), "SelectObjectContent", {"Bucket": "b", "Key": "k"})
    return iter(answer["Payload"])


def needs_error(found: list[dict[str, Any]]) -> bool:
    """Whether these events cannot have come of an unharmed stream: each has its own checksum, so what arrives is what
    was sent or other whole events, the last of which is the end."""
    return not any("End" in each for each in found)
