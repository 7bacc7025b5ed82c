"""The machine's own failures in the middle of a transfer: a full disk, a limit, a permission that is lost, a file that
becomes another. What has its name is whole, and the error says which file and why."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .killing import settings_of
from .resuming import ours
from .support import MiB, ramp, until

pytestmark = [
    pytest.mark.slow,  # processes, and transfers that are held
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX files"),
]

PART = 5 * MiB
ROOM = 8 * MiB
DATA = ramp(40 * MiB + 99)
SMALL = ramp(9 * MiB)
"""Fetched at once by a client with larger parts, and still too large."""

PROGRAM = """
import ctypes, json, os, resource, sys
import objectfs
from objectfs import errors
how, room, folder, settings, verb, arguments, options = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)

def ask(function, *arguments):
    if function(*arguments):
        sys.exit(f"{function.__name__}: {os.strerror(ctypes.get_errno())}")

if how == "disk":  # a file system of this process's own
    ask(libc.unshare, 0x00020000)
    ask(libc.mount, b"none", b"/", None, 0x44000, None)
    ask(libc.mount, b"tmpfs", folder.encode(), b"tmpfs", 0, b"size=%d" % room)
    with open(f"{folder}/f", "wb") as file:
        file.write(b"old")
if how == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
if how == "nobody" and os.geteuid() == 0:  # root without what lets it read and write everything
    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]
    header, data = Header(0x20080522, 0), (ctypes.c_uint32 * 6)()
    ask(libc.capget, ctypes.byref(header), data)
    data[0] &= ~0b110
    data[1] &= ~0b110
    ask(libc.capset, ctypes.byref(header), data)
found = {}
with objectfs.Client(**settings) as client:
    try:
        getattr(client, verb)(*arguments, **options)
    except errors.ObjectFSError as error:
        found = {"class": type(error).__name__, "errno": getattr(error, "errno", None), "text": str(error)}
with open(f"{folder}/f", "rb") as file:
    found["old"] = file.read() == b"old"
