"""What went wrong, from what the C library and the server said of it."""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import unescape

from objectfs import _native, errors
from objectfs.backends.retrying import doubtful
from objectfs.errors.responses import PROXY_HINT, TLS_HINT, tls_text

__all__ = ["failure"]

_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")

# Names of aws-c-io, aws-c-http, aws-c-s3 (their error enums), by the class that says the same on any backend.
_BY_NAME: dict[str, type[errors.ObjectFSError]] = {
    "AWS_IO_DNS_QUERY_FAILED": errors.NameResolutionError,
    "AWS_IO_DNS_INVALID_NAME": errors.NameResolutionError,
    "AWS_IO_DNS_NO_ADDRESS_FOR_HOST": errors.NameResolutionError,
    "AWS_IO_DNS_QUERY_AGAIN": errors.NameResolutionError,
    "AWS_IO_DNS_HOST_REMOVED_FROM_CACHE": errors.NameResolutionError,
    "AWS_IO_SOCKET_TIMEOUT": errors.TimeoutError,
    "AWS_IO_TLS_NEGOTIATION_TIMEOUT": errors.TimeoutError,
    "AWS_ERROR_HTTP_CHANNEL_THROUGHPUT_FAILURE": errors.TimeoutError,
    "AWS_ERROR_HTTP_RESPONSE_FIRST_BYTE_TIMEOUT": errors.TimeoutError,
    "AWS_ERROR_S3_CANCELED": errors.CancelledError,
    "AWS_ERROR_S3_RESPONSE_CHECKSUM_MISMATCH": errors.ChecksumError,
    # more than was asked for, or no answer to a range
    "AWS_ERROR_DEST_COPY_TOO_SMALL": errors.UnsupportedError,
    "AWS_ERROR_S3_MISSING_CONTENT_RANGE_HEADER": errors.UnsupportedError,
    "AWS_ERROR_S3_INVALID_CONTENT_RANGE_HEADER": errors.ServerError,
    # of a parallel download: without it nobody could tell that all parts are of one object
    "AWS_ERROR_S3_MISSING_ETAG": errors.UnsupportedError,
    "AWS_ERROR_S3_INVALID_RESPONSE_STATUS": errors.ServerError,
    "AWS_ERROR_S3_MISSING_UPLOAD_ID": errors.ServerError,
    # of a download: a part that is shorter than its Content-Range, seen while the checksums of the parts are combined
    "AWS_ERROR_INVALID_STATE": errors.TruncatedError,
    "AWS_ERROR_S3_INCORRECT_CONTENT_LENGTH": errors.ObjectChangedError,
    "AWS_ERROR_SHORT_BUFFER": errors.BufferTooSmallError,
    "AWS_ERROR_S3_OBJECT_MODIFIED": errors.ObjectChangedError,
    "AWS_ERROR_NO_SPACE": errors.LocalFileError,
    "AWS_ERROR_FILE_INVALID_PATH": errors.LocalFileError,
    "AWS_ERROR_FILE_OPEN_FAILURE": errors.LocalFileError,
    "AWS_ERROR_FILE_READ_FAILURE": errors.LocalFileError,
    "AWS_ERROR_FILE_WRITE_FAILURE": errors.LocalFileError,
    "AWS_ERROR_NO_PERMISSION": errors.LocalFileError,
    "AWS_ERROR_MAX_FDS_EXCEEDED": errors.LocalFileError,
    "AWS_AUTH_CREDENTIALS_PROVIDER_INVALID_DELEGATE": errors.CredentialsError,
    "AWS_ERROR_S3EXPRESS_CREATE_SESSION_FAILED": errors.CredentialsError,
}
# Where two errors end up of which the answer may be lost (native/retry.pyx): the C library's name still says what S3's
# code and status were.
_UNTOLD = {
    "AWS_ERROR_S3_REQUEST_TIME_TOO_SKEWED": (403, "RequestTimeTooSkewed"),
    "AWS_ERROR_S3_REQUEST_TIMEOUT": (400, "RequestTimeout"),
}
_CLOSED = (
    "AWS_ERROR_HTTP_CONNECTION_CLOSED",
    "AWS_IO_SOCKET_CLOSED",
    "AWS_ERROR_HTTP_SERVER_CLOSED",
    "AWS_IO_BROKEN_PIPE",
)
# What a proxy answers to CONNECT the library does not tell.
_BY_PROXY = ("AWS_ERROR_HTTP_PROXY_CONNECT_FAILED", "AWS_ERROR_HTTP_PROXY_CONNECT_FAILED_RETRYABLE")
_HINTS: dict[type[errors.ObjectFSError], str] = {
    errors.NameResolutionError: "Check the endpoint's host name",
    errors.TLSError: TLS_HINT,
}


def failure(response: Any, operation: str, bucket: str | None, key: str | None) -> errors.ObjectFSError:
    """The exception for a Response of the engine whose ``error_code`` or ``status`` says that it failed."""
    name: str | None = response.error
    where: dict[str, Any] = {
        "operation": response.failed_operation or operation,
        "bucket": bucket,
        "key": key,
    }
    if response.source_changed:
        return errors.ObjectChangedError("the file changed while it was sent; nothing was stored", **where)
    text = response.error_message
    body = bytes(response.body) if response.body is not None else b""
    code = _first(_CODE, body)
    status = response.status
    if not status and name in _UNTOLD:
        status, code = _UNTOLD[name]
    if status >= 300 or (status and (code or name is None)):
        if status < 300 and code is None:
            text = "the server's answer cannot be read"
        error = errors.from_response(
            where["operation"],
            status=status,
            code=code,
            message=_first(_MESSAGE, body) or (text if name in _UNTOLD or name is None else None),
            bucket=bucket,
            key=key,
            headers=response.headers,
            crt_error=name,
        )
        return doubtful(error) if response.in_doubt else error
    cls: type[errors.ObjectFSError] | None = _BY_NAME.get(name or "")
    if cls is None and name in _CLOSED:
        cls = errors.TruncatedError if response.truncated else errors.ConnectionFailedError
        text = (
            "the connection ended before the answer was complete"
            if response.truncated
            else "the server closed the connection"
        )
    elif cls is None and name in _BY_PROXY:
        cls, text = errors.ConnectionFailedError, "the proxy refused the connection"
    elif cls is None and name is not None and name.startswith("AWS_IO_TLS"):
        cls = errors.TLSError
        # of the handshake that failed last: two servers whose handshakes fail at the same time may be mistaken
        server, why = _native.handshake_failure() or (None, None)
        text = tls_text(server, why or text)
    elif cls is None and name is not None and name.startswith(("AWS_IO_SOCKET", "AWS_ERROR_HTTP")):
        cls = errors.ConnectionFailedError
    if name == "AWS_IO_TLS_NEGOTIATION_TIMEOUT":
        text = "no TLS handshake within the connect timeout"
    if cls is None:
        cls = errors.NativeError
    hint = PROXY_HINT if name in _BY_PROXY else _HINTS.get(cls)
    return cls(text or "the transfer failed", crt_error=name, hint=hint, **where)


def _first(pattern: re.Pattern[bytes], body: bytes) -> str | None:
    found = pattern.search(body)
    return unescape(found[1].decode("utf-8", "replace"), {"&quot;": '"', "&apos;": "'"}) if found else None
