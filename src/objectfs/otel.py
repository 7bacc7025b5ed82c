"""Metrics and spans of a client for OpenTelemetry: ``pip install objectfs-s3[otel]``.

    from objectfs import otel

    with otel.instrument(client):
        ...

Metrics are read from ``client.stats()`` when the program's metric reader asks, so they cost requests nothing. Spans are
made from ``client.trace()`` on a thread of its own after the request has ended, with its times; each is a root, for a
request of the engine runs on no thread that has a context. docs/debugging.md
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from objectfs.errors import ClosedError, ConfigError
from objectfs.telemetry import PHASES, RequestRecord, Trace, circuits, decisions, of_each_backend

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider, Observation
    from opentelemetry.trace import TracerProvider

__all__ = ["Instrumentation", "instrument"]

PREFIX = "objectfs.client."


class Client(Protocol):
    def stats(self) -> dict[str, Any]: ...

    def trace(self, callback: Callable[[RequestRecord], object] | None = None, *, capacity: int = 4096) -> Trace: ...


def instrument(
    client: Client,
    *,
    meter_provider: MeterProvider | None = None,
    tracer_provider: TracerProvider | None = None,
    metrics: bool = True,
    spans: bool = True,
) -> Instrumentation:
    """Have a client of either kind tell OpenTelemetry of itself until it or the result is closed.

    Args:
        client: a Client or an AsyncClient.
        meter_provider, tracer_provider: None for the global ones.
        metrics, spans: whether it tells them.

    Raises:
        ConfigError: opentelemetry-api is not installed.
        ClosedError: the client is closed.
    """
    try:
        import opentelemetry.metrics
        import opentelemetry.trace
    except ImportError:
        raise ConfigError(
            "opentelemetry-api is not installed", hint="Install it: pip install 'objectfs-s3[otel]'"
        ) from None
    made = Instrumentation(client)
    if metrics:
        provider = meter_provider or opentelemetry.metrics.get_meter_provider()
        made._measure(provider.get_meter("objectfs"))
    if spans:
        tracers = tracer_provider or opentelemetry.trace.get_tracer_provider()
        made._trace_with(tracers.get_tracer("objectfs"))
    return made


class Instrumentation:
    """What :func:`instrument` has begun. Closing it ends the spans; instruments then have nothing more to tell."""

    def __init__(self, client: Client) -> None:
        self._client: weakref.ref[Client] | None = weakref.ref(client)
        self._trace: Trace | None = None

    @property
    def lost(self) -> int:
        """Requests that came faster than spans were made of them, and have none."""
        return 0 if self._trace is None else self._trace.lost

    def close(self) -> None:
        """End it; again is nothing."""
        self._client = None
        if self._trace is not None:
            self._trace.close()

    def __enter__(self) -> Instrumentation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- metrics -----------------------------------------------------------------------------------------------------
    def _stats(self) -> Mapping[str, Any]:
        client = None if self._client is None else self._client()
        if client is None:
            return {}
        try:
            return client.stats()
        except ClosedError:
            return {}

    def _measure(self, meter: Any) -> None:
        from opentelemetry.metrics import Observation

        def observed(
            read: Callable[[Mapping[str, Any]], Iterable[tuple[float, dict[str, str]]]], whole: bool = False
        ) -> Any:
            def callback(options: object) -> list[Observation]:
                stats = self._stats()
                if not stats:
                    return []
                return [
                    Observation(value, {"backend": each["backend"], **labels})
                    for each in ([stats] if whole else of_each_backend(stats))
                    for value, labels in read(each)
                ]

            return [callback]

        counter, gauge = meter.create_observable_counter, meter.create_observable_gauge
        counter(PREFIX + "attempts", observed(_attempts), "{attempt}", "HTTP requests, each retry counted")
        counter(PREFIX + "failures", observed(_failures), "{attempt}", "HTTP requests that ended with an error")
        counter(PREFIX + "phase.count", observed(_counts), "{attempt}", "HTTP requests that had a phase")
        counter(PREFIX + "phase.duration", observed(_sums), "s", "Time that they spent in it")
        gauge(PREFIX + "phase.quantile", observed(_quantiles), "s", "Of all requests of the client so far")
        gauge(PREFIX + "memory", observed(_memory), "By", "Memory in use on the client's own account")
        decided, kept = observed(_decisions, whole=True), observed(_circuits, whole=True)
        counter(PREFIX + "rollout.decisions", decided, "{decision}", "What a rollout has decided, by reason")
        gauge(PREFIX + "rollout.circuit_open", kept, "1", "1: this operation is kept from the engine")

    # -- spans -------------------------------------------------------------------------------------------------------
    def _trace_with(self, tracer: Any) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        def tell(record: RequestRecord) -> None:
            start = int(record.started * 1e9)
            span = tracer.start_span(
                f"S3.{record.operation}",
                context=_root(),
                kind=SpanKind.CLIENT,
                start_time=start,
                attributes=_attributes(record),
            )
            if record.error is not None:
                span.set_status(Status(StatusCode.ERROR, record.error))
            span.end(start + int((record.total or 0.0) * 1e9))

        client = None if self._client is None else self._client()
        assert client is not None
        self._trace = client.trace(tell)


def _root() -> Any:
    from opentelemetry.context import Context

    return Context()


def _attributes(record: RequestRecord) -> dict[str, str | int | float]:
    """By OpenTelemetry's names where it has some."""
    found: dict[str, str | int | float | None] = {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": record.operation,
        "server.address": record.host,
        "network.peer.address": record.address,
        "url.path": record.path.partition("?")[0],
        "http.response.status_code": record.status,
        "http.request.resend_count": record.attempt - 1 or None,
        "aws.request_id": record.request_id,
        "aws.s3.part_number": record.part_number,
        "error.type": record.error,
        "objectfs.connection_id": record.connection_id,
    }
    if record.range is not None:
        found["objectfs.range"] = f"{record.range[0]}-{record.range[1]}"
    for phase in PHASES[:-1]:
        found[f"objectfs.{phase}"] = getattr(record, phase)
    return {name: value for name, value in found.items() if value is not None}


