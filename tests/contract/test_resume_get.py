"""Downloads with ``resume=True`` go on where they stopped, in a new process."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.backends.resume_journal import mark_of
from objectfs.sim import Fault, S3Server

from .conftest import BACKENDS
from .killing import child, settings_of
from .resuming import DATA, FEW, KILLED_AFTER, PART, PARTS, SIZE, Make, fails_after, moved, ours
from .support import ramp, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f"


def journal_of(path: Path) -> Path:
    (found,) = path.parent.glob(".objectfs-*.resume")
    return found


def part_of(path: Path) -> Path:
    (found,) = path.parent.glob(".objectfs-*.part")
    return found


def interrupted(sim: S3Server, make: Make, path: Path, parts: int = 2, **options: Any) -> errors.ServerError:
    """A download of FEW that has so many of its parts in the file."""
    make().put("bucket", "k", FEW)
    fails_after(sim, "GetObject", parts)
    with pytest.raises(errors.ServerError) as caught:
        make(max_connections=1).get_file("bucket", "k", path, resume=True, **options)
    sim.faults.clear()
    sim.clear_requests()
    assert not path.exists()
    assert journal_of(path).read_bytes().count(b"\n") == 1 + parts
    return caught.value


def fetched(sim: S3Server) -> set[str | None]:
    """The ranges that were asked for. One may have been asked for by a call that has failed, and was cut."""
    return {request.range for request in tuple(sim.requests) if request.operation == "GetObject"}


def ranges(start: int, end: int = len(FEW)) -> set[str]:
    """Those that these bytes make."""
    return {f"bytes={at}-{min(at + PART, end) - 1}" for at in range(start, end, PART)}


def is_anew(sim: S3Server, path: Path, content: bytes = FEW) -> None:
    """All has been fetched, and nothing stays."""
    assert path.read_bytes() == content
    assert moved(sim, "GetObject") >= len(content)
    assert ours(path.parent) == []


def test_killed_at_seventy_percent(sim: S3Server, backend: str, make: Make, path: Path) -> None:
    stored = make().put("bucket", "k", DATA)
    hold = threading.Event()
    held = sim.faults.add(Fault("GetObject", after=KILLED_AFTER, times="all", hold=hold))
    with child(settings_of(sim, backend), "get_file", "bucket", "k", path, resume=True) as process:

        def written() -> bool:
            assert process.poll() is None, process.communicate()
            found = list(path.parent.glob(".objectfs-*.resume"))
            done = bool(found) and found[0].read_bytes().count(b"\n") == 1 + KILLED_AFTER
            return done and held.hits == PARTS - KILLED_AFTER

        until(written, 120)
    sim.faults.clear()
    hold.set()
    assert not path.exists()
    sim.clear_requests()
    seen: list[int] = []
    info = make().get_file("bucket", "k", path, resume=True, progress=seen.append)
    assert path.read_bytes() == DATA
    assert moved(sim, "GetObject") <= 0.35 * SIZE
    assert (info.size, info.etag) == (SIZE, stored.etag)
    assert info.checksum_validated
    assert seen[-1] == SIZE
    assert ours(path.parent) == []


def test_what_is_kept_is_told(sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    error = interrupted(sim, make, path)
    assert f"{2 * PART} of {len(FEW)} bytes are kept" in str(error)
    assert "resume=True" in str(error)
    with caplog.at_level(logging.INFO, "objectfs"):
        make().get_file("bucket", "k", path, resume=True)
    assert path.read_bytes() == FEW
    assert fetched(sim) == ranges(2 * PART)
    assert f"going on with {2 * PART} of {len(FEW)} bytes" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_interrupted_twice(sim: S3Server, make: Make, path: Path) -> None:
    interrupted(sim, make, path, 1)
    fails_after(sim, "GetObject", 2)
    with pytest.raises(errors.ServerError):
        make(max_connections=1).get_file("bucket", "k", path, resume=True)
    sim.faults.clear()
    sim.clear_requests()
    make().get_file("bucket", "k", path, resume=True)
    assert path.read_bytes() == FEW
    assert fetched(sim) == ranges(3 * PART)


def test_on_another_backend(sim: S3Server, make: Make, path: Path) -> None:
    for parts, other in enumerate(BACKENDS, start=1):
        interrupted(sim, make, path, parts)
        make(backend=other).get_file("bucket", "k", path, resume=True)
        assert path.read_bytes() == FEW
        assert fetched(sim) == ranges(parts * PART)
        path.unlink()


def test_async(sim: S3Server, backend: str, make: Make, path: Path) -> None:
    interrupted(sim, make, path)

    async def main() -> objectfs.ObjectInfo:
        async with objectfs.AsyncClient(**settings_of(sim, backend)) as client:
            return await client.get_file("bucket", "k", path, resume=True)

    assert asyncio.run(main()).size == len(FEW)
    assert path.read_bytes() == FEW
    assert fetched(sim) == ranges(2 * PART)
    assert ours(path.parent) == []


def test_a_changed_object_begins_anew(sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    interrupted(sim, make, path)
    changed = ramp(len(FEW), 9)
    make().put("bucket", "k", changed)
    sim.clear_requests()
    make().get_file("bucket", "k", path, resume=True)
    is_anew(sim, path, changed)
    assert "another etag" in caplog.text


def test_an_object_that_changes_meanwhile(sim: S3Server, make: Make, path: Path) -> None:
    make().put("bucket", "k", FEW)
    sim.faults.add(Fault("GetObject", nth=3, replace=True))
    with pytest.raises(errors.ObjectChangedError):
        make(max_connections=1).get_file("bucket", "k", path, resume=True)
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("line", [0, 1])
def test_a_damaged_journal_is_not_trusted(
    sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture, line: int
) -> None:
    interrupted(sim, make, path)
    lines = journal_of(path).read_bytes().split(b"\n")
    lines[line] = lines[line].replace(b"0", b"1", 1) if line else lines[line].replace(b"bucket", b"bucKet", 1)
    journal_of(path).write_bytes(b"\n".join(lines))
    make().get_file("bucket", "k", path, resume=True)
    is_anew(sim, path)
    assert "it is damaged" in caplog.text


@pytest.mark.parametrize("content", [b"", b"[]\n", bytes(range(256))])
def test_what_is_no_journal(
    sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    interrupted(sim, make, path)
    journal_of(path).write_bytes(content)
    make().get_file("bucket", "k", path, resume=True)
    is_anew(sim, path)
    assert "is not used" in caplog.text


def test_a_line_that_was_being_written(sim: S3Server, make: Make, path: Path) -> None:
    interrupted(sim, make, path)
    with journal_of(path).open("ab") as file:
        file.write(b"01234567 [104")
    make().get_file("bucket", "k", path, resume=True)
    assert path.read_bytes() == FEW
    assert fetched(sim) == ranges(2 * PART)


def test_another_objects_journal(sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    interrupted(sim, make, path)
    other = ramp(len(FEW), 3)
    make().put("bucket", "other", other)
    make().get_file("bucket", "other", path, resume=True)
    is_anew(sim, path, other)
    assert "another key: 'k' then, 'other' now" in caplog.text


def test_bytes_that_are_not_what_was_written(
    sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a power cut: the journal is there, and not the data."""
    interrupted(sim, make, path)
    with part_of(path).open("r+b") as file:
        file.seek(PART + 17)
        file.write(bytes(100))
    make().get_file("bucket", "k", path, resume=True)
    assert path.read_bytes() == FEW
    assert fetched(sim) == ranges(PART)
    assert f"{PART} bytes are not what was written" in caplog.text


