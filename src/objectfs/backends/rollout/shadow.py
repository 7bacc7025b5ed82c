"""Reads that the trusted backend has answered, made by the engine too and compared. On threads of its own, after the
caller has its answer: nobody waits for it, and what it brings is seen by nobody."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from objectfs import errors
from objectfs.backends.base import Backend, Op, Steps
from objectfs.backends.drive import OUT_OF_TIME, run
from objectfs.backends.rollout.answers import Answer, Describe, differing, of_error
from objectfs.backends.rollout.blame import blame
from objectfs.backends.rollout.ledger import Ledger
from objectfs.backends.rollout.routing import summary
from objectfs.backends.workers import Workers
from objectfs.rollout import Shadow

__all__ = ["Cap", "Read", "Shadows"]

INLINE = 256 * 1024
"""Bytes whose SHA-256 costs less than handing them to a thread."""

CLOSE_GRACE = 5.0
"""Seconds that a closing client waits for comparisons, whose requests have been cancelled."""


class Cap:
    """Lends a read as much memory as a comparison may have (an ``Admission`` of ``backends/base.py``)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    @property
    def room(self) -> int:
        return self._limit

    def ask(self, size: int) -> Op[Any] | None:
        """Never waits: more than the limit is more than the trusted backend's answer has, or not to be compared."""
        if size > self._limit:
            raise errors.BufferTooSmallError(f"{size} bytes are more than a comparison may have ({self._limit})")
        return None


@dataclass(frozen=True, slots=True)
class Read:
    """A read that can be compared."""

    operation: str
    bucket: str
    key: str | None
    again: Callable[[Backend], Steps[Any]]
    """Makes it once more, into memory of its own."""
    describe: Describe
    """What of its result is compared."""


class Shadows:
    """Comparisons of one client. From any thread."""

    def __init__(self, rules: Shadow, ledger: Ledger, trusted: Backend, engine: Backend) -> None:
        self.rules = rules
        self._ledger = ledger
        self._trusted, self._engine = trusted, engine
        self._lock = threading.Lock()
        self._seen = 0
        self._under_way = 0
        self._closed = False
        self._workers = Workers(rules.max_in_flight)
        self._finalizer = weakref.finalize(self, self._workers.stop)

    @property
    def under_way(self) -> int:
        return self._under_way

    def cap(self) -> Cap:
        return Cap(self.rules.max_bytes)

    def takes(self, operation: str, bucket: str, key: str | None) -> bool:
        """Whether one more read is in the share: of a share of 25 %, each fourth."""
        with self._lock:
            before, self._seen = self._seen, self._seen + 1
        chosen = int(self._seen_share(before + 1)) != int(self._seen_share(before))
        if not chosen:
            self._ledger.note("shadow-not-sampled", operation, bucket, key)
        return chosen

    def _seen_share(self, reads: int) -> float:
        return reads * self.rules.share / 100

    def after(self, read: Read, result: Any, size: int, make: Callable[[], Answer] | None = None) -> Steps[None]:
        """A result of the trusted backend: compare it. What it is is looked at now, the rest happens elsewhere.

        Args:
            size: its bytes.
            make: describes it, where it is not ``read.describe`` that does.
        """
        if size > self.rules.max_bytes:
            self._ledger.note("shadow-too-large", read.operation, read.bucket, read.key, f"{size} bytes")
            return
        if not self._enter(read):
            return
        found: list[Answer] = []
        describe = make or (lambda: read.describe(result))
        try:
            if size <= INLINE:
                found.append(describe())
            else:
                yield from self._trusted.aside(lambda: found.append(describe()))
            ours = found[0]
        except Exception:  # out of time, closed, or the caller's file is gone: no reason to fail a read that went well
            self._leave()
            self._ledger.note("shadow-closed", read.operation, read.bucket, read.key)
        except BaseException:
            self._leave()
            raise
        else:
            self._begin(read, ours)

    def after_error(self, read: Read, error: Exception) -> None:
        """The trusted backend raised: so should the other one, if it was the server or the request."""
        if blame(error) == "request" and self._enter(read):
            self._begin(read, of_error(error))

    def _enter(self, read: Read) -> bool:
        with self._lock:
            reason = None
            if self._closed:
                reason = "shadow-closed"
            elif self._under_way >= self.rules.max_in_flight:
                reason = "shadow-busy"
            else:
                self._under_way += 1
        if reason is not None:
            self._ledger.note(reason, read.operation, read.bucket, read.key)
        return reason is None

    def _leave(self) -> None:
        with self._lock:
            self._under_way -= 1

    def _begin(self, read: Read, ours: Answer) -> None:
        try:
            self._workers.submit(lambda: self._compare(read, ours))
        except Exception:  # closed, or no thread can be had
            self._leave()
            self._ledger.note("shadow-closed", read.operation, read.bucket, read.key)

    # -- on a thread of the shadows ------------------------------------------------------------------------------------
    def _compare(self, read: Read, ours: Answer) -> None:
        try:
            reason, detail = self._judge(read, ours)
        except Exception as error:  # a mistake of ours must not end the thread unheard
            reason, detail = "shadow-failed", summary(error)
        self._ledger.note(reason, read.operation, read.bucket, read.key, detail)
        self._leave()

    def _judge(self, read: Read, ours: Answer) -> tuple[str, str]:
        before = time.monotonic()
        theirs, error = self._ask(self._engine, read)
        if error is not None:
            if isinstance(error, errors.TimeoutError) and error.message == OUT_OF_TIME:
                return "shadow-late", f"{time.monotonic() - before:.1f} s"
            if isinstance(error, (errors.ClosedError, errors.CancelledError)):
                return "shadow-closed", ""
            if blame(error) != "request":
                return "shadow-failed", summary(error)
        found = differing(ours, theirs)
        if not found:
            return "shadow-same", ""
        # the object may have changed between the two: then the trusted backend has another answer by now too
        again, error = self._ask(self._trusted, read)
        if error is not None and blame(error) != "request":
            return "shadow-closed", summary(error)
        if differing(ours, again):
            return "shadow-changed", ", ".join(found)
        return "shadow-different", ", ".join(found) + _words(ours, theirs)

    def _ask(self, backend: Backend, read: Read) -> tuple[Answer, Exception | None]:
        try:
            return read.describe(run(read.again(backend), self.rules.deadline)), None
        except Exception as error:
            return of_error(error), error

    # -- the end -------------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """Begin no more. What runs ends with its backend."""
        with self._lock:
            self._closed = True
        self._workers.stop()

    def join(self) -> None:
        """Wait for what ran."""
        self._workers.join(CLOSE_GRACE)

    def describe(self) -> dict[str, Any]:
        return {"under_way": self._under_way, "seen": self._seen}


def _words(ours: Answer, theirs: Answer) -> str:
    """What differs, where it is short and nobody's content."""
    said = [
        f"{name}: trusted {ours.get(name)}, engine {theirs.get(name)}"
        for name in ("error", "code", "status", "size", "lengths", "etag")
        if ours.get(name) != theirs.get(name)
    ]
    return f" ({'; '.join(said)})" if said else ""
