"""What was decided, and why: a reason code for each decision, a counter for each code, and a line in the log."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from typing import Any

__all__ = ["REASONS", "Ledger"]

log = logging.getLogger("objectfs.rollout")

REASONS: dict[str, str] = {
    # of a client
    "no-engine": "all on the trusted backend: the engine cannot be used here",
    # where a request went
    "canary": "on the engine: the key is among the canaries",
    "not-canary": "on the trusted backend: the key is not among the canaries",
    "no-request": "on the trusted backend: what is signed here makes no request",
    "breaker-open": "on the trusted backend: the engine has failed too often at this operation",
    "breaker-probe": "on the engine: one request that finds out whether it works again",
    # what became of a request on the engine that failed
    "fallback": "repeated on the trusted backend, which did it: counts against the engine",
    "fallback-unsupported": "repeated on the trusted backend: the engine declares that it cannot do this",
    "both-failed": "repeated on the trusted backend, which failed likewise: does not count",
    "not-repeated": "raised: to repeat it is not safe; the endpoint answers the trusted backend, so it counts",
    "not-repeated-unreachable": "raised: to repeat it is not safe; the endpoint answers neither, so it does not count",
    "breaker-opened": "the circuit of this operation and endpoint is open from now on",
    "breaker-closed": "the circuit is closed again: a probe went well",
    # what became of a comparison
    "shadow-same": "compared: bytes and metadata agree",
    "shadow-different": "compared: they do not",
    "shadow-changed": "not comparable: the object changed between the two reads",
    "shadow-failed": "the engine failed where the trusted backend did not",
    "shadow-late": "the engine had no answer by the deadline",
    "shadow-not-sampled": "not compared: not in the share",
    "shadow-too-large": "not compared: more bytes than max_bytes",
    "shadow-busy": "not compared: max_in_flight comparisons were under way",
    "shadow-closed": "not compared: the client was closed",
}
"""The codes, as docs/rollout.md lists them. They are part of the public interface."""

LOUD = {
    "no-engine": logging.WARNING,
    "breaker-opened": logging.WARNING,
    "breaker-closed": logging.WARNING,
    "shadow-different": logging.WARNING,
    "shadow-failed": logging.WARNING,
    "fallback": logging.WARNING,
    "fallback-unsupported": logging.INFO,
    "not-repeated": logging.WARNING,
    "not-repeated-unreachable": logging.INFO,
    "both-failed": logging.INFO,
}
"""Levels of the lines that are not for debugging: what a healthy client does a thousand times a second is."""

KEPT = 20
"""Of the last loud decisions, for ``client.stats()``."""


class Ledger:
    """From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str | None]] = Counter()
        self._recent: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def note(
        self, reason: str, operation: str | None, bucket: str | None = None, key: str | None = None, detail: str = ""
    ) -> None:
        """Count a decision and log it.

        Args:
            reason: one of :data:`REASONS`.
            operation: of S3; None for what is decided once for a client.
            detail: what more there is to say; nothing secret, and none of an object's content or metadata.
        """
        assert reason in REASONS, reason
        level = LOUD.get(reason, logging.DEBUG)
        with self._lock:
            self._counts[reason, operation] += 1
            if level > logging.DEBUG:
                said = {"reason": reason, "operation": operation, "bucket": bucket, "key": key, "detail": detail}
                self._recent.append(said)
        if log.isEnabledFor(level):
            where = "" if bucket is None else f" s3://{bucket}" + ("" if key is None else f"/{key}")
            what = "" if operation is None else f"{operation}{where}: "
            more = f" ({detail})" if detail else ""
            log.log(level, "rollout %s: %s%s%s", reason, what, REASONS[reason], more)

    def count(self, reason: str) -> int:
        """Decisions with that reason so far."""
        with self._lock:
            return sum(count for (each, _), count in self._counts.items() if each == reason)

    def describe(self) -> dict[str, Any]:
        """For ``client.stats()``."""
        with self._lock:
            counts, recent = dict(self._counts), list(self._recent)
        decisions: dict[str, int] = {}
        operations: dict[str, dict[str, int]] = {}
        for (reason, operation), count in sorted(counts.items(), key=lambda item: (item[0][0], item[0][1] or "")):
            decisions[reason] = decisions.get(reason, 0) + count
            if operation is not None:
                operations.setdefault(operation, {})[reason] = count
        return {"decisions": decisions, "operations": operations, "recent": recent}
