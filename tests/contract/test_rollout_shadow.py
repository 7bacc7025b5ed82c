"""Reads that are made on both backends and compared: what differs is found, and never returned."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Roll
from .rollout_support import SETTINGS, EngineFault, engine
from .support import ramp, until

SHADOW: dict[str, Any] = {"shadow": {"max_in_flight": 64, "deadline": 300}}


def decisions(client: Any) -> dict[str, int]:
    found: dict[str, int] = client.stats()["rollout"]["decisions"]
    return found


def settled(client: Any) -> dict[str, int]:
    """What was decided, once nothing is being compared any more."""
    until(lambda: client.stats()["rollout"]["shadow"]["under_way"] == 0, 60)
    return {reason: count for reason, count in decisions(client).items() if reason.startswith("shadow-")}


@pytest.fixture
def client(roll: Roll) -> objectfs.Client:
    made = roll(SHADOW)
    made.put("bucket", "k", b"content", metadata={"name": "value"}, content_type="text/x")
    return made


def test_what_agrees(client: objectfs.Client, sim: S3Server, tmp_path: Path) -> None:
    sim.clear_requests()
    assert bytes(client.get("bucket", "k")) == b"content"
    assert bytes(client.get("bucket", "k", 2, 5)) == b"nte"
    assert client.get_into("bucket", "k", bytearray(100)) == 7
    client.get_file("bucket", "k", tmp_path / "file")
    client.head("bucket", "k")
    list(client.list("bucket"))
    list(client.list_versions("bucket"))
    client.get_many("bucket", ["k", "k"])
    client.get_ranges("bucket", "k", [(0, 1), (3, 7)])
    with client.open("bucket", "k") as file:
        assert file.read() == b"content"
    with pytest.raises(errors.NotFoundError):
        client.get("bucket", "missing")
    with pytest.raises(errors.InvalidRangeError):
        client.get("bucket", "k", 100, 101)
    with pytest.raises(errors.BufferTooSmallError):
        client.get_into("bucket", "k", bytearray(2))
    assert settled(client) == {"shadow-same": decisions(client)["shadow-same"]}
    assert decisions(client)["shadow-same"] >= 13
    assert {engine(request) for request in sim.requests} == {True, False}


@pytest.mark.parametrize(
    ("fault", "reason", "detail"),
    [
        ({"corrupt": 1}, "shadow-different", "content"),
        ({"set_headers": {"x-amz-meta-name": "other"}}, "shadow-different", "metadata"),
        ({"etag": '"other"'}, "shadow-different", 'etag (etag: trusted "{etag}", engine "other")'),
        (
            {"code": "AccessDenied"},
            "shadow-different",
            "error (error: trusted None, engine AccessDeniedError; code: trusted None, engine AccessDenied; "
            "status: trusted None, engine 403; size: trusted 7, engine None; lengths: trusted [4], engine None; etag: "
            'trusted "{etag}", engine None)',
        ),
        ({"shift_range": 1}, "shadow-failed", "ServerError"),
    ],
    ids=str,
)
def test_a_planted_difference(
    client: objectfs.Client,
    sim: S3Server,
    fault: dict[str, Any],
    reason: str,
    detail: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of a range, for which no checksum speaks."""
    caplog.set_level(logging.WARNING, logger="objectfs.rollout")
    sim.faults.add(EngineFault("GetObject", "k", times=None, **fault))
    for _ in range(3):
        found = client.get("bucket", "k", 0, 4)
        assert bytes(found) == b"cont"
        assert found.info is not None
        assert found.info.metadata == {"name": "value"}
    assert settled(client) == {reason: 3}
    recent = client.stats()["rollout"]["recent"][-1]
    assert (recent["operation"], recent["bucket"], recent["key"]) == ("GetObject", "bucket", "k")
    etag = hashlib.md5(b"content").hexdigest()
    assert recent["detail"].startswith(detail.format(etag=etag)), recent["detail"]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert all(line.startswith(f"rollout {reason}: GetObject s3://bucket/k: ") for line in lines)
    assert not [line for line in lines if "value" in line or ("other" in line and "etag" not in fault)]


def test_listings_and_heads(client: objectfs.Client, sim: S3Server) -> None:
    sim.faults.add(EngineFault("HeadObject", "k", set_headers={"content-type": "text/y"}, times=None))
    assert client.head("bucket", "k").content_type == "text/x"
    sim.faults.add(EngineFault("ListObjectsV2", code="AccessDenied", times=None))
    assert [entry.key for entry in client.list("bucket")] == ["k"]  # type: ignore[union-attr]
    assert settled(client) == {"shadow-different": 2}
    details = {each["operation"]: each["detail"] for each in client.stats()["rollout"]["recent"]}
    assert details["HeadObject"] == "content_type"
    assert details["ListObjectsV2"].startswith("error (error: trusted None, engine AccessDeniedError")


def test_an_object_that_changes_meanwhile(client: objectfs.Client, sim: S3Server) -> None:
    """The engine's read waits at the server until the object is another one."""
    gate = threading.Event()
    sim.faults.add(EngineFault("HeadObject", "k", hold=gate, times=None))
    client.head("bucket", "k")
    until(lambda: any(engine(request) and request.operation == "HeadObject" for request in sim.requests))
    client.put("bucket", "k", b"another content")
    gate.set()
    # whether the server looks before or after it holds a request is its own affair
    assert settled(client).keys() <= {"shadow-changed", "shadow-same"}


