"""``scripts/bench-grid``: runs the grid and prints it as Markdown. Ends with 1 when something is below its limit."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from objectfs.bench.grid.case import BUCKET, KIB, MIB, key_of

PROFILES = ("loopback", "express", "s3", "cross-region")
SIZES = {"4 KiB": 4 * KIB, "1 MiB": MIB, "64 MiB": 64 * MIB, "1 GiB": 1024 * MIB}
CONNECTIONS = (8, 25, 64, 128, 256)
PARTS = (5 * MIB, 8 * MIB, 16 * MIB)
"""Only for objects of several parts; S3 allows no smaller ones in uploads, and so the setting does not."""
LIMIT = 0.9
"""Of the best fixed setting."""

Rates = dict[str, list[float]]
"""Bytes a second of each run, by the setting's name."""


def settings_for(size: int) -> dict[str, dict[str, int]]:
    """By name. Nothing given comes first."""
    found: dict[str, dict[str, int]] = {"learned": {}}
    for connections in CONNECTIONS:
        for part in PARTS if size > PARTS[-1] else PARTS[1:2]:
            name = f"{connections} x {part // MIB} MiB" if size > PARTS[-1] else f"{connections}"
            found[name] = {"max_connections": connections, "part_size": part}
    return found


@contextlib.contextmanager
def server(profile: str, cpu: int | None) -> Iterator[str]:
    """The endpoint of an embedded server with such a network and objects of all sizes."""
    command = [sys.executable, "-m", "objectfs.sim", "--no-verify", "--bucket", BUCKET, "--profile", profile]
    for size in SIZES.values():
        command += ["--synthetic", f"{BUCKET}/{key_of(size)}={size}"]
    if cpu is not None:
        command += ["--cpu", str(cpu)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"https?://\S+", process.stdout.readline())
        if not found:
            raise SystemExit("the embedded server did not start: see its message above")
        yield found[0]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def measure(endpoint: str, size: int, settings: dict[str, int], asked: argparse.Namespace) -> dict[str, Any]:
    order = {
        "endpoint": endpoint,
        "access_key": "test",
        "secret_key": "testtest",
        "size": size,
        "settings": settings,
        "warm": asked.warm,
        "seconds": asked.seconds,
        "cpu": asked.cpus[1] if asked.cpus else None,
    }
    done = subprocess.run(
        [sys.executable, "-m", "objectfs.bench.grid.case", json.dumps(order)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
        check=True,
    )
    return dict(json.loads(done.stdout))


def table(size: str, found: dict[str, Rates]) -> list[str]:
    """MB/s of each setting on each profile."""
    names = list(next(iter(found.values())))
    lines = [f"## Objects of {size}, MB/s", "", "| setting | " + " | ".join(found) + " |"]
    lines.append("|---|" + "---|" * len(found))
    for name in names:
        cells = [f"{statistics.median(rates[name]) / 1e6:,.0f}" for rates in found.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def verdicts(everything: dict[str, dict[str, Rates]]) -> tuple[list[str], bool]:
    """By size and profile: what was learned beside the best that was given; and whether a fixed setting is best
    everywhere."""
    lines = ["## Learned, of the best fixed setting", "", "| objects | profile | best | learned |", "|---|---|---|---|"]
    good = True
    shares: dict[str, list[float]] = {}
    for size, found in everything.items():
        for profile, rates in found.items():
            rate = {name: statistics.median(each) for name, each in rates.items()}
            learned = rate.pop("learned")
            best = max(rate, key=rate.__getitem__)
            met = learned >= LIMIT * rate[best]
            good = good and met
            share = f"{learned / rate[best]:.2f}" if met else f"**{learned / rate[best]:.2f}**, below {LIMIT}"
            lines.append(f"| {size} | {profile} | {best} | {share} |")
            for name, value in rate.items():
                shares.setdefault(name, []).append(value / learned)
    winners = faster_everywhere(shares, sum(len(found) for found in everything.values()))
    lines += ["", f"Fixed settings that are faster everywhere: {', '.join(winners) or 'none'}.", ""]
    return lines, good and not winners


def faster_everywhere(shares: dict[str, list[float]], cases: int) -> list[str]:
    """Names of the settings whose rate was above the learned one's in each of so many cases. The size of parts is no
    part of the name where objects have only one."""
    found = []
    for name, each in shares.items():
        connections, has_parts, _ = name.partition(" x ")
        whole = each + shares.get(connections, []) if has_parts else each
        if len(whole) == cases and min(whole) > 1:
            found.append(name)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-grid", description=__doc__)
    parser.add_argument("--profile", action="append", choices=PROFILES, help="may be repeated (default: all)")
    parser.add_argument("--size", action="append", choices=list(SIZES), help="may be repeated (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="of each setting, in turns; medians count (default: 3)")
    parser.add_argument("--warm", type=float, default=3, help="seconds before what counts (default: 3)")
    parser.add_argument("--seconds", type=float, default=1, help="that count, at least (default: 1)")
    parser.add_argument("--out", type=Path, help="write the tables to this file too")
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    asked.cpus = cores[:2] if len(cores) > 1 else None
    everything: dict[str, dict[str, Rates]] = {}
    text, good = "", False
    for size in asked.size or SIZES:
        everything[size] = {}
        for profile in asked.profile or PROFILES:
            rates: Rates = {}
            with server(profile, asked.cpus[0] if asked.cpus else None) as endpoint:
                for _ in range(asked.runs):
                    for name, settings in settings_for(SIZES[size]).items():
                        result = measure(endpoint, SIZES[size], settings, asked)
                        rates.setdefault(name, []).append(result["rate"])
                        pace = f"  {result['pace']}" if name == "learned" else ""
                        print(f"{size}, {profile}, {name}: {result['rate'] / 1e6:,.0f} MB/s{pace}", file=sys.stderr)
            everything[size][profile] = rates
            text, good = told(everything)
            if asked.out is not None:  # after each network: who ends it early has what there is
                asked.out.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(0 if good else 1)


def told(everything: dict[str, dict[str, Rates]]) -> tuple[str, bool]:
    """As Markdown; and whether all is well."""
    lines, good = verdicts(everything)
    return "\n".join(lines + [line for size, found in everything.items() for line in table(size, found)]), good


if __name__ == "__main__":
    main()
