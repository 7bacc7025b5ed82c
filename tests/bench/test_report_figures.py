"""What the reports show: medians, spreads and ratios, and what counts in none of them."""

from __future__ import annotations

import statistics

import pytest
from tests.bench.made import case, odd, report, run, walls

from objectfs.bench.report import words
from objectfs.bench.report.figures import Spread, cpu, sections, summary, wall
from objectfs.bench.results import GIB


def test_medians_and_spreads_are_those_of_the_runs() -> None:
    (part,) = sections(report([case("large-down-memory", "boto3", walls(3.0, 1.0, 2.0, 9.0, 4.0))]))
    (row,) = part.rows
    assert row.wall == Spread(3.0, 1.0, 9.0, (3.0, 1.0, 2.0, 9.0, 4.0))
    assert row.rate is not None
    assert row.rate.median == pytest.approx(GIB / 3)
    assert row.cpu is not None
    assert row.cpu.median == pytest.approx(3 * 0.375)
    assert part.cpu_unit == "CPU s/GiB"


def test_cpu_is_per_gib_of_what_a_run_moved() -> None:
    (part,) = sections(report([case("many-1m", "boto3", [run(1.0, user=0.1, system=0.1, bytes=GIB // 4)])]))
    assert part.rows[0].cpu == Spread(0.8, 0.8, 0.8, (0.8,))


def test_without_bytes_cpu_is_of_a_run_and_there_is_no_rate() -> None:
    part = next(part for part in sections(odd()) if part.scenario == "list-100k")
    row = part.row("boto3")
    assert row is not None
    assert part.cpu_unit == "CPU s"
    assert row.rate is None
    assert row.cpu is not None
    assert row.cpu.median == pytest.approx(2.5 * 0.375)
    assert row.requests is None
    assert row.per_second is not None
    assert row.per_second.median == pytest.approx(statistics.median([100_000 / 2, 100_000 / 3]))


def test_failed_runs_give_no_figures_and_are_counted() -> None:
    runs = [*walls(2.0, 3.0), run(0.01, bytes=0, error="ConnectionError: closed")]
    (part,) = sections(report([case("mixed", "minio", runs), case("mixed", "boto3", [runs[-1]])]))
    minio, boto3 = part.rows
    assert minio.wall == Spread(2.5, 2.0, 3.0, (2.0, 3.0))
    assert (minio.failed, minio.error) == (1, "ConnectionError: closed")
    assert boto3.wall is None
    assert part.per_gib, "what a failed run did not move is no reason to leave the others' unit"
    assert part.best(wall) is minio


def test_rows_go_from_the_fastest_to_those_without_figures() -> None:
    part = sections(odd())[0]
    assert [row.client for row in part.rows][:3] == ["raw-c", "objectfs-crt", "obstore"]
    assert {row.client for row in part.rows[-2:]} == {"minio", "rclone"}


def test_ratios_are_against_objectfs_crt_and_the_best_of_other_peoples_clients() -> None:
    part = sections(odd())[0]
    ours, boto3 = part.row("objectfs-crt"), part.row("boto3")
    assert ours is not None
    assert boto3 is not None
    assert part.against_ours(boto3, wall) == pytest.approx(12 / 1.2)
    assert part.against_best(ours, wall) == pytest.approx(1.2 / 1.7), "obstore, not the sockets, which are no client"
    assert part.against_best(boto3, cpu) == pytest.approx(12 / 1.7)


def test_no_ratio_without_figures_or_to_zero() -> None:
    first, mixed = sections(odd())[0], next(part for part in sections(odd()) if part.scenario == "mixed")
    failed, boto3 = first.row("minio"), mixed.row("boto3")
    assert failed is not None
    assert boto3 is not None
    assert first.against_ours(failed, wall) is None
    assert mixed.against_ours(boto3, wall) is None, "objectfs-crt took no time at all there"


def test_what_differs_in_any_condition_is_not_compared() -> None:
    cases = [
        case("mixed", "boto3", walls(1.0)),
        case("mixed", "boto3", walls(1.0), tls=True),
        case("mixed", "boto3", walls(1.0), profile="loopback"),
        case("mixed", "boto3", walls(1.0), server="ceph"),
        case("mixed", "boto3", walls(1.0), bytes=GIB // 2),
    ]
    assert len(sections(report(cases))) == len(cases)


def test_how_many_at_a_time_is_a_clients_own_affair() -> None:
    cases = [case("many-1m", "objectfs-crt", walls(1.0)), case("many-1m", "boto3", walls(2.0), concurrency=16)]
    (part,) = sections(report(cases))
    assert [(row.client, row.concurrency) for row in part.rows] == [("objectfs-crt", None), ("boto3", 16)]


def test_the_summary_counts_scenarios_with_both() -> None:
    found = summary(odd(), sections(odd()))
    # large-down-memory and list-100k; in "mixed" a wall time of zero gives no ratio
    assert (found.compared, found.fastest) == (2, 2)
    assert found.speed == pytest.approx(statistics.median([1.7 / 1.2, 2.5 / 0.25]))
    assert (found.met, found.thresholds) == (1, 3)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (0.000123456, "0.000123"),
        (0.17549, "0.175"),
        (0.99996, "1.00"),
        (1.234, "1.23"),
        (9.996, "10.0"),
        (99.96, "100"),
        (1234.5, "1,234"),
        (-2.5, "-2.50"),
    ],
)
def test_numbers_have_three_figures(value: float | None, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 s"), (2.0, "2.00 s"), (0.9997, "1.00 s"), (0.0312, "31.2 ms"), (0.0000851, "85.1 µs"), (None, "-")],
)
def test_times_have_a_unit_that_fits(value: float | None, text: str) -> None:
    assert words.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.951, "0.95x"), (1.0, "1.00x"), (14.44, "14.4x"), (0.0123, "0.012x"), (1234.0, "1,234x")]
)
def test_ratios_have_two_decimals_or_three_figures(value: float, text: str) -> None:
    assert words.ratio(value) == text


@pytest.mark.parametrize(("value", "text"), [(48, "48 s"), (187, "3:07 min"), (3723, "1:02:03 h"), (59.7, "1:00 min")])
def test_durations_are_written_as_clocks_do(value: float, text: str) -> None:
    assert words.duration(value) == text


def test_a_scenario_has_its_title_and_an_unknown_one_its_name() -> None:
    assert words.title("large-down-memory") == "1 GiB down to memory"
    assert words.title("what-is-this") == "What is this"
