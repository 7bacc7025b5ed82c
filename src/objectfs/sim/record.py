"""What the server remembers of each request, for tests to look at."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

HIDDEN = "***"
_SECRETS = re.compile(
    r"x-amz-security-token|x-amz-(copy-source-)?server-side-encryption-customer-key(-md5)?|cookie", re.IGNORECASE
)
_SECRET_PARAMETERS = frozenset(("X-Amz-Signature", "X-Amz-Security-Token", "Signature"))
_SIGNATURE = re.compile(r"(Signature=)[^\s,]+")


class Fields(dict[str, str]):
    """Header fields, or query parameters: what is secret in them is there, but not shown."""

    def __repr__(self) -> str:
        return repr({name: _shown(name, value) for name, value in self.items()})

    __str__ = __repr__


def _shown(name: str, value: str) -> str:
    if _SECRETS.fullmatch(name) or name in _SECRET_PARAMETERS:
        return HIDDEN
    if name.lower() == "authorization":
        # Whoever signs otherwise than we know may well send the secret itself.
        shown, count = _SIGNATURE.subn(rf"\g<1>{HIDDEN}", value)
        return shown if count and value.startswith("AWS4-") else HIDDEN
    return value


class Request:
    """One request. Its repr is safe to show: it has no signatures, session tokens or keys.

    ``method``, ``operation`` (its name in S3's API reference), ``bucket``, ``key``;
    ``headers`` with names in lower case, and ``query``;
    ``range``: the Range header; ``connection``: the number of the connection, from 1;
    ``status``: of the answer, None until it is ready; ``error``: S3's code, None if there is none;
    ``body_size``: bytes of the request's body, decoded; ``sent``: bytes of the answer, head included, handed to the
    socket so far; ``started``: when its head was complete, ``answered``: when the operation was done, and ``ended``:
    when the answer was sent or given up, None before; in seconds of ``time.monotonic()``;
    ``unverified``: the checksum algorithm that the server could not verify, if any.
    """

    __slots__ = (
        "_headers",
        "_query",
        "_weight",
        "answered",
        "body_size",
        "bucket",
        "connection",
        "ended",
        "error",
        "key",
        "method",
        "operation",
        "range",
        "sent",
        "started",
        "status",
        "unverified",
    )

    def __init__(
        self, method: str, headers: Mapping[str, str], connection: int, range: str | None, operation: str = ""
    ) -> None:
        self.method = method
        self.operation = operation
        self.bucket = ""
        self.key = ""
        self.range = range
        self.status: int | None = None
        self.error: str | None = None
        self.connection = connection
        self.body_size = 0
        self.sent = 0
        self.started = time.monotonic()
        self.answered: float | None = None
        self.ended: float | None = None
        self.unverified: str | None = None
        self._headers = headers
        self._query: Mapping[str, str] = {}
        self._weight = 0

    @property
    def headers(self) -> Fields:
        return Fields(self._headers)

    @property
    def query(self) -> Fields:
        return Fields(self._query)

    @query.setter
    def query(self, query: Mapping[str, str]) -> None:
        self._query = query

    @property
    def seconds(self) -> float | None:
        """From the request's head to the end of the answer; None before."""
        return self.ended - self.started if self.ended is not None else None

    def __repr__(self) -> str:
        name = f"{self.bucket}/{self.key}" if self.key else self.bucket
        parts = [f"{self.operation or self.method} {name!r}", f"status={self.status}"]
        if self.error:
            parts.append(f"error={self.error}")
        if self.range:
            parts.append(f"range={self.range!r}")
        parts.append(f"received={self.body_size} sent={self.sent}")
        if self.seconds is not None:
            parts.append(f"seconds={self.seconds:.6f}")
        parts.append(f"connection={self.connection} query={self.query} headers={self.headers}")
        return f"<Request {', '.join(parts)}>"


LOG_BYTES = 256 * 1024 * 1024
# What a record takes beside the text of its head, and that per byte of it: names and values are separate strings.
_RECORD_BYTES, _PER_BYTE = 700, 3


class Log(list[Request]):
    """The requests so far, oldest first. When they take more than ``limit`` bytes of memory, the older half goes."""

    def __init__(self, limit: int = LOG_BYTES) -> None:
        super().__init__()
        self._limit = limit
        self._weight = 0

    def add(self, request: Request, head_bytes: int) -> None:
        request._weight = _RECORD_BYTES + _PER_BYTE * head_bytes
        self._weight += request._weight
        self.append(request)
        while self._weight > self._limit and len(self) > 1:
            del self[: len(self) // 2]
            self._weight = sum(kept._weight for kept in self)

    def clear(self) -> None:
        super().clear()
        self._weight = 0
