"""Which keys go to the engine, and that nothing of it is silent."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs.backends.rollout.ledger import REASONS
from objectfs.backends.rollout.routing import place
from objectfs.sim import S3Server

from .conftest import Roll
from .rollout_support import SETTINGS, by_backend, keys_of
from .support import python, until


def test_the_share_of_keys(roll: Roll, sim: S3Server) -> None:
    """Which keys is the hash's affair alone, so their number is always the same."""
    client = roll({"canary": 75})
    keys = [f"k/{number}" for number in range(120)]
    client.put_many("bucket", dict.fromkeys(keys, b"x"))
    ours, theirs = by_backend(sim, "PutObject")
    assert ours | theirs == set(keys)
    assert not ours & theirs
    assert 80 <= len(ours) <= 100
    assert ours == {key for key in keys if place("bucket", key) < 75}
    assert [bytes(each) for each in client.get_many("bucket", keys)] == [b"x"] * 120
    assert by_backend(sim, "GetObject") == (ours, theirs)


def test_each_verb_goes_where_its_key_goes(roll: Roll, sim: S3Server, tmp_path: Path) -> None:
    client = roll({"canary": 40})
    inside, outside = (keys_of("bucket", 40, 2, inside=where) for where in (True, False))
    path = tmp_path / "file"
    for key in (*inside, *outside):
        client.put("bucket", key, b"0123456789")
        client.get("bucket", key)
        client.get("bucket", key, 1, 3)
        client.get_into("bucket", key, bytearray(10))
        client.get_file("bucket", key, path)
        client.head("bucket", key)
        client.put_file("bucket", key, path)
        client.put("bucket", key, iter([b"01234", b"56789"]))
        with client.open("bucket", key, "wb") as file:
            file.write(b"0123456789")
        with client.open("bucket", key) as file:
            assert file.read() == b"0123456789"
        client.get_ranges("bucket", key, [(0, 1), (5, 6)])
        client.call("GetObjectTagging", Bucket="bucket", Key=key)
        client.copy("bucket", key, "bucket", key, metadata={"a": "b"})
        client.delete("bucket", key)
    for operation in ("GetObject", "HeadObject", "PutObject", "GetObjectTagging", "CopyObject", "DeleteObject"):
        assert by_backend(sim, operation) == (set(inside), set(outside)), operation
    client.delete_many("bucket", [*inside, *outside])
    assert client.stats()["rollout"]["operations"]["DeleteObjects"] == {"canary": 1, "not-canary": 1}


def test_the_share_is_a_share() -> None:
    """Of 10,000 keys: within four standard deviations, with names that are much alike, and in any bucket."""
    for bucket in ("a", "b"):
        places = [place(bucket, f"2026/11/{number:05}.parquet") for number in range(10_000)]
        assert all(0 <= each <= 100 for each in places)
        for share in (1, 5, 25, 50, 99):
            deviation = (10_000 * share / 100 * (1 - share / 100)) ** 0.5
            assert abs(sum(each < share for each in places) - 100 * share) < 4 * deviation


