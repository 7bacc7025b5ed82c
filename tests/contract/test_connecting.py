"""No second requests where each of them, and the answer it makes unwanted, costs a connection (docs/design/0022)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

import objectfs
from objectfs.sim import Fault, S3Server
from objectfs.sim.network.profile import Profile

from .conftest import Make
from .forwarder import Forwarder
from .support import MiB, ramp, until

pytest.importorskip("objectfs._native", reason="the engine is not built")

BACKENDS_HERE = ["crt"]  # the sdk backend sends nothing twice

pytestmark = pytest.mark.not_under("thread", "there the processor is the limit, and nothing is told of the network")

PART = 5 * MiB
LARGE = ramp(16 * PART)
WAIT = 0.4
TAIL = Profile("tail", latency=0.03, latency_p99=0.3)


@pytest.fixture
def network(request: pytest.FixtureRequest, sim: S3Server) -> Iterator[float]:
    cost: float = request.param
    sim.profile = TAIL.replace(connect=cost)
    yield cost
    sim.profile = "loopback"


@pytest.mark.parametrize("network", [0.0], indirect=True)
def test_where_it_costs_nothing(connect: Make, network: float) -> None:
    connect().put("bucket", "large", LARGE)  # whose connections are its own
    client = connect(part_size=PART, max_attempts=3)
    for _ in range(4):
        assert client.get("bucket", "large") == LARGE
    pace = told(client)
    assert (pace["connecting"] or network) < 0.05
    assert pace["late"] is not None
    assert pace["hedged"][0] > 0


@pytest.mark.parametrize("network", [WAIT], indirect=True)
def test_where_it_takes_long(connect: Make, network: float) -> None:
    connect().put("bucket", "large", LARGE)
    client = connect(part_size=PART, max_attempts=3)
    until(lambda: client.get("bucket", "large") == LARGE and told(client)["connecting"])
    pace = told(client)
    assert pace["connecting"] > network / 2
    assert pace["late"] is None
    for _ in range(4):  # of which most answers come so soon that others are late beside them
        assert client.get("bucket", "large") == LARGE
    assert told(client)["hedged"] == pace["hedged"]


class SlowHandshake(Forwarder):
    """Lets each connection wait before it leads it on."""

    def serve(self, near: socket.socket) -> None:
        threading.Event().wait(WAIT)
        with self.opened(socket.create_connection(("127.0.0.1", self.destination))) as far:
            self.lead(near, far)


def test_a_handshake_that_takes_long(connect: Make) -> None:
    """Of which a server's answers show nothing."""
    with (
        S3Server(buckets=("bucket",), tls=True) as server,
        SlowHandshake(urlsplit(server.endpoint_url).port or 0) as slow,
    ):
        keys = [f"k{i}" for i in range(16)]
        connect(endpoint_url=server.endpoint_url, verify=server.ca_file).put_many(
            "bucket", dict.fromkeys(keys, b"small")
        )
        client = connect(endpoint_url=f"https://{slow.host}", verify=server.ca_file)
        answer = threading.Event()
        held = server.faults.add(Fault("GetObject", hold=answer, times="all"))
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(lambda: list(client.get_many("bucket", keys)))
            try:
                until(lambda: held.hits == len(keys))  # so that none can have another's connection
            finally:
                answer.set()
            assert first.result(30) == [b"small"] * len(keys)
        assert list(client.get_many("bucket", keys)) == [b"small"] * len(keys)
        assert told(client)["connecting"] > WAIT / 2  # of a slow machine, more


def told(client: objectfs.Client) -> dict[str, Any]:
    (pace,) = client.stats()["pace"]
    return dict(pace)
