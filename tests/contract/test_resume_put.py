"""Uploads with ``resume=True`` go on where they stopped, in a new process."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import BACKENDS
from .killing import child, settings_of
from .resuming import DATA, FEW, KILLED_AFTER, PART, PARTS, SIZE, Make, fails_after, moved, ours
from .support import ramp, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    found = tmp_path / "work" / "f"
    found.write_bytes(FEW)
    return found


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where journals go that cannot lie beside the file."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "objectfs" / "resume"


def journal_of(path: Path) -> Path:
    (found,) = path.parent.glob(".objectfs-*.resume")
    return found


def uploads(client: objectfs.Client) -> list[str]:
    answer = client.call("ListMultipartUploads", Bucket="bucket")
    return [upload["UploadId"] for upload in answer.get("Uploads", ())]


def interrupted(sim: S3Server, make: Make, path: Path, parts: int = 2, **options: Any) -> errors.ServerError:
    """An upload of the file that has so many of its parts at the server."""
    fails_after(sim, "UploadPart", parts)
    with pytest.raises(errors.ServerError) as caught:
        make(max_connections=1).put_file("bucket", "k", path, resume=True, **options)
    sim.faults.clear()
    assert not make().exists("bucket", "k")
    assert len(uploads(make())) == 1
    sim.clear_requests()
    return caught.value


def is_done(client: objectfs.Client, path: Path) -> None:
    """The object is what the file is, and nothing stays."""
    assert bytes(client.get("bucket", "k")) == path.read_bytes()
    assert uploads(client) == []
    assert ours(path.parent) == []


def test_killed_at_seventy_percent(sim: S3Server, backend: str, make: Make, path: Path) -> None:
    path.write_bytes(DATA)
    stalled = sim.faults.add(Fault("UploadPart", after=KILLED_AFTER, times="all", stall=True))
    with child(settings_of(sim, backend), "put_file", "bucket", "k", path, resume=True) as process:

        def sent() -> bool:
            assert process.poll() is None, process.communicate()
            found = sim.run(lambda: [len(upload.parts) for upload in sim.store.buckets["bucket"].uploads.values()])
            return found == [KILLED_AFTER] and stalled.hits == PARTS - KILLED_AFTER

        until(sent, 120)
    assert ours(path.parent)
    sim.faults.clear()
    sim.clear_requests()
    seen: list[int] = []
    result = make().put_file("bucket", "k", path, resume=True, progress=seen.append)
    assert moved(sim, "UploadPart") <= 0.35 * SIZE
    head = make().head("bucket", "k", checksum_mode="ENABLED")
    assert (head.size, head.etag) == (SIZE, result.etag)
    assert head.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    assert seen[-1] == SIZE
    is_done(make(), path)


def test_what_is_kept_is_told(sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    error = interrupted(sim, make, path, metadata={"a": "b"})
    assert "The upload is kept" in str(error)
    assert "resume=True" in str(error)
    client = make()
    with caplog.at_level(logging.INFO, "objectfs"):
        client.put_file("bucket", "k", path, resume=True, metadata={"a": "b"})
    assert moved(sim, "UploadPart") == len(FEW) - 2 * PART
    assert client.head("bucket", "k").metadata == {"a": "b"}
    is_done(client, path)
    assert f"{2 * PART} of {len(FEW)} bytes were at the server already" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_async(sim: S3Server, backend: str, make: Make, path: Path) -> None:
    interrupted(sim, make, path)

    async def main() -> objectfs.PutResult:
        async with objectfs.AsyncClient(**settings_of(sim, backend)) as client:
            return await client.put_file("bucket", "k", path, resume=True)

    assert asyncio.run(main()).etag
    assert moved(sim, "UploadPart") == len(FEW) - 2 * PART
    is_done(make(), path)


def test_closing_the_client_leaves_the_upload_open(sim: S3Server, make: Make, path: Path) -> None:
    fault = sim.faults.add(Fault("UploadPart", after=1, times="all", stall=True))
    client = make(max_connections=1)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            client.put_file("bucket", "k", path, resume=True)
        except errors.ObjectFSError as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: fault.hits, 60)
    client.close()
    thread.join()
    sim.faults.clear()
    assert isinstance(failed[0], errors.ClosedError | errors.CancelledError)
    assert len(uploads(make())) == 1
    sim.clear_requests()
    make().put_file("bucket", "k", path, resume=True)
    assert moved(sim, "UploadPart") <= len(FEW) - PART
    is_done(make(), path)


def test_a_changed_file_begins_anew(sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    interrupted(sim, make, path)
    path.write_bytes(ramp(len(FEW), 9))
    os.utime(path, ns=(1, 1))
    make().put_file("bucket", "k", path, resume=True)
    assert moved(sim, "UploadPart") == len(FEW)
    assert "another mtime_ns" in caplog.text
    is_done(make(), path)


def test_a_change_that_its_time_does_not_show(
    sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(sim, make, path)
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(PART + 5)
        file.write(b"changed")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    make().put_file("bucket", "k", path, resume=True)
    assert moved(sim, "UploadPart") == len(FEW) - PART
    assert "1 parts at the server are not what the file holds" in caplog.text
    is_done(make(), path)


def test_a_file_that_changes_while_it_is_sent(sim: S3Server, make: Make, path: Path) -> None:
    told = threading.Event()

    def touch(moved: int) -> None:
        os.utime(path, ns=(1, 1))
        told.set()

    sim.faults.add(Fault("UploadPart", nth=4, hold=told))
    with pytest.raises(errors.ObjectChangedError):
        make(max_connections=1).put_file("bucket", "k", path, resume=True, progress=touch)
    assert not make().exists("bucket", "k")
    assert uploads(make()) == []
    assert ours(path.parent) == []


def test_a_damaged_journal_is_not_trusted(
    sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(sim, make, path)
    journal = journal_of(path)
    journal.write_bytes(journal.read_bytes().replace(b"upload_id", b"uPload_id"))
    make().put_file("bucket", "k", path, resume=True)
    assert moved(sim, "UploadPart") == len(FEW)
    assert "it is damaged" in caplog.text
    assert bytes(make().get("bucket", "k")) == FEW
    assert ours(path.parent) == []


def test_other_options_begin_anew(sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    interrupted(sim, make, path, metadata={"a": "b"})
    make().put_file("bucket", "k", path, resume=True, metadata={"a": "c"})
    assert moved(sim, "UploadPart") == len(FEW)
    assert make().head("bucket", "k").metadata == {"a": "c"}
    assert "another options" in caplog.text
    is_done(make(), path)


def test_another_backend_begins_anew(
    sim: S3Server, backend: str, make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It names other checksums, which the upload would refuse."""
    for other in BACKENDS:
        interrupted(sim, make, path)
        make(backend=other).put_file("bucket", "k", path, resume=True)
        assert moved(sim, "UploadPart") == len(FEW) - (2 * PART if other == backend else 0)
        assert ("another backend" in caplog.text) == (other != backend)
        is_done(make(), path)
        make().delete("bucket", "k")
        caplog.clear()


