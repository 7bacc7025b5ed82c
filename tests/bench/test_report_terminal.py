"""The terminal: progress with and without one, and the final tables."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tests.bench.made import case, odd, report, walls

from objectfs.bench.report import compare, compared, markdown, page, show, tables, watch, write
from objectfs.bench.report.figures import sections
from objectfs.bench.report.terminal import _SPARE, Lines, Live, fit
from objectfs.bench.results import from_json

COLOUR = re.compile(r"\x1b\[[\d;]*3\d")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_each_case_is_a_line() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = Lines(4, Console(file=stream), clock)
    lines.start("mixed, s3, boto3")
    clock.now += 30
    lines.finish("1.5 s")
    lines.say("a note\x1b[2J")
    lines.start("mixed, s3, obstore")
    clock.now += 30
    lines.finish()
    lines.close()
    assert stream.getvalue().splitlines() == [
        "1/4 mixed, s3, boto3: 1.5 s (30 s, about 1:30 min left)",
        r"a note\x1b[2J",
        "2/4 mixed, s3, obstore (1:00 min, about 1:00 min left)",
    ]


def test_a_file_gets_lines() -> None:
    assert isinstance(watch(1, io.StringIO()), Lines)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
@pytest.mark.parametrize("coloured", [True, False])
def test_in_a_terminal_a_line_says_what_runs(monkeypatch: pytest.MonkeyPatch, coloured: bool) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    if not coloured:
        monkeypatch.setenv("NO_COLOR", "1")
    ours, theirs = os.openpty()
    with open(ours, "rb", buffering=0) as screen:
        with open(theirs, "w", encoding="utf-8") as stream:
            live = watch(2, stream)
            assert isinstance(live, Live)
            live.start("mixed, s3, boto3")
            live.finish()
            live.start("mixed, s3, [bold]obstore[/bold]")
            live.say("a note")
            live.finish()
            live.close()
            live.close()
        shown = b""
        with contextlib.suppress(OSError):  # which is how Linux says that all has been read
            while part := screen.read(1 << 16):
                shown += part
        said = shown.decode()
    assert "2/2" in said
    assert "[bold]obstore[/bold]" in said, "text is no markup"
    assert "a note" in said
    assert bool(COLOUR.search(said)) == coloured


def test_the_tables_are_text_in_a_pipe() -> None:
    stream = io.StringIO()
    show(odd(), stream, compare(odd(), odd()))
    said = stream.getvalue()
    assert "\x1b" not in said
    ours = next(line for line in said.splitlines() if line.startswith("objectfs-crt"))
    assert ours.split()[:4] == ["objectfs-crt", "1.20", "(1.00-1.40)", "895"]
    assert "minio: 1 run of 1 failed" in said
    assert "not installed" in said
    assert "1 of 3 thresholds met." in said


def test_colours_follow_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    old = report([case("mixed", "objectfs-crt", walls(2.0, 2.1, 2.2, 2.3, 2.4))])
    new = report([case("mixed", "objectfs-crt", walls(1.0, 1.1, 1.2, 1.3, 1.4))])
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    said = {}
    for name in ("with", "without"):
        stream = io.StringIO()
        compared(compare(old, new), stream)
        said[name] = stream.getvalue()
        monkeypatch.setenv("NO_COLOR", "1")
    assert COLOUR.search(said["with"])
    assert not COLOUR.search(said["without"])


def test_an_empty_report_says_so() -> None:
    stream = io.StringIO()
    show(report([]), stream)
    assert "Nothing to compare" in stream.getvalue()


def test_write_makes_three_files(tmp_path: Path) -> None:
    made = odd()
    paths = write(made, tmp_path / "new" / "folder", old=odd())
    assert [path.name for path in paths] == ["report.json", "report.md", "report.html"]
    assert from_json(paths[0].read_text(encoding="utf-8")) == made
    assert paths[1].read_text(encoding="utf-8").startswith("# ")
    assert "Since the old report" in paths[2].read_text(encoding="utf-8")


NEEDED = ["client", "wall s", "MB/s", "CPU s/GiB", "peak RSS", "wall / objectfs-crt"]


@pytest.mark.parametrize(("width", "left"), [(160, 10), (88, 9), (70, 7)])
def test_a_narrow_terminal_gets_fewer_columns_and_no_broken_words(
    monkeypatch: pytest.MonkeyPatch, width: int, left: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    made = odd()
    made = dataclasses.replace(made, cases=tuple(item for item in made.cases[:4]), missed=(), clients=(), thresholds=())
    content = fit(tables.section(sections(made)[0], full=False), width, _SPARE)
    titles = [column.title for column in content.columns]
    assert len(titles) == left
    assert set(NEEDED) <= set(titles)
    stream = io.StringIO()
    show(made, stream)
    lines = re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue()).splitlines()
    assert max(len(line.rstrip()) for line in lines[1:8]) <= width
    for row in content.rows:
        assert next(line for line in lines if line.startswith(row[0])).split() == " ".join(row).split()


def test_spreads_are_the_first_to_go() -> None:
    content = tables.section(sections(odd())[0], full=False)
    kept = fit(content, 10_000, _SPARE)
    assert kept == content
    less = fit(content, 1, ("no such column",))
    ours = next(row for row in less.rows if row[0] == "objectfs-crt")
    assert ours[1] == "1.20"
    assert len(less.columns) == len(content.columns)


def test_scaled_scenarios_are_said_to_be() -> None:
    made = odd()
    made = dataclasses.replace(made, settings=dataclasses.replace(made.settings, scale=0.25))
    stream = io.StringIO()
    show(made, stream)
    for text in (stream.getvalue(), markdown(made), page(made)):
        assert "Sizes and counts are 0.25 of what" in text
    assert "Sizes and counts" not in page(odd())
