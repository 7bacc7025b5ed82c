"""What can go wrong, and what may come of it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from objectfs import errors
from objectfs.sim import Fault

__all__ = ["ATTEMPTS", "KINDS", "Kind"]

ATTEMPTS = 3
"""Of the clients here."""

Outcome = Literal["retried", "refused", "harmless", "either"]

_ERROR = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>too late</Message></Error>"
_BROKEN = (errors.ConnectionFailedError, errors.TruncatedError)
_WRONG = (errors.ServerError, errors.ChecksumError, *_BROKEN, errors.UnsupportedError, errors.ObjectChangedError)


@dataclass(frozen=True)
class Kind:
    """A fault but for where and when it strikes.

    ``outcome`` is ``retried``: right after fewer strikes than there are attempts, else an error of ``classes``;
    ``refused``: such an error at once; ``harmless``: right whatever; ``either``: right, or such an error.
    """

    name: str
    outcome: Outcome
    classes: tuple[type[errors.ObjectFSError], ...] = ()
    fault: Mapping[str, Any] = field(default_factory=dict)
    slow: bool = False
    only: frozenset[str] = frozenset()
    """Operations that it makes sense for; empty for all."""
    loses: bool = False
    """Whether the operation is done and its answer lost."""
    coded: bool = False
    """Whether only the document's code says what it is, and not the status."""

    def make(self, operation: str, when: Mapping[str, Any]) -> Fault:
        options = dict(self.fault)
        if "hold" in options:
            options["hold"] = event = threading.Event()
            threading.Timer(0.05, event.set).start()
        return Fault(operation, **options, **when)


DATA = frozenset(("GetObject",))
BODIES = frozenset(("UploadPart",))  # smaller ones arrive with their head, and there is no middle to break off in
DOCUMENTS = frozenset(("CompleteMultipartUpload", "CreateMultipartUpload", "ListObjectsV2", "DeleteObjects"))


def _answers() -> list[Kind]:
    return [
        Kind("500", "retried", (errors.ServerError,), {"status": 500}),
        Kind("502", "retried", (errors.ServerError,), {"status": 502, "code": "BadGateway"}),
        Kind("504", "retried", (errors.ServerError,), {"status": 504, "code": "GatewayTimeout"}),
        Kind("slow-down", "retried", (errors.ThrottledError,), {"status": 503, "code": "SlowDown"}),
        Kind("unavailable", "retried", (errors.ThrottledError,), {"status": 503}),
        Kind("429", "retried", (errors.ThrottledError,), {"status": 429}),
        Kind(
            "throttling",
            "retried",
            (errors.ThrottledError,),
            {"status": 400, "code": "ThrottlingException"},
            coded=True,
        ),
        Kind("request-timeout", "retried", (errors.TimeoutError,), {"code": "RequestTimeout"}, coded=True),
        Kind("denied", "refused", (errors.AccessDeniedError,), {"status": 403, "code": "AccessDenied"}),
        Kind("expired", "refused", (errors.AccessDeniedError,), {"status": 403, "code": "ExpiredToken"}),
        # a body with a checksum that is refused so is sent once more without
        Kind("invalid", "either", (errors.InvalidRequestError,), {"status": 400, "code": "InvalidArgument"}),
        Kind("unknown-code", "either", (errors.InvalidRequestError,), {"status": 400, "code": "SomethingNew"}),
        Kind("conflict", "refused", (errors.ConflictError,), {"status": 409, "code": "OperationAborted"}),
        Kind("condition", "refused", (errors.PreconditionFailedError,), {"status": 412, "code": "PreconditionFailed"}),
        Kind("unsupported", "either", (errors.UnsupportedError,), {"status": 501, "code": "NotImplemented"}),
        Kind("507", "refused", (errors.ServerError,), {"status": 507, "code": "SomethingNew"}),
        Kind("skewed", "refused", (errors.AccessDeniedError,), {"clock_skew": 3600.0}),
        Kind("skewed-little", "harmless", (), {"clock_skew": 100.0}),
        Kind("redirect", "either", (errors.RedirectError,), {"redirect": "eu-west-1"}),
    ]


