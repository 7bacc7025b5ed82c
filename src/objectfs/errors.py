"""Every exception of ObjectFS, in one tree.

::

    ObjectFSError
    ├── ConfigError (ValueError)            a setting that cannot be: names the key, the value and what is allowed
    ├── BackendUnavailableError (ImportError)   no backend of the kind asked for; lists every attempt
    ├── ClosedError (RuntimeError)          used after close(), or in a process forked from the one that made it
    ├── UnsupportedError (NotImplementedError)  the backend or the endpoint declares that it cannot do this
    ├── InvalidRequestError (ValueError)    the server (400) or our own check refuses the request as malformed
    │   ├── InvalidRangeError               a byte range outside the object (HTTP 416)
    │   └── BufferTooSmallError (BufferError)   the object is larger than the caller's buffer
    ├── NotFoundError (FileNotFoundError)   no such key, bucket, version or upload
    │   └── BucketNotFoundError
    ├── AccessDeniedError (PermissionError) signature, credentials or policy refuse the request
    │   ├── CredentialsError                no credentials, or credentials that the server does not know or that expired
    │   └── UnsafeKeyError (ValueError)     a key that would be written outside its destination folder
    ├── PreconditionFailedError             If-Match / If-None-Match and their like (HTTP 412), or a lost race (409)
    │   └── ObjectChangedError              the object was replaced while it was read, or the source while it was sent
    ├── ConflictError (FileExistsError)     the bucket exists, is not empty, or is being changed (HTTP 409)
    ├── ThrottledError                      503 SlowDown, 429 and relatives, after all attempts
    ├── ServerError                         any other 5xx, after all attempts
    ├── RedirectError                       the bucket lives in another region or behind another endpoint
    ├── ChecksumError (OSError)             the bytes are not those that the checksum was made of
    ├── TruncatedError (ConnectionError)    the connection ended before the body did
    ├── ConnectionFailedError (ConnectionError)  refused, reset, closed
    │   ├── NameResolutionError             the endpoint's name has no address
    │   └── TLSError                        certificate or handshake
    ├── TimeoutError (builtins.TimeoutError)     ``timeout=``, the connect timeout or the read timeout
    ├── CancelledError                      the operation was cancelled through its handle
    ├── LocalFileError (OSError)            the local file cannot be read or written: no space, vanished, a folder…
    └── NativeError                         any other failure inside the C libraries

The same failure raises the same class, with the same fields, on every backend: both backends call
:func:`from_response` for what a server answered and the classes themselves for the rest.

A class is admitted here only if any implementation of the contract could raise it; what one backend alone can
produce is a :class:`NativeError`. Every exception can be pickled and holds no secret.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping
from typing import Any

__all__ = [
    "AccessDeniedError",
    "BackendUnavailableError",
    "BucketNotFoundError",
    "BufferTooSmallError",
    "CancelledError",
    "ChecksumError",
    "ClosedError",
    "ConfigError",
    "ConflictError",
    "ConnectionFailedError",
    "CredentialsError",
    "InvalidRangeError",
    "InvalidRequestError",
    "LocalFileError",
    "NameResolutionError",
    "NativeError",
    "NotFoundError",
    "ObjectChangedError",
    "ObjectFSError",
    "PreconditionFailedError",
    "RedirectError",
    "ServerError",
    "TLSError",
    "ThrottledError",
    "TimeoutError",
    "TruncatedError",
    "UnsafeKeyError",
    "UnsupportedError",
    "from_response",
]

_FIELDS = (
    "operation",
    "bucket",
    "key",
    "status",
    "code",
    "message",
    "request_id",
    "host_id",
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


# S3's error codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_BY_CODE: dict[str, type[ObjectFSError]] = {
    "NoSuchBucket": BucketNotFoundError,
    "NoSuchKey": NotFoundError,
    "NoSuchVersion": NotFoundError,
    "NoSuchUpload": NotFoundError,
    "NotFound": NotFoundError,
    "AccessDenied": AccessDeniedError,
    "AllAccessDisabled": AccessDeniedError,
    "AccountProblem": AccessDeniedError,
    "SignatureDoesNotMatch": AccessDeniedError,
    "RequestTimeTooSkewed": AccessDeniedError,
    "AuthorizationHeaderMalformed": AccessDeniedError,
    "InvalidAccessKeyId": CredentialsError,
    "ExpiredToken": CredentialsError,
    "InvalidToken": CredentialsError,
    "TokenRefreshRequired": CredentialsError,
    "PreconditionFailed": PreconditionFailedError,
    "NotModified": PreconditionFailedError,
    "ConditionalRequestConflict": PreconditionFailedError,
    "InvalidRange": InvalidRangeError,
    "BadDigest": ChecksumError,
    "XAmzContentSHA256Mismatch": ChecksumError,
    "XAmzContentChecksumMismatch": ChecksumError,
    "SlowDown": ThrottledError,
    "SlowDownRead": ThrottledError,
    "SlowDownWrite": ThrottledError,
    "TooManyRequests": ThrottledError,
    "Throttling": ThrottledError,
    "ThrottlingException": ThrottledError,
    "RequestLimitExceeded": ThrottledError,
    "ServiceUnavailable": ThrottledError,
    "BucketAlreadyExists": ConflictError,
    "BucketAlreadyOwnedByYou": ConflictError,
    "BucketNotEmpty": ConflictError,
    "OperationAborted": ConflictError,
    "PermanentRedirect": RedirectError,
    "TemporaryRedirect": RedirectError,
    "Redirect": RedirectError,
    "IllegalLocationConstraintException": RedirectError,
    "RequestTimeout": TimeoutError,
    "IncompleteBody": TruncatedError,
    "NotImplemented": UnsupportedError,
}

_BY_STATUS: dict[int, type[ObjectFSError]] = {
    301: RedirectError,
    302: RedirectError,
    304: PreconditionFailedError,
    307: RedirectError,
    308: RedirectError,
    400: InvalidRequestError,
    401: AccessDeniedError,
    403: AccessDeniedError,
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionFailedError,
    416: InvalidRangeError,
    429: ThrottledError,
    501: UnsupportedError,
    503: ThrottledError,
}

# A HEAD answer has no body, hence no code: these are the codes that S3 itself would have sent with a body.
_CODE_OF_STATUS = {
    304: "NotModified",
    403: "AccessDenied",
    404: "NoSuchKey",
    412: "PreconditionFailed",
    416: "InvalidRange",
}

_HINTS = {
    "SignatureDoesNotMatch": "Check the secret access key and the region",
    "InvalidAccessKeyId": "Check the access key id and that it belongs to this endpoint",
    "RequestTimeTooSkewed": "Set this machine's clock",
    "ExpiredToken": "Renew the session credentials",
    "NoSuchBucket": "Check the bucket's name and the endpoint",
    "PermanentRedirect": "Set region= to the bucket's region",
    "AuthorizationHeaderMalformed": "Set region= to the bucket's region",
    "EntityTooLarge": "S3 takes 5 GiB in one PUT; larger objects go as multipart uploads",
}


def from_response(
    operation: str,
    *,
    status: int,
    code: str | None = None,
    message: str | None = None,
    bucket: str | None = None,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    crt_error: str | None = None,
) -> ObjectFSError:
    """The exception for a server's error answer.

    Args:
        operation: the S3 operation's name.
        status: the HTTP status. A 200 with an error document (CompleteMultipartUpload, CopyObject) has its code.
        code, message: of the error document; None where the answer had no body (HEAD).
        headers: of the answer, names in lower case; the request ids and the bucket's region are read from it.

    The class follows from the code, then from the status. A code that is unknown falls to its status' class.
    """
    headers = headers or {}
    # botocore reports the bare status as code when there is no body: not a code that S3 sent
    if not code or code.isdigit():
        code = _CODE_OF_STATUS.get(status)
        if status == 404 and key is None:
            code = "NoSuchBucket"
    cls = _BY_CODE.get(code or "") or _BY_STATUS.get(status)
    if cls is None:
        cls = ServerError if status >= 500 else InvalidRequestError if status >= 400 else ServerError
    hint = _HINTS.get(code or "")
    region = headers.get("x-amz-bucket-region")
    if region and (cls is RedirectError or code == "AuthorizationHeaderMalformed"):
        cls, hint = RedirectError, f"The bucket is in region {region}: set region={region!r}"
    return cls(
        message or _default_message(status, code),
        operation=operation,
        bucket=bucket,
        key=key,
        status=status,
        code=code,
        request_id=headers.get("x-amz-request-id"),
        host_id=headers.get("x-amz-id-2"),
        crt_error=crt_error,
        hint=hint,
    )


def _default_message(status: int, code: str | None) -> str:
    words = {
        "NoSuchKey": "The object does not exist",
        "NoSuchBucket": "The bucket does not exist",
        "AccessDenied": "Access denied",
        "PreconditionFailed": "A precondition does not hold",
        "NotModified": "The object has not been modified",
        "InvalidRange": "The range lies outside the object",
    }
    return words.get(code or "") or f"The server answered {status}"
