"""Failures that the other backend would not have: what is repeated, what is not, and when the engine is left alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.backends.rollout.breaker import Circuits
from objectfs.rollout import Breaker
from objectfs.sim import Fault, S3Server

from .conftest import Roll
from .rollout_support import SETTINGS, EngineFault, engine

RULES = {"canary": 100, "breaker": {"failures": 3, "window": 10_000, "cooldown": 50}}


class Clock:
    """Time that passes when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(roll: Roll, clock: Clock) -> Iterator[objectfs.Client]:
    made = roll(RULES)
    circuits_of(made).clock = clock
    made.put("bucket", "k", b"content")
    return made


def circuits_of(client: objectfs.Client) -> Circuits:
    backend: Any = client._core.backend()
    circuits: Circuits = backend.router.circuits
    return circuits


def decisions(client: objectfs.Client) -> dict[str, int]:
    found: dict[str, int] = client.stats()["rollout"]["decisions"]
    return found


def state(client: objectfs.Client, operation: str) -> str | None:
    for circuit in client.stats()["rollout"]["circuits"]:
        if circuit["operation"] == operation:
            found: str = circuit["state"]
            return found
    return None


def askers(sim: S3Server, operation: str) -> list[str]:
    """Who made the requests of that operation since the log was cleared, in order."""
    made = [request for request in sim.requests if request.operation == operation]
    return ["engine" if engine(request) else "trusted" for request in made]


def test_it_opens_probes_and_closes(
    client: objectfs.Client, sim: S3Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="objectfs.rollout")
    fault = EngineFault("GetObject", "k", reset=True, times=None)
    sim.faults.add(fault)
    sim.clear_requests()
    for _ in range(3):  # each is answered all the same
        assert bytes(client.get("bucket", "k")) == b"content"
    assert askers(sim, "GetObject") == ["engine", "trusted"] * 3
    assert decisions(client)["fallback"] == 3
    assert decisions(client)["breaker-opened"] == 1
    assert state(client, "GetObject") == "open"

    sim.clear_requests()
    for _ in range(4):
        assert bytes(client.get("bucket", "k")) == b"content"
    assert askers(sim, "GetObject") == ["trusted"] * 4
    assert decisions(client)["breaker-open"] == 4
    client.head("bucket", "k")  # another operation is another circuit
    assert askers(sim, "HeadObject") == ["engine"]

    clock.now += 49
    client.get("bucket", "k")
    assert askers(sim, "GetObject") == ["trusted"] * 5
    clock.now += 1
    assert state(client, "GetObject") == "half-open"
    sim.clear_requests()
    assert bytes(client.get("bucket", "k")) == b"content"  # a probe that fails, and is repeated
    assert askers(sim, "GetObject") == ["engine", "trusted"]
    assert bytes(client.get("bucket", "k")) == b"content"
    assert askers(sim, "GetObject") == ["engine", "trusted", "trusted"]
    assert decisions(client)["breaker-probe"] == 1
    assert decisions(client)["breaker-opened"] == 2

    sim.faults.remove(fault)
    clock.now += 50
    sim.clear_requests()
    for _ in range(3):
        assert bytes(client.get("bucket", "k")) == b"content"
    assert askers(sim, "GetObject") == ["engine"] * 3
    assert decisions(client)["breaker-closed"] == 1
    assert state(client, "GetObject") == "closed"

    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    for reason, count in (("fallback", 4), ("breaker-opened", 2), ("breaker-closed", 1)):
        assert len([line for line in lines if line.startswith(f"rollout {reason}:")]) == count, lines
    recent = [each["reason"] for each in client.stats()["rollout"]["recent"]]
    assert recent[-1] == "breaker-closed"


@pytest.mark.usefixtures("both_backends")
def test_each_endpoint_has_a_circuit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where buckets are hosts, the one that answers badly is no reason to leave the engine for the other."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with S3Server(buckets=("good", "bad"), domains=("s3.localhost",)) as server:
        monkeypatch.setenv("http_proxy", server.endpoint_url)  # no resolver knows these hosts: this leads there
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        settings = {**SETTINGS, "endpoint_url": f"http://s3.localhost:{server.port}", "addressing_style": "virtual"}
        with objectfs.Client(**settings, rollout=RULES) as client:
            for bucket in ("good", "bad"):
                client.put(bucket, "k", b"content")
            server.faults.add(EngineFault("GetObject", bucket="bad", reset=True, times=None))
            for _ in range(4):
                for bucket in ("good", "bad"):
                    server.clear_requests()
                    assert bytes(client.get(bucket, "k")) == b"content"
                    last = askers(server, "GetObject")
                    assert last[0] == "engine" if bucket == "good" else last[-1] == "trusted"
            assert last == ["trusted"]
            (circuit,) = client.stats()["rollout"]["circuits"]
    assert (circuit["operation"], circuit["state"]) == ("GetObject", "open")
    assert circuit["endpoint"] == f"http://bad.s3.localhost:{server.port}"


