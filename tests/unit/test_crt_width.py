"""How many connections a download to a file uses."""

from __future__ import annotations

import pytest

pytest.importorskip("objectfs._native", reason="the engine is not built")

from objectfs.backends.crt_width import NARROW, Width

WIDE = 25


@pytest.fixture
def width() -> Width:
    return Width(WIDE, cores=1, long_enough=100)


def told(width: Width, rate: float, busy: float) -> None:
    width.told(rate, busy, width.connections)


def test_narrow_where_the_processor_is_the_limit(width: Width) -> None:
    assert width.connections == WIDE
    told(width, 1000, 0.99)
    assert width.connections == NARROW
    for _ in range(50):
        told(width, 1100, 0.98)
    assert width.connections == NARROW


def test_wide_where_the_network_is_the_limit(width: Width) -> None:
    for _ in range(50):
        told(width, 1000, 0.5)
        assert width.connections == WIDE


def test_wide_again_when_the_processor_is_not_the_limit_any_more(width: Width) -> None:
    told(width, 1000, 0.99)
    told(width, 950, 0.3)
    assert width.connections == WIDE


def test_narrow_is_seldom_tried_where_it_costs_throughput(width: Width) -> None:
    """25 connections keep the processor busy, 8 do not carry as much: a network of 90 MB/s a connection."""
    narrow = 0
    for _ in range(400):
        if width.connections == NARROW:
            narrow += 1
            told(width, 720, 0.5)
        else:
            told(width, 1300, 0.95)
    assert 3 <= narrow <= 12


def test_a_processor_that_has_become_slower_is_no_reason_for_a_hold(width: Width) -> None:
    told(width, 1000, 0.99)
    told(width, 500, 0.95)
    assert width.connections == WIDE
    told(width, 500, 0.95)
    assert width.connections == NARROW


def test_only_long_transfers_that_ran_alone_and_came_to_an_end_tell(width: Width) -> None:
    heard = []
    width.told = lambda rate, busy, used: heard.append(rate)  # type: ignore[method-assign]
    with width.transfer(99):
        pass
    with pytest.raises(OSError), width.transfer(100):
        raise OSError
    with width.transfer(1000), width.transfer(1000):
        pass
    assert heard == []
    with width.transfer(100) as connections:
        assert connections == WIDE
    assert len(heard) == 1


def test_settings_stay(width: Width) -> None:
    given = Width(WIDE, cores=1, long_enough=100, adapts=False)
    few = Width(4, cores=1, long_enough=100)
    for each in (given, few):
        with each.transfer(100):
            while_busy = sum(range(100_000))
        assert while_busy
        assert each.connections == each.wide


def test_as_few_as_can_carry_what_the_processor_does(width: Width) -> None:
    """What one connection carries, the first request of each transfer has shown."""
    told(width, 1300, 0.99)
    for single, expected in ((1000, 2), (5000, 2), (400, 5), (70, 24), (10, WIDE), (0, NARROW)):
        with width.transfer(10, single) as connections:
            assert connections == expected


def test_wide_whatever_one_carries_where_the_network_is_the_limit(width: Width) -> None:
    with width.transfer(10, 5000) as connections:
        assert connections == WIDE


FIRST = (400e6, 0.97)
"""One connection, and the processor busy with it: bytes and processor seconds a second."""


@pytest.mark.parametrize("cores", [1, 4])
def test_few_at_once_where_one_keeps_a_core_busy(cores: int) -> None:
    width = Width(WIDE, cores=cores, long_enough=100)
    with width.transfer(10, *FIRST) as connections:
        assert connections == 2 * cores


@pytest.mark.parametrize("first", [(90e6, 0.99), (400e6, 0.5), (0.0, 0.0)])
def test_wide_at_first_where_the_processor_waits_or_works_for_others(width: Width, first: tuple[float, float]) -> None:
    with width.transfer(10, *first) as connections:
        assert connections == WIDE


def test_what_runs_beside_it_says_nothing_of_a_connection(width: Width) -> None:
    with width.transfer(10), width.transfer(10, *FIRST) as connections:
        assert connections == WIDE


def test_few_that_leave_cores_idle_are_too_few(width: Width) -> None:
    """A file that one core writes, a network that one connection does not fill: the others have time."""
    seen = []
    for _ in range(100):
        with width.transfer(10, *FIRST) as connections:
            seen.append(connections)
        width.told(500, 0.5, connections)
    assert seen[:6] == [2, WIDE, WIDE, WIDE, WIDE, 2]
    assert seen.count(2) < 10
