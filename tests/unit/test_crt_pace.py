"""How many connections a large transfer uses, and in parts of what size."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

pytest.importorskip("objectfs._native", reason="the engine is not built")

from objectfs.backends import crt_pace
from objectfs.backends.crt_lessons import Lesson
from objectfs.backends.crt_pace import NARROW, Pace, Paces

MiB = 1024 * 1024
WIDE = 25
MOST = 256


@pytest.fixture
def files() -> Pace:
    """Of downloads to files: they become narrow where the processor is the limit."""
    return Pace(WIDE, WIDE, cores=1, part_size=4, narrows=True)


@pytest.fixture
def pace() -> Pace:
    return Pace(WIDE, MOST, cores=1, part_size=4)


def told(pace: Pace, rate: float, busy: float) -> None:
    pace.told(rate, busy, pace.connections)


# -- downloads to files: narrow where the processor is the limit -------------------------------------------------------
def test_narrow_where_the_processor_is_the_limit(files: Pace) -> None:
    assert files.connections == WIDE
    told(files, 1000, 0.99)
    assert files.connections == NARROW
    for _ in range(50):
        told(files, 1100, 0.98)
    assert files.connections == NARROW


def test_wide_where_the_network_is_the_limit(files: Pace) -> None:
    for _ in range(50):
        told(files, 1000, 0.5)
        assert files.connections == WIDE


def test_wide_again_when_the_processor_is_not_the_limit_any_more(files: Pace) -> None:
    told(files, 1000, 0.99)
    told(files, 950, 0.3)
    assert files.connections == WIDE


def test_narrow_is_seldom_tried_where_it_costs_throughput(files: Pace) -> None:
    """25 connections keep the processor busy, 8 do not carry as much: a network of 90 MB/s a connection."""
    narrow = 0
    for _ in range(400):
        if files.connections == NARROW:
            narrow += 1
            told(files, 720, 0.5)
        else:
            told(files, 1300, 0.95)
    assert 3 <= narrow <= 12


def test_a_processor_that_has_become_slower_is_no_reason_for_a_hold(files: Pace) -> None:
    told(files, 1000, 0.99)
    told(files, 500, 0.95)
    assert files.connections == WIDE
    told(files, 500, 0.95)
    assert files.connections == NARROW


def test_as_few_as_can_carry_what_the_processor_does(files: Pace) -> None:
    """What one connection carries, the first request of each transfer has shown."""
    told(files, 1300, 0.99)
    for single, expected in ((1000, 2), (5000, 2), (400, 5), (70, 24), (10, WIDE), (0, NARROW)):
        with files.transfer(10, single) as plan:
            assert plan.connections == expected


def test_wide_whatever_one_carries_where_the_network_is_the_limit(files: Pace) -> None:
    with files.transfer(10, 5000) as plan:
        assert plan.connections == WIDE


FIRST = (400e6, 0.97)
"""One connection, and the processor busy with it: bytes and processor seconds a second."""


@pytest.mark.parametrize("cores", [1, 4])
def test_few_at_once_where_one_keeps_a_core_busy(cores: int) -> None:
    files = Pace(WIDE, MOST, cores=cores, part_size=4, narrows=True)
    with files.transfer(10, *FIRST) as plan:
        assert plan.connections == 2 * cores


@pytest.mark.parametrize("first", [(90e6, 0.99), (400e6, 0.5), (0.0, 0.0)])
def test_wide_at_first_where_the_processor_waits_or_works_for_others(files: Pace, first: tuple[float, float]) -> None:
    with files.transfer(10, *first) as plan:
        assert plan.connections == WIDE


def test_what_runs_beside_it_says_nothing_of_a_connection(files: Pace) -> None:
    with files.transfer(10), files.transfer(10, *FIRST) as plan:
        assert plan.connections == WIDE


def test_few_that_leave_cores_idle_are_too_few(files: Pace) -> None:
    """A file that one core writes, a network that one connection does not fill: the others have time."""
    seen = []
    for _ in range(100):
        with files.transfer(10, *FIRST) as plan:
            seen.append(plan.connections)
        files.told(500, 0.5, plan.connections)
    assert seen[:6] == [2, WIDE, WIDE, WIDE, WIDE, 2]
    assert seen.count(2) < 10


# -- all: wide where the network is the limit --------------------------------------------------------------------------
def network(limit: float, each: float, processor: float) -> Callable[[int], tuple[float, float]]:
    """(rate, busy) with so many connections, where all together, each, and the processor carry so much."""

    def at(connections: int) -> tuple[float, float]:
        rate = min(limit, each * connections, processor)
        return rate, rate / processor

    return at


@pytest.mark.parametrize(
    ("limit", "each", "processor", "at_least", "within"),
    [
        (1e9, 10, 1e9, MOST, 5),  # far away: each connection brings more
        (1e9, 10, 600, 50, 2),  # the processor has enough with 60
        (300, 10, 1e9, WIDE, 4),  # a network that 30 fill
        (1e9, 1000, 1000, WIDE, 1),
    ],
)
def test_as_many_as_bring_more(
    pace: Pace, limit: float, each: float, processor: float, at_least: int, within: int
) -> None:
    at = network(limit, each, processor)
    for _ in range(within):
        told(pace, *at(pace.connections))
    best = at(MOST)[0]
    assert pace.connections >= at_least
    assert at(pace.connections)[0] >= 0.8 * best
    tries = 0
    for _ in range(200):
        tries += at(pace.connections)[0] < 0.8 * best
        told(pace, *at(pace.connections))
    assert tries == 0


def test_more_that_bring_nothing_are_seldom_tried(pace: Pace) -> None:
    at = network(200, 10, 1e9)
    wide = 0
    for _ in range(200):
        wide += pace.connections > WIDE
        told(pace, *at(pace.connections))
    assert 2 <= wide <= 14  # two transfers each: the first has new connections
    assert at(pace.connections)[0] == 200


def test_new_connections_have_one_transfer_to_get_up_to_speed(pace: Pace) -> None:
    told(pace, 50, 0.2)  # beside this one any number would be better
    assert pace.connections == WIDE
    told(pace, 100, 0.3)
    wider = pace.connections
    assert WIDE < wider < 4 * WIDE  # that which 0.3 of the processor leaves
    told(pace, 90, 0.3)
    assert pace.connections == wider
    told(pace, 200, 0.6)
    assert pace.connections > wider
    told(pace, 150, 0.5)
    told(pace, 190, 0.5)
    assert pace.connections == wider


def test_half_as_many_where_the_endpoint_says_slow_down(pace: Pace) -> None:
    said: list[int] = []
    for expected in (WIDE // 2, WIDE // 4, 4, 4):
        with pace.transfer(100, slowed=said.__len__):
            said.append(503)
        assert pace.connections == expected
    for _ in range(4):
        told(pace, 100, 0.1)
        assert pace.connections == 4  # for a while
    for _ in range(12):
        told(pace, 25 * pace.connections, 0.1)
    assert pace.connections > WIDE  # and then it may have been a bad hour


def test_only_long_transfers_that_ran_alone_and_came_to_an_end_tell(pace: Pace) -> None:
    heard = []
    pace.told = lambda rate, busy, used: heard.append(rate)  # type: ignore[method-assign]
    with pace.transfer(99):
        pass
    with pytest.raises(OSError), pace.transfer(100):
        raise OSError
    with pace.transfer(1000), pace.transfer(1000):
        pass
    with pace.transfer(1000) as plan:
        plan.size = 99  # the object was smaller than the buffer
    assert heard == []
    with pace.transfer(100) as plan:
        assert plan.connections == WIDE
    assert len(heard) == 1


def test_settings_stay() -> None:
    said: list[int] = []
    given = Pace(WIDE, MOST, cores=1, part_size=4, adapts=False, narrows=True)
    for _ in range(3):
        with given.transfer(1000, *FIRST, said.__len__) as plan:
            said.append(503)
        assert plan.connections == given.connections == WIDE


# -- from one process to the next --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("limit", "each", "expected"),
    [
        (1e9, 10, MOST),  # far away: each connection brings more
        (300, 10, WIDE),  # a network that 30 fill: what the step has not brought is given up
    ],
)
def test_processes_of_one_transfer_each_learn_as_one_of_many_does(limit: float, each: float, expected: int) -> None:
    at = network(limit, each, 1e9)
    one = Pace(WIDE, MOST, cores=1, part_size=4)
    lesson = None
    for _ in range(40):
        again = Pace(WIDE, MOST, cores=1, part_size=4)
        assert again.lesson() is None
        if lesson is not None:
            again.recall(lesson)
        assert again.connections == one.connections
        told(again, *at(again.connections))
        told(one, *at(one.connections))
        lesson = again.lesson()
        assert lesson is not None
        assert attrs.evolve(lesson, saved=0) == attrs.evolve(one.lesson(), saved=0)
    seen = one.connections
    assert seen >= expected
    assert limit == 1e9 or at(seen)[0] == limit


def test_what_was_learned_elsewhere_keeps_to_the_bounds_here(pace: Pace) -> None:
    lesson = Lesson(saved=0, connections=9000, before=8000, rate=100.0, fresh=True, held=0, hold=2)
    pace.recall(lesson)
    assert pace.connections == MOST
    pace.recall(attrs.evolve(lesson, connections=1, before=1))
    assert pace.connections == WIDE  # an endpoint that was asked for too much is not so for ever
    given = Pace(7, 7, cores=1, part_size=4, adapts=False)
    given.recall(lesson)
    assert given.connections == 7
    told(given, 1000, 0.5)
    assert given.lesson() is None


def paces_of(engine: Any, **settings: Any) -> Paces:
    common: dict[str, Any] = {
        "down": 64,
        "up": 25,
        "most": 256,
        "cores": 1,
        "part_size": 8 * MiB,
        "connections_adapt": True,
        "parts_adapt": True,
        "hedges": False,
    }
    return Paces(engine, **common | settings)


def test_given_sizes_stay() -> None:
    engine = SimpleNamespace(
        pace=(10, 80 * MiB, 300_000_000, 900_000_000, 0),
        hedged=(0, 0),
        waits=[0] * 128,
        alone=[],
        bandwidth=0.0,
        forget_waits=lambda: None,
    )
    for adapts, expected in ((False, 8 * MiB), (True, 2.7 * MiB)):
        paces = paces_of(engine, parts_adapt=adapts)
        paces.network.look(0.5)
        with paces.download(64 * MiB) as plan:
            assert plan.part_size == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("share", "known"), [(0.3, 2e8), (0.7, 1e9)])
def test_what_the_processor_was_busy_with_is_no_bandwidth(
    monkeypatch: pytest.MonkeyPatch, share: float, known: float
) -> None:
    engine = SimpleNamespace(pace=(0, 0, 0, 0, 0), hedged=(0, 0), waits=[0] * 128, alone=[], bandwidth=1e9)
    paces = paces_of(engine, hedges=True)
    wall = itertools.count()
    clock = SimpleNamespace(
        time=lambda: 0.0, perf_counter=lambda: next(wall), process_time=itertools.count(0.0, share).__next__
    )
    monkeypatch.setattr(crt_pace, "time", clock)
    with paces.download(64 * MiB):
        engine.bandwidth = 2e8
    assert engine.bandwidth == known