def test_what_the_server_refuses_counts_nothing(client: objectfs.Client, sim: S3Server) -> None:
    for _ in range(5):
        with pytest.raises(errors.NotFoundError):
            client.get("bucket", "missing")
    sim.faults.add(Fault("GetObject", "k", code="AccessDenied", times=None))
    for _ in range(5):
        with pytest.raises(errors.AccessDeniedError):
            client.get("bucket", "k")
    assert all(map(engine, sim.requests[-10:]))
    assert not {"fallback", "both-failed", "breaker-opened"} & decisions(client).keys()


def test_an_outage_is_not_the_engines(client: objectfs.Client, sim: S3Server) -> None:
    sim.faults.add(Fault("GetObject", "k", reset=True, times=None))
    for _ in range(4):
        with pytest.raises(errors.ConnectionFailedError):
            client.get("bucket", "k")
    assert decisions(client)["both-failed"] == 4
    assert "fallback" not in decisions(client)
    assert state(client, "GetObject") is None


def test_wrong_bytes_count(client: objectfs.Client, sim: S3Server) -> None:
    """A body that ends early, on the way to the engine only."""
    sim.faults.add(EngineFault("GetObject", "k", truncate=3, times=None))
    assert bytes(client.get("bucket", "k")) == b"content"
    buffer = bytearray(20)
    assert client.get_into("bucket", "k", buffer) == 7
    assert bytes(buffer[:7]) == b"content"
    assert decisions(client)["fallback"] == 2


