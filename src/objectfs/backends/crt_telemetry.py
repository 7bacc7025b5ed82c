"""What the engine knows of its requests (``native/telemetry.c``), in the form that both backends have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from objectfs import _native
from objectfs.telemetry import PHASES, RequestRecord, part_number, summary

__all__ = ["NativeSource"]


class NativeSource:
    """Of one backend. The C library's threads write into a ring of the engine's; here it is read."""

    def __init__(self, native: _native.Telemetry) -> None:
        self._native = native
        self.trace = native.trace
        self.wait = native.wait

    def take(self) -> tuple[Iterable[RequestRecord], int]:
        records, lost = self._native.take()
        return [_record(*each) for each in records], lost

    def describe(self) -> dict[str, Any]:
        return summary(self._native.attempts(), dict(zip(PHASES, self._native.histograms(), strict=True)))


def _record(
    operation: str,
    host: str,
    path: str,
    address: str,
    status: int,
    error: str | None,
    request_id: str,
    attempt: int,
    connection: int,
    bytes_range: tuple[int, int] | None,
    started: int,
    phases: tuple[int, ...],
) -> RequestRecord:
    return RequestRecord(
        operation=operation,
        host=host,
        path=path,
        address=address or None,
        status=status or None,
        error=error,
        request_id=request_id or None,
        attempt=attempt + 1,
        connection_id=connection or None,
        range=bytes_range,
        part_number=part_number(path),
        started=started / 1e9,
        **{name: None if value < 0 else value / 1e9 for name, value in zip(PHASES, phases, strict=True)},
    )
