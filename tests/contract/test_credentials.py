"""Credentials that expire while one transfer runs: its later requests are signed with the new ones."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Any

import objectfs
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp

LIFETIME = 3.0


class Source:
    """Where credentials are fetched: key pairs that the server takes for so many seconds."""

    def __init__(self, server: S3Server, lifetime: float = LIFETIME) -> None:
        self.server = server
        self.lifetime = lifetime
        self.fetched = 0
        self._lock = threading.Lock()

    def fetch(self) -> dict[str, str]:
        with self._lock:
            self.fetched += 1
            number = self.fetched
        expires = time.time() + self.lifetime
        self.server.add_access_key(f"KEY{number}", f"secret{number}", expires, f"token{number}")
        return {
            "access_key": f"KEY{number}",
            "secret_key": f"secret{number}",
            "token": f"token{number}",
            "expiry_time": dt.datetime.fromtimestamp(expires, dt.UTC).isoformat(),
        }

    def use(self, client: Any) -> None:
        """Let the client's requests be signed with what is fetched here. Before its first request."""
        from botocore.credentials import RefreshableCredentials

        first = self.fetch()
        credentials = RefreshableCredentials(
            first["access_key"],
            first["secret_key"],
            first["token"],
            dt.datetime.fromisoformat(first["expiry_time"]),
            self.fetch,
            "test",
        )
        session = client._core.session
        session._credentials = session.botocore._credentials = credentials


def keys_of(sim: S3Server, operation: str) -> list[str]:
    """The access keys that requests were signed with, in the order of their arrival. (One that came too late, since the
    machine was busy elsewhere, is refused and sent again with others: test_expired_token.py.)"""
    found = [request for request in sim.requests if request.operation == operation and request.status in (200, 206)]
    return [request.headers["authorization"].split("Credential=")[1].split("/")[0] for request in found]


def slow(sim: S3Server, operation: str) -> None:
    sim.faults.add(Fault(operation, times=None, delay=1.0))


def test_a_long_upload(sim: S3Server, connect: Make) -> None:
    client = connect(part_size=5 * MiB, max_connections=2)
    Source(sim).use(client)
    slow(sim, "UploadPart")
    data = ramp(60 * MiB)
    started = time.monotonic()
    client.put("bucket", "k", data)
    assert time.monotonic() - started > LIFETIME
    keys = keys_of(sim, "UploadPart")
    assert len(keys) == 12
    assert len(set(keys)) > 1
    assert keys[-1] != keys[0]
    sim.faults.clear()
    assert bytes(client.get("bucket", "k")) == data


def test_a_long_download(sim: S3Server, connect: Make) -> None:
    data = ramp(60 * MiB)
    connect().put("bucket", "k", data)
    client = connect(part_size=5 * MiB, max_connections=2)
    Source(sim).use(client)
    slow(sim, "GetObject")
    into = bytearray(len(data))
    started = time.monotonic()
    assert client.get_into("bucket", "k", into) == len(data)
    assert time.monotonic() - started > LIFETIME
    assert into == data
    keys = keys_of(sim, "GetObject")
    assert len(set(keys)) > 1
    assert keys[-1] != keys[0]


async def test_a_long_batch_on_a_loop(sim: S3Server, connect: Make, backend: str) -> None:
    connect().put("bucket", "k", b"x")
    settings: dict[str, Any] = {
        "endpoint_url": sim.endpoint_url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "backend": backend,
        "max_connections": 2,
    }
    async with objectfs.AsyncClient(**settings) as client:
        Source(sim).use(client)
        slow(sim, "GetObject")
        assert [bytes(item) for item in await client.get_many("bucket", ["k"] * 12)] == [b"x"] * 12
        keys = keys_of(sim, "GetObject")
        assert len(set(keys)) > 1
        assert keys[-1] != keys[0]


def test_no_thread_outlives_its_client(sim: S3Server, connect: Make) -> None:
    client = connect()
    Source(sim).use(client)
    client.put("bucket", "k", b"x")
    client.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("objectfs-cred")]