def test_files_and_batches(client: objectfs.Client, sim: S3Server, tmp_path: Path) -> None:
    client.put_many("bucket", {f"m/{number}": b"%d" % number for number in range(6)})
    sim.faults.add(EngineFault("GetObject", "k", reset=True, times=None))
    sim.faults.add(EngineFault("GetObject", "m/3", reset=True, times=None))
    client.get_file("bucket", "k", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"content"
    keys = [f"m/{number}" for number in range(6)]
    assert [bytes(each) for each in client.get_many("bucket", keys)] == [b"%d" % number for number in range(6)]
    assert decisions(client)["fallback"] == 2


def test_a_batch_with_failures_in_their_places(roll: Roll, sim: S3Server) -> None:
    client = roll(RULES)
    client.put_many("bucket", {f"m/{number}": b"%d" % number for number in range(6)})
    sim.faults.add(EngineFault("GetObject", "m/3", reset=True, times=None))
    keys = ["m/0", "m/3", "m/none", "m/5"]
    found: list[Any] = client.get_many("bucket", keys, on_error="return")
    assert isinstance(found.pop(2), errors.NotFoundError)
    assert [bytes(each) for each in found] == [b"0", b"3", b"5"]
    assert decisions(client)["fallback"] == 1


def test_writes_that_may_be_repeated(client: objectfs.Client, sim: S3Server, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"of a file")
    sim.faults.add(EngineFault("PutObject", "w", reset=True, nth=(1, 2)))
    client.put("bucket", "w", b"of memory")
    assert bytes(client.get("bucket", "w")) == b"of memory"
    client.put_file("bucket", "w", path)
    assert bytes(client.get("bucket", "w")) == b"of a file"
    sim.faults.add(EngineFault("DeleteObject", "w", reset=True))
    client.delete("bucket", "w")
    assert not client.exists("bucket", "w")
    assert decisions(client)["fallback"] == 3


def test_what_may_not_be_repeated_is_not(client: objectfs.Client, sim: S3Server) -> None:
    """A conditional write, a stream, an open file, and what ``call`` does not only read."""
    sim.faults.add(EngineFault("PutObject", "w", reset=True, times=None))
    sim.faults.add(EngineFault("PutObjectTagging", "k", reset=True, times=None))
    sim.clear_requests()
    with pytest.raises(errors.ConnectionFailedError):
        client.put("bucket", "w", b"x", if_none_match="*")
    with pytest.raises(errors.ConnectionFailedError):
        client.put("bucket", "w", iter([b"x"]))
    with pytest.raises(errors.ConnectionFailedError), client.open("bucket", "w", "wb") as file:
        file.write(b"x")
    with pytest.raises(errors.ConnectionFailedError):
        client.call("PutObjectTagging", Bucket="bucket", Key="k", Tagging={"TagSet": []})
    assert not [request for request in sim.requests if not engine(request) and request.operation != "HeadBucket"]
    # the other backend does reach the server: it was the engine
    assert decisions(client)["not-repeated"] == 4
    assert state(client, "PutObject") == "open"
    client.put("bucket", "w", b"x", if_none_match="*")
    assert bytes(client.get("bucket", "w")) == b"x"


def test_what_is_not_repeated_while_nothing_answers(client: objectfs.Client, sim: S3Server) -> None:
    sim.faults.add(Fault("PutObject", "w", reset=True, times=None))
    sim.faults.add(Fault("HeadBucket", reset=True, times=None))
    for _ in range(4):
        with pytest.raises(errors.ConnectionFailedError):
            client.put("bucket", "w", b"x", if_none_match="*")
    assert decisions(client)["not-repeated-unreachable"] == 4
    assert state(client, "PutObject") is None


def test_the_callers_own_failures_are_nobodys(client: objectfs.Client) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            client.put("bucket", "w", broken())
    with pytest.raises(TypeError):
        client.put("bucket", "w", 5)  # type: ignore[arg-type]
    assert state(client, "PutObject") is None


def test_a_timeout_of_the_call_is_nobodys(client: objectfs.Client, sim: S3Server) -> None:
    sim.faults.add(EngineFault("GetObject", "k", stall=True, times=None))
    sim.clear_requests()
    for _ in range(4):
        with pytest.raises(errors.TimeoutError):
            client.get("bucket", "k", timeout=0.05)
    assert "trusted" not in askers(sim, "GetObject")
    assert state(client, "GetObject") is None


def test_without_the_setting_nothing_is_repeated(roll: Roll, sim: S3Server) -> None:
    client = roll({"canary": 100})
    client.put("bucket", "k", b"content")
    sim.faults.add(EngineFault("GetObject", "k", reset=True, times=None))
    for _ in range(6):
        with pytest.raises(errors.ConnectionFailedError):
            client.get("bucket", "k")
    assert client.stats()["rollout"]["circuits"] is None


@pytest.mark.usefixtures("both_backends")
def test_async(sim: S3Server) -> None:
    rules = {"canary": 100, "breaker": {"failures": 3, "window": 10_000, "cooldown": 10_000}}

    async def work() -> dict[str, Any]:
        async with objectfs.AsyncClient(endpoint_url=sim.endpoint_url, **SETTINGS, rollout=rules) as client:
            await client.put("bucket", "k", b"content")
            sim.faults.add(EngineFault("GetObject", "k", reset=True, times=None))
            for _ in range(5):
                assert bytes(await client.get("bucket", "k")) == b"content"
            return client.stats()

    rollout = asyncio.run(work())["rollout"]
    assert rollout["decisions"]["fallback"] == 3
    assert rollout["decisions"]["breaker-open"] == 2


# -- circuits alone ------------------------------------------------------------------------------------------------


def test_failures_within_a_window(clock: Clock) -> None:
    circuits = Circuits(Breaker(failures=3, window=10, cooldown=5), clock)
    circuit = circuits.circuit("GetObject", "http://a")
    assert circuits.circuit("GetObject", "http://a") is circuit
    assert circuits.circuit("GetObject", "http://b") is not circuit
    for _ in range(10):  # far apart
        assert not circuit.went_wrong(None)
        clock.now += 6
    assert circuit.admit() == (True, None)
    assert not circuit.went_wrong(None)
    clock.now += 1
    assert circuit.went_wrong(None)
    assert circuit.admit() == (False, None)


def test_one_probe_at_a_time(clock: Clock) -> None:
    circuit = Circuits(Breaker(failures=1, cooldown=5), clock).circuit("GetObject", "")
    assert circuit.went_wrong(None)
    clock.now += 5
    admitted, probe = circuit.admit()
    assert admitted
    assert probe is not None
    assert circuit.admit() == (False, None)
    assert not circuit.went_wrong(None)  # one that began before it opened
    circuit.told_nothing(probe)  # cancelled: another one may try
    admitted, second = circuit.admit()
    assert admitted
    assert not circuit.went_well(probe)
    assert circuit.went_well(second)
    assert circuit.admit() == (True, None)


def test_a_probe_that_was_dropped(clock: Clock) -> None:
    circuit = Circuits(Breaker(failures=1, cooldown=5), clock).circuit("GetObject", "")
    circuit.went_wrong(None)
    clock.now += 5
    assert circuit.admit()[1] is not None
    clock.now += 59
    assert circuit.admit() == (False, None)
    clock.now += 1
    assert circuit.admit()[1] is not None
