"""What is known of each request: histograms, which a client always counts, and traces, which it makes if asked.

The same names on both backends; docs/design/0020-telemetry.md says what each phase is and who can tell it.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

__all__ = [
    "PHASES",
    "Counts",
    "JoinedSource",
    "PythonSource",
    "RequestRecord",
    "Source",
    "Trace",
    "Traces",
    "bound",
    "circuits",
    "decisions",
    "joined",
    "of_each_backend",
    "part_number",
    "summary",
]

log = logging.getLogger("objectfs.trace")

PHASES = ("memory", "signing", "connection", "send", "first_byte", "receive", "retry_delay", "total")
"""In this order natively too (``native/telemetry.h``)."""

BUCKETS = 128

LOOK = 0.05
"""Seconds between two looks at signals while a trace waits."""

CAPACITY = 4096
"""Records that wait for whoever traces."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One attempt of one HTTP request. Durations are in seconds; None where there was none, or nobody can tell."""

    operation: str
    """S3's name (``GetObject``); ``other`` where the engine does not keep it."""
    host: str
    path: str
    """And query; the engine keeps 207 bytes of it."""
    address: str | None
    """IP address of the server."""
    status: int | None
    """Of the answer; None where there was none."""
    error: str | None
    """The C library's name of the error (``AWS_ERROR_S3_INVALID_RESPONSE_STATUS``), or that of the exception."""
    request_id: str | None
    """S3's own (``x-amz-request-id``)."""
    attempt: int
    """1 for the first."""
    connection_id: int | None
    """Attempts with the same number went over the same connection, as long as it lived."""
    range: tuple[int, int] | None
    """First and last byte, where the C library has split a transfer; not of ranges that were asked for."""
    part_number: int | None
    """Of UploadPart and UploadPartCopy, where the path was kept whole."""
    started: float
    """Unix time."""
    total: float | None
    memory: float | None = None
    """Waited for a part's buffer."""
    signing: float | None = None
    connection: float | None = None
    """Waited for a connection: a free one, or a new one with its TLS handshake."""
    send: float | None = None
    first_byte: float | None = None
    """From the request's last byte to the answer's first."""
    receive: float | None = None
    """From the answer's first byte to its last."""
    retry_delay: float | None = None
    """Waited before this attempt, because of the one before."""


def part_number(path: str) -> int | None:
    """From the query."""
    found = _PART_NUMBER.search(path)
    return int(found[1]) if found else None


_PART_NUMBER = re.compile(r"[?&]partNumber=([0-9]{1,5})(?:&|$)")


# --- histograms -------------------------------------------------------------------------------------------------------


def bucket(nanoseconds: int) -> int:
    """As ``objectfs_telemetry_bucket`` has it: four for each power of two, from 1.024 µs on."""
    if nanoseconds < 1024:
        return 0
    log = nanoseconds.bit_length() - 1
    return min(BUCKETS - 1, 1 + (log - 10) * 4 + (nanoseconds >> (log - 2) & 3))


def bound(index: int) -> float:
    """The end of a bucket, in seconds; infinite for the last one."""
    if index >= BUCKETS - 1:
        return float("inf")
    if index == 0:
        return 1024e-9
    octave, quarter = divmod(index - 1, 4)
    return float((1 << (10 + octave)) * (5 + quarter)) / 4e9


class Counts:
    """Histograms of the sdk backend. Without a lock: two threads at the same bucket at the same moment lose a count on
    no build with a GIL, and one in a great many without."""

    def __init__(self) -> None:
        self._phases: dict[str, list[int]] = {}  # counts, then the sum and the longest
        self._attempts: dict[str, list[int]] = {}

    def note(self, phase: str, nanoseconds: int) -> None:
        found = self._phases.get(phase)
        if found is None:
            found = self._phases.setdefault(phase, [0] * (BUCKETS + 2))
        found[bucket(nanoseconds)] += 1
        found[BUCKETS] += nanoseconds
        if nanoseconds > found[BUCKETS + 1]:
            found[BUCKETS + 1] = nanoseconds

    def attempt(self, operation: str, failed: bool) -> None:
        found = self._attempts.get(operation)
        if found is None:
            found = self._attempts.setdefault(operation, [0, 0])
        found[0] += 1
        if failed:
            found[1] += 1

    def describe(self) -> dict[str, Any]:
        found = {}
        for phase, values in tuple(self._phases.items()):
            counts = {i: values[i] for i in range(BUCKETS) if values[i]}
            found[phase] = (counts, values[BUCKETS], values[BUCKETS + 1])
        return summary({name: (pair[0], pair[1]) for name, pair in tuple(self._attempts.items())}, found)


