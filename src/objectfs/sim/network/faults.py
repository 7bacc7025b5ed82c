"""Planned failures: which requests they hit, and what was injected."""

from __future__ import annotations

import dataclasses
import fnmatch
import random
import re
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from objectfs.sim.errors import CODES
from objectfs.sim.network.rules import API_ONLY, RULES, check_together, check_value
from objectfs.sim.record import Request

# Each holds on to its request.
MAX_INJECTED = 10_000
_DEFAULT = -1
_CODES_OF_STATUS = {429: "TooManyRequests", 503: "ServiceUnavailable"}


@dataclass(slots=True, eq=False, repr=False)
class Fault:
    """A failure: which requests it hits, and what it does to them. docs/server.md describes each field.

    It hits requests of an ``operation`` (any, if None) on a ``key``, or keys of a pattern (``key_glob``), in a
    ``bucket``. Of those, the ``nth`` are hit (one number or several, from 1); or the first ``after`` pass and the
    next ``times`` are hit (1; None or "all": all of them; also all, where ``nth`` or ``probability`` is given),
    each with a ``probability``, drawn from ``seed``. ``hits`` and ``seen`` count.

    ``status``, ``code``, ``redirect`` and a ``clock_skew`` that is noticed leave the operation undone; so do
    ``reset`` and ``stall`` that do not say where, or in the request (``received``). The others do the operation and
    spoil the answer. Raises FaultError (a ValueError) for what makes no sense.
    """

    operation: str | None = None
    key: str | None = None
    times: int | str | None = _DEFAULT
    after: int = 0
    bucket: str | None = None
    part_number: int | None = None

    status: int | None = None
    code: str = ""
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    close_at: int | None = None
    reset: bool = False
    stall: bool = False
    delay: float = 0.0
    truncate: int | None = None
    corrupt: int | None = None
    drop_headers: Sequence[str] = ()
    body: bytes | str | None = None
    hold: threading.Event | None = None

    key_glob: str | None = None
    ranged: bool | None = None
    nth: int | Sequence[int] | None = None
    probability: float | None = None
    seed: int | None = None
    at: int | None = None
    received: int | None = None
    extra: int | None = None
    shift_range: int | None = None
    etag: str | None = None
    set_headers: Mapping[str, str] = field(default_factory=dict)
    replace: bool | bytes | str | None = None
    clock_skew: float | None = None
    redirect: str | None = None

    hits: int = 0
    seen: int = 0
    length: int | None = None
    """Bytes of the answer that ``close_at`` cut last, head included, if it had come whole; None for a stream."""

    random: random.Random | None = field(default=None, init=False)
    _pattern: re.Pattern[str] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        given = {name: value for name in (*RULES, *API_ONLY) if (value := getattr(self, name)) != _DEFAULTS[name]}
        for name, value in given.items():
            check_value(name, value, RULES | API_ONLY)
        check_together(given)
        if self.times == _DEFAULT:
            self.times = None if self.nth is not None or self.probability is not None else 1
        elif self.times == "all":
            self.times = None
        if self.code and self.status is None:
            self.status = CODES[self.code][0]
        elif self.status is not None and not self.code:
            self.code = _CODES_OF_STATUS.get(self.status, "InternalError")
        if isinstance(self.body, str):
            self.body = self.body.encode()
        if self.key_glob is not None:
            self._pattern = re.compile(fnmatch.translate(self.key_glob))

    def __repr__(self) -> str:
        said = (f"{name}={value!r}" for name in _DEFAULTS if (value := getattr(self, name)) != _DEFAULTS[name])
        return f"Fault({', '.join(said)})"

    @property
    def resets_unanswered(self) -> bool:
        return self.reset and self.close_at is None and self.at is None and self.received is None

    @property
    def stalls_unanswered(self) -> bool:
        return self.stall and self.at is None and self.received is None

    def matches(self, request: Request) -> bool:
        return (
            (self.operation is None or self.operation == request.operation)
            and (self.key is None or self.key == request.key)
            and (self._pattern is None or self._pattern.match(request.key) is not None)
            and (self.bucket is None or self.bucket == request.bucket)
            and (self.part_number is None or request.query.get("partNumber") == str(self.part_number))
            and (self.ranged is None or self.ranged == (request.range is not None))
        )

    def strikes(self) -> bool:
        """Count one more request that matches, and tell whether it is hit."""
        if isinstance(self.times, int) and self.hits >= self.times:
            return False
        self.seen += 1
        if self.nth is not None:
            chosen = self.seen == self.nth if isinstance(self.nth, int) else self.seen in self.nth
        else:
            chosen = self.seen > self.after
        if chosen and self.probability is not None:
            assert self.random is not None
            chosen = self.random.random() < self.probability
        self.hits += chosen
        return chosen


_DEFAULTS: dict[str, Any] = {
    item.name: item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default
    for item in dataclasses.fields(Fault)
    if item.init
}


@dataclass(frozen=True, slots=True)
class Injection:
    """What was done to a request, when it was done.

    ``effect`` is the name of the fault's field; ``offset`` is the byte of the body where it happened (of the whole
    answer for ``close_at``), None where it has none. ``fault`` is None for what the network's profile did.
    ``time`` is ``time.monotonic()``.
    """

    request: Request
    fault: Fault | None
    effect: str
    offset: int | None = None
    time: float = field(default_factory=time.monotonic)


class Faults:
    """The server's faults, in the order they were added. Each request is hit by at most one.

    ``seed`` is for faults that draw and have none of their own. Every method may be called from any thread.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._faults: list[Fault] = []
        self._added = 0
        self._injected: deque[Injection] = deque(maxlen=MAX_INJECTED)
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            seed = f"{self.seed} {self._added}" if fault.seed is None else fault.seed
            fault.random = random.Random(seed)
            self._added += 1
            self._faults.append(fault)
        return fault

    def load(self, path: str | Path) -> list[Fault]:
        """Add the faults of a plan (TOML; docs/server.md). Raises FaultError that names what is wrong, and where,
        or OSError; then nothing is added."""
        from objectfs.sim.network.plan import load_plan

        seed, faults = load_plan(Path(path))
        if seed is not None:
            self.seed = seed
        return [self.add(fault) for fault in faults]

    def remove(self, fault: Fault) -> None:
        with self._lock:
            self._faults.remove(fault)

    def clear(self) -> None:
        """Remove all faults; what was injected stays on record."""
        with self._lock:
            self._faults.clear()
            self._added = 0

    def __len__(self) -> int:
        return len(self._faults)

    def match(self, request: Request) -> Fault | None:
        if not self._faults:
            return None
        with self._lock:
            return next((fault for fault in self._faults if fault.matches(request) and fault.strikes()), None)

    @property
    def injected(self) -> list[Injection]:
        """What was injected so far, oldest first; the newest 10,000 are kept."""
        with self._lock:
            return list(self._injected)

    def clear_injected(self) -> None:
        with self._lock:
            self._injected.clear()

    def record(self, injection: Injection) -> None:
        with self._lock:
            self._injected.append(injection)
