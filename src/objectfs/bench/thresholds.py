"""Limits that a run is held against: a TOML file, judged by the medians of one report.

Each ``[[threshold]]`` compares a figure of ``client`` with that of ``against`` in the same scenario, profile and TLS:

``scenario``
    A name, a list of names, or "*" for each that was run.
``profile``, ``tls``
    Of the embedded server: "loopback" and false if not given.
``client``
    "objectfs-crt" if not given.
``against``
    A client, a list (the best of them), or "best-python": the best of all Python clients but ObjectFS and the raw
    ones. Without it the limit is for the figure itself, in the unit that :mod:`objectfs.bench.results` gives it.
``figure``
    "wall" if not given; any of FIGURES.
``best_by``
    The figure that decides who is the best of ``against``; ``figure`` if not given.
``at_least`` or ``at_most``
    ``at_least = 10``: the other's figure is at least 10 times the client's. ``at_most = 0.5``: the client's figure is
    at most 0.5 times the other's.
``over``
    "median": one limit for the median over all of ``scenario``, instead of one for each.
"""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from objectfs.bench.clients import ENTRIES
from objectfs.bench.results import FIGURES, Report, Threshold
from objectfs.bench.scenarios import BY_NAME, SCENARIOS

PYTHON = tuple(
    entry.name
    for entry in ENTRIES
    if not entry.own and not entry.name.startswith("raw-") and entry.name not in ("s5cmd", "rclone")
)
BEST = "best-python"
HIGHER = {"throughput", "requests_per_second"}


class ThresholdError(ValueError):
    """The file cannot be used; the text says what is wrong where."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One ``[[threshold]]`` of the file."""

    scenario: tuple[str, ...]
    profile: str = "loopback"
    tls: bool = False
    client: str = "objectfs-crt"
    against: tuple[str, ...] = ()
    figure: str = "wall"
    best_by: str = ""
    at_least: float | None = None
    at_most: float | None = None
    over: str = ""


def load(path: Path) -> list[Limit]:
    """Read a file. ThresholdError where it is none; OSError where it cannot be read."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ThresholdError(f"{path}: {error}") from None
    entries = document.pop("threshold", None)
    if document or not isinstance(entries, list):
        raise ThresholdError(f"{path}: it has [[threshold]] tables and nothing else")
    return [_limit(entry, f"{path}: threshold {number}") for number, entry in enumerate(entries, 1)]


def _limit(entry: dict[str, Any], where: str) -> Limit:
    known = {item.name for item in fields(Limit)}
    if unknown := entry.keys() - known:
        raise ThresholdError(f"{where}: {min(unknown)} is none of {', '.join(sorted(known))}")
    if ("at_least" in entry) == ("at_most" in entry):
        raise ThresholdError(f"{where}: one of at_least and at_most is wanted")
    values = dict(entry)
    scenario = values.get("scenario", "*")
    values["scenario"] = (
        tuple(item.name for item in SCENARIOS) if scenario == "*" else _names(scenario, BY_NAME, f"{where}: scenario")
    )
    known_clients = [item.name for item in ENTRIES]
    if "against" in values:
        against = values["against"]
        values["against"] = PYTHON if against == BEST else _names(against, known_clients, f"{where}: against")
    _names(values.get("client", "objectfs-crt"), known_clients, f"{where}: client")
    for name in ("figure", "best_by"):
        if name in values:
            _names(values[name], FIGURES, f"{where}: {name}")
    if values.get("over", "median") != "median":
        raise ThresholdError(f"{where}: over can be 'median' only")
    for name, kind in (("profile", str), ("tls", bool)):
        if name in values and not isinstance(values[name], kind):
            raise ThresholdError(f"{where}: {name} is {kind.__name__}")
    for name in ("at_least", "at_most"):
        if name in values:
            if isinstance(values[name], bool) or not isinstance(values[name], int | float):
                raise ThresholdError(f"{where}: {name} is a number")
            values[name] = float(values[name])
    return Limit(**values)


def _names(value: Any, known: Any, where: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
    if not names:
        raise ThresholdError(f"{where} is a name or a list of names")
    for name in names:
        if name not in known:
            raise ThresholdError(f"{where}: {name!r} is none of {', '.join(known)}")
    return names


def judge(report: Report, limits: Sequence[Limit]) -> tuple[list[Threshold], int]:
    """The limits that are about what was run, and the number of those that are not."""
    found: list[Threshold] = []
    left_out = 0
    run = report.settings
    for limit in limits:
        names = [name for name in limit.scenario if name in run.scenarios]
        if not names or limit.profile not in run.profiles or limit.tls not in run.tls:
            left_out += 1
            continue
        ratios = [(name, _ratio(report, limit, name)) for name in names]
        if limit.over:
            values = [value for _, (value, _) in ratios if value is not None]
            # What was not measured must not make the median better.
            median = statistics.median(values) if len(values) == len(ratios) else None
            found.append(_threshold(limit, f"median of {len(names)} scenarios", median, ""))
            continue
        found += [_threshold(limit, name, value, who) for name, (value, who) in ratios]
    return found, left_out


def _ratio(report: Report, limit: Limit, scenario: str) -> tuple[float | None, str]:
    """What is compared with the limit, and whom it was measured against."""

    def median(client: str, figure: str) -> float | None:
        case = report.find(scenario, client, profile=limit.profile, tls=limit.tls)
        return case.median(figure) if case is not None and not case.failed else None

    own = median(limit.client, limit.figure)
    if not limit.against:
        return own, ""
    by = limit.best_by or limit.figure
    ranked = sorted(
        ((value, name) for name in limit.against if (value := median(name, by)) is not None), reverse=by in HIGHER
    )
    if not ranked or own is None:
        return None, ""
    who = ranked[0][1]
    other = median(who, limit.figure)
    if other is None:
        return None, who
    over, under = (other, own) if limit.at_least is not None else (own, other)
    return (over / under if under else None), who


def _threshold(limit: Limit, scenario: str, measured: float | None, who: str) -> Threshold:
    against = limit.against
    whom = ", ".join(against) if against != PYTHON else "best other Python client"
    if who and (len(against) > 1):
        whom += f" ({who})"
    where = f"{scenario}, {limit.profile}{' with TLS' if limit.tls else ''}"
    figure = limit.figure.replace("_", " ")
    if limit.at_least is not None:
        text = f"{where}: {figure} of {whom} over {limit.client}" if against else f"{where}: {figure} of {limit.client}"
        met = measured is not None and measured >= limit.at_least
        return Threshold(text, measured, limit.at_least, met, "at least")
    assert limit.at_most is not None
    text = f"{where}: {figure} of {limit.client}" + (f" over {whom}" if against else "")
    return Threshold(text, measured, limit.at_most, measured is not None and measured <= limit.at_most, "at most")
