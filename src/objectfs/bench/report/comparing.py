"""An old report beside a new one: what changed, and what is only noise.

Two runs of the same program differ. Whether a difference is more than that is decided by the order of the runs alone
(the exact test of Mann and Whitney, two-sided): a client is better or worse where so clear an order of old and new
runs would come about by chance in one case of a hundred, and the medians differ by at least 2 %. Of five runs and five,
that is where none of the new lies within the spread of the old. Fewer than that cannot say it, and are told so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache

from objectfs.bench.report import words
from objectfs.bench.report.figures import Row, Section, Spread, cpu, is_limit, memory, sections, wall
from objectfs.bench.results import Report

LEVEL = 0.01
LEAST = 0.02

BETTER = "better"
WORSE = "worse"
NOISE = "within noise"
TOO_FEW = "too few runs"
ONLY_OLD = "only in the old report"
ONLY_NEW = "only in the new report"
VERDICTS = (BETTER, WORSE, NOISE, TOO_FEW, ONLY_OLD, ONLY_NEW)


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one client. ``ratio`` is new over old: below 1 it needs less."""

    old: Spread | None
    new: Spread | None
    ratio: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Line:
    """One client of one scenario in both reports."""

    section: Section
    client: str
    wall: Change
    cpu: Change
    memory: Change


@dataclass(frozen=True, slots=True)
class Comparison:
    old: Report
    new: Report
    lines: tuple[Line, ...]
    differences: tuple[tuple[str, str, str], ...]  # what, in the old report, in the new one
    drift: float | None  # new over old of the limit's wall times: what the machine itself did

    def count(self, verdict: str) -> int:
        """Of wall times."""
        return sum(line.wall.verdict == verdict for line in self.lines)


def compare(old: Report, new: Report) -> Comparison:
    """What the new report says of what the old one said, client by client."""
    before = {_key(section, row): (section, row) for section in sections(old) for row in section.rows}
    after = {_key(section, row): (section, row) for section in sections(new) for row in section.rows}
    lines = []
    for key in [*after, *(key for key in before if key not in after)]:
        section = (after.get(key) or before[key])[0]
        was, now = before.get(key), after.get(key)
        figures = [
            change(figure(was[1]) if was else None, figure(now[1]) if now else None) for figure in (wall, cpu, memory)
        ]
        lines.append(Line(section, key[-1], *figures))
    moved = [line.wall.ratio for line in lines if is_limit(line.client) and line.wall.ratio]
    drift = math.exp(sum(map(math.log, moved)) / len(moved)) if moved else None
    return Comparison(old, new, tuple(lines), tuple(_differences(old, new)), drift)


def _key(section: Section, row: Row) -> tuple[str, ...]:
    conditions = (section.server, section.profile, section.tls, section.bytes, section.objects)
    return (section.scenario, *map(str, conditions), row.client)


def change(old: Spread | None, new: Spread | None) -> Change:
    """The judgement of one figure that is better when it is smaller."""
    if old is None or new is None:
        verdict = ONLY_NEW if new is not None else ONLY_OLD if old is not None else words.NONE
        return Change(old, new, None, verdict)
    ratio = new.median / old.median if old.median else None
    if ratio is None or chance(0, len(old.values), len(new.values)) > LEVEL:
        return Change(old, new, ratio, TOO_FEW if ratio is not None else NOISE)
    wins = sum((n < o) + 0.5 * (n == o) for n in new.values for o in old.values)
    pairs = len(old.values) * len(new.values)
    # Ties count half; rounded towards the middle, so that they never make a difference clearer than it is.
    clear = chance(math.ceil(min(wins, pairs - wins)), len(old.values), len(new.values)) <= LEVEL
    if not clear or abs(ratio - 1) < LEAST:
        return Change(old, new, ratio, NOISE)
    return Change(old, new, ratio, BETTER if ratio < 1 else WORSE)


def chance(statistic: int, first: int, second: int) -> float:
    """The probability, two-sided, that chance orders two samples so clearly: their Mann-Whitney statistic is at most
    this, or at least its counterpart."""
    total = math.comb(first + second, first)
    below = sum(_orders(first, second, u) for u in range(statistic + 1))
    return min(1.0, 2 * below / total)


@cache
def _orders(first: int, second: int, statistic: int) -> int:
    """How many of the orders of two samples have exactly this statistic."""
    if statistic < 0:
        return 0
    if first == 0 or second == 0:
        return int(statistic == 0)
    return _orders(first - 1, second, statistic - second) + _orders(first, second - 1, statistic)


def _differences(old: Report, new: Report) -> list[tuple[str, str, str]]:
    """What else is not the same: ratios across machines or versions say something about those."""
    rows = []
    facts: list[Callable[[Report], list[tuple[str, str]]]] = [
        lambda report: [("objectfs", f"{report.objectfs_version}, commit {report.commit or words.NONE}")],
        lambda report: words.facts(asdict(report.machine)),
        lambda report: words.facts(asdict(report.settings)),
        lambda report: [(client.name, client.version or words.NONE) for client in report.clients],
    ]
    for read in facts:
        before, after = dict(read(old)), dict(read(new))
        for name in [*after, *(name for name in before if name not in after)]:
            was, now = before.get(name, words.NONE), after.get(name, words.NONE)
            if was != now:
                rows.append((name, was, now))
    return rows
