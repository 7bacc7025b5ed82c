"""Request bodies as they arrive: Content-Length or chunked, plain or aws-chunked, hashed on the way.

A body passes through at most three stages: the transfer coding, aws-chunked, and the destination. Where
all of them expect a run of plain data, ``direct`` lets the socket read straight into the destination.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Protocol

from objectfs.sim.auth.sigv4 import STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, Auth
from objectfs.sim.checksums import Digest
from objectfs.sim.errors import ProtocolError, S3Error
from objectfs.sim.store.blobs import Sink

MAX_LINE = 4096
MAX_TRAILERS = 16 * 1024
# Extensions of the transfer coding mean nothing here: a body may not consist of them.
MAX_EXTENSIONS = 16 * 1024
MIN_AWS_CHUNK = 8192
DIRECT = 1024 * 1024

_SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(;[\t -~\x80-\xff]*)?")
_TRAILER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:([\t -~\x80-\xff]*)")
_SIGNATURE = re.compile(r";chunk-signature=([0-9a-fA-F]{64})")

TERMINATED = "The request body terminated unexpectedly"


class Stage(Protocol):
    """One stage; ``run`` is how many bytes of plain data it expects before anything else."""

    @property
    def run(self) -> int: ...

    def feed(self, data: memoryview) -> int:
        """Take bytes; the number consumed is less than all only when the stage is complete."""
        ...

    def passed(self, data: memoryview) -> None:
        """Account for bytes that were read directly into the destination."""
        ...

    def end(self) -> None:
        """The stage before has ended: raise if this one expected more."""
        ...


class Destination:
    """The last stage: a sink, and the digests of what goes into it."""

    def __init__(self, sink: Sink, digests: list[Digest]) -> None:
        self.sink = sink
        self.digests = digests
        self.size = 0
        # What may arrive at most, and the error if more does.
        self.limit: int | None = None
        self.beyond = "IncompleteBody"
        self.run = 1 << 62

    def feed(self, data: memoryview) -> int:
        total = len(data)
        while len(data):
            target = self.sink.reserve(len(data))
            count = min(len(target), len(data))
            target[:count] = data[:count]
            self.commit(target[:count])
            data = data[count:]
        return total

    def commit(self, view: memoryview) -> None:
        self.size += len(view)
        if self.limit is not None and self.size > self.limit:
            raise S3Error(self.beyond)
        for digest in self.digests:
            digest.update(view)
        self.sink.commit(len(view))

    def passed(self, data: memoryview) -> None:
        self.commit(data)

    def end(self) -> None:
        pass


class Fixed:
    """A body of Content-Length bytes."""

    def __init__(self, following: Stage, length: int) -> None:
        self._next = following
        self.run = length
        self.done = length == 0
        if self.done:
            following.end()

    def feed(self, data: memoryview) -> int:
        data = data[: self.run]
        if self._next.feed(data) < len(data):
            raise S3Error("IncompleteBody", TERMINATED)
        self._count(len(data))
        return len(data)

    def passed(self, data: memoryview) -> None:
        self._next.passed(data)
        self._count(len(data))

    def _count(self, count: int) -> None:
        self.run -= count
        if not self.run:
            self.done = True
            self._next.end()

    def end(self) -> None:
        if not self.done:
            raise S3Error("IncompleteBody")


class Chunked:
    """``size[;extension] CRLF data CRLF ... 0 CRLF trailers CRLF``: HTTP's coding, and aws-chunked."""

    def __init__(self, following: Stage) -> None:
        self._next = following
        self._line = bytearray()
        self._state = "size"
        self._extra_bytes = 0
        self.run = 0
        self.done = False
        self.trailers: dict[str, str] = {}

    def fail(self, message: str) -> Exception:
        return ProtocolError(message)

    def fail_trailer(self) -> Exception:
        return self.fail("malformed trailer")

    def feed(self, data: memoryview) -> int:
        position = 0
        while position < len(data) and not self.done:
            if self._state == "data":
                piece = data[position : position + self.run]
                if self._next.feed(piece) < len(piece):
                    raise self.fail("data after the end of the body")
                self._passed(piece)
                position += len(piece)
                continue
            line, used = self._take_line(data[position:])
            position += used
            if line is not None:
                self._on_line(line)
        return position

    def passed(self, data: memoryview) -> None:
        self._next.passed(data)
        self._passed(data)

    def _passed(self, data: memoryview) -> None:
        self.on_data(data)
        self.run -= len(data)
        if not self.run:
            self._state = "data-end"

    def _take_line(self, data: memoryview) -> tuple[bytes | None, int]:
        window = bytes(data[: MAX_LINE + 2])
        index = window.find(b"\n")
        used = index + 1 if index >= 0 else len(window)
        self._line += window[:used]
        if len(self._line) > MAX_LINE:
            raise self.fail("chunk header too long")
        if index < 0:
            return None, used
        line = bytes(self._line)
        self._line.clear()
        if not line.endswith(b"\r\n"):
            raise self.fail("chunk line not ended by CRLF")
        return line[:-2], used

    def _on_line(self, line: bytes) -> None:
        if self._state == "data-end":
            if line:
                raise self.fail("chunk longer than its size")
            self._state = "size"
            self.on_chunk_end()
        elif self._state == "size":
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise self.fail("invalid chunk size")
            self.run = int(match[1], 16)
            self._state = "data" if self.run else "trailers"
            if not self.run:
                self._extra_bytes = 0
            self.on_chunk(self.run, (match[2] or b"").decode("latin-1"))
        elif line:
            self._extra_bytes += len(line)
            field = _TRAILER.fullmatch(line.decode("latin-1"))
            if field is None or self._extra_bytes > MAX_TRAILERS:
                raise self.fail_trailer()
            name = field[1].lower()
            if name in self.trailers:
                raise self.fail_trailer()
            self.trailers[name] = field[2].strip(" \t")
        else:
            self.on_trailers()
            self.done = True
            self._next.end()

    def on_chunk(self, size: int, extension: str) -> None:
        self._extra_bytes += len(extension)
        if self._extra_bytes > MAX_EXTENSIONS:
            raise self.fail("chunk extensions too long")

    def on_data(self, data: memoryview) -> None: ...

    def on_chunk_end(self) -> None: ...

    def on_trailers(self) -> None: ...

    def end(self) -> None:
        if not self.done:
            raise S3Error("IncompleteBody", TERMINATED)


