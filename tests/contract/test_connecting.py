"""No second requests where each of them, and the answer it makes unwanted, costs a connection (docs/design/0022)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import objectfs
from objectfs.sim import S3Server
from objectfs.sim.network.profile import Profile

from .conftest import Make
from .support import MiB, ramp

pytest.importorskip("objectfs._native", reason="the engine is not built")

BACKENDS_HERE = ["crt"]  # the sdk backend sends nothing twice

PART = 5 * MiB
LARGE = ramp(16 * PART)
TAIL = Profile("tail", latency=0.03, latency_p99=0.3)


@pytest.fixture
def network(request: pytest.FixtureRequest, sim: S3Server) -> Iterator[float]:
    cost: float = request.param
    sim.profile = TAIL.replace(connect=cost)
    yield cost
    sim.profile = "loopback"


@pytest.mark.parametrize(("network", "twice"), [(0.0, True), (0.4, False)], indirect=["network"])
def test_of_a_large_object(sim: S3Server, connect: Make, network: float, twice: bool) -> None:
    connect().put("bucket", "large", LARGE)  # whose connections are its own
    client = connect(part_size=PART, max_attempts=3)
    for _ in range(4):  # after the first two the connections are there, and known
        before = hedges(client)
        assert client.get("bucket", "large") == LARGE
    (pace,) = client.stats()["pace"]
    if twice:
        assert hedges(client) > 0
        assert (pace["connecting"] or 0) < 0.05
        assert pace["late"] is not None
    else:
        assert pace["connecting"] == pytest.approx(network, rel=0.3)
        assert hedges(client) == before
        assert pace["late"] is None


def hedges(client: objectfs.Client) -> int:
    (pace,) = client.stats()["pace"] or [{"hedged": (0, 0)}]
    return int(pace["hedged"][0])