def _attempts(stats: Mapping[str, Any]) -> Iterable[tuple[float, dict[str, str]]]:
    return [(counts["attempts"], {"operation": name}) for name, counts in stats["operations"].items()]


def _failures(stats: Mapping[str, Any]) -> Iterable[tuple[float, dict[str, str]]]:
    return [(counts["failed"], {"operation": name}) for name, counts in stats["operations"].items()]


def _counts(stats: Mapping[str, Any]) -> Iterable[tuple[float, dict[str, str]]]:
    return [(histogram["count"], {"phase": phase}) for phase, histogram in stats["latency"].items()]


def _sums(stats: Mapping[str, Any]) -> Iterable[tuple[float, dict[str, str]]]:
    return [(histogram["sum"], {"phase": phase}) for phase, histogram in stats["latency"].items()]


def _quantiles(stats: Mapping[str, Any]) -> Iterable[tuple[float, dict[str, str]]]:
    return [
        (histogram[name], {"phase": phase, "quantile": quantile})
        for phase, histogram in stats["latency"].items()
        for name, quantile in (("p50", "0.5"), ("p90", "0.9"), ("p99", "0.99"))
    ]


def _memory(stats: Mapping[str, Any]) -> Iterable[tuple[float, dict[str, str]]]:
    return [(stats["budget"]["held"], {})]


def _decisions(stats: Mapping[str, Any]) -> Iterable[tuple[float, dict[str, str]]]:
    return [(count, {"operation": operation, "reason": reason}) for operation, reason, count in decisions(stats)]


def _circuits(stats: Mapping[str, Any]) -> Iterable[tuple[float, dict[str, str]]]:
    return [
        (int(is_open), {"operation": operation, "endpoint": endpoint})
        for operation, endpoint, is_open in circuits(stats)
    ]
