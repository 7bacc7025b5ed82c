"""The tables of a run, as text that reads well in a terminal and as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

from objectfs.bench.engine.runner import Outcome, Verdict
from objectfs.bench.engine.scenarios import Scenario

_PACKAGES = ("objectfs-s3", "boto3", "awscrt", "obstore")


def machine() -> dict[str, Any]:
    """Where and with what the run was made."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "-"
    try:
        from objectfs import _native

        versions |= dict(_native.CRT_VERSIONS)
    except (ImportError, AttributeError):
        pass
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": model,
        "cores": os.cpu_count(),
        "versions": versions,
    }


def _seconds(value: float, count: int) -> str:
    """Seconds, or microseconds per object where there are many."""
    return f"{value:.3f} s" if count < 2 else f"{value:.3f} s ({value / count * 1e6:.0f} us each)"


def client_rows(scenario: Scenario, outcomes: dict[str, Outcome]) -> list[list[str]]:
    rows = []
    for client, outcome in outcomes.items():
        if outcome.error or not outcome.runs:
            rows.append([client, outcome.error or "not run", "", "", ""])
            continue
        low, high = outcome.spread("cpu")
        wall = outcome.median("wall")
        moved = scenario.size * scenario.count
        rows.append(
            [
                client,
                _seconds(outcome.median("cpu"), scenario.count),
                f"{low:.3f}-{high:.3f}",
                f"{wall:.3f} s" + (f", {moved / wall / 1e6:.0f} MB/s" if moved else ""),
                f"{outcome.median('rss_mib'):.0f} MiB",
            ]
        )
    return rows


CLIENT_HEAD = ["client", "CPU (user+sys)", "lowest-highest", "wall", "peak memory"]
LIMIT_HEAD = ["what", "figure", "against", "must", "measured", "ok"]


def limit_rows(scenario: Scenario, verdicts: Iterable[Verdict]) -> list[list[str]]:
    rows = []
    for verdict in verdicts:
        limit, measured = verdict.limit, verdict.measured
        unit = "" if limit.peer else " MiB" if limit.figure == "rss_mib" else " s"
        digits = 0 if unit == " MiB" else 3 if unit else 2
        rows.append(
            [
                scenario.title,
                limit.figure,
                limit.peer or "-",
                f"<= {limit.factor:g}{unit}",
                "-" if measured is None else f"{measured:.{digits}f}{unit}",
                {True: "yes", False: "NO", None: "not measured"}[verdict.ok],
            ]
        )
    return rows


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
