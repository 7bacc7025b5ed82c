"""What Client and AsyncClient are, apart from what the one waits for and the other awaits."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from objectfs.backends.base import BackendInfo
from objectfs.core import Core
from objectfs.telemetry import CAPACITY, RequestRecord, Trace

__all__ = ["ClientBase", "Path"]

Path = str | bytes | os.PathLike[Any]


class ClientBase:
    """Settings, a backend, and the verbs that make no request. :class:`objectfs.Client` explains the settings."""

    def __init__(
        self,
        *,
        backend: str | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        anonymous: bool | None = None,
        addressing_style: str | None = None,
        use_dualstack_endpoint: bool | None = None,
        use_fips_endpoint: bool | None = None,
        use_accelerate_endpoint: bool | None = None,
        verify: bool | str | None = None,
        part_size: int | str | None = None,
        max_connections: int | None = None,
        memory_limit: int | str | None = None,
        throughput_gbps: float | None = None,
        max_attempts: int | None = None,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        hedge: bool | None = None,
        pace_file: str | os.PathLike[str] | None = None,
        checksum: str | None = None,
        rollout: Mapping[str, Any] | str | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        self._core = Core(given)

    def stats(self) -> dict[str, Any]:
        """Counters, histograms and settings in force. No request is made.

        ``operations``: attempts and failures of each operation. ``latency``: for each phase of a request a histogram
        with ``count``, ``sum``, ``p50``, ``p90``, ``p99``, ``max`` in seconds, and ``buckets`` of (bound, count).
        docs/debugging.md explains the phases, and what else is in it.
        """
        found = self._core.backend().stats()
        rollout = self._core.info.rollout
        return found if rollout is None else {**found, "rollout": dict(rollout)}

    def trace(self, callback: Callable[[RequestRecord], object] | None = None, *, capacity: int = CAPACITY) -> Trace:
        """Record each request from now on, until the trace or the client is closed. No request is made.

        Use it in ``with``; iterate over it from another thread, or call its ``drain()``, which waits for nothing::

            with client.trace() as trace:
                client.get("bucket", "key")
            for record in trace.drain():
                print(record.operation, record.status, record.first_byte)

        Args:
            callback: called with each :class:`~objectfs.telemetry.RequestRecord`, on a thread of the trace's own.
            capacity: records that are kept until somebody takes them; then the oldest are dropped (``trace.lost``).

        Raises:
            TypeError: ``capacity`` is no number, or ``callback`` cannot be called.
            ValueError: ``capacity`` is not from 1 to 1,000,000.
        """
        if isinstance(capacity, bool) or not isinstance(capacity, int):
            raise TypeError(f"capacity= is a number of records, not {capacity!r}")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback= is called with each record, which {callback!r} cannot be")
        if not 1 <= capacity <= 1_000_000:
            raise ValueError(f"capacity={capacity} must be from 1 to 1,000,000")
        return Trace(self._core.backend().traces, callback, capacity)

    @property
    def backend(self) -> BackendInfo:
        """The backend in use, and what was tried to get it."""
        return self._core.info

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._core.closed

    def close(self) -> None:
        """Cancel what runs, and free connections and memory. Later use raises ClosedError; closing again is
        nothing."""
        self._core.close()

    def __repr__(self) -> str:
        name = f"objectfs.{type(self).__name__}"
        core = getattr(self, "_core", None)  # none where __init__ failed, and a report shows the frame's variables
        return f"<{name} that could not be made>" if core is None else core.describe(name)

    def __reduce__(self) -> Any:
        # a Secret refuses to be pickled, so that credentials never travel unasked
        return _make, (type(self), self._core.arguments)


def _make(cls: type[ClientBase], arguments: Mapping[str, Any]) -> ClientBase:
    return cls(**arguments)
