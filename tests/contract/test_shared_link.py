"""All connections share a slow link: what is sent twice would only make the rest wait (docs/design/0022-hedging.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import objectfs
from objectfs.sim import S3Server
from objectfs.sim.network.profile import PROFILES

from .support import MiB, ramp

pytest.importorskip("objectfs._native", reason="the engine is not built")

BACKENDS_HERE = ["crt"]  # the sdk backend sends nothing twice

SIZE = 12 * MiB
COUNT = 24


def large(client: objectfs.Client) -> None:
    buffer = bytearray(SIZE)
    assert client.get_into("bucket", "large", buffer) == SIZE
    assert buffer == ramp(SIZE)


def many(client: objectfs.Client) -> None:
    found = client.get_many("bucket", [f"k{i}" for i in range(COUNT)])
    assert all(len(body) == MiB // 2 for body in found)


@pytest.mark.parametrize(("verb", "answers"), [(large, SIZE), (many, COUNT * MiB // 2)])
def test_nothing_comes_twice(verb: Callable[[objectfs.Client], None], answers: int) -> None:
    """As from S3, which answers late once in a while, over 100 Mbit/s."""
    profile: Any = PROFILES["s3"].replace(name="", total_bandwidth=12.5e6)
    with (
        S3Server(profile=profile, buckets=("bucket",)) as server,
        objectfs.Client(
            endpoint_url=server.endpoint_url,
            region=server.region,
            access_key_id=server.access_key,
            secret_access_key=server.secret_key,
        ) as client,
    ):
        if verb is large:
            client.put("bucket", "large", ramp(SIZE))
        else:
            client.put_many("bucket", {f"k{i}": bytes(MiB // 2) for i in range(COUNT)})
        verb(client)  # and know what it carries
        for _ in range(3):
            server.clear_requests()
            verb(client)
            sent = sum(seen.sent for seen in server.requests if seen.operation == "GetObject")
            assert sent < 1.1 * answers
        assert client.stats()["pace"][0]["bandwidth"] == pytest.approx(12.5e6, rel=0.3)
