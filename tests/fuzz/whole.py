"""The whole client against a hostile server: each verb, each backend. The outcome is what the server has said, whole,
or an error of ours, in time; nothing stays, and the next request is answered right."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import objectfs
from objectfs import errors

from . import listings, oracle
from .draw import Draw
from .honest import CONTENT
from .lies import SMUGGLED
from .server import LIES_TOLD, SIZE, HostileServer

__all__ = ["HEAD", "VERBS", "World", "case_of"]

MiB = 1024 * 1024
MOST = 60.0
"""Seconds for a call. No server here is silent for longer than an eyelid's flicker."""
DATA = CONTENT["a"]


class World:
    """One backend's surroundings: a server, a folder, a client that is another every few cases."""

    def __init__(self, backend: str, folder: Path, server: HostileServer) -> None:
        self.backend, self.folder, self.server = backend, folder, server
        self.client: Any = None
        self.told: oracle.Log = []
        """The requests of the last case, and what they were answered with."""
        self.settings: dict[str, Any] = {
            "backend": backend,
            "endpoint_url": server.url,
            "access_key_id": "test",
            "secret_access_key": "testtest",
            "region": "us-east-1",
            "max_attempts": 2,
            "part_size": 5 * MiB,
            "connect_timeout": 20,
            "read_timeout": 20,
        }
        (folder / "source").write_bytes(DATA)

    def __enter__(self) -> World:
        self.client = objectfs.Client(**self.settings)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.client = None

    def run(self, data: bytes) -> str:
        """One case; the verb's name and what came of it."""
        try:
            return self._run(data)
        except Exception as error:
            for asked, made in self.told:
                error.add_note(f"{asked.method} {asked.target} -> {made.ends} {made.wire[:700]!r} ({len(made.wire)})")
            raise

    def _run(self, data: bytes) -> str:
        (self.folder / "got").unlink(missing_ok=True)  # of a case that failed
        draw = Draw(data)
        verb = VERBS[draw.byte() % len(VERBS)]
        self.server.begin(data[HEAD:])
        clock = Clock()
        result, error = None, None
        self.told = self.server.log
        try:
            result = verb.run(self)
        except errors.ObjectFSError as caught:
            caught.__traceback__ = caught.__context__ = None
            error = caught
        took = clock.stop()
        log = list(self.server.log)
        assert took < MOST, f"{verb.name} took {took:.0f} s"
        assert len(log) <= 60, f"{verb.name} sent {len(log)} requests"
        if error is not None:
            assert type(error) not in (errors.ObjectFSError, errors.NativeError), f"{type(error)}: {error}"
            assert error.operation, f"an error that does not say of what: {error!r}"
            assert str(error)
        else:
            verb.check(self, result, log)
        names = sorted(path.name for path in self.folder.iterdir())
        assert names == ["source"] or (names == ["got", "source"] and error is None), names
        (self.folder / "got").unlink(missing_ok=True)
        result = None
        self.works_on()
        return f"{verb.name}: {'right' if error is None else type(error).__name__}"

    def works_on(self) -> None:
        """What a lie left on a connection is no other request's business."""
        self.server.begin()
        for attempt in range(8):
            try:
                got = bytes(self.client.get("bucket", "b", timeout=MOST))
            except (errors.ConnectionFailedError, errors.TruncatedError):
                assert attempt < 7, "the next requests fail"
            else:
                assert got == CONTENT["b"], f"the next answer was wrong: {got[:80]!r}"
                return


