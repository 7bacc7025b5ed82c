"""The report in a terminal: what runs now, and at the end the tables.

Without a terminal the progress is a line for each case, and the tables are text without colours; ``NO_COLOR`` takes the
colours away in a terminal as well (rich looks for it).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table as Grid
from rich.text import Text

from objectfs.bench.report import tables, words
from objectfs.bench.report.comparing import BETTER, WORSE, Comparison
from objectfs.bench.report.figures import OURS, sections, summary
from objectfs.bench.report.tables import Table
from objectfs.bench.results import Report


class Watch(Protocol):
    """What a run tells while it goes on. One case at a time: ``start`` and then ``finish``."""

    def start(self, case: str) -> None:
        """This case runs now: its scenario, conditions, client and round, in words."""

    def finish(self, outcome: str = "") -> None:
        """The case that was started is over; ``outcome`` says how, in words."""

    def say(self, text: str) -> None:
        """Something that should stay on the screen."""

    def close(self) -> None:
        """No more. May be called twice."""


def watch(total: int, stream: TextIO | None = None) -> Watch:
    """What shows a run of so many cases: a line that changes in a terminal, otherwise a line for each case.

    ``stream`` is the standard error when not given: the standard output is for the tables.
    """
    console = Console(file=stream or sys.stderr, highlight=False)
    return Live(total, console) if console.is_terminal and not console.is_dumb_terminal else Lines(total, console)


class _Clock:
    """How long the run has taken, and how long it is likely to."""

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        self.total = total
        self.done = 0
        self._clock = clock
        self._begin = clock()

    def text(self) -> str:
        elapsed = self._clock() - self._begin
        if not 0 < self.done < self.total:
            return words.duration(elapsed)
        # Cases take turns, so what is left is like what is over.
        left = elapsed / self.done * (self.total - self.done)
        return f"{words.duration(elapsed)}, about {words.duration(left)} left"


class Lines:
    """A line for each case that is over."""

    def __init__(self, total: int, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = _Clock(total, clock)
        self._case = ""

    def start(self, case: str) -> None:
        self._case = case

    def finish(self, outcome: str = "") -> None:
        clock = self._clock
        clock.done += 1
        said = f": {outcome}" if outcome else ""
        self.say(f"{clock.done}/{clock.total} {self._case}{said} ({clock.text()})")

    def say(self, text: str) -> None:
        _print(self._console, text)

    def close(self) -> None:
        pass


class Live:
    """One line that always says what runs: spinner, bar, how many of how many, time, case."""

    def __init__(self, total: int, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = _Clock(total, clock)
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[time]}", markup=False),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            get_time=clock,
        )
        self._task = self._progress.add_task("", total=total, time="")
        self._progress.start()

    def start(self, case: str) -> None:
        self._progress.update(self._task, description=words.printable(case), time=self._clock.text())

    def finish(self, outcome: str = "") -> None:
        self._clock.done += 1
        self._progress.update(self._task, advance=1, time=self._clock.text())

    def say(self, text: str) -> None:
        _print(self._progress.console, text)

    def close(self) -> None:
        self._progress.stop()


def show(report: Report, stream: TextIO | None = None, old: Comparison | None = None) -> None:
    """The final tables, to the standard output when no stream is given."""
    console = _console(stream)
    for part in sections(report):
        title = f"{words.title(part.scenario)}: {part.conditions} ({tables.load(part)})"
        rows = tables.section(part, full=False)
        _table(console, rows, title, {place: "bold" for place, row in enumerate(rows.rows) if row[0] == OURS})
        for sentence in tables.failures(part):
            _print(console, sentence, "red")
        console.print()
    absent, missed = tables.absent(report), tables.missed(report)
    if absent.rows:
        _table(console, absent, "Not measured")
        console.print()
    if missed.rows:
        _table(console, missed, "What clients could not do")
        console.print()
    if old is not None:
        compared(old, stream)
    if report.thresholds:
        rows = tables.thresholds(report)
        _table(console, rows, "Thresholds", {place: "red" for place, row in enumerate(rows.rows) if row[-1] != "met"})
        console.print()
    for sentence in tables.summary_sentences(summary(report, sections(report))):
        _print(console, sentence)


def compared(found: Comparison, stream: TextIO | None = None) -> None:
    """What changed since an older report."""
    console = _console(stream)
    rows = tables.comparison(found)
    colours = {BETTER: "green", WORSE: "red"}
    styles = {
        place: colours[line.wall.verdict] for place, line in enumerate(found.lines) if line.wall.verdict in colours
    }
    if rows.rows:
        _table(console, rows, f"Since {found.old.created[:10]}", styles)
    if found.differences:
        _table(console, tables.differences(found), "What else differs")
    for sentence in tables.comparison_sentences(found):
        _print(console, sentence)
    console.print()


def _console(stream: TextIO | None) -> Console:
    console = Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal:
        # A table in a file or a pipe is as wide as it needs to be: it may be searched.
        console.width = 400
    return console


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(Text(words.printable(text), style=style), soft_wrap=True)


def _table(console: Console, content: Table, title: str, styles: dict[int, str] | None = None) -> None:
    _print(console, title, "bold")
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in content.columns:
        grid.add_column(Text(column.title), justify="right" if column.right else "left", overflow="fold")
    for place, row in enumerate(content.rows):
        grid.add_row(*(Text(words.printable(cell)) for cell in row), style=(styles or {}).get(place, ""))
    console.print(grid)
