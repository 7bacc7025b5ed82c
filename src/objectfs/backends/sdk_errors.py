"""What botocore, urllib3 and the socket raise, as the errors of the contract."""

from __future__ import annotations

import http.client
import socket
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from objectfs import errors
from objectfs.backends.refusals import credentials_error, is_wrong_type, no_credentials
from objectfs.errors.responses import PROXY_HINT, TLS_HINT, tls_text

__all__ = ["from_client_error", "translate", "worth_another_attempt"]

_RETRIED_STATUSES = frozenset((429, 500, 502, 503, 504))
_RETRIED_CODES = frozenset(
    (
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
    )
)
"""What AWS's SDKs retry in their standard mode (botocore's ``retries/standard.py``), and the crt backend too."""

_RETRIED_UNDER_200 = frozenset(("InternalError", "InternalErrors", "RequestTimeout", "SlowDown"))


def translate(
    error: BaseException, operation: str, bucket: str | None, key: str | None, status: int | None = None
) -> BaseException:
    """The error of the contract for ``error``, which stays its cause only where that cannot hold a secret. ``status``
    is that of the answer, where botocore says otherwise.

    Errors of ours pass through, their empty fields filled in.
    """
    for inner in _chain(error):
        if isinstance(inner, errors.ObjectFSError):
            return inner.about(operation, bucket, key)
    if not isinstance(error, Exception) or isinstance(error, MemoryError):
        return error
    if isinstance(getattr(error, "response", None), dict):  # botocore's connection errors have one too: None
        return from_client_error(error, operation, bucket, key, status)
    new = _classify(error)
    return error if new is None else new.about(operation, bucket, key)


def worth_another_attempt(error: BaseException) -> bool:
    """Whether AWS's SDKs would send the request again."""
    if not isinstance(error, errors.ObjectFSError):
        return False
    if error.status is None:
        return error.retryable
    if error.status >= 300:
        return error.status in _RETRIED_STATUSES or error.code in _RETRIED_CODES
    if isinstance(error, (errors.ServerError, errors.ThrottledError, errors.TimeoutError)):
        return error.code in _RETRIED_UNDER_200
    return error.retryable