def test_what_fails_there_fails_nobody(client: objectfs.Client, sim: S3Server) -> None:
    sim.faults.add(EngineFault("GetObject", "k", reset=True, times=None))
    assert bytes(client.get("bucket", "k")) == b"content"
    assert settled(client) == {"shadow-failed": 1}


def test_a_deadline(roll: Roll, sim: S3Server) -> None:
    client = roll({"shadow": {"deadline": 0.05}})
    client.put("bucket", "k", b"content")
    sim.faults.add(EngineFault("GetObject", "k", stall=True, times=None))
    assert bytes(client.get("bucket", "k")) == b"content"
    assert settled(client) == {"shadow-late": 1}


def test_the_share(roll: Roll, sim: S3Server) -> None:
    client = roll({"shadow": {"share": 25, "max_in_flight": 64, "deadline": 300}})
    client.put("bucket", "k", b"content")
    sim.clear_requests()
    for _ in range(20):
        client.get("bucket", "k")
    assert settled(client) == {"shadow-same": 5, "shadow-not-sampled": 15}
    assert len([request for request in sim.requests if engine(request)]) == 5


def test_the_largest(roll: Roll, sim: S3Server, tmp_path: Path) -> None:
    client = roll({"shadow": {"max_bytes": 1000, "max_in_flight": 64, "deadline": 300}})
    client.put("bucket", "small", ramp(1000))
    client.put("bucket", "large", ramp(1001))
    sim.clear_requests()
    for key in ("small", "large"):
        client.get("bucket", key)
        client.get_into("bucket", key, bytearray(5000))
        client.get_file("bucket", key, tmp_path / key)
    assert settled(client) == {"shadow-same": 3, "shadow-too-large": 3}
    assert {request.key for request in sim.requests if engine(request)} == {"small"}


def test_more_than_the_trusted_answer_is_not_taken(roll: Roll, sim: S3Server) -> None:
    """Where the trusted backend finds nothing, the engine's answer could be of any size."""
    client = roll({"shadow": {"max_bytes": 1000, "deadline": 300}})
    client.put("bucket", "k", ramp(5000))

    class ForTrusted(Fault):
        def matches(self, request: Any) -> bool:
            return not engine(request) and super().matches(request)

    sim.faults.add(ForTrusted("GetObject", "k", code="NoSuchKey", times=None))
    with pytest.raises(errors.NotFoundError):
        client.get("bucket", "k")
    assert settled(client) == {"shadow-different": 1}
    detail = client.stats()["rollout"]["recent"][-1]["detail"]
    assert "engine BufferTooSmallError" in detail


def test_many_at_a_time(roll: Roll, sim: S3Server) -> None:
    client = roll({"shadow": {"max_in_flight": 2, "deadline": 300}})
    client.put("bucket", "k", b"content")
    gate = threading.Event()
    sim.faults.add(EngineFault("GetObject", "k", hold=gate, times=None))
    try:
        for _ in range(6):
            assert bytes(client.get("bucket", "k")) == b"content"
        assert decisions(client)["shadow-busy"] == 4
    finally:
        gate.set()
    assert settled(client) == {"shadow-busy": 4, "shadow-same": 2}


def test_closed_meanwhile(roll: Roll, sim: S3Server) -> None:
    """A comparison under way holds up no close, and what it holds goes with it (the leak check of all tests)."""
    client = roll(SHADOW)
    client.put("bucket", "k", b"content")
    sim.faults.add(EngineFault("GetObject", "k", stall=True, times=None))
    client.get("bucket", "k")
    backend: Any = client._core.backend()
    client.close()
    until(lambda: backend.router.ledger.count("shadow-closed") == 1)


def test_canaries_are_not_compared(roll: Roll, sim: S3Server) -> None:
    client = roll({"canary": 100, "shadow": True})
    client.put("bucket", "k", b"content")
    client.get("bucket", "k")
    assert settled(client) == {}
    assert all(map(engine, sim.requests))


def test_large_contents(client: objectfs.Client, sim: S3Server) -> None:
    """Whose digests are made on a thread."""
    data = ramp(3_000_000)
    client.put("bucket", "large", data)
    assert bytes(client.get("bucket", "large")) == data
    found = bytearray(len(data))
    client.get_into("bucket", "large", found)
    found[:] = bytes(len(data))  # the caller's memory is his own again
    assert settled(client) == {"shadow-same": 2}


@pytest.mark.usefixtures("both_backends")
def test_async(sim: S3Server) -> None:
    async def work() -> dict[str, int]:
        async with objectfs.AsyncClient(endpoint_url=sim.endpoint_url, **SETTINGS, rollout=SHADOW) as client:
            data = ramp(1_000_000)
            await client.put("bucket", "k", data)
            for _ in range(4):
                assert bytes(await client.get("bucket", "k")) == data
            sim.faults.add(EngineFault("HeadObject", "k", set_headers={"content-type": "x/y"}, times=None))
            assert (await client.head("bucket", "k")).content_type != "x/y"
            return await asyncio.to_thread(settled, client)

    assert asyncio.run(work()) == {"shadow-same": 4, "shadow-different": 1}