class Clock:
    """Seconds that this process has had: a machine that stops it for a while does not make a call late."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(0.2):
            now = time.monotonic()
            self._seconds += min(now - before, 1.0)
            before = now

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return self._seconds


class Verb:
    def __init__(self, name: str, run: Callable[[World], Any], check: Callable[[World, Any, oracle.Log], None]) -> None:
        self.name, self.run, self.check = name, run, check


def _reads(
    name: str, run: Callable[[World], Any], keys: tuple[str, ...] = ("small",), start: int = 0, end: int | None = None
) -> Verb:
    def check(world: World, result: Any, log: oracle.Log) -> None:
        found = [bytes(each) for each in result] if isinstance(result, list) else [bytes(result)]
        assert len(found) == len(keys)
        for content, key in zip(found, keys, strict=True):
            # as part of a body that was cut, and filled up to its length by what came behind, nothing tells it
            smuggled = SMUGGLED in content
            right = any(content == each for each in oracle.contents(log, key, start, end, nested=not smuggled))
            assert right or not smuggled, f"{name}: an answer to nobody's request was taken"
            assert right, f"{name}: {len(content)} wrong bytes: {content[:60]!r}"

    return Verb(name, run, check)


def _writes(name: str, run: Callable[[World], Any], *operations: str) -> Verb:
    def check(world: World, result: Any, log: oracle.Log) -> None:
        for operation in operations:
            assert oracle.succeeded(log, operation), f"{name}: nobody has said that {operation} was done"

    return Verb(name, run, check)


def _into(world: World, size: int = 2000) -> bytes:
    buffer = bytearray(b"#" * size)
    count = world.client.get_into("bucket", "small", buffer, timeout=MOST)
    if len(world.server.log) == 1:  # an attempt that failed may have brought more
        assert buffer[count:] == b"#" * (size - count), "bytes behind the content were written"
    return bytes(buffer[:count])


def _file(world: World, key: str = "small", *bounds: int) -> bytes:
    path = world.folder / "got"
    world.client.get_file("bucket", key, path, *bounds, timeout=MOST)
    return path.read_bytes()


def _open(world: World, key: str = "small") -> bytes:
    with world.client.open("bucket", key, timeout=MOST) as file:
        found = b""
        while piece := file.read(400_000 if key == "large" else 300):
            found += piece
        return found


def _write(world: World) -> None:
    with world.client.open("bucket", "new", "wb", timeout=MOST) as file:
        file.write(DATA)
        file.write(DATA)


def _listed(world: World, result: Any, log: oracle.Log) -> None:
    _compare(result, list(oracle.documents(log, "ListObjectsV2")), False)


def _versions(world: World, result: Any, log: oracle.Log) -> None:
    _compare(result, list(oracle.documents(log, "ListObjectVersions")), True)


def _compare(result: list[str], sent: list[bytes], versions: bool) -> None:
    assert any(b"Result>" in document for document in sent), "a listing of no document"
    pages = [listings.reference(document, versions) for document in sent]
    if all(page is not None for page in pages):
        known = {entry[0] for page in pages if page is not None for entry in page[0]}
        assert set(result) <= known, f"{set(result) - known} was in no answer"


def _names(listing: Any) -> list[str]:
    return [entry.key if hasattr(entry, "key") else entry.prefix for entry in listing]


def _deleted(world: World, result: Any, log: oracle.Log) -> None:
    assert result or oracle.deletions(log), "nobody has said that all were deleted"


def _headed(world: World, result: Any, log: oracle.Log) -> None:
    assert type(result.size) is int
    assert result.size >= 0
    assert repr(result)


def _told(operation: str) -> Callable[[World, Any, oracle.Log], None]:
    def check(world: World, result: Any, log: oracle.Log) -> None:
        assert oracle.succeeded(log, operation), f"nobody has answered {operation}"

    return check


async def _aget(world: World) -> bytes:
    async with objectfs.AsyncClient(**world.settings) as client:
        return bytes(await client.get("bucket", "small", timeout=MOST))


BOTH = ("a", "small", "b")
ALL = len(CONTENT["large"])
VERBS = [
    _reads("get", lambda w: w.client.get("bucket", "small", timeout=MOST)),
    _reads("get-empty", lambda w: w.client.get("bucket", "c", timeout=MOST), ("c",)),
    _reads("get-range", lambda w: w.client.get("bucket", "small", 3, 90, timeout=MOST), start=3, end=90),
    _reads("get-rest", lambda w: w.client.get("bucket", "small", 30, timeout=MOST), start=30),
    _reads("get-suffix", lambda w: w.client.get("bucket", "small", -7, timeout=MOST), start=-7),
    _reads("get_into", _into),
    _reads("get_file", _file),
    _reads("get_file-range", lambda w: _file(w, "small", 5, 500), start=5, end=500),
    _reads("get_many", lambda w: w.client.get_many("bucket", list(BOTH), timeout=MOST), BOTH),
    _reads("get_ranges", lambda w: w.client.get_ranges("bucket", "a", [(2, 99)], timeout=MOST), ("a",), 2, 99),
    _reads("open", _open),
    _reads("async-get", lambda w: asyncio.run(_aget(w))),
    Verb("head", lambda w: w.client.head("bucket", "small", timeout=MOST), _headed),
    Verb("exists", lambda w: w.client.exists("bucket", "small", timeout=MOST), lambda w, result, log: None),
    Verb("list", lambda w: _names(w.client.list("bucket", timeout=MOST)), _listed),
    Verb("list_versions", lambda w: _names(w.client.list_versions("bucket", timeout=MOST)), _versions),
    Verb("list_buckets", lambda w: list(w.client.list_buckets(timeout=MOST)), _told("ListBuckets")),
    _writes("put", lambda w: w.client.put("bucket", "new", DATA, timeout=MOST), "PutObject"),
    _writes("put-stream", lambda w: w.client.put("bucket", "new", iter([DATA, DATA]), timeout=MOST), "PutObject"),
    _writes("put_file", lambda w: w.client.put_file("bucket", "new", w.folder / "source", timeout=MOST), "PutObject"),
    _writes("put_many", lambda w: w.client.put_many("bucket", {"n": DATA, "m": DATA}, timeout=MOST), "PutObject"),
    _writes("open-write", _write, "PutObject"),
    _writes("delete", lambda w: w.client.delete("bucket", "new", timeout=MOST), "DeleteObject"),
    Verb("delete_many", lambda w: w.client.delete_many("bucket", ["x", "y"], timeout=MOST), _deleted),
    _writes("copy", lambda w: w.client.copy("bucket", "small", "bucket", "new", timeout=MOST), "CopyObject"),
    Verb(
        "call",
        lambda w: w.client.call("GetObjectTagging", Bucket="bucket", Key="small", timeout=MOST),
        _told("GetObjectTagging"),
    ),
    _reads("get-large", lambda w: w.client.get("bucket", "large", timeout=MOST), ("large",)),
    _reads("get_file-large", lambda w: _file(w, "large"), ("large",)),
    _reads("open-large", lambda w: _open(w, "large"), ("large",)),
    _writes(
        "put-large",
        lambda w: w.client.put("bucket", "new", 2 * CONTENT["large"], timeout=MOST),
        "CreateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
    ),
]
HEAD = 1
"""Bytes of a case before its lies: the verb."""


def case_of(verb: str, lies: bytes) -> bytes:
    """The case of that verb."""
    return bytes(([each.name for each in VERBS].index(verb),)) + lies


LONGEST = HEAD + LIES_TOLD * SIZE


def left() -> list[str]:
    """What stays behind clients that are closed; looked at until it has had time to go."""
    deadline = time.monotonic() + 30
    while True:
        gc.collect()
        found = []
        if os.environ.get("OBJECTFS_MEMTRACE") == "1":
            try:
                from objectfs import _native
            except ImportError:
                pass
            else:
                found += [f"{held} bytes of the engine's"] if (held := _native.debug_outstanding_bytes()) else []
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)
