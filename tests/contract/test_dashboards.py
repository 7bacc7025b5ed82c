"""A client's counters for Prometheus and OpenTelemetry."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import objectfs
from objectfs import errors, otel
from objectfs.prometheus import BOUNDS, exposition
from objectfs.sim import Fault, S3Server
from objectfs.telemetry import BUCKETS, bound

from .conftest import Roll
from .rollout_support import EngineFault, keys_of
from .support import until

Make = Callable[..., objectfs.Client]
LINE = re.compile(r'^([a-z_]+)\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\} ([0-9.e+-]+|\+Inf)$')


def parse(text: str) -> dict[tuple[str, str], float]:
    assert text.endswith("\n")
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.match(r"^# (HELP|TYPE) [a-z_]+ .", line), line
            continue
        match = LINE.match(line)
        assert match, line
        found[match[1], match[2]] = float(match[3])
    return found


def use(client: objectfs.Client, sim: S3Server) -> None:
    for i in range(5):
        client.put("bucket", f"k{i}", b"x")
    sim.faults.add(Fault("GetObject", times=1, status=503, code="SlowDown"))
    client.get("bucket", "k0")
    until(lambda: client.stats()["operations"]["GetObject"]["attempts"] == 2, 60)


def test_prometheus(connect: Make, sim: S3Server, backend: str) -> None:
    client = connect(max_attempts=2)
    use(client, sim)
    found = parse(exposition(client))
    assert not [name for name, _ in found if "rollout" in name]
    whose = f'backend="{backend}"'
    assert found["objectfs_request_attempts_total", f'{whose},operation="PutObject"'] == 5
    assert found["objectfs_request_attempts_total", f'{whose},operation="GetObject"'] == 2
    assert found["objectfs_request_failures_total", f'{whose},operation="GetObject"'] == 1
    total = f'{whose},phase="total"'
    assert found["objectfs_request_duration_seconds_count", total] == 7
    assert found["objectfs_request_duration_seconds_bucket", f'{total},le="+Inf"'] == 7
    assert found["objectfs_request_duration_seconds_sum", total] > 0
    counts = [found["objectfs_request_duration_seconds_bucket", f'{total},le="{edge:.9g}"'] for edge in BOUNDS]
    assert counts == sorted(counts)
    assert counts[-1] == 7
    assert counts[0] == 0
    assert found["objectfs_memory_limit_bytes", whose] == client.stats()["memory_limit"]


ROLLOUT = {"canary": 50, "breaker": {"failures": 1}}


def decide(roll: Roll, sim: S3Server) -> tuple[objectfs.Client, str]:
    """A client that has made some decisions, one of which opened a circuit; and the circuit's endpoint."""
    client = roll(ROLLOUT, max_attempts=1)
    inside, outside = (keys_of("bucket", 50, 1, inside=where)[0] for where in (True, False))
    client.put("bucket", inside, b"x")
    client.put("bucket", outside, b"x")
    sim.faults.add(EngineFault("GetObject", reset=True, times=None))
    assert bytes(client.get("bucket", inside)) == b"x"
    return client, client.stats()["rollout"]["circuits"][0]["endpoint"]


def test_prometheus_of_a_rollout(roll: Roll, sim: S3Server) -> None:
    client, endpoint = decide(roll, sim)
    found = parse(exposition({"mine": client}))
    whose = 'client="mine",backend="routed"'
    for operation, reason in (("PutObject", "canary"), ("PutObject", "not-canary"), ("GetObject", "fallback")):
        labels = f'{whose},operation="{operation}",reason="{reason}"'
        assert found["objectfs_rollout_decisions_total", labels] == 1
    circuit = f'{whose},operation="GetObject",endpoint="{endpoint}"'
    assert found["objectfs_rollout_circuit_open", circuit] == 1
    assert ("objectfs_request_attempts_total", 'client="mine",backend="sdk",operation="GetObject"') in found