def from_client_error(
    error: Any, operation: str, bucket: str | None, key: str | None, status: int | None = None
) -> errors.ObjectFSError:
    """A server's error answer, from botocore's ClientError."""
    response = error.response
    if getattr(error, "operation_name", None) == "CreateSession":  # botocore's own, before what was asked for
        operation = "CreateSession"
    metadata = response.get("ResponseMetadata", {})
    headers = {name.lower(): str(value) for name, value in metadata.get("HTTPHeaders", {}).items()}
    detail = response.get("Error", {})
    code = detail.get("Code")
    message = detail.get("Message")
    # botocore puts the bare status and its reason where an answer had no body: not what the server said
    if not code or str(code).isdigit():
        code = message = None
    status = status or int(metadata.get("HTTPStatusCode", 0))
    if status < 300 and message is None:
        message = "the server's answer cannot be read"
    return errors.from_response(
        operation,
        status=status,
        code=str(code) if code else None,
        message=message,
        bucket=bucket,
        key=key,
        headers=headers,
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """``error`` and what it was made of, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "kwargs", {}).get("error") if hasattr(error, "kwargs") else None
        if not isinstance(inner, BaseException):
            inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = error.__cause__ or error.__context__
        if not isinstance(inner, BaseException) and error.args and isinstance(error.args[-1], BaseException):
            inner = error.args[-1]
        error = inner if isinstance(inner, BaseException) else None


def _classify(error: Exception) -> errors.ObjectFSError | None:
    import urllib3.exceptions
    from botocore import exceptions, parsers

    chain = list(_chain(error))

    def among(*classes: type[BaseException]) -> BaseException | None:
        return next((inner for inner in chain if isinstance(inner, classes)), None)

    if isinstance(error, exceptions.FlexibleChecksumError):
        return errors.ChecksumError(str(error))
    if among(exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        return no_credentials()
    if among(exceptions.CredentialRetrievalError, exceptions.TokenRetrievalError, exceptions.SSOError):
        return credentials_error(error)
    if isinstance(error, (exceptions.ParamValidationError, exceptions.UnknownParameterError)) or is_wrong_type(error):
        return errors.InvalidRequestError(str(error))
    name_resolution = among(socket.gaierror)
    if name_resolution is not None:
        return errors.NameResolutionError(f"the endpoint's name cannot be resolved: {_plain(name_resolution)}")
    tls = among(ssl.SSLError)
    if tls is None:  # of a name that the certificate is not for: urllib3's, in one module or another
        tls = next((inner for inner in chain if type(inner).__name__ == "CertificateError"), None)
    if tls is not None and not isinstance(tls, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)):
        return errors.TLSError(tls_text(_server(error), _certificate(tls)), hint=TLS_HINT)
    # urllib3 derives "no connection" from "no connection in time": the socket's own error tells them apart
    refused = among(ConnectionError)
    if refused is None and among(exceptions.ConnectTimeoutError, urllib3.exceptions.ConnectTimeoutError):
        return errors.TimeoutError("no connection within the connect timeout")
    if any("handshake operation timed out" in str(inner) for inner in chain if isinstance(inner, TimeoutError)):
        return errors.TimeoutError("no TLS handshake within the connect timeout")
    if among(exceptions.ReadTimeoutError, urllib3.exceptions.ReadTimeoutError, TimeoutError):
        return errors.TimeoutError("nothing was received within the read timeout")
    ended = among(urllib3.exceptions.ProtocolError)  # between two chunks, where nobody knows how much is to come
    if among(exceptions.IncompleteReadError, http.client.IncompleteRead) or (
        ended is not None and ended.args[:1] == ("Response ended prematurely",)
    ):
        return errors.TruncatedError("the connection ended before the whole body had arrived")
    if isinstance(error, (exceptions.ResponseStreamingError, http.client.IncompleteRead)):
        return errors.TruncatedError(f"the connection ended before the whole body had arrived: {_plain(chain[-1])}")
    if among(exceptions.ProxyConnectionError, urllib3.exceptions.ProxyError):
        return errors.ConnectionFailedError(
            f"the connection through the proxy failed: {_plain(chain[-1])}", hint=PROXY_HINT
        )
    if among(
        exceptions.HTTPClientError,
        exceptions.EndpointConnectionError,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        ConnectionError,
        ssl.SSLError,
    ):
        return errors.ConnectionFailedError(f"the connection failed: {_plain(chain[-1])}")
    if isinstance(error, OSError):
        return errors.ConnectionFailedError(f"the connection failed: {_plain(error)}")
    if isinstance(error, (ValueError, OverflowError)):
        place = _raised_in(error)
        if place in ("http.client", "urllib3.response"):  # of a chunk of less than nothing, or more than all memory
            return errors.ConnectionFailedError("the connection failed: the server's answer is no HTTP")
        if place == "base64":
            return errors.ChecksumError("the checksum that the server sent with the content is none")
    if isinstance(error, (parsers.ResponseParserError, ET.ParseError)):
        return errors.ServerError("the server's answer cannot be read")
    if isinstance(error, exceptions.BotoCoreError):
        return errors.ConfigError(str(error))
    return None


def _raised_in(error: BaseException) -> str | None:
    """The module that raised it."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return None if place is None else place.tb_frame.f_globals.get("__name__")


def _server(error: Any) -> str | None:
    """The host of the URL that an error of botocore's names."""
    url = getattr(error, "kwargs", {}).get("endpoint_url")
    return urlsplit(url).hostname if isinstance(url, str) else None


def _certificate(error: BaseException) -> str:
    """What is wrong with it, without OpenSSL's own names and line numbers where they say no more."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_message:
        return f"the certificate is not to be trusted: {error.verify_message}"
    return _plain(error)


def _plain(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
