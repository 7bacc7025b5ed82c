"""Which class a server's error answer is raised as: by its code, then by its status."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from objectfs.errors.classes import (
    AccessDeniedError,
    BucketNotFoundError,
    ChecksumError,
    ConflictError,
    CredentialsError,
    InvalidRangeError,
    InvalidRequestError,
    NotFoundError,
    ObjectFSError,
    PreconditionFailedError,
    RedirectError,
    ServerError,
    ThrottledError,
    TimeoutError,
    TruncatedError,
    UnsupportedError,
)

__all__ = ["PROXY_HINT", "TLS_HINT", "from_response", "tls_text"]

PROXY_HINT = "Check http_proxy and https_proxy (http://user:password@host:port), and no_proxy for hosts that need none"

TLS_HINT = (
    "Check the endpoint's name and its certificate; "
    "verify= takes the file of an authority that this machine does not know"
)

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
    407: AccessDeniedError,
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


MAX_SKEW = 15 * 60
"""Seconds that a request's time may differ from S3's."""

_EXPECTED_REGION = re.compile(r"expecting '([A-Za-z0-9-]{1,64})'")
"""In S3's words for a signature of the wrong region."""


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
    hint = _HINTS.get(code or "") if status != 407 else PROXY_HINT
    if status == 403 and code in ("RequestTimeTooSkewed", "AccessDenied"):  # of a HEAD, all that S3 says is 403
        hint = _clock(headers) or hint
    if hint is None and cls.retryable and "retry-after" in headers:
        hint = f"The server asks not to be asked again for {headers['retry-after']} seconds"
    region = headers.get("x-amz-bucket-region") if status in (301, 307, 400) else None
    if code == "AuthorizationHeaderMalformed" and not region:
        expected = _EXPECTED_REGION.search(message or "")
        region = expected[1] if expected else None
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
        bucket_region=region,
        crt_error=crt_error,
        hint=hint,
    )


def _clock(headers: Mapping[str, str]) -> str | None:
    """What is to be said of this machine's clock, if it is so far from the server's that S3 refuses the signature."""
    from email.utils import parsedate_to_datetime

    try:
        off = time.time() - parsedate_to_datetime(headers["date"]).timestamp()
    except (LookupError, TypeError, ValueError):
        return None
    if abs(off) < MAX_SKEW:
        return None
    where = "ahead of" if off > 0 else "behind"
    return f"This machine's clock is {abs(off) / 60:.0f} minutes {where} the server's: set it"


def _default_message(status: int, code: str | None) -> str:
    if status == 407:
        return "The proxy wants a user and a password"
    words = {
        "NoSuchKey": "The object does not exist",
        "NoSuchBucket": "The bucket does not exist",
        "AccessDenied": "Access denied",
        "PreconditionFailed": "A precondition does not hold",
        "NotModified": "The object has not been modified",
        "InvalidRange": "The range lies outside the object",
    }
    return words.get(code or "") or f"The server answered {status}"


def tls_text(server: str | None, why: str | None) -> str:
    """What a failed handshake is told as."""
    return f"TLS with {server or 'the server'} failed" + (f": {why}" if why else "")
