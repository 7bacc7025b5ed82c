"""The report in a terminal: what runs now, and at the end the tables.

Without a terminal the progress is a line for each case, and the tables are text without colours; ``NO_COLOR`` takes the
colours away in a terminal as well (rich looks for it).
"""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
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
    if tables.scaled(report):
        _print(console, tables.scaled(report), "yellow")
    for part in sections(report):
        title = f"{words.title(part.scenario)}: {part.conditions} ({tables.load(part)})"
        rows = tables.section(part, full=False)
        bold = {place: "bold" for place, row in enumerate(rows.rows) if row[0] == OURS}
        _table(console, rows, title, bold, _SPARE)
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
    colours = {BETTER: "green", WORSE: "red"}
    _print(console, f"Since {found.old.created[:10]}", "bold")
    rows = tables.comparison(found)
    for what, group in itertools.groupby(enumerate(rows.rows), key=lambda place: place[1][0]):
        places = list(group)
        content = Table(rows.columns[1:], tuple(row[1:] for _, row in places))
        verdicts = [found.lines[place].wall.verdict for place, _ in places]
        styles = {place: colours[verdict] for place, verdict in enumerate(verdicts) if verdict in colours}
        _table(console, content, what, styles, _SPARE_COMPARED)
        console.print()
    if found.differences:
        _table(console, tables.differences(found), "What else differs")
    for sentence in tables.comparison_sentences(found):
        _print(console, sentence)
    console.print()


def _console(stream: TextIO | None) -> Console:
    console = Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal:
        # A table in a file or a pipe has all its columns: it may be searched.
        console.width = 10_000
    return console


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(Text(words.printable(text), style=style), soft_wrap=True)


# What a narrow terminal can do without, the least important first. The files have all of it.
_SPARE = ("requests", "errors", "p99", "p50", "wall / best peer", "objects/s", f"CPU / {OURS}", "first byte")
_SPARE_COMPARED = ("memory, new / old", "memory", "CPU, new / old", "CPU", "wall s, old", "wall s, new")


def fit(content: Table, width: int, spare: Sequence[str]) -> Table:
    """A table that is no wider: first without the spreads, then without columns, as long as there are spare ones."""
    if _width(content) > width:
        cells = (tuple(cell.partition(" (")[0] for cell in row) for row in content.rows)
        content = Table(content.columns, tuple(cells))
    for title in spare:
        titles = [column.title for column in content.columns]
        if title in titles and _width(content) > width:
            content = _without(content, titles.index(title))
    return content


def _widths(content: Table) -> list[int]:
    """What each column needs: cells stay whole, titles are broken between words."""
    return [
        max(len(text) for text in [*_words(column.title), "", *(row[place] for row in content.rows)])
        for place, column in enumerate(content.columns)
    ]


def _words(title: str) -> list[str]:
    """Where a title may be broken: not before a stroke."""
    return re.split(" (?!/)", title)


def _width(content: Table) -> int:
    widths = _widths(content)
    return sum(widths) + 2 * (len(widths) - 1)


def _without(content: Table, place: int) -> Table:
    return Table(
        content.columns[:place] + content.columns[place + 1 :],
        tuple(row[:place] + row[place + 1 :] for row in content.rows),
    )


def _table(
    console: Console,
    content: Table,
    title: str,
    styles: dict[int, str] | None = None,
    spare: Sequence[str] = (),
) -> None:
    """Laid out here and not by rich, which breaks numbers in two where a table is wider than the terminal."""
    _print(console, title, "bold")
    cells = tuple(tuple(words.printable(cell) for cell in row) for row in content.rows)
    content = fit(Table(content.columns, cells), console.width, spare)
    widths = _widths(content)
    titles = [_broken(column.title, width) for column, width in zip(content.columns, widths, strict=True)]
    height = max(map(len, titles))
    for line in range(height):
        # A short title stands right above its column.
        head = [title[line - height + len(title)] if line >= height - len(title) else "" for title in titles]
        _print(console, _line(content, head, widths), "bold")
    for place, row in enumerate(content.rows):
        _print(console, _line(content, row, widths), (styles or {}).get(place, ""))


def _line(content: Table, row: Sequence[str], widths: Sequence[int]) -> str:
    cells = zip(content.columns, row, widths, strict=True)
    return "  ".join(cell.rjust(width) if column.right else cell.ljust(width) for column, cell, width in cells).rstrip()


def _broken(title: str, width: int) -> list[str]:
    lines = [""]
    for word in _words(title):
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
