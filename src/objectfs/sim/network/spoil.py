"""How a fault spoils what the service would have answered."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Chunk, FileSlice, Head, Response, chunk_length, http_date, limit_chunks
from objectfs.sim.network.faults import Fault
from objectfs.sim.operations.context import new_etag
from objectfs.sim.store.blobs import PatternBlob
from objectfs.sim.store.memory import Store

if TYPE_CHECKING:
    from objectfs.sim.service import Exchange

FLIP = bytes(byte ^ 1 for byte in range(256))
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Pause:
    """In a body: go on after so many seconds, or never."""

    seconds: float | None


class Reset:
    """In a body: reset the connection here."""


def refusal(fault: Fault, head: Head, bucket: str) -> S3Error | None:
    """The error that a fault answers with; None when it lets the operation be done."""
    if fault.redirect is not None:
        # S3 names a host of its own. Nobody is to be led there from here: this host answers for every region.
        return S3Error(
            "PermanentRedirect",
            headers={"x-amz-bucket-region": fault.redirect},
            extra={"Endpoint": head.headers.get("host", ""), "Bucket": bucket},
        )
    if fault.status is not None:
        return S3Error(fault.code, fault.message, status=fault.status, headers=fault.headers)
    return None


def spoil_headers(exchange: Exchange, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The answer's headers as the fault leaves them."""
    fault = exchange.fault
    assert fault is not None
    changes: dict[str, tuple[str, str]] = {}
    if fault.etag is not None:
        changes["etag"] = ("etag", fault.etag)
    if fault.shift_range is not None:
        shift = fault.shift_range
        given = next((value for name, value in headers if name.lower() == "content-range"), "")
        if match := _CONTENT_RANGE.fullmatch(given):
            first, last, size = map(int, match.groups())
            changes["content-range"] = ("shift_range", f"bytes {first + shift}-{last + shift}/{size}")
    if fault.clock_skew is not None:
        changes["date"] = ("clock_skew", http_date(time.time() + fault.clock_skew))
    spoiled = []
    for name, value in headers:
        effect, changed = changes.get(name.lower(), ("", value))
        if effect:
            exchange.note(effect, None)
        spoiled.append((name, changed))
    if fault.set_headers:
        exchange.note("set_headers", None)
        replaced = {name.lower() for name in fault.set_headers}
        spoiled = [(name, value) for name, value in spoiled if name.lower() not in replaced]
        spoiled += fault.set_headers.items()
    if fault.drop_headers:
        patterns = [re.compile(fnmatch.translate(name.lower())) for name in fault.drop_headers]
        kept = [(name, value) for name, value in spoiled if not any(p.match(name.lower()) for p in patterns)]
        if len(kept) < len(spoiled):
            exchange.note("drop_headers", None)
        spoiled = kept
    return spoiled


def spoil_body(exchange: Exchange, response: Response) -> Iterator[Chunk | Pause | Reset]:
    """The body to send, which may differ from what the head declares. To be asked for before the head is made."""
    fault = exchange.fault
    assert fault is not None
    if fault.body is not None:
        assert isinstance(fault.body, bytes)
        response.body, response.length = fault.body, None
        exchange.note("body", None)
    if fault.truncate is not None:
        response.close = True
    chunks: Iterable[Chunk] = (response.body,) if isinstance(response.body, bytes) else response.body
    return _spoiled(exchange, fault, chunks, response.content_length())


def _spoiled(exchange: Exchange, fault: Fault, chunks: Iterable[Chunk], length: int) -> Iterator[Chunk | Pause | Reset]:
    if fault.corrupt is not None and fault.corrupt < length:
        exchange.note("corrupt", fault.corrupt)
        chunks = flip_bit(chunks, fault.corrupt)
    if fault.truncate is not None and fault.truncate < length:
        exchange.note("truncate", fault.truncate)
        chunks = limit_chunks(chunks, fault.truncate)
    if fault.at is not None and fault.at <= length:
        yield from _interrupted(exchange, fault, chunks, fault.at)
    else:
        yield from chunks
    if fault.extra is not None:
        exchange.note("extra", length)
        yield b"x" * fault.extra


def _interrupted(exchange: Exchange, fault: Fault, chunks: Iterable[Chunk], at: int) -> Iterator[Chunk | Pause | Reset]:
    """The chunks with what the fault does at that offset."""
    event: Pause | Reset = Reset() if fault.reset else Pause(None if fault.stall else fault.delay)
    effect = "reset" if fault.reset else "stall" if fault.stall else "delay"
    position = 0
    for chunk in chunks:
        size = chunk_length(chunk)
        if position <= at < position + size:
            cut = at - position
            yield _part(chunk, 0, cut)
            exchange.note(effect, at)
            yield event
            yield _part(chunk, cut, size)
        else:
            yield chunk
        position += size
    if position == at:
        exchange.note(effect, at)
        yield event


def _part(chunk: Chunk, start: int, stop: int) -> Chunk:
    if isinstance(chunk, FileSlice):
        return FileSlice(chunk.file, chunk.offset + start, stop - start)
    return memoryview(chunk)[start:stop]


def flip_bit(chunks: Iterable[Chunk], offset: int) -> Iterator[Chunk]:
    """The chunks, with the lowest bit of the byte at ``offset`` flipped."""
    position = 0
    for chunk in chunks:
        size = chunk_length(chunk)
        if not position <= offset < position + size:
            yield chunk
        elif isinstance(chunk, FileSlice):
            at = offset - position
            yield FileSlice(chunk.file, chunk.offset, at)
            yield os.pread(chunk.file.fd, 1, chunk.offset + at).translate(FLIP)
            yield FileSlice(chunk.file, chunk.offset + at + 1, size - at - 1)
        else:
            changed = bytearray(chunk)
            changed[offset - position] ^= 1
            yield memoryview(changed)
        position += size


def replace_object(store: Store, bucket_name: str, key: str, content: bool | bytes | str) -> bool:
    """Put another object in the place of one, as another client would; True when there is one.

    Without content of its own the new object has the old one's size, and no byte in common with it."""
    bucket = store.buckets.get(bucket_name)
    old = bucket.objects.get(key) if bucket is not None else None
    if bucket is None or old is None:
        return False
    if content is True and isinstance(old.blob, PatternBlob):
        blob = old.blob.slice(1, old.size + 1)
    else:
        sink = store.new_sink(bucket_name, None)
        if isinstance(content, bool):
            pieces: Iterable[bytes] = (piece.translate(FLIP) for piece in _pieces(old.blob.chunks(0, old.size)))
        else:
            pieces = (content.encode() if isinstance(content, str) else content,)
        for piece in pieces:
            view = memoryview(piece)
            while len(view):
                target = sink.reserve(len(view))
                count = min(len(target), len(view))
                target[:count] = view[:count]
                sink.commit(count)
                view = view[count:]
        blob = sink.finish()
    store.put(
        bucket, dataclasses.replace(old, blob=blob, etag=new_etag(), modified=time.time(), checksums={}, parts=())
    )
    return True


def _pieces(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, FileSlice):
            end = chunk.offset + chunk.length
            for offset in range(chunk.offset, end, 1 << 20):
                yield os.pread(chunk.file.fd, min(1 << 20, end - offset), offset)
        else:
            yield bytes(chunk)
