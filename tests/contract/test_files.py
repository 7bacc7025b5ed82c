"""Files: complete or not there, and every way in which a local file can fail."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .killing import settings_of
from .support import MiB, ramp
from .test_local_faults import outcome, start

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def test_replaces(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    client.put(bucket, key, b"new")
    path = tmp_path / "file"
    path.write_bytes(b"old and longer")
    client.get_file(bucket, key, path)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]
    client.get_file(bucket, key, str(path))
    client.get_file(bucket, key, os.fsencode(path))


def test_relative(
    client: objectfs.Client, bucket: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    client.put(bucket, key, b"x")
    client.get_file(bucket, key, "name")
    client.put_file(bucket, key, "name")
    long = "n" * 255
    client.get_file(bucket, key, long)
    assert sorted(os.listdir()) == ["name", long]


@posix
def test_mode_follows_umask(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    client.put(bucket, key, b"x")
    before = os.umask(0o027)
    try:
        client.get_file(bucket, key, tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_failure_leaves_the_old_file(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(errors.NotFoundError):
        client.get_file(bucket, key + "-missing", path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_truncated_leaves_the_old_file(sim: S3Server, connect: Make, tmp_path: Path) -> None:
    client = connect()
    client.put("bucket", "k", ramp(30 * MiB))
    path = tmp_path / "file"
    path.write_bytes(b"old")
    sim.faults.add(Fault("GetObject", times=None, truncate=MiB))
    with pytest.raises((errors.TruncatedError, errors.ConnectionFailedError)):
        client.get_file("bucket", "k", path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_no_such_folder(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    client.put(bucket, key, b"x")
    path = tmp_path / "no" / "file"
    with pytest.raises(errors.LocalFileError) as caught:
        client.get_file(bucket, key, path)
    assert caught.value.errno == errno.ENOENT
    assert str(path) in str(caught.value)
    assert (caught.value.bucket, caught.value.key, caught.value.operation) == (bucket, key, "GetObject")


def test_folder_in_the_way(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    client.put(bucket, key, b"x")
    for verb in (client.get_file, client.put_file):
        with pytest.raises(errors.LocalFileError) as caught:
            verb(bucket, key, tmp_path)
        assert caught.value.errno == errno.EISDIR
        assert str(tmp_path) in str(caught.value)
    assert os.listdir(tmp_path) == []


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    # behind a link: a client that replaced the device's name would replace the link
    path = tmp_path / "full"
    path.symlink_to("/dev/full")
    for size in (10, 20 * MiB):
        client.put(bucket, key, ramp(size))
        with pytest.raises(errors.LocalFileError) as caught:
            client.get_file(bucket, key, path)
        assert caught.value.errno == errno.ENOSPC
        assert isinstance(caught.value, OSError)
    assert os.listdir(tmp_path) == ["full"]
    assert path.is_symlink()


@posix
def test_pipe(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    data = ramp(20 * MiB)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(data))
    writer.start()
    client.put_file(bucket, key, pipe)
    writer.join()
    assert bytes(client.get(bucket, key)) == data


@posix
def test_unreadable(sim: S3Server, connect: Make, backend: str, tmp_path: Path) -> None:
    """In a process without what lets root read everything: tests are mostly run by root."""
    (tmp_path / "f").write_bytes(b"old")
    path = tmp_path / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    found = outcome(start("nobody", tmp_path, settings_of(sim, backend), "put_file", "bucket", "k", path))
    assert (found["class"], found["errno"]) == ("LocalFileError", errno.EACCES)
    assert found["text"].startswith("PutObject s3://bucket/k")
    assert str(path) in found["text"]
    assert not connect().exists("bucket", "k")


def test_put_of_missing_file(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(errors.LocalFileError) as caught:
        client.put_file(bucket, key, tmp_path / "nothing")
    assert caught.value.errno == errno.ENOENT
    assert str(tmp_path / "nothing") in str(caught.value)
    assert not client.exists(bucket, key)


@pytest.mark.parametrize("how", ["grow", "shrink", "touch"])
@pytest.mark.parametrize("size", [3 * MiB, 40 * MiB])
def test_source_changes(sim: S3Server, connect: Make, tmp_path: Path, how: str, size: int) -> None:
    """What is stored is the file as it was, or nothing."""
    client = connect()
    path = tmp_path / "file"
    path.write_bytes(ramp(size))
    hold = threading.Event()
    sim.faults.add(Fault("UploadPart", part_number=1, hold=hold))
    sim.faults.add(Fault("PutObject", hold=hold))
    results: list[object] = []

    def send() -> None:
        try:
            results.append(client.put_file("bucket", "k", path))
        except objectfs.ObjectFSError as error:
            results.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.5)
    if how == "grow":
        with path.open("ab") as file:
            file.write(b"more")
    elif how == "shrink":
        os.truncate(path, MiB)
    else:
        os.utime(path, ns=(1, 1))
    hold.set()
    sender.join(30)
    assert not sender.is_alive()
    (result,) = results
    if isinstance(result, BaseException):
        assert isinstance(result, errors.ObjectChangedError), result
        assert not client.exists("bucket", "k")
        assert not client.call("ListMultipartUploads", Bucket="bucket").get("Uploads")
    else:  # it had been read before it changed
        assert bytes(client.get("bucket", "k")) == ramp(size)
    if size > 20 * MiB:
        assert isinstance(result, errors.ObjectChangedError)


def test_file_vanishes(sim: S3Server, connect: Make, tmp_path: Path) -> None:
    client = connect()
    path = tmp_path / "file"
    path.write_bytes(ramp(20 * MiB))
    hold = threading.Event()
    sim.faults.add(Fault("CreateMultipartUpload", hold=hold))
    results: list[object] = []

    def send() -> None:
        try:
            results.append(client.put_file("bucket", "k", path))
        except objectfs.ObjectFSError as error:
            results.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.3)
    path.unlink()
    hold.set()
    sender.join(30)
    if isinstance(results[0], BaseException):
        assert isinstance(results[0], (errors.LocalFileError, errors.ObjectChangedError))
        assert not client.exists("bucket", "k")
    else:
        assert bytes(client.get("bucket", "k")) == ramp(20 * MiB)


def test_long_name(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    """A name that the file system just takes is no reason to fail for the temporary file's."""
    client.put(bucket, key, b"content")
    for name in ("x" * 255, "\N{GRINNING FACE}" * 63):
        path = tmp_path / name
        client.get_file(bucket, key, path)
        assert path.read_bytes() == b"content"
        path.unlink()


def test_no_folder_and_no_object(client: objectfs.Client, bucket: str, key: str, tmp_path: Path) -> None:
    """The folder is looked at first."""
    with pytest.raises(errors.LocalFileError) as caught:
        client.get_file(bucket, key, tmp_path / "none" / "file")
    assert caught.value.errno == 2


def test_multipart_of_a_key_that_is_no_xml(sim: S3Server, connect: Make) -> None:
    client = connect(part_size=5 * MiB)
    for key in ("a\x01b", "\ufffe", "a\tb\r\n"):
        client.put("bucket", key, ramp(11 * MiB))
        assert bytes(client.get("bucket", key)) == ramp(11 * MiB)
