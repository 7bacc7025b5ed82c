"""The fuzzer: bytes to the parts of the server that need no socket, and to a live server.

    scripts/fuzz-server --seconds 600

What counts as a finding is in ``check_*``: an exception that is no error answer, an answer that is not HTTP, another
answer when the same bytes arrive in other pieces, a signature that holds for a request that was not signed, a file
outside the store, more kept than was sent. An input that does one of these belongs into ``corpus/``.
"""

from __future__ import annotations

import argparse
import calendar
import logging
import random
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock
from urllib.parse import parse_qsl, unquote_to_bytes

from objectfs.sim import S3Server
from objectfs.sim.auth.sigv4 import STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER, Auth
from objectfs.sim.auth.verifier import Verifier
from objectfs.sim.body import make_receiver
from objectfs.sim.errors import ProtocolError, S3Error
from objectfs.sim.http import MAX_HEAD, FileSlice, Head, chunk_length, parse_head
from objectfs.sim.network.faults import Faults
from objectfs.sim.route import operation_name, parse_target
from objectfs.sim.service import Service
from objectfs.sim.sockets.connection import Close, Connection
from objectfs.sim.store.blobs import MemorySink
from objectfs.sim.store.directory import DirectoryStore
from objectfs.sim.store.memory import Store
from objectfs.sim.xml import parse_xml

from .mutate import DOCUMENTS, REQUESTS, finish, mutate

CORPUS = Path(__file__).with_name("corpus")
NOW = calendar.timegm((2013, 5, 24, 0, 0, 0))
EXAMPLE_KEYS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
SCRATCH = memoryview(bytearray(256 * 1024))
VERSIONED = [
    next(data for data in REQUESTS if name in data) for name in (b"PUT /bucket?versioning", b"PUT /bucket?object-lock")
]
# An answer may be a terabyte; so much of it is looked at.
MOST = 1024 * 1024


