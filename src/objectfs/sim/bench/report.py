"""What was measured, as a table that says what was wanted of it."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Row:
    """One case: its samples, and what the median must reach (``at_least``) or stay below (``below``)."""

    name: str
    unit: str
    samples: list[float] = field(default_factory=list)
    at_least: float | None = None
    below: float | None = None
    # A limit beside it that the case may reach a share of instead.
    share: float = 0.0
    of: Row | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def met(self) -> bool | None:
        """None where nothing is wanted."""
        if self.below is not None:
            return self.median < self.below
        if self.at_least is None:
            return None
        return self.median >= self.at_least or (
            self.of is not None and bool(self.of.samples) and self.median >= self.share * self.of.median
        )

    def show(self, value: float) -> str:
        return f"{value:.2f}" if self.unit == "GB/s" else f"{value:,.0f}"

    def wanted(self) -> str:
        if self.below is not None:
            return f"< {self.show(self.below)}"
        if self.at_least is None:
            return ""
        text = f"≥ {self.show(self.at_least)}"
        if self.of is not None and self.of.samples:
            text += f", or {self.share:.0%} of {self.of.name}: {self.show(self.share * self.of.median)}"
        return text


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | unit | median | lowest to highest | wanted | |", "|---|---|---:|---:|---|---|"]
    for row in rows:
        spread = f"{row.show(min(row.samples))} to {row.show(max(row.samples))}" if len(row.samples) > 1 else ""
        verdict = {None: "", True: "met", False: "**missed**"}[row.met]
        lines.append(f"| {row.name} | {row.unit} | {row.show(row.median)} | {spread} | {row.wanted()} | {verdict} |")
    return "\n".join(lines)


def machine() -> str:
    """The machine in a line."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{os.cpu_count()} x {model}, {system}, {platform.python_implementation()} {platform.python_version()}"


def report(rows: Sequence[Row], date: str, rounds: int, seconds: float, remarks: Sequence[str]) -> str:
    """The page that is kept in docs."""
    missed = [row.name for row in rows if row.met is False]
    verdict = f"Missed: {'; '.join(missed)}." if missed else "All that was wanted is met."
    notes = "".join(f"- {remark}\n" for remark in remarks)
    return f"""# The embedded server's speed, {date}

`scripts/bench-server`: {machine()}. The server on one processor, the client on another; plain HTTP on loopback,
16 connections with raw sockets, bodies of 8 MiB. Medians of {rounds} rounds of {seconds:g} s a case, after one that was
dropped; all cases take turns in each round. {verdict}

{table(rows)}

{notes}"""