def summary(
    attempts: Mapping[str, tuple[int, int]], phases: Mapping[str, tuple[Mapping[int, int], int, int]]
) -> dict[str, Any]:
    """For ``stats()["operations"]`` and ``stats()["latency"]``."""
    return {
        "operations": {
            name: {"attempts": total, "failed": failed} for name, (total, failed) in sorted(attempts.items())
        },
        "latency": {name: _histogram(*phases[name]) for name in PHASES if name in phases and phases[name][0]},
    }


def _histogram(counts: Mapping[int, int], total: int, longest: int) -> dict[str, Any]:
    count = sum(counts.values())

    def quantile(part: float) -> float:
        """The end of the bucket that it lies in: at most a quarter too much, and no more than the longest."""
        left = part * count
        for index in sorted(counts):
            left -= counts[index]
            if left <= 0:
                return min(bound(index), longest / 1e9)
        return longest / 1e9

    return {
        "count": count,
        "sum": total / 1e9,
        "p50": quantile(0.5),
        "p90": quantile(0.9),
        "p99": quantile(0.99),
        "max": longest / 1e9,
        "buckets": [(bound(index), counts[index]) for index in sorted(counts)],
    }


def joined(each: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """``operations`` and ``latency`` of several ``stats()``, as if one had counted all."""
    attempts: dict[str, tuple[int, int]] = {}
    phases: dict[str, tuple[collections.Counter[int], int, int]] = {}
    for stats in each:
        for name, counts in stats["operations"].items():
            total, failed = attempts.get(name, (0, 0))
            attempts[name] = (total + counts["attempts"], failed + counts["failed"])
        for name, histogram in stats["latency"].items():
            buckets, sum_, longest = phases.get(name, (collections.Counter(), 0, 0))
            buckets.update({_index(end): count for end, count in histogram["buckets"]})
            phases[name] = (
                buckets,
                sum_ + round(histogram["sum"] * 1e9),
                max(longest, round(histogram["max"] * 1e9)),
            )
    return summary(attempts, phases)


def _index(end: float) -> int:
    """Of the bucket that ends there."""
    return BUCKETS - 1 if end == float("inf") else bucket(round(end * 1e9) - 1)


def of_each_backend(stats: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """``stats()`` of the backends that a client's is made of, or its own."""
    return list(stats.get("backends", {}).values()) or [stats]


def decisions(stats: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Operation, reason and count of what a rollout has decided: docs/rollout.md. What is decided once for a client has
    no operation. Nothing without a rollout."""
    rollout = stats.get("rollout")
    if rollout is None:
        return
    left = dict(rollout["decisions"])
    for operation, counts in rollout["operations"].items():
        for reason, count in counts.items():
            left[reason] -= count
            yield operation, reason, count
    for reason, count in left.items():
        if count:
            yield "", reason, count


def circuits(stats: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Operation, endpoint, and whether it keeps requests from the engine, of each circuit that something failed on."""
    for circuit in (stats.get("rollout") or {}).get("circuits") or ():
        yield circuit["operation"], circuit["endpoint"], circuit["state"] != "closed"


# --- traces -----------------------------------------------------------------------------------------------------------


class Source(Protocol):
    """Where a backend's records come from."""

    def trace(self, capacity: int) -> None:
        """Keep the last ``capacity`` records from now on; none, with 0."""

    def wait(self, seconds: float) -> bool:
        """Wait for records; whether there are any."""

    def take(self) -> tuple[Iterable[RequestRecord], int]:
        """Those that have come since, and how many more there were that were lost."""


class PythonSource:
    """The source of a backend in Python. ``on`` is what costs something where nobody traces: one look."""

    def __init__(self) -> None:
        self.on = False
        self._records: collections.deque[RequestRecord] = collections.deque()
        self._capacity = 0
        self._lost = 0
        self._arrived = threading.Condition()

    def put(self, record: RequestRecord) -> None:
        with self._arrived:
            if not self.on:
                return
            if len(self._records) >= self._capacity:
                self._records.popleft()
                self._lost += 1
            self._records.append(record)
            self._arrived.notify_all()

    def trace(self, capacity: int) -> None:
        with self._arrived:
            self.on, self._capacity = capacity > 0, capacity
            self._records.clear()
            self._lost = 0
            self._arrived.notify_all()

    def wait(self, seconds: float) -> bool:
        with self._arrived:
            if not self._records and self.on:
                self._arrived.wait(seconds)
            return bool(self._records)

    def take(self) -> tuple[Iterable[RequestRecord], int]:
        with self._arrived:
            records, lost = tuple(self._records), self._lost
            self._records.clear()
            self._lost = 0
        return records, lost


class JoinedSource:
    """Of a backend that is made of others."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    def trace(self, capacity: int) -> None:
        for source in self._sources:
            source.trace(capacity)

    def wait(self, seconds: float) -> bool:
        each = seconds / len(self._sources)
        return any(source.wait(each) for source in self._sources)

    def take(self) -> tuple[Iterable[RequestRecord], int]:
        taken = [source.take() for source in self._sources]
        return [record for records, _ in taken for record in records], sum(lost for _, lost in taken)


class Traces:
    """The traces of one client. Each of them gets all records, whoever takes them from the source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._lock = threading.Lock()
        self._traces: list[Trace] = []
        self._pid = os.getpid()

    @property
    def foreign(self) -> bool:
        """Whether they are those of the process that this one was forked from, and its locks may be held."""
        return self._pid != os.getpid()

    def begin(self, trace: Trace, capacity: int) -> None:
        with self._lock:
            if not self._traces:
                self.source.trace(capacity)
            self._traces.append(trace)

    def end(self, trace: Trace) -> None:
        if self.foreign:
            return
        with self._lock:
            if trace in self._traces:
                self._hand_out()
                self._traces.remove(trace)
                if not self._traces:
                    self.source.trace(0)

    def pump(self) -> None:
        """Give what the source has to all traces."""
        if not self.foreign:
            with self._lock:
                if self._traces:
                    self._hand_out()

    def _hand_out(self) -> None:
        records, lost = self.source.take()
        for trace in self._traces:
            trace._put(records, lost)

    def close(self) -> None:
        """The client is closed: traces end when they have given out what they have."""
        if not self.foreign:
            for trace in tuple(self._traces):
                trace.close()


class Trace:
    """The requests of a client from now on, until it is closed: :meth:`objectfs.Client.trace` makes it.

    Iterating gives each record as it comes and ends with the trace or the client; :meth:`drain` takes what there is and
    waits for nothing. From one thread at a time.
    """

    def __init__(
        self, traces: Traces, callback: Callable[[RequestRecord], object] | None = None, capacity: int = CAPACITY
    ) -> None:
        self._traces = traces
        self._records: collections.deque[RequestRecord] = collections.deque()
        self._capacity = capacity
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = 0
        """Records that nobody took in time: of more than ``capacity`` the oldest are dropped."""
        traces.begin(self, capacity)
        if callback is not None:
            self._thread = threading.Thread(target=self._run, args=(callback,), name="objectfs-trace", daemon=True)
            self._thread.start()

    def _put(self, records: Iterable[RequestRecord], lost: int) -> None:
        self._records.extend(records)
        self.lost += lost
        while len(self._records) > self._capacity:
            self._records.popleft()
            self.lost += 1

    def drain(self) -> list[RequestRecord]:
        """The records that have come since the last one was taken."""
        self._traces.pump()
        found = []
        with contextlib.suppress(IndexError):
            while True:
                found.append(self._records.popleft())
        return found

    def __iter__(self) -> Iterator[RequestRecord]:
        while True:
            closed = self._closed.is_set() or self._traces.foreign  # before the last look
            yield from self.drain()
            if closed:
                return
            if not self._records:
                self._traces.source.wait(LOOK)

    def _run(self, callback: Callable[[RequestRecord], object]) -> None:
        try:
            for record in self:
                callback(record)
        except Exception:
            log.exception("the callback of a trace has failed: the trace ends")
            self.close()

    def close(self) -> None:
        """End it. What has come may still be drained. Waits up to a second for a callback to have had it all."""
        if self._traces.foreign:  # it has ended
            return
        self._traces.end(self)
        self._closed.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
