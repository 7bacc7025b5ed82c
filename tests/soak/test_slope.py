"""The slope and its interval, over series whose growth is known."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from objectfs.soak.measures import BY_NAME, Sample
from objectfs.soak.results import Growth
from objectfs.soak.slope import POINTS, slope, thin
from objectfs.soak.verdict import LEAST, enough, judge, left

MIB = 1 << 20
ROOM = BY_NAME["rss"].room
HOUR = 3600.0


def series(course: Callable[[float], float], seconds: float = HOUR, count: int = 60) -> tuple[Sample, ...]:
    """Samples whose resident memory goes that way and whose other figures do not move."""
    times = [seconds * (number + 1) / count for number in range(count)]
    return tuple(Sample(time, 0, int(course(time)), 0, 10, 5, 1000, 1000) for time in times)


def growth_of(samples: tuple[Sample, ...]) -> Growth:
    found = {growth.measure: growth for growth in judge(samples)}
    assert all(growth.verdict == "steady" for name, growth in found.items() if name != "rss")
    return found["rss"]


def noise(seed: int, size: float) -> Callable[[], float]:
    rng = random.Random(seed)
    return lambda: rng.uniform(-size, size)


def test_a_line_is_its_slope() -> None:
    times = [float(number) for number in range(50)]
    found = slope(times, [100 + 3 * time for time in times])
    assert (found.middle, found.low, found.high) == pytest.approx((3, 3, 3))


def test_what_stands_still_has_none() -> None:
    found = slope([1.0, 2.0, 3.0, 4.0], [7, 7, 7, 7])
    assert (found.middle, found.low, found.high) == (0, 0, 0)


def test_the_interval_holds_the_slope_as_often_as_it_says() -> None:
    """99 % of them, in 400 series: with fewer than 380 it would be no such interval, and with 400 of a tenth of the
    width it would be too wide."""
    rng = random.Random(5)
    held = narrow = 0
    for _ in range(400):
        times = [float(number) for number in range(40)]
        found = slope(times, [2 * time + rng.gauss(0, 10) for time in times])
        held += found.low <= 2 <= found.high
        middle, half = (found.low + found.high) / 2, (found.high - found.low) / 20
        narrow += abs(middle - 2) <= half
    assert held >= 390
    assert narrow < 200


def test_a_narrower_interval_for_less_confidence() -> None:
    rng = random.Random(1)
    times = [float(number) for number in range(30)]
    values = [rng.gauss(0, 1) for _ in times]
    sure, less = slope(times, values, 0.99), slope(times, values, 0.5)
    assert sure.low < less.low <= less.middle <= less.high < sure.high


def test_wild_values_do_not_move_it() -> None:
    times = [float(number) for number in range(60)]
    values = [50.0 + (1e9 if number % 7 == 3 else 0) for number in range(60)]
    assert slope(times, values).middle == 0


@pytest.mark.parametrize("times", [[], [1.0], [2.0, 2.0]])
def test_no_slope_without_two_times(times: list[float]) -> None:
    with pytest.raises(ValueError, match="two points"):
        slope(times, [1.0] * len(times))


@pytest.mark.parametrize("count", [1, POINTS, POINTS + 1, 1441, 10_000])
def test_neighbours_are_put_together(count: int) -> None:
    times = [float(number) for number in range(count)]
    thinned, values = thin(times, [2 * time for time in times])
    assert len(thinned) == min(count, POINTS)
    assert values == [2 * time for time in thinned]
    assert thinned == sorted(thinned)


@pytest.mark.parametrize("seed", range(10))
def test_noise_is_no_growth(seed: int) -> None:
    more = noise(seed, 40 * MIB)
    assert growth_of(series(lambda time: 300 * MIB + more())).verdict == "steady"


@pytest.mark.parametrize("seed", range(10))
def test_slow_growth_in_noise_is_found(seed: int) -> None:
    """Twice the room in what is judged, below noise that is as large."""
    more = noise(seed, ROOM / 2)
    found = growth_of(series(lambda time: 300 * MIB + time / HOUR * 3.6 * ROOM + more()))
    assert found.verdict == "grows"
    assert found.slope == pytest.approx(3.6 * ROOM / HOUR, rel=0.3)
    assert found.low > found.limit


@pytest.mark.parametrize("seed", range(10))
def test_growth_within_the_room_is_let_through(seed: int) -> None:
    more = noise(seed, 10 * MIB)
    assert growth_of(series(lambda time: 300 * MIB + time / HOUR * 0.7 * ROOM + more())).verdict == "steady"


def test_a_longer_run_finds_slower_growth() -> None:
    """Four MiB in a round hour are within the room; for a day they are not."""

    def course(time: float) -> float:
        return 300 * MIB + time / HOUR * 8 * MIB

    assert growth_of(series(course)).verdict == "steady"
    assert growth_of(series(course, seconds=24 * HOUR, count=1440)).verdict == "grows"


@pytest.mark.parametrize("step", [0.1, 0.4, 0.6, 0.9])
def test_a_step_is_no_growth(step: float) -> None:
    """A cache that fills once, also behind the warm-up."""
    more = noise(3, 5 * MIB)
    samples = series(lambda time: 300 * MIB + (2 * ROOM if time > step * HOUR else 0) + more())
    assert growth_of(samples).verdict == "steady"


def test_the_warm_up_is_not_judged() -> None:
    samples = series(lambda time: min(time / HOUR, 0.3) * 20 * ROOM)
    assert growth_of(samples).verdict == "steady"
    (found, *_) = judge(samples, warm_up=0.0)
    assert found.points == 60


def test_few_samples_decide_nothing() -> None:
    samples = series(lambda time: time * MIB, count=LEAST)
    assert {growth.verdict for growth in judge(samples)} == {"undecided"}
    assert not enough([sample.time for sample in samples], 1 / 3)
    more = series(lambda time: time * MIB, count=2 * LEAST)
    assert enough([sample.time for sample in more], 1 / 3)
    assert growth_of(more).verdict == "grows"
    assert not enough([], 1 / 3)


def test_what_cannot_be_measured_has_no_verdict() -> None:
    samples = tuple(
        Sample(float(number), 0, None, None, None, 5, 1000, 1000 + 1_000_000 * number) for number in range(60)
    )
    assert {growth.measure: growth.verdict for growth in judge(samples)} == {
        "threads": "steady",
        "objects": "steady",
        "blocks": "grows",
    }


def test_what_is_left_behind() -> None:
    before, after = Sample(0.0, 0, 1, None, 10, 2, 1, 1), Sample(9.0, 5, 9, 40, 11, 2, 9, 9)
    assert [(item.measure, item.left, item.allowed) for item in left(before, after)] == [
        ("native bytes", 40, 0),
        ("descriptors", 11, 10),
        ("threads", 2, 2),
    ]