def test_an_upload_that_is_gone_begins_anew(
    sim: S3Server, make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(sim, make, path)
    client = make()
    client.call("AbortMultipartUpload", Bucket="bucket", Key="k", UploadId=uploads(client)[0])
    client.put_file("bucket", "k", path, resume=True)
    assert moved(sim, "UploadPart") == len(FEW)
    assert "no such upload any more" in caplog.text
    is_done(client, path)


def test_a_server_that_cannot_tell_is_no_reason_to_begin_anew(sim: S3Server, make: Make, path: Path) -> None:
    interrupted(sim, make, path)
    sim.faults.add(Fault("ListParts", status=500, times="all"))
    with pytest.raises(errors.ServerError):
        make().put_file("bucket", "k", path, resume=True)
    sim.faults.clear()
    make().put_file("bucket", "k", path, resume=True)
    assert moved(sim, "UploadPart") == len(FEW) - 2 * PART
    is_done(make(), path)


def test_what_would_fail_again_is_not_kept(sim: S3Server, make: Make, path: Path) -> None:
    make().put("bucket", "k", b"there")
    with pytest.raises(errors.PreconditionFailedError):
        make().put_file("bucket", "k", path, resume=True, if_none_match="*")
    with pytest.raises(errors.ChecksumError):
        make().put_file("bucket", "k", path, resume=True, expected_checksum="CRC32:AAAAAA==")
    assert bytes(make().get("bucket", "k")) == b"there"
    assert uploads(make()) == []
    assert ours(path.parent) == []


def test_expected_of_the_whole(sim: S3Server, make: Make, path: Path) -> None:
    """Also of the parts that are not sent again."""
    expected = "SHA256:" + hashlib.sha256(FEW).hexdigest()
    interrupted(sim, make, path, expected_checksum=expected)
    make().put_file("bucket", "k", path, resume=True, expected_checksum=expected)
    assert moved(sim, "UploadPart") == len(FEW) - 2 * PART
    is_done(make(), path)


@pytest.mark.parametrize("limit", [2 * PART, 0])
def test_by_etags(backend: str, path: Path, limit: int) -> None:
    """Without a checksum a part's ETag may be the MD5 of it; where it is not, as with KMS, parts are sent again."""
    with S3Server(md5_limit=limit) as sim, contextlib.ExitStack() as stack:

        def make(**changes: Any) -> objectfs.Client:
            return stack.enter_context(objectfs.Client(**settings_of(sim, backend, **changes)))

        interrupted(sim, make, path, checksum="off")
        make().put_file("bucket", "k", path, resume=True, checksum="off")
        assert moved(sim, "UploadPart") == len(FEW) - (2 * PART if limit else 0)
        is_done(make(), path)


def test_customers_keys(backend: str, path: Path) -> None:
    """An ETag is no MD5 then, and the journal does not have the key."""
    secret = bytes(range(32))
    with S3Server(tls=True) as sim, contextlib.ExitStack() as stack:

        def make(**changes: Any) -> objectfs.Client:
            settings = settings_of(sim, backend, verify=str(sim.ca_file), **changes)
            return stack.enter_context(objectfs.Client(**settings))

        fails_after(sim, "UploadPart", 2)
        with pytest.raises(errors.ServerError):
            make(max_connections=1).put_file("bucket", "k", path, resume=True, sse_customer_key=secret)
        sim.faults.clear()
        sim.clear_requests()
        assert b"AAECAwQFBgcICQoL" not in journal_of(path).read_bytes()
        make().put_file("bucket", "k", path, resume=True, sse_customer_key=secret)
        assert moved(sim, "UploadPart") == len(FEW) - 2 * PART
        assert bytes(make().get("bucket", "k", sse_customer_key=secret)) == FEW


def test_a_journal_that_cannot_lie_beside_the_file(sim: S3Server, make: Make, path: Path, state: Path) -> None:
    interrupted(sim, make, path)
    journal = journal_of(path)
    make().put_file("bucket", "k", path, resume=True)
    make().delete("bucket", "k")
    journal.mkdir()  # its name is taken, whoever asks: root may write everywhere
    interrupted(sim, make, path)
    assert os.listdir(state) == [journal.name]
    make().put_file("bucket", "k", path, resume=True)
    assert moved(sim, "UploadPart") == len(FEW) - 2 * PART
    assert os.listdir(state) == []
    journal.rmdir()
    is_done(make(), path)


def test_no_place_for_a_journal(sim: S3Server, make: Make, path: Path, state: Path) -> None:
    interrupted(sim, make, path)
    journal = journal_of(path)
    make().put_file("bucket", "k", path, resume=True)
    make().delete("bucket", "k")
    journal.mkdir()
    state.rmdir() if state.exists() else state.parent.mkdir(parents=True)
    state.write_bytes(b"")
    with pytest.raises(errors.LocalFileError, match="XDG_STATE_HOME"):
        make().put_file("bucket", "k", path, resume=True)
    assert uploads(make()) == []
    assert not make().exists("bucket", "k")


def test_small_files_and_others(sim: S3Server, make: Make, path: Path) -> None:
    interrupted(sim, make, path)
    path.write_bytes(b"small")
    make().put_file("bucket", "k", path, resume=True)
    is_done(make(), path)
    with pytest.raises(errors.InvalidRequestError, match="regular file"):
        make().put_file("bucket", "k", os.devnull, resume=True)
    with pytest.raises(errors.LocalFileError):
        make().put_file("bucket", "k", path.parent, resume=True)
    with pytest.raises(errors.LocalFileError):
        make().put_file("bucket", "k", path.parent / "no", resume=True)
