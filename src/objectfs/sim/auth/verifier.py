"""Who signed a request, and whether the signature holds: what is checked, in which order, and S3's answers."""

from __future__ import annotations

import calendar
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from objectfs.sim.auth.sigv4 import (
    STREAMING,
    UNSIGNED,
    Auth,
    canonical_headers,
    canonical_path,
    canonical_query,
    sign,
    signing_key,
    string_to_sign,
)
from objectfs.sim.errors import S3Error
from objectfs.sim.http import Head, parse_http_date

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = 15 * 60
MAX_EXPIRES = 7 * 24 * 3600

_HEX64 = re.compile(r"[0-9a-f]{64}")
_DATE = re.compile(r"[0-9]{8}")
_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_HEADER_ERROR = "AuthorizationHeaderMalformed"
_QUERY_ERROR = "AuthorizationQueryParametersError"
_QUERY_NAMES = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)
_BEFORE = {
    _HEADER_ERROR: "The authorization header is malformed; ",
    _QUERY_ERROR: "Error parsing the X-Amz-Credential parameter; ",
}


@dataclass(slots=True)
class Claim:
    """What a request says of its signature."""

    access_key: str
    date: str
    region: str
    service: str
    names: list[str]
    signature: str
    timestamp: str = ""
    payload: str = UNSIGNED
    token: str | None = None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


@dataclass(slots=True, frozen=True)
class TemporaryKey:
    """A secret key that is good until ``expires`` (as ``time.time()``), with the token that belongs to it, if any."""

    secret_key: str
    expires: float
    token: str | None = None


