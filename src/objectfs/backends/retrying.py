"""What both backends hold to when a request is sent again: docs/design/0017-faults.md."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from objectfs import errors

__all__ = ["BUDGET", "LONGEST_WAIT", "Retries", "doubtful", "retry_after"]

LONGEST_WAIT = 60
"""Seconds of ``Retry-After`` that are waited out. A server that asks for more is not asked again."""

BUDGET = 500
"""As in AWS's SDKs (standard mode), and in the C library, which keeps its own for each host."""

COST = 5
"""Of a further attempt after an answer."""

COST_UNANSWERED = 10
"""Of one after none."""

# What a request comes to that finds its own effect, if an earlier attempt was done and its answer lost.
_OWN_EFFECT = frozenset(("PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload", "InvalidWriteOffset"))
_WRITES = frozenset(
    (
        "CompleteMultipartUpload",
        "CopyObject",
        "DeleteObject",
        "PutObject",
        "RenameObject",
    )
)


class Retries:
    """How many further attempts the requests of a client have together.

    Each costs, and each request that succeeds brings a little back: in an outage a server soon gets each request once,
    and not ``max_attempts`` times. May be used from any thread.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self.spent = 0

    def pay(self, error: errors.ObjectFSError) -> int:
        """What a further attempt after this failure has cost; 0 where there is nothing left for it."""
        cost = COST_UNANSWERED if error.status is None else COST
        with self._lock:
            if self.spent >= self._budget:
                return 0
            self.spent = min(self.spent + cost, self._budget)
        return cost

    def succeeded(self, cost: int) -> None:
        """A request has succeeded, after a further attempt of that cost or, with 0, at once."""
        if self.spent:  # without the lock: nearly always nothing has failed
            with self._lock:
                self.spent = max(0, self.spent - (cost or 1))


def retry_after(headers: Mapping[str, str]) -> int:
    """The seconds that an answer's ``Retry-After`` asks for; 0 where it has none, or a date, which S3 does not send."""
    value = headers.get("retry-after", "").strip()
    return int(value[:9]) if value.isascii() and value.isdigit() else 0


def doubtful(error: errors.ObjectFSError) -> errors.ObjectFSError:
    """The error, which says so if it may come from an earlier attempt of the same request whose answer was lost."""
    if error.operation in _WRITES and (error.code in _OWN_EFFECT or error.status == 412):
        error.hint = (
            "An earlier attempt of this request had no answer and may have been done: what is stored now may be its "
            "work. Compare with head()"
        )
    return error
