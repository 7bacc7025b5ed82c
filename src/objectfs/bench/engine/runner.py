"""Runs clients in turns and collects their figures."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from objectfs.bench.engine.scenarios import Limit, Scenario

FIGURES = ("wall", "cpu", "user", "system", "rss_mib")

# Timed inside the process: what the interpreter itself needs to start is not ours.
_IMPORT = """
import json, os, resource, sys, time
if {cpu} is not None and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {{{cpu}}})
before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
import objectfs
wall = time.perf_counter() - start
after = resource.getrusage(resource.RUSAGE_SELF)
early = sorted({{name.partition(".")[0] for name in sys.modules}} & {{"boto3", "botocore", "numpy"}})
assert not early, f"import objectfs imports {{early}}"
user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
rss = after.ru_maxrss / 1024
print(json.dumps(dict(wall=wall, user=user, system=system, cpu=user + system, rss_mib=rss)))
"""


@dataclass(slots=True)
class Outcome:
    """All runs of one client in one scenario, or why there are none."""

    runs: list[dict[str, float]] = field(default_factory=list)
    error: str | None = None

    def median(self, figure: str) -> float:
        return statistics.median(run[figure] for run in self.runs)

    def spread(self, figure: str) -> tuple[float, float]:
        values = [run[figure] for run in self.runs]
        return min(values), max(values)


@dataclass(slots=True)
class Verdict:
    """A limit beside what was measured. ``measured`` is None where a client is missing."""

    limit: Limit
    measured: float | None

    @property
    def ok(self) -> bool | None:
        return None if self.measured is None else self.measured <= self.limit.factor


def run_once(scenario: Scenario, client: str, endpoint: str, cpu: int | None, folder: str) -> dict[str, float]:
    """One fresh process. RuntimeError with its last words if it fails."""
    if scenario.verb == "import":
        command = [sys.executable, "-c", _IMPORT.format(cpu=cpu)]
    else:
        order = {
            "scenario": scenario.name,
            "client": client,
            "endpoint": endpoint,
            "cpu": cpu,
            "folder": folder,
        }
        command = [sys.executable, "-m", "objectfs.bench.engine.worker", json.dumps(order)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        raise RuntimeError("no end after 10 minutes") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(lines[-1][:200])
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def run_scenario(
    scenario: Scenario,
    clients: Sequence[str],
    endpoint: str,
    *,
    runs: int,
    cpu: int | None,
    folder: str,
    tell: Callable[[str], None],
) -> dict[str, Outcome]:
    """Each round lets every client run once. A client that fails is left out of the rounds after."""
    outcomes = {client: Outcome() for client in clients if client in scenario.clients}
    for number in range(1, runs + 1):
        for client, outcome in outcomes.items():
            if outcome.error:
                continue
            try:
                outcome.runs.append(run_once(scenario, client, endpoint, cpu, folder))
            except RuntimeError as error:
                outcome.error = str(error)
                tell(f"{scenario.name}: {client}: {error}")
            else:
                last = outcome.runs[-1]
                tell(f"{scenario.name} {number}/{runs} {client}: {last['cpu']:.3f} CPU s, {last['wall']:.3f} s")
    return outcomes


def judge(scenario: Scenario, outcomes: dict[str, Outcome], ours: str) -> list[Verdict]:
    """The limits, each with the figure of this run. A client that failed even once has no figure."""

    def value(client: str, figure: str) -> float | None:
        outcome = outcomes.get(client)
        return None if outcome is None or outcome.error or not outcome.runs else outcome.median(figure)

    verdicts = []
    for limit in scenario.limits:
        own = value(ours, limit.figure)
        other = value(limit.peer, limit.figure) if limit.peer else 1.0
        verdicts.append(Verdict(limit, own / other if own is not None and other else None))
    return verdicts


def as_json(scenario: Scenario, outcomes: dict[str, Outcome], verdicts: list[Verdict]) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "title": scenario.title,
        "count": scenario.count,
        "size": scenario.size,
        "clients": {
            client: {"error": outcome.error, "runs": outcome.runs}
            | ({"median": {figure: outcome.median(figure) for figure in FIGURES}} if outcome.runs else {})
            for client, outcome in outcomes.items()
        },
        "limits": [
            {
                "figure": verdict.limit.figure,
                "peer": verdict.limit.peer,
                "must": verdict.limit.factor,
                "measured": verdict.measured,
                "ok": verdict.ok,
            }
            for verdict in verdicts
        ],
    }
