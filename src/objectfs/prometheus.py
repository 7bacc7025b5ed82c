"""``stats()`` in the text format that Prometheus scrapes. Nothing has to be installed for it.

    from objectfs.prometheus import exposition

    text = exposition(client)                       # or several clients, by name:
    text = exposition({"hot": one, "cold": other})  # objectfs_…{client="hot"}

Serve it as ``text/plain; version=0.0.4`` from the program's own HTTP server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from objectfs.telemetry import circuits, decisions, of_each_backend

__all__ = ["BOUNDS", "CONTENT_TYPE", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BOUNDS = tuple(1e-6 * 1.024 * 4**power for power in range(16))
"""Seconds: every eighth of the buckets that the client counts in, from 1 µs to 18 minutes. A bound is always the end of
one of them, so nothing is estimated."""

Labels = Mapping[str, str]


class HasStats(Protocol):
    def stats(self) -> dict[str, Any]: ...


def exposition(clients: HasStats | Mapping[str, HasStats]) -> str:
    """The counters and histograms of a client, or of several.

    Raises:
        ClosedError: one is closed.
    """
    named = clients if isinstance(clients, Mapping) else {"": clients}
    whole = [({"client": name} if name else {}, client.stats()) for name, client in named.items()]
    backends = [(labels, each) for labels, stats in whole for each in of_each_backend(stats)]
    lines: list[str] = []
    for about, metrics in ((backends, _METRICS), (whole, _ROLLOUT_METRICS)):
        for name, kind, text, read in metrics:
            rows = [row for labels, each in about for row in read(name, {**labels, "backend": each["backend"]}, each)]
            if rows:
                lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *rows]
    return "\n".join(lines) + "\n"


def _row(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _attempts(name: str, labels: Labels, stats: Mapping[str, Any]) -> Iterator[str]:
    for operation, counts in stats["operations"].items():
        yield _row(name, {**labels, "operation": operation}, counts["attempts"])


def _failures(name: str, labels: Labels, stats: Mapping[str, Any]) -> Iterator[str]:
    for operation, counts in stats["operations"].items():
        yield _row(name, {**labels, "operation": operation}, counts["failed"])


def _phases(name: str, labels: Labels, stats: Mapping[str, Any]) -> Iterator[str]:
    for phase, histogram in stats["latency"].items():
        inside = {**labels, "phase": phase}
        for bound, count in cumulated(histogram["buckets"], BOUNDS):
            yield _row(f"{name}_bucket", {**inside, "le": f"{bound:.9g}"}, count)
        yield _row(f"{name}_bucket", {**inside, "le": "+Inf"}, histogram["count"])
        yield _row(f"{name}_sum", inside, histogram["sum"])
        yield _row(f"{name}_count", inside, histogram["count"])


def cumulated(buckets: Iterable[tuple[float, int]], bounds: Iterable[float]) -> Iterator[tuple[float, int]]:
    """How many lie below each bound."""
    left = list(buckets)
    total = 0
    for bound in bounds:
        while left and left[0][0] <= bound * (1 + 1e-9):
            total += left.pop(0)[1]
        yield bound, total


def _memory(name: str, labels: Labels, stats: Mapping[str, Any]) -> Iterator[str]:
    yield _row(name, labels, stats["budget"]["held"])


def _limit(name: str, labels: Labels, stats: Mapping[str, Any]) -> Iterator[str]:
    yield _row(name, labels, stats["memory_limit"])


def _connections(name: str, labels: Labels, stats: Mapping[str, Any]) -> Iterator[str]:
    if "connections" in stats:
        yield _row(name, labels, stats["connections"]["in_use"])


def _decisions(name: str, labels: Labels, stats: Mapping[str, Any]) -> Iterator[str]:
    for operation, reason, count in decisions(stats):
        yield _row(name, {**labels, "operation": operation, "reason": reason}, count)


def _circuits(name: str, labels: Labels, stats: Mapping[str, Any]) -> Iterator[str]:
    for operation, endpoint, is_open in circuits(stats):
        yield _row(name, {**labels, "operation": operation, "endpoint": endpoint}, int(is_open))


_METRICS = (
    ("objectfs_request_attempts_total", "counter", "HTTP requests, each retry counted.", _attempts),
    ("objectfs_request_failures_total", "counter", "HTTP requests that ended with an error.", _failures),
    ("objectfs_request_duration_seconds", "histogram", "What requests spend their time with, by phase.", _phases),
    ("objectfs_memory_bytes", "gauge", "Memory in use on the client's own account.", _memory),
    ("objectfs_memory_limit_bytes", "gauge", "memory_limit.", _limit),
    ("objectfs_connections", "gauge", "Connections in use.", _connections),
)
"""Of each backend."""

_ROLLOUT_METRICS = (
    ("objectfs_rollout_decisions_total", "counter", "What a rollout has decided, by reason.", _decisions),
    ("objectfs_rollout_circuit_open", "gauge", "1: this operation is kept from the engine.", _circuits),
)
"""Of a client as a whole."""
