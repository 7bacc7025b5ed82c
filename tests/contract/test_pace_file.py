"""``pace_file=``: what a client has learned of an endpoint, the next process knows (docs/design/0015-pace.md)."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs.backends.machine import usable_cores
from objectfs.errors import ConfigError
from objectfs.sim import S3Server

from .support import MiB, python, ramp

pytest.importorskip("objectfs._native", reason="the engine is not built")

SIZE = 32 * MiB
PART = 8 * MiB
SECRET = "a-secret-that-nobody-writes-down"
GOOD = {"saved": time.time(), "connections": 64, "before": 64, "rate": 0, "fresh": False, "held": 0, "hold": 2}
LINK = {"saved": time.time(), "first_byte": 5, "connection_rate": 9e7}


@pytest.fixture(scope="module")
def far() -> Iterator[S3Server]:
    """First bytes take some milliseconds, and a connection carries no more than S3 Express lets it."""
    with S3Server(buckets=("bucket",), profile="express", secret_key=SECRET) as server:
        with client(server) as made:
            made.put("bucket", "large", ramp(SIZE))
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "pace.json"


def client(server: S3Server, **settings: Any) -> objectfs.Client:
    return objectfs.Client(
        **{
            "backend": "crt",
            "endpoint_url": server.endpoint_url,
            "access_key_id": "test",
            "secret_access_key": SECRET,
            "region": "us-east-1",
            **settings,
        }
    )


def learn(server: S3Server, path: Path, **settings: Any) -> dict[str, Any]:
    """Have a client move something; what it then says of the endpoint."""
    with client(server, pace_file=path, **settings) as made:
        assert made.get("bucket", "large") == ramp(SIZE)
        pace: dict[str, Any] = made.stats()["pace"][0]
    return pace


def pace_of(server: S3Server, path: Path, **settings: Any) -> dict[str, Any]:
    """What a client knows that has moved nothing."""
    with client(server, pace_file=path, **settings) as made:
        made.exists("bucket", "large")
        pace: dict[str, Any] = made.stats()["pace"][0]
    return pace


def entry(path: Path) -> dict[str, Any]:
    (found,) = json.loads(path.read_text())["endpoints"].values()
    return dict(found)


def place(server: S3Server) -> str:
    return f"{server.endpoint_url} us-east-1 s3, {usable_cores()} cores"


def change(path: Path, **values: Any) -> None:
    document = json.loads(path.read_text())
    for found in document["endpoints"].values():
        found.update(values)
    path.write_text(json.dumps(document))


def ranges(server: S3Server) -> int:
    return sum(1 for request in server.requests if request.operation == "GetObject")


def test_the_next_client_knows_what_the_network_is_like(far: S3Server, path: Path) -> None:
    far.clear_requests()
    learned = learn(far, path)
    assert ranges(far) == SIZE // PART
    assert learned["first_byte"] >= 0.002
    known = pace_of(far, path)
    assert known["first_byte"] == learned["first_byte"]
    assert known["connection_rate"] == learned["connection_rate"]
    change(path, network={**LINK, "first_byte": 0.004, "connection_rate": 3e8, "bandwidth": 5e9})
    assert pace_of(far, path)["bandwidth"] == pytest.approx(5e9)
    far.clear_requests()
    learn(far, path)
    assert ranges(far) > 2 * SIZE // PART  # parts of which each connection receives as long as it waits


def test_of_no_interest_to_others(far: S3Server, path: Path) -> None:
    learn(far, path)
    text = path.read_text()
    assert SECRET not in text
    assert "bucket" not in text
    assert os.listdir(path.parent) == [path.name]
    assert list(json.loads(text)["endpoints"]) == [place(far)]


def test_connections(far: S3Server, path: Path) -> None:
    learn(far, path)
    assert "download" not in entry(path)  # one that was too short for all connections tells nothing of them
    change(path, download={**GOOD, "connections": 90}, upload={**GOOD, "connections": 70})
    pace = pace_of(far, path)
    assert (pace["download"], pace["upload"]) == (90, 70)
    learn(far, path)
    assert entry(path)["download"]["connections"] == 90  # nothing else was found out


def test_within_bounds_and_below_orders(far: S3Server, path: Path) -> None:
    learn(far, path)
    change(path, download={**GOOD, "connections": 10_000})
    with client(far) as made:
        most = made.stats()["max_connections"]
    assert pace_of(far, path)["download"] == most
    assert pace_of(far, path, max_connections=7)["download"] == 7
    assert pace_of(far, path, throughput_gbps=8)["download"] == 20
    change(path, download={**GOOD, "connections": 2})  # of an hour in which it was asked for too much
    assert pace_of(far, path)["download"] == 64


def test_what_is_set_is_no_lesson(far: S3Server, path: Path) -> None:
    learn(far, path)
    change(path, download={**GOOD, "connections": 90})
    with client(far, pace_file=path, max_connections=2) as made:
        for _ in range(3):
            made.get("bucket", "large")
    assert entry(path)["download"]["connections"] == 90


def test_what_was_not_measured_stays(far: S3Server, path: Path) -> None:
    """A client that only sends does not know what those before it have received."""
    writer = client(far, pace_file=path)
    learned = learn(far, path)
    writer.put("bucket", "sent", ramp(SIZE))
    writer.close()
    assert entry(path)["network"]["first_byte"] == learned["first_byte"]


def test_other_cores(far: S3Server, path: Path) -> None:
    learn(far, path)
    path.write_text(path.read_text().replace(f"{usable_cores()} cores", "1000 cores"))
    assert pace_of(far, path)["first_byte"] is None
    learn(far, path)
    assert len(json.loads(path.read_text())["endpoints"]) == 2


def test_a_program_that_does_not_close(far: S3Server, path: Path) -> None:
    done = python(
        """
        import sys, objectfs
        client = objectfs.Client(endpoint_url=sys.argv[1], region="us-east-1", backend="crt")
        client.get("bucket", "large")
        """,
        far.endpoint_url,
        env={
            **os.environ,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "OBJECTFS_PACE_FILE": str(path),
        },
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert pace_of(far, path)["first_byte"] == entry(path)["network"]["first_byte"] >= 0.002


def test_async(far: S3Server, path: Path) -> None:
    async def go() -> None:
        async with objectfs.AsyncClient(
            backend="crt",
            endpoint_url=far.endpoint_url,
            access_key_id="test",
            secret_access_key=SECRET,
            region="us-east-1",
            pace_file=path,
        ) as made:
            assert await made.get("bucket", "large") == ramp(SIZE)

    asyncio.run(go())
    assert pace_of(far, path)["first_byte"] >= 0.002


def test_endpoints_have_entries_of_their_own(far: S3Server, path: Path) -> None:
    with S3Server(buckets=("bucket",), secret_key=SECRET) as near:
        with client(near) as made:
            made.put("bucket", "large", ramp(SIZE))
        first = client(far, pace_file=path)
        second = client(near, pace_file=path)
        for each in (first, second):
            each.get("bucket", "large")
        first.close()
        second.close()  # which had read the file when there was nothing
        entries = json.loads(path.read_text())["endpoints"]
        assert len(entries) == 2
        for server in (far, near):
            expected = entries[place(server)]["network"]["first_byte"]
            assert pace_of(server, path)["first_byte"] == expected


def test_what_moved_nothing_writes_nothing(far: S3Server, path: Path) -> None:
    pace_of(far, path)
    with client(far, pace_file=path) as made:
        made.put("bucket", "small", b"content")
        made.get("bucket", "small")
    assert not path.exists()
    learn(far, path)
    before = path.stat().st_ino
    pace_of(far, path)
    assert path.stat().st_ino == before


def test_old_entries(far: S3Server, path: Path) -> None:
    learn(far, path)
    for distance in (-31, 31):  # of a clock that was wrong, too
        change(path, network={**LINK, "saved": time.time() + distance * 86_400})
        assert pace_of(far, path)["first_byte"] is None
    document = json.loads(path.read_text())
    document["endpoints"]["http://elsewhere us-east-1 s3"] = entry(path)
    path.write_text(json.dumps(document))
    learn(far, path)
    assert entry(path)["network"]["first_byte"] < 5  # and the other one is gone


def test_what_nobody_measures_any_more_grows_old(far: S3Server, path: Path) -> None:
    """Who writes what he has learned does not vouch for the rest."""
    learn(far, path)
    then = round(time.time()) - 29 * 86_400
    change(path, upload={**GOOD, "saved": then})
    learn(far, path)
    assert entry(path)["upload"]["saved"] == then
    assert entry(path)["network"]["saved"] > then


ENDPOINT = {"network": LINK, "download": GOOD, "download_to_file": GOOD, "upload": GOOD}


def document(**changes: Any) -> str:
    return json.dumps({"schema": "objectfs-pace/1", "endpoints": {"http://a us-east-1 s3": {**ENDPOINT, **changes}}})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("\n", "Expecting value"),
        ("[default]\nregion = eu-central-1\n", "Expecting value"),
        ("[]", "schema"),
        ('{"schema": "objectfs-pace/2"}', "schema"),
        ('{"schema": "objectfs-pace/1"}', "endpoints"),
        ('{"schema": "objectfs-pace/1", "endpoints": []}', "items"),
        ('{"schema": "objectfs-pace/1", "endpoints": {"a": 5}}', "items"),
        (document(network={**LINK, "first_byte": -1}), "first_byte"),
        (document(network={**LINK, "first_byte": float("nan")}), "first_byte"),
        (document(network={**LINK, "first_byte": "soon"}), "first_byte"),
        (document(network={**LINK, "connection_rate": float("inf")}), "connection_rate"),
        (document(network={**LINK, "saved": None}), "saved"),
        (document(network=GOOD), "connections"),
        (document(upload=5), "mapping"),
        (document(upload={**GOOD, "connections": 0}), "connections"),
        (document(upload={**GOOD, "connections": 1e9}), "connections"),
        (document(upload={**GOOD, "hold": 1 << 40}), "hold"),
        (document(upload={**GOOD, "held": []}), "held"),
        (document(upload={}), "connections"),
        (document(more=GOOD), "more"),
        ("[" * 100_000, "no file"),
        (" " * (2 << 20), "too large"),
        (b"\xff\xfe\x00", "decode"),
    ],
)
def test_files_that_are_something_else(far: S3Server, tmp_path: Path, content: str | bytes, words: str) -> None:
    path = tmp_path / "file"
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        client(far, pace_file=path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert path.read_bytes() == raw


def test_an_empty_file_is_for_us(far: S3Server, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    learn(far, path)
    assert entry(path)["network"]["first_byte"] >= 0.002


def test_the_good_one_is_read(far: S3Server, tmp_path: Path) -> None:
    """Or the test above would show nothing."""
    path = tmp_path / "file"
    path.write_text(document())
    client(far, pace_file=path).close()


def test_what_cannot_be_read(far: S3Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be read"):
        client(far, pace_file=tmp_path / "file" / "pace.json")


def full(document: Any, file: Any, **_: Any) -> None:
    file.write("{")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("hindrance", ["folder", "other", "disk"])
def test_what_cannot_be_written_is_told(
    far: S3Server, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, hindrance: str
) -> None:
    made = client(far, pace_file=path)
    made.get("bucket", "large")
    if hindrance == "folder":
        path.mkdir(parents=True)
    elif hindrance == "disk":
        monkeypatch.setattr(json, "dump", full)
    else:
        path.parent.mkdir()
        path.write_text("of somebody else's")
    with caplog.at_level(logging.WARNING, "objectfs.pace"):
        made.close()
    (record,) = (record for record in caplog.records if record.name == "objectfs.pace")
    assert str(path) in record.getMessage()
    assert os.listdir(path.parent) == [path.name] * (hindrance != "disk")
    assert hindrance != "other" or path.read_text() == "of somebody else's"


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open is not replaced there")
def test_always_whole(far: S3Server, path: Path) -> None:
    """Who reads while others write sees a whole file."""
    learn(far, path)
    clients = [client(far, pace_file=path) for _ in range(8)]
    for made in clients:
        made.get("bucket", "large")

    async def close_all() -> None:
        done = asyncio.gather(*(asyncio.to_thread(made.close) for made in clients))
        while not done.done():
            assert entry(path)["network"]["first_byte"] > 0
            await asyncio.sleep(0)
        await done

    asyncio.run(close_all())
    assert os.listdir(path.parent) == [path.name]


def test_the_other_backend_has_nothing_to_learn(far: S3Server, path: Path) -> None:
    with client(far, backend="sdk", pace_file=path) as made:
        made.get("bucket", "large")
    assert not path.exists()