@dataclass(slots=True)
class Verifier:
    """Checks the signature of a request head against one key pair, and those that are good for a while."""

    access_key: str
    secret_key: str
    region: str
    enabled: bool = True
    anonymous: bool = False
    check_region: bool = False
    other_region: str = ""
    """The region of the bucket that the request at hand addresses, if it is another than the server's."""
    temporary: dict[str, TemporaryKey] = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    skew: float = 0.0
    """Seconds by which the server's clock is ahead: a fault sets it for one request."""
    redirected: set[str] = field(default_factory=set)
    """Regions that faults have sent clients to: what is signed for them is right as well."""

    def now(self) -> float:
        return self.clock() + self.skew

    def authenticate(self, head: Head, path: str, raw_query: str, query: dict[str, str]) -> Auth:
        """The signer, or S3Error. With ``enabled`` off only the payload mode is read."""
        payload = head.headers.get("x-amz-content-sha256", "")
        if not self.enabled:
            check_payload(payload or UNSIGNED)
            return Auth(None, payload)
        authorization = head.headers.get("authorization")
        by_query = "X-Amz-Algorithm" in query or "X-Amz-Signature" in query
        if authorization is not None:
            if by_query or ("Signature" in query and "AWSAccessKeyId" in query):
                raise S3Error(
                    "InvalidArgument",
                    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query "
                    "string parameter or the Authorization header should be specified",
                    extra={"ArgumentName": "Authorization", "ArgumentValue": authorization},
                )
            claim = self._of_header(head, authorization, payload)
            return self._compare(head, path, canonical_query(raw_query), claim)
        if by_query:
            claim = self._of_query(head, query)
            signed = canonical_query(raw_query, without="X-Amz-Signature")
            auth = self._compare(head, path, signed, claim)
            auth.payload = payload or auth.payload
            return auth
        if "Signature" in query and "AWSAccessKeyId" in query:
            raise _version_2()
        # A form for an upload brings its authority in its body: see ``authenticate_form``.
        form = head.method == "POST" and head.headers.get("content-type", "").lower().startswith("multipart/form-data")
        if self.anonymous or (form and "delete" not in query):
            check_payload(payload or UNSIGNED)
            return Auth(None, payload)
        raise S3Error("AccessDenied")

    def authenticate_form(self, fields: dict[str, str], policy: str) -> None:
        """The signature of a form's policy, its fields by their names in lower case; or S3Error."""
        if "awsaccesskeyid" in fields:
            raise _version_2()
        for name in ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"):
            if not fields.get(name):
                raise S3Error(
                    "InvalidArgument",
                    f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of "
                    "the fields.",
                    extra={"ArgumentName": name, "ArgumentValue": ""},
                )
        if fields["x-amz-algorithm"] != ALGORITHM:
            raise S3Error("InvalidArgument", f'x-amz-algorithm only supports "{ALGORITHM}"')
        claim = self._claim(fields["x-amz-credential"], [], fields["x-amz-signature"], _QUERY_ERROR)
        claim.token = fields.get("x-amz-security-token")
        self._check_key(claim, _QUERY_ERROR)
        temporary = self.temporary.get(claim.access_key)
        secret = self.secret_key if temporary is None else temporary.secret_key
        expected = sign(signing_key(secret, claim.date, claim.region, claim.service), policy)
        if not hmac.compare_digest(expected.encode(), claim.signature.encode("utf-8", "replace")):
            raise S3Error(
                "SignatureDoesNotMatch",
                extra={
                    "AWSAccessKeyId": claim.access_key,
                    "StringToSign": policy,
                    "SignatureProvided": claim.signature,
                },
            )

    def _of_header(self, head: Head, authorization: str, payload: str) -> Claim:
        mechanism, _, rest = authorization.partition(" ")
        if mechanism == "AWS":
            raise _version_2()
        if mechanism == "AWS4-ECDSA-P256-SHA256":
            raise S3Error("NotImplemented", "SigV4A is not implemented")
        if mechanism != ALGORITHM:
            raise S3Error(
                "InvalidArgument",
                "Unsupported Authorization Type",
                extra={"ArgumentName": "Authorization", "ArgumentValue": authorization},
            )
        components: dict[str, str] = {}
        for item in rest.split(","):
            name, separator, value = item.strip().partition("=")
            if not separator or not value or name in components:
                raise _malformed(_HEADER_ERROR, f'the authorization component "{item.strip()}" is malformed.')
            components[name] = value
        if components.keys() != {"Credential", "SignedHeaders", "Signature"}:
            raise _malformed(
                _HEADER_ERROR,
                "the authorization header requires three components: Credential, SignedHeaders, and Signature.",
            )
        names = components["SignedHeaders"].split(";")
        claim = self._claim(components["Credential"], names, components["Signature"], _HEADER_ERROR)
        claim.token = head.headers.get("x-amz-security-token")
        claim.payload = payload
        claim.timestamp = timestamp = _signing_time(head)
        when = _seconds(timestamp)
        if when is None:
            raise S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
        _check_date(claim, _HEADER_ERROR)
        if not payload:
            raise S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        check_payload(payload)
        self._check_key(claim, _HEADER_ERROR)
        if abs(self.now() - when) > MAX_SKEW:
            raise S3Error(
                "RequestTimeTooSkewed",
                extra={
                    "RequestTime": timestamp,
                    "ServerTime": _iso(self.now()),
                    "MaxAllowedSkewMilliseconds": str(MAX_SKEW * 1000),
                },
            )
        return claim

    def _of_query(self, head: Head, query: dict[str, str]) -> Claim:
        values = [query.get(name) for name in _QUERY_NAMES]
        if not all(values):
            raise S3Error(
                _QUERY_ERROR,
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            )
        algorithm, credential, signature, timestamp, signed, expires = [value or "" for value in values]
        if algorithm != ALGORITHM:
            raise S3Error(_QUERY_ERROR, f'X-Amz-Algorithm only supports "{ALGORITHM}"')
        claim = self._claim(credential, signed.split(";"), signature, _QUERY_ERROR)
        claim.token = query.get("X-Amz-Security-Token")
        claim.timestamp = timestamp
        when = _seconds(timestamp)
        if when is None:
            raise S3Error(_QUERY_ERROR, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        _check_date(claim, _QUERY_ERROR)
        seconds = _expires(expires)
        self._check_key(claim, _QUERY_ERROR)
        now = self.now()
        times = {"Expires": _iso(when + seconds), "ServerTime": _iso(now)}
        if when - now > MAX_SKEW:
            raise S3Error("AccessDenied", "Request is not yet valid", extra={"X-Amz-Date": f"{when}000", **times})
        if now > when + seconds:
            raise S3Error("AccessDenied", "Request has expired", extra={"X-Amz-Expires": expires, **times})
        if "X-Amz-Content-Sha256" in query:
            claim.payload = query["X-Amz-Content-Sha256"]
        elif "x-amz-content-sha256" in claim.names:
            claim.payload = head.headers.get("x-amz-content-sha256", "")
        check_payload(claim.payload)
        check_payload(head.headers.get("x-amz-content-sha256", UNSIGNED))
        return claim

    def _claim(self, credential: str, names: list[str], signature: str, error: str) -> Claim:
        parts = credential.rsplit("/", 4)
        if len(parts) != 5 or not parts[0]:
            raise _malformed(
                error,
                'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
            )
        access_key, date, region, service, terminal = parts
        if terminal != "aws4_request":
            raise _malformed(error, f'incorrect terminal "{terminal}". This endpoint uses "aws4_request".')
        if service not in ("s3", "s3express"):
            raise _malformed(error, f'incorrect service "{service}". This endpoint belongs to "s3".')
        if not _DATE.fullmatch(date):
            raise _malformed(
                error, f'incorrect date format "{date}". This date in the credential must be in the format "yyyyMMdd".'
            )
        if self.check_region and region not in (self.region, self.other_region, *self.redirected):
            raise _malformed(error, f"the region '{region}' is wrong; expecting '{self.region}'", Region=self.region)
        return Claim(access_key, date, region, service, names, signature)

    def _check_key(self, claim: Claim, error: str) -> None:
        temporary = self.temporary.get(claim.access_key)
        if temporary is None:
            if claim.access_key != self.access_key:
                raise S3Error("InvalidAccessKeyId", extra={"AWSAccessKeyId": claim.access_key})
            if claim.token is not None:
                raise S3Error("InvalidToken", extra={"Token-0": claim.token})
        elif temporary.token is not None and claim.token is None:
            # Without its token S3 does not know a temporary key.
            raise S3Error("InvalidAccessKeyId", extra={"AWSAccessKeyId": claim.access_key})
        elif temporary.token is not None and claim.token != temporary.token:
            raise S3Error("InvalidToken", extra={"Token-0": claim.token or ""})
        elif self.now() >= temporary.expires:
            raise S3Error("ExpiredToken", extra={"Token-0": claim.token or ""})

    def _compare(self, head: Head, path: str, query: str, claim: Claim) -> Auth:
        names = claim.names
        # The payload's hash need not be signed as a header: it ends the canonical request in any case.
        unsigned = [n for n in head.headers if n.startswith("x-amz-") and n not in names and n != _PAYLOAD_HEADER]
        if "host" not in names:
            unsigned.insert(0, "host")
        if unsigned:
            raise S3Error(
                "AccessDenied",
                "There were headers present in the request which were not signed",
                extra={"HeadersNotSigned": ", ".join(unsigned)},
            )
        fields = canonical_headers(head.headers, names)
        canonical = f"{head.method}\n{canonical_path(path)}\n{query}\n{fields}\n{';'.join(names)}\n{claim.payload}"
        scope = claim.scope
        text = string_to_sign(claim.timestamp, scope, canonical)
        temporary = self.temporary.get(claim.access_key)
        secret = self.secret_key if temporary is None else temporary.secret_key
        key = signing_key(secret, claim.date, claim.region, claim.service)
        expected = sign(key, text)
        if not hmac.compare_digest(expected.encode(), claim.signature.encode("utf-8", "replace")):
            raise S3Error(
                "SignatureDoesNotMatch",
                extra={
                    "AWSAccessKeyId": claim.access_key,
                    "StringToSign": text,
                    "SignatureProvided": claim.signature,
                    "StringToSignBytes": text.encode("latin-1", "replace").hex(" "),
                    "CanonicalRequest": canonical,
                    "CanonicalRequestBytes": canonical.encode("latin-1", "replace").hex(" "),
                },
            )
        return Auth(claim.access_key, claim.payload, claim.timestamp, scope, key, expected, verified=True)


_PAYLOAD_HEADER = "x-amz-content-sha256"


def check_payload(value: str) -> None:
    """Raise S3Error unless the value may stand in x-amz-content-sha256."""
    if value == UNSIGNED or value in STREAMING or _HEX64.fullmatch(value):
        return
    if value.startswith("STREAMING-AWS4-ECDSA"):
        raise S3Error("NotImplemented", "SigV4A is not implemented")
    raise S3Error(
        "InvalidArgument",
        f"x-amz-content-sha256 must be {UNSIGNED}, {', '.join(sorted(STREAMING))}, or a valid sha256 value.",
        extra={"ArgumentName": _PAYLOAD_HEADER, "ArgumentValue": value},
    )


def _version_2() -> S3Error:
    return S3Error(
        "InvalidRequest",
        f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}.",
    )


