"""The classes of the tree. ``errors/__init__.py`` draws it and lists their names."""

from __future__ import annotations

import builtins
import os
from typing import Any, Self

_FIELDS = (
    "operation",
    "bucket",
    "key",
    "status",
    "code",
    "message",
    "request_id",
    "host_id",
    "bucket_region",
    "crt_error",
    "hint",
)


class ObjectFSError(Exception):
    """Base of all errors of this package.

    Attributes:
        operation: the S3 operation's name (``GetObject``), or None where no request was involved.
        bucket, key: what it was about.
        status: the HTTP status, if the server answered.
        code: S3's error code (``NoSuchKey``), if the server sent one.
        message: what happened, in words: the server's or ours.
        request_id, host_id: S3's ``x-amz-request-id`` and ``x-amz-id-2``; quote them to the server's operator.
        bucket_region: the region that the bucket is in, where the server says that it is another one.
        crt_error: the C library's name of the error (``AWS_IO_DNS_INVALID_NAME``), on the crt backend.
        hint: the next step, where there is one.
        retryable: whether the same request may succeed later.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        operation: str | None = None,
        bucket: str | None = None,
        key: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        host_id: str | None = None,
        bucket_region: str | None = None,
        crt_error: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.operation = operation
        self.bucket = bucket
        self.key = key
        self.status = status
        self.code = code
        self.request_id = request_id
        self.host_id = host_id
        self.bucket_region = bucket_region
        self.crt_error = crt_error
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        where = ""
        if self.bucket is not None:
            where = f"s3://{self.bucket}" + (f"/{self.key}" if self.key is not None else "")
        head = " ".join(part for part in (self.operation, where) if part)
        cause = self.message or self.code or type(self).__name__
        details = []
        if self.status is not None:
            details.append(f"HTTP {self.status}")
        if self.code and self.code not in cause:
            details.append(self.code)
        if self.crt_error and self.status is None and self.crt_error not in cause:
            details.append(self.crt_error)
        if self.request_id:
            details.append(f"request id {self.request_id}")
        text = f"{head}: {cause}" if head else cause
        if details:
            text += f" ({', '.join(details)})"
        if self.hint:
            text += f". {self.hint}"
        return text

    def about(self, operation: str | None, bucket: str | None, key: str | None) -> Self:
        """Say what it was about, where that is not known yet; the error itself."""
        self.operation = self.operation or operation
        self.bucket = self.bucket or bucket
        self.key = self.key or key
        return self

    def fields(self) -> dict[str, Any]:
        """The error's fields by name, as for a log record."""
        return {name: getattr(self, name) for name in _FIELDS}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.fields()))


def _rebuild(cls: type[ObjectFSError], fields: dict[str, Any]) -> ObjectFSError:
    message = fields.pop("message")
    return cls(message, **fields)


class ConfigError(ObjectFSError, ValueError):
    """A setting is unknown, ill-typed or out of range."""


class BackendUnavailableError(ObjectFSError, ImportError):
    """The backend that was asked for cannot be used here."""


class ClosedError(ObjectFSError, RuntimeError):
    """The client or handle was closed, or belongs to the process that this one was forked from."""


class UnsupportedError(ObjectFSError, NotImplementedError):
    """Declared as not supported by this backend or endpoint."""


class InvalidRequestError(ObjectFSError, ValueError):
    """The request is malformed: an argument of ours, or HTTP 400."""


class InvalidRangeError(InvalidRequestError):
    """The byte range lies outside the object (HTTP 416 InvalidRange)."""


class BufferTooSmallError(InvalidRequestError, BufferError):
    """The object, or the range asked for, does not fit into the buffer."""


class NotFoundError(ObjectFSError, FileNotFoundError):
    """No such key, version or upload (HTTP 404)."""


class BucketNotFoundError(NotFoundError):
    """No such bucket (HTTP 404 NoSuchBucket)."""


class AccessDeniedError(ObjectFSError, PermissionError):
    """HTTP 401 or 403."""


class CredentialsError(AccessDeniedError):
    """There are no credentials, the server does not know them, or they expired."""


class UnsafeKeyError(AccessDeniedError, ValueError):
    """The key would be written outside the destination folder."""


class PreconditionFailedError(ObjectFSError):
    """A condition of the request does not hold (HTTP 412, 304, or 409 ConditionalRequestConflict)."""


class ObjectChangedError(PreconditionFailedError):
    """The object was replaced while it was read, or the source changed while it was sent."""


class ConflictError(ObjectFSError, FileExistsError):
    """HTTP 409: the bucket exists, is not empty, or an operation on it is in progress."""


class ThrottledError(ObjectFSError):
    """The server asks to slow down and still did after the last attempt (503 SlowDown, 429)."""

    retryable = True


class ServerError(ObjectFSError):
    """The server failed (5xx) and still did after the last attempt."""

    retryable = True


class RedirectError(ObjectFSError):
    """The bucket is served from another region or endpoint (HTTP 301, 307, 400 with a region)."""


class ChecksumError(ObjectFSError, OSError):
    """Bytes and checksum do not agree: on the way in (BadDigest) or out."""

    retryable = True


class TruncatedError(ObjectFSError, builtins.ConnectionError):
    """The connection ended before the whole body had arrived."""

    retryable = True


class ConnectionFailedError(ObjectFSError, builtins.ConnectionError):
    """The connection was refused, reset or closed."""

    retryable = True


class NameResolutionError(ConnectionFailedError):
    """The endpoint's host name has no address."""


class TLSError(ConnectionFailedError):
    """The TLS handshake failed: certificate, host name or protocol."""

    retryable = False


class TimeoutError(ObjectFSError, builtins.TimeoutError):
    """``timeout=`` ran out, or the connection's connect or read timeout."""

    retryable = True


class CancelledError(ObjectFSError):
    """The operation was cancelled by its owner."""


class LocalFileError(ObjectFSError, OSError):
    """The local file cannot be read or written; ``errno`` says why."""

    def __init__(
        self, message: str = "", *, errno: int | None = None, filename: str | None = None, **fields: Any
    ) -> None:
        super().__init__(message, **fields)
        self.errno = errno
        self.filename = filename

    @classmethod
    def from_oserror(cls, error: OSError, **fields: Any) -> LocalFileError:
        """The same failure, with the operation, bucket and key it happened to."""
        name = error.filename if isinstance(error.filename, str) else None
        text = error.strerror or str(error)
        if error.errno is not None and not error.strerror:
            text = os.strerror(error.errno)
        return cls(f"{text}: {name}" if name else text, errno=error.errno, filename=name, **fields)

    def fields(self) -> dict[str, Any]:
        return {**super().fields(), "errno": self.errno, "filename": self.filename}


class NativeError(ObjectFSError):
    """A failure inside the C libraries that has no class of its own; ``crt_error`` names it."""
