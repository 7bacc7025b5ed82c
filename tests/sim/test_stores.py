"""What the stores promise: a killed server leaves whole objects, every key has its file, formulas are read anywhere."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from objectfs.sim import S3Server, synthetic_bytes
from objectfs.sim.store.blobs import Blob, DiscardedBlob, JoinedBlob, MemoryBlob, PatternBlob, join_blobs
from objectfs.sim.store.directory import DirectoryStore, safe_name
from objectfs.sim.store.records import Record

from .conftest import connect

MIB = 1024 * 1024
TIB = 1024**4


class Process:
    """A server in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "objectfs.sim", "--no-verify", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        while not line.startswith("endpoint"):
            assert line, "the server did not start"
            line = self._process.stdout.readline()
        self.endpoint_url = line.split()[1]
        self.ca_file = None

    def end(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def connection(self) -> socket.socket:
        host, _, port = self.endpoint_url.rpartition("/")[2].rpartition(":")
        return socket.create_connection((host, int(port)), timeout=30)


@pytest.fixture
def process() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        started.append(Process(*arguments))
        return started[-1]

    yield start
    for server in started:
        if server._process.poll() is None:
            server.end(signal.SIGTERM)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.999])
def test_a_server_killed_in_a_put_leaves_the_old_object(
    tmp_path: Path, process: Callable[..., Process], fraction: float
) -> None:
    old, size = os.urandom(3 * MIB), 8 * MIB
    server = process(str(tmp_path))
    s3 = connect(server)  # type: ignore[arg-type]
    s3.put_object(Bucket="bucket", Key="k", Body=old)
    s3.close()
    data = tmp_path / "bucket" / "data"
    before = set(data.iterdir())
    with server.connection() as sock:
        sock.sendall(f"PUT /bucket/k HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n".encode())
        sent = int(size * fraction)
        sock.sendall(bytes(sent))
        # What was sent arrives in the new file; only then the server dies.
        while not (new := set(data.iterdir()) - before) or sum(path.stat().st_size for path in new) < sent:
            time.sleep(0.001)  # a file has no event to wait for
        server.end(signal.SIGKILL)
    again = process(str(tmp_path))
    s3 = connect(again)  # type: ignore[arg-type]
    got = s3.get_object(Bucket="bucket", Key="k")
    assert got["Body"].read() == old
    assert set(data.iterdir()) == before  # and the half object's file is gone
    s3.close()


def test_a_server_killed_after_a_put_has_the_new_object(tmp_path: Path, process: Callable[..., Process]) -> None:
    server = process(str(tmp_path))
    s3 = connect(server)  # type: ignore[arg-type]
    for body in (b"old", b"new"):
        s3.put_object(Bucket="bucket", Key="k", Body=body)
    s3.close()
    server.end(signal.SIGKILL)
    s3 = connect(process(str(tmp_path)))  # type: ignore[arg-type]
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"new"
    s3.close()


def test_synthetic_objects_from_the_command_line(process: Callable[..., Process]) -> None:
    size = 5 * TIB + 3
    s3 = connect(process("--synthetic", f"bucket/a/b=c={size}"))  # type: ignore[arg-type]
    assert s3.head_object(Bucket="bucket", Key="a/b=c")["ContentLength"] == size
    for start in (0, 250, 2 * TIB + 17, size - 5):
        stop = min(start + 1000, size)
        got = s3.get_object(Bucket="bucket", Key="a/b=c", Range=f"bytes={start}-{stop - 1}")
        assert got["Body"].read() == bytes(offset % 251 for offset in range(start, stop))
    assert s3.list_objects_v2(Bucket="bucket")["Contents"][0]["Size"] == size
    s3.close()


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300).filter(
    lambda key: len(key.encode()) <= 1024
)


@settings(max_examples=500, deadline=None)
@given(keys=st.sets(KEYS, min_size=2, max_size=8))
def test_any_keys_have_names_of_their_own(keys: set[str]) -> None:
    names = {safe_name(key) for key in keys}
    assert len({name.lower() for name in names}) == len(keys)
    for name in names:
        assert len(f"{name}.json") < 255
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_%~")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(KEYS, min_size=1, max_size=5, unique=True))
def test_any_key_survives_a_restart_inside_of_the_directory(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str]
) -> None:
    outer = tmp_path_factory.mktemp("outer")
    root = outer / "root"
    store = DirectoryStore(root)
    bucket = store.create_bucket("bucket")
    for key in keys:
        sink = store.new_sink("bucket", None)
        view = sink.reserve(1)
        view[:1] = b"x"
        sink.commit(1)
        store.put(bucket, Record(key, sink.finish(), "e"))
    assert list(outer.iterdir()) == [root]
    assert {path.relative_to(root).parts[0] for path in root.rglob("*")} == {"bucket"}
    assert DirectoryStore(root).bucket("bucket").keys() == sorted(keys)


