"""What a new connection costs, by first bytes' waits: backends/crt_waits.py. (What is late: test_crt_late.py.)"""

from __future__ import annotations

import random

import pytest

from objectfs.backends.crt_waits import connecting
from objectfs.telemetry import BUCKETS, bucket

Waits = list[float]


def counts(seconds: Waits) -> list[int]:
    found = [0] * BUCKETS
    for wait in seconds:
        found[bucket(round(wait * 1e9))] += 1
    return found


def drawn(count: int, median: float, sigma: float) -> Waits:
    """Log-normal, as S3's."""
    rng = random.Random(count)
    return [median * rng.lognormvariate(0, sigma) for _ in range(count)]


S3, ACROSS = (0.03, 0.99), (0.12, 0.57)


@pytest.mark.parametrize("counted", ["as the server's", "as the connection's"])
@pytest.mark.parametrize(("network", "cost"), [(S3, 0.005), (ACROSS, 0.27)])
def test_what_first_answers_waited_longer(network: tuple[float, float], cost: float, counted: str) -> None:
    """The handshakes, or a server that is slow with a connection's first request: one of both is seen."""
    quick, others = drawn(64, *network), drawn(300, *network)
    first = [wait + cost for wait in quick]
    waited = first if counted == "as the server's" else quick
    found = connecting(counts(first), counts(others + waited))
    assert found == pytest.approx(cost, rel=0.3, abs=0.003)


def test_that_they_waited_for_each_other_does_not_count() -> None:
    """64 handshakes at once take a processor's tenth of a second, in which the first of them is long done."""
    first = [wait + 0.002 * i for i, wait in enumerate(drawn(64, *S3))]
    assert connecting(counts(first), counts(drawn(300, *S3))) < 0.025


@pytest.mark.parametrize(("first", "others"), [(7, 300), (64, 0), (64, 7), (0, 300), (0, 0)])
def test_nobody_knows(first: int, others: int) -> None:
    new = drawn(first, *S3)
    assert connecting(counts(new), counts(new + drawn(others, *S3))) is None


def test_never_less_than_nothing() -> None:
    assert connecting(counts([0.01] * 10), counts([0.01] * 10 + [0.2] * 10)) == 0
