"""Whose fault a failure on the engine is."""

from __future__ import annotations

from typing import Literal

from objectfs import errors
from objectfs.backends.drive import OUT_OF_TIME

__all__ = ["Blame", "blame"]

Blame = Literal["engine", "unsupported", "request", "nobody"]

_TRANSPORT = (
    errors.NativeError,
    errors.ConnectionFailedError,
    errors.TruncatedError,
    errors.ChecksumError,
    errors.TimeoutError,
)


def blame(error: Exception) -> Blame:
    """What a failure says of the engine.

    - ``engine``: the other backend may do better: transport, checksums, an answer that was not understood, and what
      should never have come out of a backend.
    - ``unsupported``: the engine declares that it cannot do this.
    - ``request``: the server refused, or the arguments cannot be: the engine did its work.
    - ``nobody``: cancelled, closed, or ``timeout=`` ran out.
    """
    if isinstance(error, (errors.CancelledError, errors.ClosedError, MemoryError)):
        return "nobody"
    if isinstance(error, errors.TimeoutError) and error.message == OUT_OF_TIME:
        return "nobody"
    if isinstance(error, _TRANSPORT):
        return "engine"
    if isinstance(error, errors.UnsupportedError):
        return "request" if error.status is not None else "unsupported"
    if isinstance(error, errors.ServerError):  # without a 5xx it is an answer that could not be believed
        return "request" if error.status is not None and error.status >= 500 else "engine"
    if isinstance(error, (errors.ObjectFSError, TypeError, ValueError, BufferError, OSError)):
        return "request"
    return "engine"