def content(blob: Blob, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(bytes(chunk) for chunk in blob.chunks(start, blob.size if stop is None else stop))  # type: ignore[arg-type]


@given(
    sizes=st.lists(st.tuples(st.booleans(), st.integers(0, 600), st.integers(0, 1000)), min_size=1, max_size=6),
    data=st.data(),
)
def test_joined_blobs(sizes: list[tuple[bool, int, int]], data: st.DataObject) -> None:
    """Parts in memory and parts of formulas, in any mixture, read and cut anywhere."""
    blobs: list[Blob] = []
    expected = b""
    for memory, size, base in sizes:
        piece = os.urandom(size) if memory else synthetic_bytes(base, base + size)
        blobs.append(MemoryBlob([memoryview(piece)]) if memory else PatternBlob(size, base))
        expected += piece
    joined = join_blobs(blobs)
    assert (joined.size, content(joined)) == (len(expected), expected)
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    assert content(joined, start, stop) == expected[start:stop]
    cut = joined.slice(start, stop)
    assert content(cut) == expected[start:stop]
    middle = data.draw(st.integers(0, cut.size))
    assert content(cut.slice(middle, cut.size)) == expected[start + middle : stop]


def test_discarded_bodies_stay_what_they_are_when_joined() -> None:
    joined = join_blobs([DiscardedBlob(300), DiscardedBlob(300)])
    assert content(joined) == synthetic_bytes(0, 600)
    assert not isinstance(joined, JoinedBlob)


def test_parts_of_files_and_formulas_make_one_object(tmp_path: Path) -> None:
    own = os.urandom(5 * MIB)
    expected = synthetic_bytes(100, 100 + 6 * MIB) + own + synthetic_bytes(7, 8)

    def check(s3: Any) -> None:
        assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == expected
        part = s3.get_object(Bucket="bucket", Key="k", PartNumber=2)["Body"].read()
        assert part == own
        around = f"bytes={6 * MIB - 2}-{6 * MIB + 1}"
        assert (
            s3.get_object(Bucket="bucket", Key="k", Range=around)["Body"].read() == expected[6 * MIB - 2 : 6 * MIB + 2]
        )

    with S3Server(tmp_path) as server:
        server.store.add_synthetic("bucket", "big", TIB)
        s3 = connect(server)
        upload = s3.create_multipart_upload(Bucket="bucket", Key="k")["UploadId"]
        call = {"Bucket": "bucket", "Key": "k", "UploadId": upload}
        etags = [
            s3.upload_part_copy(
                **call, PartNumber=1, CopySource="bucket/big", CopySourceRange=f"bytes=100-{6 * MIB + 99}"
            )["CopyPartResult"]["ETag"],
            s3.upload_part(**call, PartNumber=2, Body=own)["ETag"],
            s3.upload_part_copy(**call, PartNumber=3, CopySource="bucket/big", CopySourceRange="bytes=7-7")[
                "CopyPartResult"
            ]["ETag"],
        ]
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        s3.complete_multipart_upload(**call, MultipartUpload={"Parts": parts})
        check(s3)
        s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/k")
        s3.delete_object(Bucket="bucket", Key="copy")
        s3.close()
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        check(s3)
        s3.close()


def test_a_completed_upload_does_not_hold_on_to_its_object(tmp_path: Path) -> None:
    """What is kept to answer a repeated CompleteMultipartUpload is not the content."""
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        call = {"Bucket": "bucket", "Key": "k"}
        call["UploadId"] = s3.create_multipart_upload(**call)["UploadId"]
        etag = s3.upload_part(**call, PartNumber=1, Body=b"x")["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        done = s3.complete_multipart_upload(**call, MultipartUpload=parts)
        s3.delete_object(Bucket="bucket", Key="k")
        assert list((tmp_path / "bucket" / "data").iterdir()) == []
        assert s3.complete_multipart_upload(**call, MultipartUpload=parts)["ETag"] == done["ETag"]
        s3.close()
