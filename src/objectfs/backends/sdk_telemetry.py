"""What the sdk backend knows of its requests: histograms, always, and records, while somebody traces.

botocore tells nothing of signing, and its pool's connections are as many as the threads: nobody waits for one. So
``signing`` and ``memory`` are absent here, and ``connection`` is there only where one was made.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from objectfs.backends.sdk_task import Task
from objectfs.telemetry import Counts, PythonSource, RequestRecord, Traces, part_number

__all__ = ["Meter"]


class Meter:
    """Of one backend."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.source = PythonSource()
        self.traces = Traces(self.source)

    def begin(self, task: Task) -> None:
        times = task.times
        times.clear()
        times.began = time.perf_counter_ns()

    def end(self, task: Task, error: BaseException | None) -> None:
        times = task.times
        now = time.perf_counter_ns()
        found: dict[str, int] = {"total": now - times.began}
        if times.connected:
            found["connection"] = times.connected
        if times.sent:
            found["send"] = times.sent - times.sending
            if times.first:
                found["first_byte"] = max(0, times.first - times.sent)  # an error's answer may come before all is sent
                found["receive"] = now - max(times.first, times.sent)
        if times.retry_delay:
            found["retry_delay"], times.retry_delay = times.retry_delay, 0
        for phase, nanoseconds in found.items():
            self.counts.note(phase, nanoseconds)
        self.counts.attempt(times.operation, error is not None)
        if self.source.on:
            self.source.put(_record(task, error, found))


def _record(task: Task, error: BaseException | None, found: dict[str, int]) -> RequestRecord:
    connection: Any = None if task.times.connection is None else task.times.connection()
    address = None
    with contextlib.suppress(AttributeError, OSError, TypeError):  # it has been closed
        address = connection.sock.getpeername()[0]
    host = getattr(connection, "_tunnel_host", None) or getattr(connection, "host", None)
    return RequestRecord(
        operation=task.times.operation,
        host=host or "",
        path=(task.target or "")[:PATH],
        address=address,
        status=task.status,
        error=None if error is None else type(error).__name__,
        request_id=task.answer.get("x-amz-request-id") if task.status is not None else None,
        attempt=task.times.attempt,
        connection_id=None if connection is None else id(connection),
        range=None,
        part_number=part_number(task.target or ""),
        started=time.time() - found["total"] / 1e9,
        **{phase: nanoseconds / 1e9 for phase, nanoseconds in found.items()},
    )


PATH = 207
"""Bytes of a path that the engine keeps."""