def _malformed(error: str, what: str, **extra: str) -> S3Error:
    return S3Error(error, _BEFORE[error] + what, extra=extra)


def _check_date(claim: Claim, error: str) -> None:
    if not claim.timestamp.startswith(claim.date):
        name = "X-Amz-Date" if error == _QUERY_ERROR else "x-amz-date"
        raise _malformed(
            error,
            f'Invalid credential date "{claim.date}". This date is not the same as {name}: "{claim.timestamp[:8]}".',
        )


def _signing_time(head: Head) -> str:
    """The time that a request says it was signed at, in ISO 8601's basic format; empty if it does not."""
    value = head.headers.get("x-amz-date") or head.headers.get("date", "")
    if not value or _TIMESTAMP.fullmatch(value):
        return value
    parsed = parse_http_date(value)
    if parsed is None:
        return ""
    try:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(parsed))
    except (ValueError, OverflowError, OSError):
        return ""


def _expires(value: str) -> int:
    """The seconds that a presigned URL is good for."""
    if not re.fullmatch(r"-?[0-9]+", value):
        raise S3Error(_QUERY_ERROR, "X-Amz-Expires should be a number")
    if len(value) > 9 or int(value) > MAX_EXPIRES:
        # Python limits how many digits it converts.
        if value.startswith("-"):
            raise S3Error(_QUERY_ERROR, "X-Amz-Expires must be non-negative")
        raise S3Error(
            _QUERY_ERROR,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
            f"than {MAX_EXPIRES} seconds",
        )
    seconds = int(value)
    if seconds < 0:
        raise S3Error(_QUERY_ERROR, "X-Amz-Expires must be non-negative")
    if not seconds:
        raise S3Error(_QUERY_ERROR, "X-Amz-Expires must be at least 1 second")
    return seconds


@lru_cache(maxsize=64)
def _seconds(value: str) -> int | None:
    if not _TIMESTAMP.fullmatch(value):
        return None
    try:
        return calendar.timegm(time.strptime(value, "%Y%m%dT%H%M%SZ"))
    except (ValueError, OverflowError):
        return None


def _iso(timestamp: float) -> str:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(timestamp))
    except (ValueError, OverflowError, OSError):
        return str(timestamp)
