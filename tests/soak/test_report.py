"""What a soak writes, from results that are made up."""

from __future__ import annotations

import json
import re

import click
import pytest

from objectfs.bench.machine import machine
from objectfs.soak.command import seconds, show, strip, verdict
from objectfs.soak.measures import MEASURES, Sample
from objectfs.soak.page import page
from objectfs.soak.results import Course, Left, Report, Verb, to_json
from objectfs.soak.verdict import judge

MIB = 1 << 20


def course(backend: str, *, leak: int = 0, count: int = 60, wrong: tuple[str, ...] = (), left: int = 0) -> Course:
    samples = tuple(
        Sample(float(number), number * 10, 100 * MIB + leak * number, 5000, 20, 9, 70_000, 300_000)
        for number in range(count)
    )
    verbs = (Verb("get", 10, 0, {"ThrottledError": 2}), Verb("put, <b>", 3, 4, {}))
    return Course(backend, samples, verbs, 12345, wrong, judge(samples), (Left("native bytes", left, 0),), 0)


def report(*courses: Course) -> Report:
    return Report(
        "2026-11-26T05:00:00+00:00", "abc", "1", machine(), 60.0, 1 / 3, 0.99, 7, "embedded", False, 12, courses
    )


def test_a_clean_run() -> None:
    found = report(course("crt"), course("sdk"))
    assert verdict(found) == 0
    assert found.problems == []
    assert found.courses[0].operations == 19
    assert found.courses[0].errors == 2


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (course("crt", leak=20 * MIB), "crt: rss grows by at least"),
        (course("crt", wrong=("get: WrongBytesError: k",)), "crt: get: WrongBytesError: k"),
        (course("crt", left=5), "crt: 5 native bytes after all clients were closed; 0 may be"),
    ],
)
def test_what_is_wrong_is_said_and_fails(bad: Course, said: str) -> None:
    found = report(course("sdk"), bad)
    assert verdict(found) == 1
    assert any(said in text for text in found.problems), found.problems
    assert said.split(" ", 2)[2] in page(found)


def test_a_chart_for_each_measure_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Whether or not anything is written to files: a run of a day must not have been for nothing."""
    show(report(course("crt", leak=2 * MIB)))
    lines = capsys.readouterr().out.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("  Resident memory: grows")]
    drawn, _, ends = lines[at + 1].strip().partition("  ")
    assert ends == "100 MiB to 218 MiB, 59 s"
    assert len(drawn) == 60
    assert list(drawn) == sorted(drawn)
    assert (drawn[0], drawn[-1]) == ("▁", "█")
    (at,) = [number for number, line in enumerate(lines) if line.startswith("  Threads: steady")]
    assert lines[at + 1] == f"    {'▁' * 60}  9, 59 s"


def test_a_chart_where_blocks_cannot_be_written() -> None:
    assert strip([(0.0, 1.0), (1.0, 3.0)], "cp1252") == ".#"
    assert strip([(0.0, 1.0), (1.0, 3.0)], "utf-8") == "▁█"
    assert strip([], "utf-8") == ""


def test_nothing_decided_is_no_success() -> None:
    found = report(course("crt", count=5))
    assert found.problems == []
    assert verdict(found) == 1


def test_json_has_everything() -> None:
    document = json.loads(to_json(report(course("crt", leak=20 * MIB))))
    assert next(iter(document)) == "schema"
    assert document["schema"] == "objectfs-soak/1"
    (only,) = document["courses"]
    assert len(only["samples"]) == 60
    assert {growth["measure"] for growth in only["growth"]} == {measure.name for measure in MEASURES}
    rss = next(growth for growth in only["growth"] if growth["measure"] == "rss")
    assert rss["verdict"] == "grows"
    assert rss["low"] <= rss["slope"] == 20 * MIB <= rss["high"]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = page(report(course("crt", leak=20 * MIB), course("sdk")))
    assert not re.search(r"<script|https?:|@import|url\(", text)
    assert text.count("<figure") == len(MEASURES)
    assert "put, &lt;b&gt;" in text
    assert "<b>" not in text
    for number in re.findall(r"points=\"([^\"]*)\"", text):
        assert all(0 <= float(place.split(",")[0]) <= 1000 for place in number.split())


def test_the_page_of_nothing() -> None:
    """Interrupted before the first sample."""
    empty = Course("crt", (), (), 0, ("its process: ended",))
    assert "its process: ended" in page(report(empty))


@pytest.mark.parametrize(
    ("text", "wanted"), [("60s", 60), ("90", 90), ("10m", 600), ("24h", 86_400), ("1.5h", 5400), ("2d", 172_800)]
)
def test_durations(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "0s", "-1m", "ten minutes", "10w", "1h30m"])
def test_no_durations(text: str) -> None:
    with pytest.raises(click.UsageError, match="--duration"):
        seconds(text)