def test_opentelemetry_of_a_rollout(roll: Roll, sim: S3Server) -> None:
    client, endpoint = decide(roll, sim)
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    with otel.instrument(client, meter_provider=meters, spans=False):
        points = {
            (metric.name, *sorted(point.attributes.items())): point.value
            for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
            for point in metric.data.data_points
        }
    of_it = (("backend", "routed"), ("operation", "GetObject"), ("reason", "fallback"))
    assert points["objectfs.client.rollout.decisions", *of_it] == 1
    of_it = (("backend", "routed"), ("endpoint", endpoint), ("operation", "GetObject"))
    assert points["objectfs.client.rollout.circuit_open", *of_it] == 1
    meters.shutdown()


def test_prometheus_of_a_rollout_without_the_engine(roll: Roll, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("objectfs._native.crc", lambda name, data: 0)
    found = parse(exposition(roll(ROLLOUT)))
    assert found["objectfs_rollout_decisions_total", 'backend="sdk",operation="",reason="no-engine"'] == 1


def test_prometheus_of_several(connect: Make, sim: S3Server, backend: str) -> None:
    one, other = connect(), connect()
    one.put("bucket", "k", b"x")
    until(lambda: one.stats()["operations"], 60)
    found = parse(exposition({'a "name"': one, "other": other}))
    key = ("objectfs_request_attempts_total", f'client="a \\"name\\"",backend="{backend}",operation="PutObject"')
    assert found[key] == 1
    assert ("objectfs_memory_bytes", f'client="other",backend="{backend}"') in found
    other.close()
    with pytest.raises(errors.ClosedError):
        exposition(other)


def test_the_bounds_are_those_of_buckets() -> None:
    """Or a bucket would lie on both sides of one."""
    ends = [bound(index) for index in range(BUCKETS - 1)]
    for edge in BOUNDS:
        assert min(abs(edge / end - 1) for end in ends) < 1e-9


def test_opentelemetry(connect: Make, sim: S3Server, backend: str) -> None:
    client = connect(max_attempts=2)
    reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
    meters, tracers = MeterProvider([reader]), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    with otel.instrument(client, meter_provider=meters, tracer_provider=tracers) as made:
        use(client, sim)
        until(lambda: len(spans.get_finished_spans()) == 7, 60)
        values = metrics(reader)
        assert values["objectfs.client.attempts", "PutObject"] == 5
        assert values["objectfs.client.failures", "GetObject"] == 1
        assert values["objectfs.client.phase.count", "total"] == 7
        assert (
            0 < values["objectfs.client.phase.quantile", "total"] <= values["objectfs.client.phase.duration", "total"]
        )
        assert made.lost == 0
    failed, good = (span for span in spans.get_finished_spans() if span.name == "S3.GetObject")
    assert failed.kind is SpanKind.CLIENT
    assert failed.status.status_code is StatusCode.ERROR
    assert good.status.status_code is StatusCode.UNSET
    assert (failed.attributes["http.response.status_code"], good.attributes["http.request.resend_count"]) == (503, 1)
    assert good.attributes["url.path"] == "/bucket/k0"
    assert good.attributes["objectfs.first_byte"] >= 0
    assert failed.start_time < failed.end_time <= good.end_time
    assert good.parent is None
    client.put("bucket", "after", b"x")
    assert metrics(reader) == {}
    assert len(spans.get_finished_spans()) == 7
    meters.shutdown()
    tracers.shutdown()


def test_opentelemetry_of_a_client_that_is_closed(connect: Make) -> None:
    client = connect()
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    made = otel.instrument(client, meter_provider=meters, spans=False)
    client.close()
    assert metrics(reader) == {}
    made.close()
    meters.shutdown()


def test_opentelemetry_that_is_not_installed(connect: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    with pytest.raises(errors.ConfigError, match=r"objectfs-s3\[otel\]"):
        otel.instrument(connect())


def metrics(reader: InMemoryMetricReader) -> dict[tuple[str, str], Any]:
    """The last value by name and operation or phase."""
    data = reader.get_metrics_data()
    found = {}
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    about = point.attributes.get("operation") or point.attributes.get("phase") or ""
                    found[metric.name, about] = point.value
    return found
