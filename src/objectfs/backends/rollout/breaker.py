"""Circuits: one for each operation on each endpoint. Open, no request goes to the engine."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from objectfs.rollout import Breaker

__all__ = ["Circuit", "Circuits"]

State = Literal["closed", "open", "half-open"]

PATIENCE = 60.0
"""Seconds after which a probe that has told nothing counts as lost, and another one may go: its caller may have dropped
it."""


class Circuits:
    """All circuits of a client. From any thread.

    Args:
        rules: the setting.
        clock: in seconds.
    """

    def __init__(self, rules: Breaker, clock: Callable[[], float] = time.monotonic) -> None:
        self.rules = rules
        self.clock = clock
        self._lock = threading.Lock()
        self._circuits: dict[tuple[str, str], Circuit] = {}

    def circuit(self, operation: str, endpoint: str) -> Circuit:
        """The circuit of an operation (S3's name) on an endpoint (scheme, host and port)."""
        found = self._circuits.get((operation, endpoint))
        if found is None:
            with self._lock:
                found = self._circuits.setdefault((operation, endpoint), Circuit(self, operation, endpoint))
        return found

    def describe(self) -> list[dict[str, Any]]:
        """For ``client.stats()``: the circuits that something has failed on."""
        with self._lock:
            circuits = list(self._circuits.values())
        return [circuit.describe() for circuit in circuits if circuit.failed]


class Circuit:
    """Whether the engine may be asked. Made by :class:`Circuits`."""

    def __init__(self, owner: Circuits, operation: str, endpoint: str) -> None:
        self.operation, self.endpoint = operation, endpoint
        self._owner = owner
        self._lock = threading.Lock()
        self._state: State = "closed"
        self._failures: deque[float] = deque(maxlen=owner.rules.failures)
        self._since = 0.0  # it is open, or the probe is under way
        self._probe: object | None = None
        self.failed = 0
        self._opened = 0

    def admit(self) -> tuple[bool, object | None]:
        """Whether a request may go to the engine, and its token if it is the probe. The token goes to what tells how
        it went."""
        if self._closed():  # without the lock: one request more or less does not matter
            return True, None
        now = self._owner.clock()
        with self._lock:
            if self._closed():
                return True, None
            waits = self._owner.rules.cooldown if self._state == "open" else PATIENCE
            if self._state == "half-open" and self._probe is None:
                waits = 0.0
            if now - self._since < waits:
                return False, None
            self._state, self._since, self._probe = "half-open", now, object()
            return True, self._probe

    def _closed(self) -> bool:
        return self._state == "closed"

    def went_well(self, probe: object | None) -> bool:
        """The engine did what it was asked, or brought the server's refusal. Whether that closes the circuit."""
        if probe is None:
            return False
        with self._lock:
            if self._probe is not probe:
                return False
            self._state, self._probe = "closed", None
            self._failures.clear()
            return True

    def went_wrong(self, probe: object | None) -> bool:
        """The engine failed, where the other backend would not have. Whether that opens the circuit."""
        now = self._owner.clock()
        with self._lock:
            self.failed += 1
            if probe is not None:
                if self._probe is not probe:
                    return False
                self._state, self._since, self._probe = "open", now, None
                self._opened += 1
                return True
            if self._state != "closed":  # one that had started before
                return False
            self._failures.append(now)
            full = len(self._failures) == self._owner.rules.failures
            if not full or now - self._failures[0] > self._owner.rules.window:
                return False
            self._state, self._since = "open", now
            self._opened += 1
            return True

    def told_nothing(self, probe: object | None) -> None:
        """Cancelled, closed, out of time, or failed for reasons that are not the engine's: another may be the probe."""
        if probe is not None:
            with self._lock:
                if self._probe is probe:
                    self._probe = None

    def describe(self) -> dict[str, Any]:
        with self._lock:
            state = self._state
            if state == "open" and self._owner.clock() - self._since >= self._owner.rules.cooldown:
                state = "half-open"
            return {
                "operation": self.operation,
                "endpoint": self.endpoint,
                "state": state,
                "failures": self.failed,
                "opened": self._opened,
            }
