"""Histograms, and what traces are made of."""

from __future__ import annotations

from typing import Any

import pytest

from objectfs.prometheus import exposition
from objectfs.telemetry import (
    BUCKETS,
    Counts,
    JoinedSource,
    PythonSource,
    RequestRecord,
    Trace,
    Traces,
    bound,
    bucket,
    joined,
)


def test_buckets() -> None:
    """Both backends count in the same ones, and what lies in one is below its bound."""
    for index in range(BUCKETS - 1):
        end = round(bound(index) * 1e9)
        assert bucket(end - 1) == index
        assert bucket(end) == index + 1
    assert bucket(1 << 62) == BUCKETS - 1
    native = pytest.importorskip("objectfs._native")
    for power in range(8, 63):
        for value in ((1 << power) - 1, 1 << power, (1 << power) + (1 << power >> 2)):
            assert native.debug_bucket(value) == bucket(value)


def test_quantiles() -> None:
    counts = Counts()
    for value in range(1, 101):
        counts.note("total", value * 1_000_000)
    found = counts.describe()["latency"]["total"]
    assert found["count"] == 100
    assert found["sum"] == pytest.approx(5.05)
    assert 0.050 <= found["p50"] <= 0.050 * 1.25
    assert 0.099 <= found["p99"] <= found["max"] == 0.1


def test_two_backends_together() -> None:
    """As if one had counted all."""
    one, other, both = Counts(), Counts(), Counts()
    for number in range(1, 101):
        for counts in (one if number % 3 else other, both):
            counts.note("total", number * 1_000_000)
            counts.attempt("GetObject" if number % 2 else "PutObject", failed=number % 10 == 0)
    for counts in (other, both):
        counts.note("retry_delay", 5)
        counts.note("receive", 1 << 62)  # longer than all buckets
    found, wanted = joined([one.describe(), other.describe()]), both.describe()
    for name in ("total", "retry_delay", "receive"):
        assert found["latency"][name].pop("sum") == pytest.approx(wanted["latency"][name].pop("sum"))
    assert found == wanted
    assert list(found["latency"]) == list(wanted["latency"])
    assert joined([]) == {"operations": {}, "latency": {}}


def record(operation: str) -> RequestRecord:
    return RequestRecord(operation, "h", "/", None, 200, None, None, 1, None, None, None, 0.0, 0.1)


def test_sources_together() -> None:
    one, other = PythonSource(), PythonSource()
    traces = Traces(JoinedSource(one, other))
    one.put(record("before"))
    with Trace(traces, capacity=2) as trace:
        assert not traces.source.wait(0.0)
        one.put(record("a"))
        other.put(record("b"))
        assert traces.source.wait(0.0)
        assert {each.operation for each in trace.drain()} == {"a", "b"}
        for _ in range(3):
            other.put(record("c"))
        assert len(trace.drain()) == 2
        assert trace.lost == 1
    assert not one.on
    assert not other.on
    one.put(record("after"))
    assert trace.drain() == []


def test_a_client_of_two_backends() -> None:
    def stats(name: str) -> dict[str, Any]:
        counts = Counts()
        counts.attempt("GetObject", failed=False)
        return {"backend": name, "memory_limit": 1, "budget": {"held": 0}, **counts.describe()}

    class Both:
        def stats(self) -> dict[str, Any]:
            return {"backend": "routed", "backends": {name: stats(name) for name in ("crt", "sdk")}}

    text = exposition(Both())
    for name in ("crt", "sdk"):
        assert f'objectfs_request_attempts_total{{backend="{name}",operation="GetObject"}} 1' in text