class Errors(logging.Handler):
    """The server logs what it did not expect: that is a finding too."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


ERRORS = Errors()


class Site:
    """A service whose store looks the same at the start of each input."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.service = Service(store, Verifier("test", "testtest", "us-east-1", enabled=False), Faults(), secure=True)

    def reset(self, versions: bool = False) -> None:
        for name in list(self.store.buckets):
            self.store.delete_bucket(name)
        self.store.create_bucket("bucket")
        self.store.add_synthetic("bucket", "a b", 11)
        self.store.add_synthetic("bucket", "big", 10**12)
        if versions:
            for data in VERSIONED:
                converse(self.service, finish(data, b""), MOST)
        create = b"POST /bucket/k?uploads HTTP/1.1\r\nHost: x\r\n\r\n"
        # An ID that were another each time could be read otherwise: as a request line, say.
        with mock.patch("secrets.token_urlsafe", lambda size: "Up" * (size * 2 // 3)):
            answer, _ = converse(self.service, create, len(create))
        found = re.search(rb"<UploadId>([^<]+)", answer)
        assert found
        self.upload = found[1]
        self.service.requests.clear()


def converse(service: Service, data: bytes, step: int) -> tuple[bytes, Connection]:
    """What a connection answers to bytes that arrive ``step`` at a time, up to MOST bytes."""
    connection = Connection(service, 1, SCRATCH)
    out = bytearray()
    position = 0
    while position < len(data) and connection.close is Close.NO:
        assert connection.wants_read or connection.out or connection.source is not None, "the connection hangs"
        buffer = connection.get_buffer()
        assert len(buffer), "an empty buffer"
        count = min(len(buffer), step, len(data) - position)
        buffer[:count] = data[position : position + count]
        connection.received(count)
        position += count
        assert len(connection.pending) <= 2 * MAX_HEAD
        if not drain(connection, out):
            connection.abandon()
            return bytes(out), connection
    if connection.close is Close.NO:
        connection.received_eof()
        drain(connection, out)
    connection.abandon()
    return bytes(out), connection


def drain(connection: Connection, out: bytearray) -> bool:
    """Take what there is to send; False when that was too much to go on."""
    while len(out) < MOST:
        if not connection.out:
            connection.refill()
        if not connection.out:
            before = len(connection.pending)
            if connection.close is not Close.NO or not before:
                return True
            connection.advance()
            if not connection.out and connection.source is None and len(connection.pending) == before:
                return True
            continue
        chunk = connection.out.popleft()
        if isinstance(chunk, FileSlice):
            import os

            out += os.pread(chunk.file.fd, chunk.length, chunk.offset)
        else:
            out += chunk[:MOST]
            if chunk_length(chunk) > MOST:
                return False
    return False


def statuses(service: Service, out: bytes) -> list[int]:
    """The status of each answer; AssertionError for what is no HTTP."""
    methods = [request.method for request in service.requests]
    found: list[int] = []
    position = 0
    while position < len(out):
        end = out.find(b"\r\n\r\n", position)
        if end < 0:
            assert len(out) >= MOST, "an answer without an end of its head"
            break
        lines = out[position:end].split(b"\r\n")
        match = re.fullmatch(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [A-Za-z -]+", lines[0])
        assert match, lines[0]
        status = int(match[1])
        position = end + 4
        if status == 100:
            continue
        fields = dict(line.split(b": ", 1) for line in lines[1:])
        assert not any(byte < 32 and byte != 9 for line in lines for byte in line)
        # A head that was refused has left no record: it may have been one of HEAD, and is the last.
        method = methods[len(found)] if len(found) < len(methods) else "GET" if position < len(out) else "HEAD"
        found.append(status)
        if status in (204, 304):
            assert b"Content-Length" not in fields
        elif method != "HEAD":
            position += int(fields[b"Content-Length"])
            assert position <= len(out) or len(out) >= MOST, "a body shorter than announced"
        else:
            int(fields[b"Content-Length"])
    return found


def check_wire(site: Site, data: bytes, step: int) -> None:
    """A connection: any bytes, in any pieces."""
    # The same for the same input, so that a finding is one again.
    versions = len(data) % 2 == 1
    site.reset(versions)
    out, connection = converse(site.service, finish(data, site.upload), MOST)
    whole = statuses(site.service, out)
    assert len(whole) <= len(site.service.requests) + 1, "more answers than requests"
    assert 500 not in whole, out
    kept = sum(
        r.blob.size
        for b in site.store.buckets.values()
        for r in b.objects.values()
        if type(r.blob).__name__ == "MemoryBlob"
    )
    assert kept <= len(data) * (1 + len(site.service.requests)), "more kept than was sent"
    for bucket in site.store.buckets.values():
        for key in bucket.objects:
            assert 0 < len(key.encode()) <= 1024
            assert "\0" not in key
    assert connection.close is not Close.NO or connection.eof or len(out) >= MOST
    if len(out) < MOST and step < len(data):
        site.reset(versions)
        out, _ = converse(site.service, finish(data, site.upload), step)
        assert statuses(site.service, out) == whole, f"other answers in steps of {step}"


def check_directory(site: Site, data: bytes, root: Path) -> None:
    """The directory store: no file outside of it."""
    site.reset(len(data) % 2 == 1)
    out, _ = converse(site.service, finish(data, site.upload), MOST)
    assert 500 not in statuses(site.service, out), out
    assert [path.name for path in root.parent.iterdir()] == [root.name]
    for path in root.iterdir():
        assert path.name in site.store.buckets
        assert {entry.name for entry in path.iterdir()} <= {".bucket.json", "objects", "data", "uploads", "versions"}


def outcome(auth: Auth, data: bytes, pieces: Iterator[int]) -> object:
    sink = MemorySink(None)
    receiver = make_receiver(sink, [], length=None, auth=auth, declared_trailers="x-amz-checksum-crc32")
    position = 0
    try:
        while position < len(data) and not receiver.done:
            count = next(pieces)
            position += receiver.feed(memoryview(data)[position : position + count])
    except (S3Error, ProtocolError) as error:
        return type(error), error.code
    content = b"".join(bytes(part) for part in sink.finish().chunks(0, receiver.destination.size))
    return receiver.done, position if receiver.done else None, content, receiver.trailers


def check_body(data: bytes, mode: str, rng: random.Random) -> None:
    """The chunked codings: the same end however the bytes arrive."""
    auth = Auth(
        "test", mode, "20130524T000000Z", "scope", b"key", "0" * 64, verified=mode != STREAMING_UNSIGNED_TRAILER
    )
    whole = outcome(auth, data, iter(lambda: len(data), None))
    assert outcome(auth, data, iter(lambda: 1, None)) == whole
    assert outcome(auth, data, iter(lambda: rng.choice((1, 2, 3, 7, 100)), None)) == whole


def check_xml(data: bytes) -> None:
    for root in ("Delete", "CompleteMultipartUpload", "Tagging"):
        try:
            element = parse_xml(data, root)
        except S3Error as error:
            assert error.code == "MalformedXML"  # noqa: PT017
        else:
            assert element.tag == root


def meaning(head: Head, names: list[str]) -> object:
    """What a signature is for, made out independently of the verifier."""
    path, _, query = head.target.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True, encoding="latin-1"))
    fields = [(name, " ".join(head.headers.get(name, "").split())) for name in names]
    return head.method, unquote_to_bytes(path), [p for p in pairs if p[0] != "X-Amz-Signature"], fields


def check_signature(seeds: list[bytes], data: bytes) -> None:
    """No other request than a seed has a seed's signature."""
    verifier = Verifier(*EXAMPLE_KEYS, "us-east-1", check_region=True, clock=lambda: NOW)
    try:
        head = parse_head(data)
        target = parse_target(head, ("s3.amazonaws.com",))
        operation_name(head, target)
        auth = verifier.authenticate(head, target.path, target.raw_query, target.query)
    except (S3Error, ProtocolError):
        return
    assert auth.verified
    signed = re.search(r"SignedHeaders=([^,&]+)", head.headers.get("authorization", "") + head.target)
    assert signed
    names = signed[1].replace("%3B", ";").split(";")
    assert meaning(head, names) in [meaning(parse_head(seed), names) for seed in seeds], "a forged request was let in"


def signed_seeds() -> list[bytes]:
    from .test_sigv4_examples import PRESIGNED, SINGLE, authorization

    texts = [f"{request}\n{authorization(names, signature)}" for request, names, signature in SINGLE.values()]
    return [text.replace("\n", "\r\n").encode() + b"\r\n\r\n" for text in (*texts, PRESIGNED)]


def chunk_seeds() -> list[bytes]:
    from .test_sigv4_examples import SIGNATURES, TRAILER_SIGNATURE, TRAILER_SIGNATURES

    lines = [b"a;chunk-signature=%s\r\n0123456789\r\n" % SIGNATURES[0].encode()]
    lines += [b"0;chunk-signature=%s\r\n\r\n" % TRAILER_SIGNATURES[2].encode()]
    plain = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n"
    inner = [
        b"".join(lines),
        plain + b"\r\n",
        plain + b"x-amz-trailer-signature:%s\r\n\r\n" % TRAILER_SIGNATURE.encode(),
    ]
    outer = [b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) for body in inner]
    return outer + [b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\nA: b\r\n\r\n" for body in inner]


class Fuzzer:
    """Runs one numbered input after the other."""

    def __init__(self, folder: Path) -> None:
        logging.getLogger("objectfs.sim").addHandler(ERRORS)
        self.memory = Site(Store())
        self.root = folder / "in" / "store"
        self.root.parent.mkdir(parents=True)
        self.directory = Site(DirectoryStore(self.root))
        self.requests = REQUESTS + [path.read_bytes() for path in sorted(CORPUS.glob("*.http"))]
        self.signed = signed_seeds()
        self.chunks = chunk_seeds()
        self.documents = list(DOCUMENTS.values())
        self.counts: dict[str, int] = {}

    def run(self, number: int, only: str | None = None) -> bytes | None:
        """The input of that number, of ``only`` that kind; returns it when it finds something."""
        rng = random.Random(number)
        kind = only or rng.choices(("wire", "body", "xml", "signature", "directory"), (50, 20, 10, 17, 3))[0]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        check: Callable[[], None]
        if kind in ("wire", "directory"):
            data = mutate(rng, rng.choice(self.requests), self.requests)
            step = rng.choice((1, 2, 3, 10, 100))
            check = (
                (lambda: check_wire(self.memory, data, step))
                if kind == "wire"
                else lambda: check_directory(self.directory, data, self.root)
            )
        elif kind == "body":
            data = mutate(rng, rng.choice(self.chunks), self.chunks)
            mode = rng.choice((STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER))
            check = lambda: check_body(data, mode, rng)  # noqa: E731
        elif kind == "xml":
            data = mutate(rng, rng.choice(self.documents), self.documents)
            check = lambda: check_xml(data)  # noqa: E731
        else:
            # One change that the signature does not notice is enough, and many are sure to be noticed.
            data = mutate(rng, rng.choice(self.signed), [*self.signed, *self.requests], most=2)
            check = lambda: check_signature(self.signed, data)  # noqa: E731
        return None if self.holds(check) else data

    def holds(self, check: Callable[[], None]) -> bool:
        ERRORS.found.clear()
        try:
            check()
        except Exception:
            traceback.print_exc()
            return False
        for text in ERRORS.found:
            print(text, file=sys.stderr)
        return not ERRORS.found


def live(server: S3Server, data: bytes) -> None:
    """Bytes to a socket, then the end; the server closes, or answers, and lives on."""
    import socket

    with socket.create_connection((server.host, server.port), timeout=10) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            got = 0
            while got < MOST and (piece := sock.recv(65536)):
                got += len(piece)
        except (ConnectionError, BrokenPipeError):
            pass


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz-server", description="Feed the embedded server what it should refuse.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--start", type=int, default=int(time.time()), help="number of the first input")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="where findings are written")
    options = parser.parse_args()
    found = done = 0
    started = shown = time.monotonic()
    number = options.start
    with tempfile.TemporaryDirectory() as folder, S3Server(verify_signatures=False) as server:
        fuzzer = Fuzzer(Path(folder))
        print(f"first input: {number}", flush=True)
        while (now := time.monotonic()) - started < options.seconds:
            data = fuzzer.run(number)
            if number % 20 == 0:
                rng = random.Random(-number)
                sent = finish(mutate(rng, rng.choice(fuzzer.requests), fuzzer.requests), b"upload")
                if not fuzzer.holds(lambda sent=sent: live(server, sent)):  # type: ignore[misc]
                    data = sent
                fuzzer.counts["live"] = fuzzer.counts.get("live", 0) + 1
            if data is not None:
                found += 1
                options.out.mkdir(parents=True, exist_ok=True)
                (options.out / f"{number}.bin").write_bytes(data)
                print(f"finding {number}: {data[:300]!r}", flush=True)
            number += 1
            done += 1
            if now - shown > 30:
                shown = now
                print(f"{now - started:5.0f} s  {done} inputs, {found} findings", flush=True)
        print(f"{done} inputs in {time.monotonic() - started:.0f} s: {fuzzer.counts}; {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
