"""Old and new beside each other: better, worse, or nothing that the runs can tell from noise."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from tests.bench.made import case, odd, report, walls

from objectfs.bench.report import tables
from objectfs.bench.report.comparing import (
    BETTER,
    LEVEL,
    NOISE,
    ONLY_NEW,
    ONLY_OLD,
    TOO_FEW,
    WORSE,
    chance,
    change,
    compare,
)
from objectfs.bench.report.figures import Spread
from objectfs.bench.results import Machine, Report

OLD = (1.0, 1.1, 1.2, 1.3, 1.4)


def verdict(old: tuple[float, ...], new: tuple[float, ...]) -> str:
    return change(Spread.of(old), Spread.of(new)).verdict


@pytest.mark.parametrize("first", [1, 2, 3, 5])
@pytest.mark.parametrize("second", [1, 4, 5])
def test_chance_is_what_all_orders_say(first: int, second: int) -> None:
    """By going through every order of the two samples."""
    places = range(first + second)
    statistics = []
    for chosen in itertools.combinations(places, first):
        others = [place for place in places if place not in chosen]
        statistics.append(sum(one < other for one in chosen for other in others))
    for limit in range(first * second // 2):
        low = sum(value <= limit for value in statistics)
        assert chance(limit, first, second) == pytest.approx(min(1.0, 2 * low / len(statistics)))


def test_five_runs_and_five_say_something_where_none_overlaps() -> None:
    assert verdict(OLD, (0.5, 0.6, 0.7, 0.8, 0.9)) == BETTER
    assert verdict(OLD, (1.5, 1.6, 1.7, 1.8, 1.9)) == WORSE
    assert verdict(OLD, (0.5, 0.6, 0.7, 0.8, 1.05)) == NOISE
    assert verdict(OLD, OLD) == NOISE


def test_more_runs_bear_with_one_that_lies_elsewhere() -> None:
    many = tuple(1 + place / 100 for place in range(10))
    assert verdict(many, (*(value / 2 for value in many[:9]), 1.5)) == BETTER


def test_a_difference_below_two_percent_is_noise_however_clear() -> None:
    assert (
        verdict(tuple(1 + place / 1e6 for place in range(5)), tuple(1.01 + place / 1e6 for place in range(5))) == NOISE
    )


@pytest.mark.parametrize(("old", "new"), [(1, 5), (4, 4), (5, 2), (1, 1)])
def test_too_few_runs_are_told_so(old: int, new: int) -> None:
    assert chance(0, old, new) > LEVEL
    assert verdict(OLD[:old], tuple(value / 10 for value in OLD[:new])) == TOO_FEW


def test_what_is_in_one_report_only_has_no_ratio() -> None:
    assert change(None, Spread.of(OLD)).verdict == ONLY_NEW
    assert change(Spread.of(OLD), None).verdict == ONLY_OLD
    assert change(None, Spread.of(OLD)).ratio is None


def test_from_zero_there_is_no_ratio() -> None:
    found = change(Spread.of([0.0] * 5), Spread.of(OLD))
    assert (found.ratio, found.verdict) == (None, NOISE)


def pair() -> tuple[Report, Report]:
    old = report(
        [
            case("mixed", "objectfs-crt", walls(*OLD)),
            case("mixed", "raw-c", walls(*OLD)),
            case("mixed", "gone", walls(1.0)),
        ]
    )
    new = report(
        [
            case("mixed", "objectfs-crt", walls(0.5, 0.55, 0.6, 0.65, 0.7)),
            case("mixed", "raw-c", walls(*(2 * value for value in OLD))),
            case("mixed", "came", walls(1.0)),
        ]
    )
    return old, new


def test_clients_of_a_scenario_are_found_again() -> None:
    found = compare(*pair())
    assert {line.client: line.wall.verdict for line in found.lines} == {
        "objectfs-crt": BETTER,
        "raw-c": WORSE,
        "came": ONLY_NEW,
        "gone": ONLY_OLD,
    }
    ours = next(line for line in found.lines if line.client == "objectfs-crt")
    assert ours.wall.ratio == pytest.approx(0.5)
    assert ours.cpu.ratio == pytest.approx(0.5)
    assert (ours.memory.ratio, ours.memory.verdict) == (1.0, NOISE)
    assert found.drift == pytest.approx(2.0), "what plain sockets did, the machine did"


def test_another_size_is_another_scenario() -> None:
    old = report([case("mixed", "boto3", walls(*OLD), bytes=5)])
    found = compare(old, report([case("mixed", "boto3", walls(*OLD))]))
    assert [line.wall.verdict for line in found.lines] == [ONLY_NEW, ONLY_OLD]


def test_other_circumstances_are_named() -> None:
    old, new = pair()
    new = dataclasses.replace(new, machine=Machine("a faster one", 64, 1 << 40, "6.1", "3.11.2", "Linux x86_64"))
    what = {name: (was, now) for name, was, now in compare(old, new).differences}
    assert what["cpu"] == ("a processor", "a faster one")
    assert what["cores"] == ("2", "64")
    assert "kernel" not in what
    assert not compare(old, old).differences


def test_the_sentences_count() -> None:
    said = " ".join(tables.comparison_sentences(compare(*pair())))
    assert "1 better, 1 worse, 1 only in the old report, 1 only in the new report" in said
    assert "2.00x" in said


def test_odd_reports_compare_with_themselves() -> None:
    assert {line.wall.verdict for line in compare(odd(), odd()).lines} <= {NOISE, TOO_FEW, "-"}
