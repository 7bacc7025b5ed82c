"""What a report shows, worked out once for all kinds of it: sections of rows with medians, spreads and ratios.

A run that failed gives no figures: a client that gives up early would look fast. Error answers that a client got and
got over do not take its figures away; they are counted.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from objectfs.bench.report import words
from objectfs.bench.results import GIB, Case, Report, Run

OURS = "objectfs-crt"


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the lowest and the highest value, and all of them in the order of the runs."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """None without values: not measured is not zero."""
        known = tuple(value for value in values if value is not None)
        return cls(statistics.median(known), min(known), max(known), known) if known else None


@dataclass(frozen=True, slots=True)
class Row:
    """One client in one section. Times in seconds, memory in bytes, rates in bytes a second."""

    client: str
    concurrency: int | None  # objects at a time; None: the client decides
    runs: int
    wall: Spread | None
    rate: Spread | None
    per_second: Spread | None  # objects
    cpu: Spread | None  # per GiB, or per run where nothing is moved: Section.per_gib
    user: Spread | None
    system: Spread | None
    memory: Spread | None
    first_byte: Spread | None
    p50: Spread | None
    p99: Spread | None
    mean: Spread | None
    requests: Spread | None
    errors: int  # answers, over all runs
    failed: int  # runs
    error: str | None  # of the first run that failed

    @property
    def ours(self) -> bool:
        return self.client.startswith("objectfs")

    @property
    def limit(self) -> bool:
        """Whether this is what plain sockets do, and no client of S3."""
        return is_limit(self.client)


@dataclass(frozen=True, slots=True)
class Section:
    """A scenario under one set of conditions, the clients from the fastest to those without figures."""

    scenario: str
    server: str
    profile: str
    tls: bool
    bytes: int
    objects: int
    per_gib: bool
    rows: tuple[Row, ...]

    @property
    def conditions(self) -> str:
        return words.conditions(self.server, self.profile, self.tls)

    @property
    def cpu_unit(self) -> str:
        return "CPU s/GiB" if self.per_gib else "CPU s"

    def row(self, client: str) -> Row | None:
        return next((row for row in self.rows if row.client == client), None)

    def best(self, figure: Callable[[Row], Spread | None]) -> Row | None:
        """The client of other people's that needs least of a figure."""
        peers = [row for row in self.rows if is_peer(row.client) and figure(row) is not None]
        return min(peers, key=lambda row: _median(figure(row)) or 0.0, default=None)

    def against_ours(self, row: Row, figure: Callable[[Row], Spread | None]) -> float | None:
        """How many times as much as objectfs-crt a client needs."""
        ours = self.row(OURS)
        return quotient(figure(row), figure(ours) if ours else None)

    def against_best(self, row: Row, figure: Callable[[Row], Spread | None]) -> float | None:
        """How many times as much as the best of other people's clients a client needs."""
        best = self.best(figure)
        return quotient(figure(row), figure(best) if best else None)


def is_limit(client: str) -> bool:
    return client.startswith("raw")


def is_peer(client: str) -> bool:
    """Other people's clients: neither ours nor the limit."""
    return not client.startswith("objectfs") and not is_limit(client)


def wall(row: Row) -> Spread | None:
    return row.wall


def cpu(row: Row) -> Spread | None:
    return row.cpu


def memory(row: Row) -> Spread | None:
    return row.memory


def _median(spread: Spread | None) -> float | None:
    return None if spread is None else spread.median


def quotient(over: Spread | None, under: Spread | None) -> float | None:
    """Of the medians; None where one is missing or would divide by zero."""
    if over is None or under is None or under.median == 0:
        return None
    return over.median / under.median


def sections(report: Report) -> list[Section]:
    """In the order in which the report first names each scenario and its conditions."""
    groups: dict[tuple[object, ...], list[Case]] = {}
    for case in report.cases:
        key = (case.scenario, case.server, case.profile, case.tls, case.bytes, case.objects)
        groups.setdefault(key, []).append(case)
    return [_section(cases) for cases in groups.values()]


def _section(cases: list[Case]) -> Section:
    first = cases[0]
    measured = [run for case in cases for run in case.good]
    per_gib = bool(measured) and all(run.bytes > 0 for run in measured)
    rows = sorted((_row(case, per_gib) for case in cases), key=_order)
    return Section(
        scenario=first.scenario,
        server=first.server,
        profile=first.profile,
        tls=first.tls,
        bytes=first.bytes,
        objects=first.objects,
        per_gib=per_gib,
        rows=tuple(rows),
    )


def _order(row: Row) -> tuple[bool, float]:
    return row.wall is None, row.wall.median if row.wall else 0.0


def _row(case: Case, per_gib: bool) -> Row:
    runs = case.good

    def share(value: float, run: Run) -> float:
        return value / (run.bytes / GIB) if per_gib else value

    return Row(
        client=case.client,
        concurrency=case.concurrency,
        runs=len(runs),
        wall=Spread.of(run.wall for run in runs),
        rate=Spread.of(run.throughput for run in runs),
        per_second=Spread.of(case.objects / run.wall for run in runs if case.objects > 1 and run.wall),
        cpu=Spread.of(share(run.cpu, run) for run in runs),
        user=Spread.of(share(run.user, run) for run in runs),
        system=Spread.of(share(run.system, run) for run in runs),
        memory=Spread.of(run.peak_rss for run in runs),
        first_byte=Spread.of(run.first_byte for run in runs),
        p50=Spread.of(run.latency_p50 for run in runs),
        p99=Spread.of(run.latency_p99 for run in runs),
        mean=Spread.of(run.latency_mean for run in runs),
        requests=Spread.of(run.requests for run in runs),
        errors=sum(run.errors for run in case.runs),
        failed=len(case.failed),
        error=next((run.error for run in case.runs if run.error), None),
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """What the run says in a few figures, over the sections that have both objectfs-crt and a peer."""

    compared: int
    fastest: int
    speed: float | None  # median over sections: the best peer's wall time over objectfs-crt's
    cpu: float | None  # median over sections: objectfs-crt's CPU over the best peer's
    met: int
    thresholds: int


def summary(report: Report, parts: list[Section]) -> Summary:
    speeds: list[float] = []
    costs: list[float] = []
    for section in parts:
        ours = section.row(OURS)
        if ours is None:
            continue
        against = section.against_best(ours, wall)
        if against:
            speeds.append(1 / against)
        cost = section.against_best(ours, cpu)
        if cost is not None:
            costs.append(cost)
    return Summary(
        compared=len(speeds),
        fastest=sum(speed > 1 for speed in speeds),
        speed=statistics.median(speeds) if speeds else None,
        cpu=statistics.median(costs) if costs else None,
        met=sum(threshold.met is True for threshold in report.thresholds),
        thresholds=len(report.thresholds),
    )