found["left"] = sorted(os.listdir(folder))
print(json.dumps(found))
"""


def start(how: str, folder: Path, settings: dict[str, Any], verb: str, *arguments: Any, **options: Any) -> Any:
    call = json.dumps([how, ROOM, str(folder), settings, verb, [str(each) for each in arguments], options])
    return subprocess.Popen([sys.executable, "-c", PROGRAM, call], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: Any) -> tuple[bytes, bytes]:
    try:
        until(lambda: process.poll() is not None, 120)
    finally:
        process.kill()
    found: tuple[bytes, bytes] = process.communicate()
    return found


def outcome(process: Any) -> dict[str, Any]:
    out, told = ended(process)
    assert process.returncode == 0, told.decode()
    found: dict[str, Any] = json.loads(out)
    return found


def may_mount() -> bool:
    code = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x00020000) != 0)"
    return sys.platform == "linux" and subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("resume", [False, True], ids=["anew", "resume"])
@pytest.mark.parametrize("size", [len(DATA), len(SMALL)])
@pytest.mark.parametrize("how", ["disk", "limit"])
def test_no_room(sim: S3Server, backend: str, make: Make, tmp_path: Path, how: str, size: int, resume: bool) -> None:
    """A disk that is full, and one that has no room for this user."""
    if how == "disk" and not may_mount():
        pytest.skip("only root may make a file system")
    path = tmp_path / "f"
    path.write_bytes(b"old")
    make().put("bucket", "k", DATA[:size])
    settings = settings_of(sim, backend, part_size=PART if size > 10 * MiB else 16 * MiB)
    found = outcome(start(how, tmp_path, settings, "get_file", "bucket", "k", path, resume=resume))
    assert found["class"] == "LocalFileError", found
    assert found["errno"] == (errno.ENOSPC if how == "disk" else errno.EFBIG), found
    assert str(path) in found["text"]
    assert found["text"].startswith("GetObject s3://bucket/k")
    assert found["old"]
    kept = found["left"] != ["f"]
    assert not kept or resume
    if how == "limit":  # with more room, what is kept is gone on with
        make().get_file("bucket", "k", path, resume=resume)
        assert path.read_bytes() == DATA[:size]
        assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("resume", [False, True], ids=["anew", "resume"])
def test_a_folder_that_may_not_be_written_any_more(
    sim: S3Server, backend: str, make: Make, tmp_path: Path, resume: bool
) -> None:
    make().put("bucket", "k", DATA)
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "f"
    path.write_bytes(b"old")
    hold = threading.Event()
    fault = sim.faults.add(Fault("GetObject", nth=3, hold=hold))
    process = start("nobody", folder, settings_of(sim, backend), "get_file", "bucket", "k", path, resume=resume)
    try:
        until(lambda: fault.hits or process.poll() is not None, 120)
        folder.chmod(0o555)
        hold.set()
        found = outcome(process)
    finally:
        folder.chmod(0o755)
    assert found["class"] == "LocalFileError", found
    assert found["errno"] == errno.EACCES
    assert str(path) in found["text"]
    assert found["old"]
    if resume:
        sim.clear_requests()
        make().get_file("bucket", "k", path, resume=True)
        assert path.read_bytes() == DATA
        assert sum(request.sent for request in sim.requests if request.operation == "GetObject") < len(DATA) // 2
        assert ours(folder) == []


@pytest.mark.parametrize("resume", [False, True], ids=["anew", "resume"])
def test_a_file_that_may_not_be_read_any_more(
    sim: S3Server, backend: str, make: Make, tmp_path: Path, resume: bool
) -> None:
    """What was open stays readable; who opens it again is told why not. Nothing stays at the server, but what
    ``resume`` goes on with."""
    path = tmp_path / "f"
    path.write_bytes(DATA)
    hold = threading.Event()
    fault = sim.faults.add(Fault("CreateMultipartUpload", hold=hold))
    process = start("nobody", tmp_path, settings_of(sim, backend), "put_file", "bucket", "k", path, resume=resume)
    until(lambda: fault.hits or process.poll() is not None, 120)
    path.chmod(0)
    hold.set()
    out, told = ended(process)
    path.chmod(0o644)
    client = make()
    pending = client.call("ListMultipartUploads", Bucket="bucket").get("Uploads", [])
    if client.exists("bucket", "k"):
        assert bytes(client.get("bucket", "k")) == DATA
        assert not pending
    else:
        assert b"PermissionError" in told or b"LocalFileError" in out
        assert resume or not pending
    client.put_file("bucket", "k", path, resume=resume)
    assert bytes(client.get("bucket", "k")) == DATA
    assert ours(tmp_path) == []


@pytest.mark.parametrize("resume", [False, True], ids=["anew", "resume"])
@pytest.mark.parametrize("size", [len(DATA), len(DATA) - 1])
def test_another_file_takes_the_name(sim: S3Server, make: Make, tmp_path: Path, resume: bool, size: int) -> None:
    """As editors and rsync do it: what is stored is one of them, or nothing."""
    path, other = tmp_path / "f", tmp_path / "other"
    path.write_bytes(DATA)
    other.write_bytes(DATA[::-1][:size])
    os.utime(other, ns=(1, 1))
    hold = threading.Event()
    fault = sim.faults.add(Fault("UploadPart", nth=3, hold=hold))
    results: list[Any] = []
    client = make(max_connections=2)

    def send() -> None:
        try:
            results.append(client.put_file("bucket", "k", path, resume=resume))
        except objectfs.ObjectFSError as error:
            results.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    until(lambda: fault.hits or results, 60)
    os.replace(other, path)
    hold.set()
    thread.join(60)
    (result,) = results
    if isinstance(result, BaseException):
        assert isinstance(result, errors.ObjectChangedError), result
        assert not client.exists("bucket", "k")
        assert not client.call("ListMultipartUploads", Bucket="bucket").get("Uploads")
        assert ours(tmp_path) == []
    else:
        assert bytes(client.get("bucket", "k")) == DATA