def test_the_same_keys_in_every_process() -> None:
    """Python's own hash of a string is another one in each."""
    code = """
        from objectfs.backends.rollout.routing import place
        print(*[number for number in range(200) if place("bucket", f"k/{number}") < 30])
    """
    done = python(code, env={**os.environ, "PYTHONHASHSEED": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(number) for number in range(200) if place("bucket", f"k/{number}") < 30]
    # and for ever, whatever version of this package decides
    assert (round(place("bucket", "a"), 3), round(place("bucket", "ä/ö"), 3)) == (PLACE_A, PLACE_UMLAUT)


PLACE_A, PLACE_UMLAUT = 41.641, 53.178


def test_a_listing_stays_where_it_began(roll: Roll, sim: S3Server) -> None:
    """All pages of one, for a token may be of use only to who got it."""
    client = roll({"canary": 50})
    client.put_many("bucket", {f"{prefix}/{number:04}": b"" for prefix in "abcd" for number in range(3)})
    for prefix in "abcd":
        sim.clear_requests()
        entries = list(client.list("bucket", f"{prefix}/"))
        assert len(entries) == 3
        assert len({request.headers["user-agent"] for request in sim.requests}) == 1


@pytest.mark.usefixtures("both_backends")
def test_async_goes_there_too(sim: S3Server) -> None:
    keys = [f"k/{number}" for number in range(40)]

    async def work() -> dict[str, Any]:
        async with objectfs.AsyncClient(endpoint_url=sim.endpoint_url, **SETTINGS, rollout={"canary": 50}) as client:
            await asyncio.gather(*(client.put("bucket", key, key.encode()) for key in keys))
            found = await client.get_many("bucket", keys)
            assert [bytes(each) for each in found] == [key.encode() for key in keys]
            assert {key: bytes(data) async for key, data in client.iter_many("bucket", keys)} == {
                key: key.encode() for key in keys
            }
            return client.stats()

    stats = asyncio.run(work())
    ours, theirs = by_backend(sim, "PutObject")
    assert ours == {key for key in keys if place("bucket", key) < 50}
    assert (len(ours), len(theirs)) == (
        stats["rollout"]["operations"]["PutObject"]["canary"],
        stats["rollout"]["operations"]["PutObject"]["not-canary"],
    )


def test_nothing_is_silent(roll: Roll, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="objectfs.rollout")
    client = roll({"canary": 50})
    assert client.backend.name == "routed"
    assert repr(client).endswith("on routed>")
    inside, outside = (keys_of("bucket", 50, 1, inside=where)[0] for where in (True, False))
    client.put("bucket", inside, b"secret content", metadata={"m": "secret metadata"})
    client.put("bucket", outside, b"secret content")
    url = client.presign("get", "bucket", inside)
    rollout = client.stats()["rollout"]
    assert rollout["settings"] == "canary=50"
    assert rollout["decisions"] == {"canary": 1, "not-canary": 1, "no-request": 1}
    assert rollout["operations"]["PutObject"] == {"canary": 1, "not-canary": 1}
    assert set(rollout["decisions"]) <= set(REASONS)
    lines = [record.getMessage() for record in caplog.records]
    assert f"rollout canary: PutObject s3://bucket/{inside}: {REASONS['canary']}" in lines
    assert f"rollout not-canary: PutObject s3://bucket/{outside}: {REASONS['not-canary']}" in lines
    assert not [line for line in lines if "secret" in line or url in line]
    assert client.stats()["backends"]["crt"]["backend"] == "crt"
    assert client.stats()["backends"]["sdk"]["backend"] == "sdk"


def test_what_it_counts_is_both_backends(roll: Roll) -> None:
    """A program that reads a client's histograms goes on to find them when it is given a rollout."""
    client = roll({"canary": 50})
    for where in (True, False):
        client.put("bucket", keys_of("bucket", 50, 1, inside=where)[0], b"x")
    until(lambda: client.stats()["latency"].get("total", {"count": 0})["count"] == 2, 60)
    until(lambda: client.stats()["operations"] == {"PutObject": {"attempts": 2, "failed": 0}}, 60)
    stats = client.stats()
    parts = [each["latency"]["total"] for each in stats["backends"].values()]
    assert [part["count"] for part in parts] == [1, 1]
    assert stats["latency"]["total"]["max"] == max(part["max"] for part in parts)
    assert stats["retries"] == 0


def test_memory_is_shared_out(roll: Roll) -> None:
    stats = roll({"canary": 50}, memory_limit="1 GiB").stats()
    assert stats["memory_limit"] == 1024**3
    assert sum(each["memory_limit"] for each in stats["backends"].values()) == 1024**3


def test_memory_for_two_is_needed(roll: Roll, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="objectfs")
    client = roll({"canary": 50}, memory_limit="300 MiB")
    assert client.backend.name == "sdk"
    crt = next(attempt for attempt in client.backend.attempts if attempt.name == "crt")
    assert not crt.ok
    assert "320 MiB" in crt.reason
    assert any("crt was not possible" in record.getMessage() for record in caplog.records)


def test_without_the_engine_that_is_not_silent_either(
    roll: Roll, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of each client, though nothing of the rollout is in the way of its requests."""
    monkeypatch.setattr("objectfs._native.crc", lambda name, data: 0)
    for _ in range(2):
        caplog.clear()
        client = roll({"canary": 5, "breaker": True})
        assert client.backend.name == "sdk"
        rollout = client.stats()["rollout"]
        assert rollout["settings"].startswith("canary=5,breaker=5")
        assert rollout["decisions"] == {"no-engine": 1}
        assert rollout["operations"] == {}
        assert rollout["circuits"] is None
        assert "self-check" in rollout["recent"][0]["detail"]
        (line,) = [record for record in caplog.records if record.name == "objectfs.rollout"]
        assert line.levelno == logging.WARNING
        assert line.getMessage().startswith(f"rollout no-engine: {REASONS['no-engine']} (crt was not possible: the")
        assert client.stats()["operations"] == {}  # the backend's own are there as without a rollout


def test_without_the_setting_nothing_of_it_is_there() -> None:
    done = python("""
        import sys, objectfs
        with objectfs.Client(endpoint_url="http://127.0.0.1:9", anonymous=True) as client:
            assert "rollout" not in client.stats()
        assert not [name for name in sys.modules if name.startswith("objectfs.backends.rollout")]
    """)
    assert done.returncode == 0, done.stderr