@pytest.mark.parametrize("how", ["gone", "short"])
def test_the_file_of_the_journal_is_another(
    sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    interrupted(sim, make, path)
    if how == "gone":
        part_of(path).unlink()
    else:
        os.truncate(part_of(path), PART)
    make().get_file("bucket", "k", path, resume=True)
    is_anew(sim, path)
    assert "is not the file that it speaks of" in caplog.text


def test_a_range(sim: S3Server, make: Make, path: Path) -> None:
    start, end = 1000, len(FEW) - 1000
    make().put("bucket", "k", FEW)
    fails_after(sim, "GetObject", 2)
    with pytest.raises(errors.ServerError):
        make(max_connections=1).get_file("bucket", "k", path, start, end, resume=True)
    sim.faults.clear()
    sim.clear_requests()
    make().get_file("bucket", "k", path, start, end, resume=True)
    assert path.read_bytes() == FEW[start:end]
    assert fetched(sim) == ranges(start + 2 * PART, end)
    path.unlink()
    make().get_file("bucket", "k", path, -PART - 5, resume=True)
    assert path.read_bytes() == FEW[-PART - 5 :]


def test_the_whole_is_validated(sim: S3Server, make: Make, path: Path) -> None:
    """What is wrong in the file in spite of all is not put under its name, and not gone on with."""
    make().put("bucket", "k", FEW)
    wrong = "CRC64NVME:" + "AAAAAAAAAAA="
    with pytest.raises(errors.ChecksumError):
        make().get_file("bucket", "k", path, resume=True, expected_checksum=wrong)
    assert os.listdir(path.parent) == []
    sim.faults.add(Fault("HeadObject", set_headers={"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}))
    if "crc64nvme" in make().backend.capabilities:
        with pytest.raises(errors.ChecksumError):
            make().get_file("bucket", "k", path, resume=True)
        assert os.listdir(path.parent) == []


def test_two_at_the_same_file(sim: S3Server, make: Make, path: Path) -> None:
    make().put("bucket", "k", FEW)
    hold = threading.Event()
    fault = sim.faults.add(Fault("GetObject", after=1, times="all", hold=hold))
    done: list[Any] = []
    first = threading.Thread(
        target=lambda: done.append(make(max_connections=1).get_file("bucket", "k", path, resume=True))
    )
    first.start()
    until(lambda: fault.hits, 60)
    with pytest.raises(errors.LocalFileError, match="somebody else is fetching it") as caught:
        make().get_file("bucket", "k", path, resume=True)
    assert caught.value.errno == errno.EBUSY
    hold.set()
    first.join()
    assert len(done) == 1
    assert path.read_bytes() == FEW
    assert ours(path.parent) == []


def test_objects_of_one_part(sim: S3Server, make: Make, path: Path) -> None:
    interrupted(sim, make, path)
    make().put("bucket", "k", b"small")
    assert make().get_file("bucket", "k", path, resume=True).size == 5
    assert path.read_bytes() == b"small"
    assert ours(path.parent) == []
    make().put("bucket", "k", b"")
    make().get_file("bucket", "k", path, resume=True)
    assert path.read_bytes() == b""


def test_what_cannot_be_gone_on_with(make: Make, path: Path) -> None:
    make().put("bucket", "k", FEW)
    with pytest.raises(errors.InvalidRequestError, match="part_number"):
        make().get_file("bucket", "k", path, resume=True, part_number=1)
    with pytest.raises(errors.InvalidRequestError, match="regular file"):
        make().get_file("bucket", "k", os.devnull, resume=True)
    with pytest.raises(TypeError, match="resume"):
        make().get_file("bucket", "k", path, resume=1)  # type: ignore[arg-type]
    with pytest.raises(errors.LocalFileError):
        make().get_file("bucket", "k", path.parent, resume=True)
    with pytest.raises(errors.LocalFileError):
        make().get_file("bucket", "k", path / "no" / "folder", resume=True)
    with pytest.raises(errors.NotFoundError):
        make().get_file("bucket", "no", path, resume=True)
    with pytest.raises(errors.InvalidRangeError):
        make().get_file("bucket", "k", path, len(FEW) + 1, resume=True)
    assert os.listdir(path.parent) == []


def test_conditions_hold_for_the_object_as_a_whole(make: Make, path: Path) -> None:
    etag = make().put("bucket", "k", FEW).etag
    with pytest.raises(errors.PreconditionFailedError) as caught:
        make().get_file("bucket", "k", path, resume=True, if_none_match=etag)
    assert type(caught.value) is errors.PreconditionFailedError
    make().get_file("bucket", "k", path, resume=True, if_match=etag)
    assert path.read_bytes() == FEW


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_file_of_another_users(make: Make, path: Path) -> None:
    """Its name can be guessed, and whoever owns it may still change it when it has been renamed."""
    make().put("bucket", "k", FEW)
    theirs = path.parent / f".objectfs-{mark_of(path.name)}.part"
    theirs.write_bytes(b"")
    os.chown(theirs, 12345, -1)
    with pytest.raises(errors.LocalFileError, match="belongs to another user"):
        make().get_file("bucket", "k", path, resume=True)
    assert not path.exists()