def _connections() -> list[Kind]:
    found = [
        Kind("reset", "retried", _BROKEN, {"reset": True}),
        Kind("reset-in-request", "retried", _BROKEN, {"reset": True, "received": 1}, only=BODIES),
        Kind("reset-in-request-late", "retried", _BROKEN, {"reset": True, "received": 900}, only=BODIES),
        Kind("reset-cut", "retried", _BROKEN, {"reset": True, "close_at": 50}, loses=True),
    ]
    # of answers without a body nothing may be missing
    found += [Kind(f"reset-at-{at}", "either", _BROKEN, {"reset": True, "at": at}, loses=True) for at in (0, 100, 4000)]
    found += [Kind(f"close-at-{at}", "retried", _BROKEN, {"close_at": at}, loses=True) for at in (0, 9, 100)]
    found.append(Kind("close-at-260", "either", _BROKEN, {"close_at": 260}, loses=True))
    cut = (*_BROKEN, errors.ServerError)
    found += [Kind(f"truncate-{at}", "either", cut, {"truncate": at}, loses=True) for at in (0, 10, 500)]
    return found


def _waits() -> list[Kind]:
    late = (errors.TimeoutError, errors.TruncatedError)
    return [
        Kind("stall", "retried", late, {"stall": True}, slow=True),
        Kind("stall-in-request", "retried", late, {"stall": True, "received": 1}, slow=True, only=BODIES),
        Kind("stall-in-answer", "either", late, {"stall": True, "at": 5}, slow=True, loses=True),
        Kind("delay", "harmless", (), {"delay": 0.02}),
        Kind("delay-in-answer", "harmless", (), {"delay": 0.02, "at": 5}),
        Kind("hold", "harmless", (), {"hold": None}),
        Kind(
            "retry-after",
            "retried",
            (errors.ThrottledError,),
            {"status": 503, "code": "SlowDown", "headers": {"Retry-After": "1"}},
            slow=True,
        ),
    ]


def _spoiled() -> list[Kind]:
    return [
        Kind("corrupt-first", "either", (errors.ChecksumError,), {"corrupt": 0}, only=DATA),
        Kind("corrupt-inside", "either", (errors.ChecksumError,), {"corrupt": 500}, only=DATA),
        Kind("extra", "either", _WRONG, {"extra": 7}),
        Kind("shift-range", "either", _WRONG, {"shift_range": 100}, only=DATA),
        Kind("shift-range-back", "either", _WRONG, {"shift_range": -1}, only=DATA),
        Kind("etag", "either", (*_WRONG, errors.InvalidRequestError, errors.PreconditionFailedError), {"etag": '"0"'}),
        Kind("no-etag", "either", (*_WRONG, errors.InvalidRequestError), {"drop_headers": ("ETag",)}),
        Kind("no-range", "either", _WRONG, {"drop_headers": ("Content-Range",)}, only=DATA),
        Kind("no-checksum", "harmless", (), {"drop_headers": ("x-amz-checksum-*",)}),
        Kind("no-ids", "harmless", (), {"drop_headers": ("x-amz-id-2", "x-amz-request-id", "Date")}),
        Kind("more-headers", "harmless", (), {"set_headers": {"X-Amz-New": "a" * 2000, "Server": "other"}}),
        Kind("error-200", "either", _WRONG, {"body": _ERROR}, loses=True),
        Kind("garbage-200", "either", _WRONG, {"body": b"this is no XML"}, loses=True),
        Kind("portal-200", "either", _WRONG, {"body": b"<html><body>log in</body></html>"}, loses=True),
        Kind("empty-200", "either", _WRONG, {"body": b""}, loses=True),
        Kind("replaced", "either", (errors.ObjectChangedError,), {"replace": True}, only=DATA),
        Kind(
            "replaced-smaller",
            "either",
            (errors.ObjectChangedError, errors.InvalidRangeError),
            {"replace": b"other"},
            only=DATA,
        ),
    ]


KINDS = {kind.name: kind for kind in (*_answers(), *_connections(), *_waits(), *_spoiled())}


def fields_in_use() -> set[str]:
    """The fields of a fault that say what it does, of all kinds."""
    return {name for kind in KINDS.values() for name in kind.fault}


def all_effects() -> set[str]:
    """The fields of a fault that say what it does."""
    from objectfs.sim.network.rules import API_ONLY, CONDITIONS, RULES

    known = {item.name for item in dataclasses.fields(Fault)}
    return (set(RULES) | set(API_ONLY)) & known - CONDITIONS - {"message"}
