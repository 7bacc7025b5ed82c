"""The tables of a report as rows of text, for the terminal, Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from objectfs.bench.report import comparing, words
from objectfs.bench.report.comparing import Change, Comparison
from objectfs.bench.report.figures import OURS, Row, Section, Spread, Summary, cpu, wall
from objectfs.bench.results import Report, Threshold


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    right: bool = True  # numbers stand on the right, so that their digits are below each other


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


def spread(value: Spread | None, write: Callable[[float | None], str] = words.number) -> str:
    """``1.23 (1.20-1.31)``; without the parentheses where there was one run."""
    if value is None:
        return words.NONE
    if len(value.values) == 1:
        return write(value.median)
    return f"{write(value.median)} ({write(value.low)}-{write(value.high)})"


def _rate(row: Row) -> str:
    return words.NONE if row.rate is None else words.number(row.rate.median / 1e6)


def _median(value: Spread | None, write: Callable[[float | None], str] = words.number) -> str:
    return write(None if value is None else value.median)


def section(part: Section, full: bool = True) -> Table:
    """A scenario: its clients from the fastest on. ``full`` is what fits a page, not a terminal."""
    columns = [Column("client", right=False), Column("wall s"), Column("MB/s")]
    some_many = any(row.per_second for row in part.rows)
    if some_many:
        columns.append(Column("objects/s"))
    columns.append(Column(part.cpu_unit))
    if full:
        columns += [Column("user"), Column("system")]
    columns.append(Column("peak RSS"))
    timed = any(row.first_byte for row in part.rows)
    latencies = any(row.p50 for row in part.rows)
    if timed:
        columns.append(Column("first byte"))
    if latencies:
        columns += [Column("p50"), Column("p99")]
        if full:
            columns.append(Column("mean"))
    columns += [Column("requests"), Column("errors")]
    columns += [Column(f"wall / {OURS}"), Column("wall / best peer"), Column(f"CPU / {OURS}")]
    if full:
        columns += [Column("at a time"), Column("runs")]
    rows = []
    for row in part.rows:
        cells = [row.client, spread(row.wall), _rate(row)]
        if some_many:
            cells.append(_median(row.per_second, words.whole_number))
        cells.append(spread(row.cpu))
        if full:
            cells += [_median(row.user), _median(row.system)]
        cells.append(_median(row.memory, words.mebibytes))
        if timed:
            cells.append(_median(row.first_byte, words.seconds))
        if latencies:
            cells += [_median(row.p50, words.seconds), _median(row.p99, words.seconds)]
            if full:
                cells.append(_median(row.mean, words.seconds))
        cells += [_median(row.requests, words.whole), f"{row.errors:,}"]
        cells += [
            words.ratio(part.against_ours(row, wall)),
            words.ratio(part.against_best(row, wall)),
            words.ratio(part.against_ours(row, cpu)),
        ]
        if full:
            cells += ["its own" if row.concurrency is None else str(row.concurrency), str(row.runs)]
        rows.append(tuple(cells))
    return Table(tuple(columns), tuple(rows))


def load(part: Section) -> str:
    """How much is moved."""
    parts = [words.plural(part.objects, "object")]
    if part.bytes:
        parts.append(f"{words.size(part.bytes)} in all")
    return ", ".join(parts)


def scaled(report: Report) -> str:
    """A sentence where the scenarios are not what their titles say."""
    scale = report.settings.scale
    return "" if scale == 1 else f"Sizes and counts are {scale:g} of what the scenarios' titles say."


def failures(part: Section) -> list[str]:
    """A sentence for each client with runs that failed."""
    return [
        f"{row.client}: {words.plural(row.failed, 'run')} of {row.runs + row.failed} failed"
        + (f", the first with: {row.error}" if row.error else "")
        for row in part.rows
        if row.failed
    ]


def clients(report: Report) -> Table:
    columns = tuple(Column(title, right=False) for title in ("client", "version", "how it was used"))
    rows = [(client.name, client.version or words.NONE, client.how or words.NONE) for client in report.clients]
    return Table(columns, tuple(row for row, client in zip(rows, report.clients, strict=True) if client.available))


def absent(report: Report) -> Table:
    columns = (Column("client", right=False), Column("why it is missing", right=False))
    rows = [(client.name, client.reason or words.NONE) for client in report.clients if not client.available]
    return Table(columns, tuple(rows))


def thresholds(report: Report) -> Table:
    columns = (Column("what", right=False), Column("measured"), Column("must be"), Column("", right=False))
    rows = [(item.text, words.number(item.measured), must(item), verdict(item)) for item in report.thresholds]
    return Table(columns, tuple(rows))


def must(item: Threshold) -> str:
    return f"{item.sense} {words.number(item.limit)}"


def verdict(item: Threshold) -> str:
    """Without a figure a limit is not met, which is not the same as having been missed by one."""
    return "met" if item.met else "missed" if item.measured is not None else "not measured"


def missed(report: Report) -> Table:
    """What clients that are there could not do."""
    columns = tuple(Column(title, right=False) for title in ("scenario", "client", "why"))
    rows = [(words.title(item.scenario), item.client, item.reason) for item in report.missed]
    return Table(columns, tuple(dict.fromkeys(rows)))  # once, and not for each network


def summary_sentences(found: Summary) -> list[str]:
    """The run in a few sentences; what was not measured is not mentioned."""
    lines = []
    if found.compared:
        lines.append(
            f"{OURS} was the fastest client in {found.fastest} of {words.plural(found.compared, 'comparison')} "
            f"with other people's clients."
        )
    if found.speed is not None:
        lines.append(f"In the median the best of them took {words.ratio(found.speed)} the wall time of {OURS}.")
    if found.cpu is not None:
        lines.append(f"In the median {OURS} needed {words.ratio(found.cpu)} the CPU of the one that needed least.")
    if found.thresholds:
        lines.append(f"{found.met} of {words.plural(found.thresholds, 'threshold')} met.")
    return lines or [f"Nothing to compare: no scenario has both {OURS} and another client."]


def facts(report: Report) -> Table:
    """The machine and the settings."""
    columns = (Column("what", right=False), Column("", right=False))
    return Table(columns, (*words.facts(asdict(report.machine)), *words.facts(asdict(report.settings))))


def _change(value: Change) -> tuple[str, str]:
    return words.ratio(value.ratio), value.verdict


def comparison(found: Comparison) -> Table:
    verdicts = ("wall", "CPU", "memory")
    titles = ["scenario", "client", "wall s, old", "wall s, new"]
    for verdict in verdicts:
        titles += [f"{verdict}, new / old", verdict]
    left = {0, 1, 5, 7, 9}
    columns = tuple(Column(title, right=place not in left) for place, title in enumerate(titles))
    rows = []
    for line in found.lines:
        what = f"{words.title(line.section.scenario)}, {line.section.conditions}"
        changes = (*_change(line.wall), *_change(line.cpu), *_change(line.memory))
        rows.append((what, line.client, spread(line.wall.old), spread(line.wall.new), *changes))
    return Table(columns, tuple(rows))


def differences(found: Comparison) -> Table:
    """The circumstances that are not the same."""
    return Table(
        (Column("what", right=False), Column("old", right=False), Column("new", right=False)), found.differences
    )


def comparison_sentences(found: Comparison) -> list[str]:
    """What the table amounts to, and what to bear in mind."""
    counts = [f"{found.count(kind)} {kind}" for kind in comparing.VERDICTS if found.count(kind)]
    lines = [f"Wall times: {', '.join(counts) or 'nothing to compare'}."]
    if found.drift is not None:
        lines.append(f"Plain sockets, which no client changes, took {words.ratio(found.drift)} their old time.")
    if found.differences:
        lines.append(f"{words.plural(len(found.differences), 'circumstance')} differ between the two reports.")
    return lines