class AwsChunked(Chunked):
    """aws-chunked: chunks may be signed, each signature covering the one before, and so may trailers.

    Whatever is wrong with the framing, S3 calls the body incomplete."""

    def __init__(self, following: Stage, auth: Auth, declared_trailers: str) -> None:
        super().__init__(following)
        self._auth = auth
        self._declared = {name.strip().lower() for name in declared_trailers.split(",") if name.strip()}
        self._signed = auth.payload in (STREAMING_SIGNED, STREAMING_SIGNED_TRAILER)
        self._check = self._signed and auth.verified
        self._previous = auth.signature
        self._signature = ""
        self._hash = hashlib.sha256()
        self._number = 0
        self._size = MIN_AWS_CHUNK

    def fail(self, message: str) -> Exception:
        return S3Error("IncompleteBody", TERMINATED, extra={"Reason": message})

    def fail_trailer(self) -> Exception:
        return S3Error("MalformedTrailerError")

    def on_chunk(self, size: int, extension: str) -> None:
        self._number += 1
        if size and self._size < MIN_AWS_CHUNK:
            # The one before was small, and is not the last.
            raise S3Error("InvalidChunkSizeError", extra={"Chunk": str(self._number), "BadChunkSize": str(self._size)})
        self._size = size
        if self._signed:
            match = _SIGNATURE.fullmatch(extension)
            if match is None:
                raise self.fail("chunk without a signature")
            self._signature = match[1].lower()
        elif extension:
            raise self.fail("chunk extension")
        if not size:
            self.on_chunk_end()

    def on_data(self, data: memoryview) -> None:
        if self._check:
            self._hash.update(data)

    def on_chunk_end(self) -> None:
        if not self._check:
            return
        expected = self._auth.chunk_signature(self._previous, self._hash.hexdigest())
        if not hmac.compare_digest(expected, self._signature):
            raise S3Error("SignatureDoesNotMatch", "The chunk signature does not match")
        self._previous = expected
        self._hash = hashlib.sha256()

    def on_trailers(self) -> None:
        signature = self.trailers.pop("x-amz-trailer-signature", "")
        if set(self.trailers) != self._declared:
            raise S3Error("MalformedTrailerError")
        if self._check and self._auth.payload == STREAMING_SIGNED_TRAILER:
            text = "".join(f"{name}:{value}\n" for name, value in sorted(self.trailers.items()))
            expected = self._auth.trailer_signature(self._previous, text.encode("latin-1"))
            if not hmac.compare_digest(expected.encode(), signature.lower().encode("latin-1")):
                raise S3Error("SignatureDoesNotMatch", "The trailer signature does not match")


class Receiver:
    """The stages of one request body, and what the connection needs of them."""

    def __init__(self, first: Fixed | Chunked, middle: AwsChunked | None, destination: Destination) -> None:
        self._first = first
        self._middle = middle
        self.destination = destination

    @property
    def done(self) -> bool:
        return self._first.done

    @property
    def trailers(self) -> dict[str, str]:
        return self._middle.trailers if self._middle else {}

    def feed(self, data: memoryview) -> int:
        return self._first.feed(data)

    def direct(self) -> memoryview | None:
        """Destination memory to read into; None where framing must be parsed, or for a short run."""
        run = self._first.run
        if self._middle is not None:
            run = min(run, self._middle.run)
        if run < 4096:
            return None
        return self.destination.sink.reserve(min(run, DIRECT))

    def passed(self, view: memoryview) -> None:
        self._first.passed(view)


def make_receiver(
    sink: Sink, digests: list[Digest], *, length: int | None, auth: Auth | None, declared_trailers: str
) -> Receiver:
    """``length`` None means chunked transfer coding; ``auth`` is given for aws-chunked bodies."""
    destination = Destination(sink, digests)
    middle = AwsChunked(destination, auth, declared_trailers) if auth is not None else None
    following: Stage = middle if middle is not None else destination
    first = Chunked(following) if length is None else Fixed(following, length)
    return Receiver(first, middle, destination)
