"""Made-up reports, with what real ones rarely have: one run, nothing but errors, no bytes, names that are markup."""

from __future__ import annotations

from collections.abc import Sequence

from objectfs.bench.results import (
    GIB,
    Case,
    Client,
    Latency,
    Machine,
    Missed,
    Report,
    Run,
    Settings,
    Threshold,
)

HOSTILE = '<script src="https://example.invalid/x.js">|`*_\n\x1b[31m&amp;'


def run(wall: float, **more: object) -> Run:
    known: dict[str, object] = {
        "user": wall / 4,
        "system": wall / 8,
        "peak_rss": 100 << 20,
        "bytes": GIB,
        "requests": 3,
    }
    return Run(wall, **(known | more))  # type: ignore[arg-type]


def case(scenario: str, client: str, runs: Sequence[Run], **more: object) -> Case:
    known: dict[str, object] = {"server": "sim", "profile": "s3", "tls": False, "bytes": GIB, "objects": 1}
    return Case(scenario, client, runs=tuple(runs), **({"concurrency": None} | known | more))  # type: ignore[arg-type]


def walls(*values: float, **more: object) -> list[Run]:
    return [run(value, **more) for value in values]


def report(cases: Sequence[Case], **more: object) -> Report:
    clients = tuple(Client(name, "1.2", True, None, "its defaults") for name in dict.fromkeys(c.client for c in cases))
    known: dict[str, object] = {
        "created": "2026-01-02T03:04:05+00:00",
        "commit": "abc123",
        "objectfs_version": "0.1",
        "machine": Machine("a processor", 2, 8 * GIB, "6.1", "3.11.2", "Linux x86_64"),
        "settings": Settings(5, ("large-down-memory",), ("objectfs-crt",), ("s3",), (False,), "sim", "none", 1.0),
        "clients": clients,
        "cases": tuple(cases),
    }
    return Report(**(known | more))  # type: ignore[arg-type]


def odd() -> Report:
    """All of the odd cases in one report."""
    latency = Latency(0.02, 0.01, 0.2)
    cases = [
        case("large-down-memory", "objectfs-crt", walls(1.0, 1.1, 1.2, 1.3, 1.4)),
        case("large-down-memory", "boto3", walls(10.0, 11.0, 12.0, 13.0, 14.5)),
        case("large-down-memory", "obstore", walls(1.5, 1.6, 1.7, 1.8, 1.9)),
        case("large-down-memory", "raw-c", walls(0.9)),
        case("large-down-memory", HOSTILE, walls(2.0, 2.5)),
        case("large-down-memory", "minio", [run(0.1, bytes=0, error=f"TimeoutError: {HOSTILE}")]),
        case("large-down-memory", "rclone", []),
        case("list-100k", "objectfs-crt", walls(0.2, 0.3, bytes=0), bytes=0, objects=100_000),
        case("list-100k", "boto3", walls(2.0, 3.0, bytes=0, requests=None), bytes=0, objects=100_000),
        case(
            "many-4k", "boto3", walls(5.0, 6.0, latency=latency, errors=2), profile="-", objects=10_000, concurrency=16
        ),
        case("mixed", "objectfs-crt", [run(0.0, user=0.0, system=0.0, peak_rss=0)], tls=True),
        case("mixed", "boto3", walls(1.0, first_byte=0.031), tls=True),
        case(f"unknown-{HOSTILE}", "objectfs-sdk", walls(1.0), server="elsewhere", profile=HOSTILE),
    ]
    clients = [Client(name, None, True, None, HOSTILE) for name in dict.fromkeys(c.client for c in cases)]
    return report(
        cases,
        commit=None,
        clients=(*clients, Client("s5cmd", None, False, f"not installed {HOSTILE}", "as its README says")),
        missed=(Missed("list-100k", "raw-c", HOSTILE), Missed("list-100k", "raw-c", HOSTILE)),
        thresholds=(
            Threshold(f"fast {HOSTILE}", 11.25, 10.0, True),
            Threshold("cheap", 0.6, 0.5, False, "at most"),
            Threshold("never run", None, 1.1, False, "at most"),
        ),
    )
