"""Planned failures: which requests they hit and what happens to the answer."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from objectfs.sim.http import Chunk, FileSlice, Response, chunk_length, limit_chunks


@dataclass(slots=True, eq=False)
class Fault:
    """A failure for requests of an operation (any, if None) on a key (any, if None).

    The first ``after`` matching requests pass, the next ``times`` are hit (None: all of them); ``hits``
    counts. ``status`` answers with that error and leaves the operation undone. The others do the operation
    and spoil the answer, except ``reset`` without ``close_at``, which resets the connection unanswered
    and undone, and ``stall``, which never answers.
    """

    operation: str | None = None
    key: str | None = None
    times: int | None = 1
    after: int = 0
    bucket: str | None = None
    part_number: int | None = None

    status: int | None = None
    code: str = "InternalError"
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    close_at: int | None = None
    reset: bool = False
    stall: bool = False
    delay: float = 0.0
    truncate: int | None = None
    corrupt: int | None = None
    drop_headers: tuple[str, ...] = ()
    body: bytes | None = None
    hold: threading.Event | None = None

    hits: int = 0
    seen: int = 0
    length: int | None = None
    """Bytes of the answer that ``close_at`` cut last, head included, if it had come whole; None for a stream."""

    def matches(self, operation: str, bucket: str, key: str, query: Mapping[str, str]) -> bool:
        return (
            (self.operation is None or self.operation == operation)
            and (self.key is None or self.key == key)
            and (self.bucket is None or self.bucket == bucket)
            and (self.part_number is None or query.get("partNumber") == str(self.part_number))
        )


class Faults:
    """The server's faults, in the order they were added. Each request is hit by at most one."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        with self._lock:
            self._faults.remove(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def match(self, operation: str, bucket: str, key: str, query: Mapping[str, str]) -> Fault | None:
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if not fault.matches(operation, bucket, key, query):
                    continue
                if fault.times is not None and fault.hits >= fault.times:
                    continue
                fault.seen += 1
                if fault.seen > fault.after:
                    fault.hits += 1
                    return fault
        return None


def spoil(fault: Fault, response: Response) -> tuple[Response, Iterable[Chunk]]:
    """The response as the fault leaves it, and the body to send, which may differ from what is declared."""
    if fault.body is not None:
        response.body, response.length = fault.body, None
    chunks: Iterable[Chunk] = (response.body,) if isinstance(response.body, bytes) else response.body
    if fault.corrupt is not None:
        chunks = flip_bit(chunks, fault.corrupt)
    if fault.truncate is not None:
        chunks = limit_chunks(chunks, fault.truncate)
        response.close = True
    return response, chunks


def flip_bit(chunks: Iterable[Chunk], offset: int) -> Iterator[Chunk]:
    """The chunks, with the lowest bit of the byte at ``offset`` flipped."""
    import os

    position = 0
    for chunk in chunks:
        size = chunk_length(chunk)
        if not position <= offset < position + size:
            yield chunk
        elif isinstance(chunk, FileSlice):
            at = offset - position
            yield FileSlice(chunk.file, chunk.offset, at)
            yield bytes((os.pread(chunk.file.fd, 1, chunk.offset + at)[0] ^ 1,))
            yield FileSlice(chunk.file, chunk.offset + at + 1, size - at - 1)
        else:
            changed = bytearray(chunk)
            changed[offset - position] ^= 1
            yield memoryview(changed)
        position += size
