"""What the network is like, and in parts of what size downloads go over it: backends/crt_network.py."""

from __future__ import annotations

import pytest

from objectfs.backends.crt_lessons import Link
from objectfs.backends.crt_network import LEAST_PART, Network
from objectfs.telemetry import BUCKETS, bucket

MiB = 1024 * 1024


def test_what_the_network_was_like_yesterday_counts_until_today_is_known() -> None:
    sums = [(0, 0, 0, 0, 0)]
    found = Network(lambda: sums[0])
    found.recall(Link(saved=0, first_byte=0.03, connection_rate=90e6))
    assert found.far
    assert (found.latency, found.carries) == (0.03, 90e6)
    sums[0] = (10, 1000, 50_000, 10_000, 0)
    found.look(0.5)
    assert found.latency * 1e9 == pytest.approx(5000)
    assert not found.far
    found.recall(Link(saved=0, first_byte=0.03, connection_rate=90e6))
    sums[0] = (20, 2000, 100_000, 20_000, 0)
    found.look(1.0)  # better than what may be of another place
    assert not found.far


def test_answers_that_wait_for_each_other_are_not_from_far() -> None:
    alone: list[int] = []
    found = Network(lambda: (10, 1000, 500_000_000, 10_000, 0), lambda: alone)
    found.look(0.5)
    assert found.latency == pytest.approx(0.05)
    assert found.far  # for all that anybody knows
    assert found.distant
    alone[:] = [150_000]
    assert found.near
    assert not found.far
    alone[:] = [150_000, 30_000_000]  # that was chance
    assert found.near
    alone[:] = [150_000, 5_000_000, 5_000_000]  # in the same room, but slow
    assert not found.near
    assert found.far
    assert not found.distant
    alone[:] = [5_000_000, 30_000_000, 30_000_000]
    assert found.distant


@pytest.mark.parametrize(("alone", "far"), [(0.0003, False), (0.03, True), (0.0, True)])
def test_what_was_near_yesterday_is_until_today_is_known(alone: float, far: bool) -> None:
    waits: list[int] = []
    found = Network(lambda: (0, 0, 0, 0, 0), lambda: waits)
    found.recall(Link(saved=0, first_byte=0.03, connection_rate=90e6, alone=alone))
    assert found.far == far
    waits.append(200_000)
    assert not found.far
    found.look(0.5)
    assert found.lesson() is None  # no transfer has told


def measured(latency: float, carries: float, answers: int = 10) -> Network:
    size = 8 * MiB * answers
    sums = (answers, size, int(latency * answers * 1e9), int(size / carries * 1e9), 0)
    found = Network(lambda: sums)
    found.look(0.5)
    assert (found.latency, found.carries) == pytest.approx((latency, carries), rel=1e-3)
    return found


def test_parts_of_the_largest_size_before_anybody_knows() -> None:
    assert Network(lambda: (0, 0, 0, 0, 0)).part(64 * MiB, 64, 8 * MiB) == 8 * MiB


@pytest.mark.parametrize(
    ("latency", "carries", "size", "low", "high"),
    [
        (0.030, 90e6, 64 * MiB, 2.5, 2.9),  # S3: receives as long as it waits
        (0.030, 90e6, 1024 * MiB, 8, 8),  # enough for all connections
        (0.004, 300e6, 64 * MiB, 1.1, 1.3),
        (0.030, 90e6, 1536 * MiB, 8, 8),  # three for each
        (0.030, 90e6, 832 * MiB, 6.5, 6.6),  # two for each, not two for some and one for others
        (0.0001, 2e9, 832 * MiB, 8, 8),  # from near a request is work, and no wait
        (0.0001, 2e9, 64 * MiB, 1, 1),
        (0.5, 90e6, 64 * MiB, 8, 8),
    ],
)
def test_parts_by_what_the_network_is_like(latency: float, carries: float, size: int, low: float, high: float) -> None:
    part = measured(latency, carries).part(size, 64, 8 * MiB)
    assert low <= part / MiB <= high
    assert part >= LEAST_PART
    assert part % 65536 == 0


def test_what_the_network_was_like_is_forgotten_by_and_by() -> None:
    sums = [(1, 100, 1000, 1000, 0)]
    found = Network(lambda: sums[0])
    found.look(0.5)
    for i in range(1, 12):
        sums[0] = (1 + i, 100 + 100 * i, 1000 + 5000 * i, 1000 + 1000 * i, 0)
        found.look(0.5)
    assert found.latency * 1e9 == pytest.approx(5000, rel=0.01)


def test_where_the_processor_was_the_limit_the_network_is_not_judged() -> None:
    sums = [(10, 1000, 500, 10_000, 0)]
    found = Network(lambda: sums[0])
    found.look(1.0)
    assert found.latency * 1e9 == pytest.approx(50)  # better than nothing
    sums[0] = (20, 2000, 600, 11_000, 0)
    found.look(0.5)
    assert found.latency * 1e9 == pytest.approx(10)  # and forgotten at once
    sums[0] = (30, 3000, 9000, 91_000, 0)
    found.look(0.9)
    assert found.latency * 1e9 == pytest.approx(10)
    sums[0] = (40, 4000, 9300, 92_000, 0)
    found.look(0.5)
    assert found.latency * 1e9 == pytest.approx(20)


def test_what_a_new_connection_cost_is_remembered() -> None:
    waits: list[tuple[list[int], list[int]]] = [([], [])]
    sums = [(0, 0, 0, 0, 0)]
    found = Network(lambda: sums[0], waits=lambda: waits[0])
    assert found.connecting == 0
    found.recall(Link(saved=0, first_byte=0.03, connection_rate=90e6, connecting=0.2))
    assert found.connecting == 0.2
    new, others = counted({0.3: 10}), counted({0.03: 10, 0.3: 10})
    waits[0] = (new, others)
    measured = found.connecting
    assert measured == pytest.approx(0.27, rel=0.2)
    sums[0] = (10, 1000, 50_000, 10_000, 0)
    found.look(0.5)
    lesson = found.lesson()
    assert lesson is not None
    assert lesson.connecting == measured
    waits[0] = (counted({}), others)
    assert found.connecting == 0.2
    found.forget_connecting()
    assert found.connecting == 0


def counted(waits: dict[float, int]) -> list[int]:
    found = [0] * BUCKETS
    for seconds, times in waits.items():
        found[bucket(round(seconds * 1e9))] += times
    return found
