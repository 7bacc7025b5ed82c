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

from objectfs.errors.classes import (
    AccessDeniedError,
    BackendUnavailableError,
    BucketNotFoundError,
    BufferTooSmallError,
    CancelledError,
    ChecksumError,
    ClosedError,
    ConfigError,
    ConflictError,
    ConnectionFailedError,
    CredentialsError,
    InvalidRangeError,
    InvalidRequestError,
    LocalFileError,
    NameResolutionError,
    NativeError,
    NotFoundError,
    ObjectChangedError,
    ObjectFSError,
    PreconditionFailedError,
    RedirectError,
    ServerError,
    ThrottledError,
    TimeoutError,
    TLSError,
    TruncatedError,
    UnsafeKeyError,
    UnsupportedError,
)
from objectfs.errors.responses import from_response

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

# A traceback and a pickle name the place that people import them from.
for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
