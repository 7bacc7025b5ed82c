"""AWS Signature Version 4, the server's side: header authentication, presigned URLs, chunk signatures."""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Head, parse_http_date

UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING = frozenset((STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER))
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
MAX_SKEW = 15 * 60
MAX_EXPIRES = 7 * 24 * 3600

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/_.~-]*")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^,\s]+)\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-fA-F]+)"
)


@lru_cache(maxsize=64)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The derived key of a day, a region and a service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def canonical_path(path: str) -> str:
    """The path with every byte outside the unreserved set percent-encoded exactly once."""
    if _PLAIN_PATH.fullmatch(path):
        return path
    return quote(unquote_to_bytes(path.encode("latin-1")), safe="/-_.~")


def canonical_query(raw: str, *, without: str = "") -> str:
    """The query sorted by encoded name and value, without the parameter ``without``."""
    if not raw:
        return ""
    pairs = []
    for item in raw.split("&"):
        if not item:
            continue
        name, _, value = item.partition("=")
        name = quote(unquote_to_bytes(name.replace("+", " ").encode("latin-1")), safe="-_.~")
        if name == without:
            continue
        pairs.append((name, quote(unquote_to_bytes(value.replace("+", " ").encode("latin-1")), safe="-_.~")))
    pairs.sort()
    return "&".join(f"{name}={value}" for name, value in pairs)


@dataclass(slots=True)
class Auth:
    """Who signed a request, and what verifying its body needs."""

    access_key: str | None
    payload: str
    timestamp: str = ""
    scope: str = ""
    key: bytes = b""
    signature: str = ""
    verified: bool = False

    def chunk_signature(self, previous: str, data_sha256: str) -> str:
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{self.timestamp}\n{self.scope}\n{previous}\n{EMPTY_SHA256}\n{data_sha256}"
        return hmac.digest(self.key, text.encode(), "sha256").hex()

    def trailer_signature(self, previous: str, trailers: bytes) -> str:
        text = (
            f"AWS4-HMAC-SHA256-TRAILER\n{self.timestamp}\n{self.scope}\n{previous}\n"
            f"{hashlib.sha256(trailers).hexdigest()}"
        )
        return hmac.digest(self.key, text.encode(), "sha256").hex()


@dataclass(slots=True)
class Verifier:
    """Checks the signature of a request head against one key pair, and those that are good for a while."""

    access_key: str
    secret_key: str
    region: str
    enabled: bool = True
    anonymous: bool = False
    check_region: bool = False
    temporary: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Further key pairs: access key to secret key and the time (``time.time()``) that it expires at."""

    def authenticate(self, head: Head, path: str, raw_query: str, query: dict[str, str]) -> Auth:
        """The signer, or S3Error. With ``enabled`` off only the payload mode is read."""
        payload = head.headers.get("x-amz-content-sha256", "")
        if not self.enabled:
            return Auth(None, payload)
        authorization = head.headers.get("authorization")
        if authorization is not None:
            if "X-Amz-Signature" in query:
                raise S3Error("InvalidArgument", "Only one auth mechanism allowed")
            return self._header(head, path, raw_query, authorization, payload)
        if "X-Amz-Signature" in query or "X-Amz-Algorithm" in query:
            return self._presigned(head, path, raw_query, query, payload)
        if self.anonymous:
            return Auth(None, payload)
        raise S3Error("AccessDenied")

    def _header(self, head: Head, path: str, raw_query: str, authorization: str, payload: str) -> Auth:
        if not authorization.startswith("AWS4-HMAC-SHA256"):
            if authorization.startswith("AWS4-ECDSA"):
                raise S3Error("NotImplemented", "SigV4A is not implemented")
            raise S3Error(
                "InvalidRequest",
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
            )
        match = _AUTHORIZATION.fullmatch(authorization)
        if match is None:
            raise S3Error("AuthorizationHeaderMalformed")
        credential, signed, signature = match.groups()
        access_key, scope, date, region, service = _credential(credential, "AuthorizationHeaderMalformed")
        if not payload:
            raise S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        if payload != UNSIGNED and payload not in STREAMING and not _HEX64.fullmatch(payload):
            raise S3Error(
                "InvalidArgument",
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-* or a valid sha256 value.",
            )
        timestamp = head.headers.get("x-amz-date", "")
        if not timestamp and "date" in head.headers:
            parsed = parse_http_date(head.headers["date"])
            timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(parsed)) if parsed is not None else ""
        when = _timestamp(timestamp)
        if when is None or not timestamp.startswith(date):
            raise S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
        self._check_access_key(access_key, region)
        if abs(time.time() - when) > MAX_SKEW:
            raise S3Error(
                "RequestTimeTooSkewed",
                extra={
                    "RequestTime": timestamp,
                    "ServerTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "MaxAllowedSkewMilliseconds": str(MAX_SKEW * 1000),
                },
            )
        names = signed.split(";")
        for name in head.headers:
            if name.startswith("x-amz-") and name not in names:
                raise S3Error(
                    "AccessDenied",
                    "There were headers present in the request which were not signed",
                    extra={"HeadersNotSigned": name},
                )
        query = canonical_query(raw_query)
        return self._compare(
            head, path, query, names, payload, timestamp, scope, date, region, service, access_key, signature
        )

    def _presigned(self, head: Head, path: str, raw_query: str, query: dict[str, str], payload: str) -> Auth:
        bad = "AuthorizationQueryParametersError"
        try:
            credential, signed = query["X-Amz-Credential"], query["X-Amz-SignedHeaders"]
            timestamp, expires = query["X-Amz-Date"], query["X-Amz-Expires"]
            signature, algorithm = query["X-Amz-Signature"], query["X-Amz-Algorithm"]
        except KeyError:
            raise S3Error(
                bad,
                "Query-string authentication version 4 requires the X-Amz-Algorithm, "
                "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
                "X-Amz-Expires parameters.",
            ) from None
        if algorithm != "AWS4-HMAC-SHA256":
            raise S3Error(bad, 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
        access_key, scope, date, region, service = _credential(credential, bad)
        when = _timestamp(timestamp)
        if when is None or not timestamp.startswith(date):
            raise S3Error(bad, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        if not (expires.isascii() and expires.isdigit() and len(expires) < 10 and int(expires) <= MAX_EXPIRES):
            raise S3Error(bad, "X-Amz-Expires must be a non-negative number, less than a week (in seconds)")
        self._check_access_key(access_key, region)
        now = time.time()
        if when - now > MAX_SKEW:
            raise S3Error("AccessDenied", "Request is not valid yet")
        if now > when + int(expires):
            raise S3Error("AccessDenied", "Request has expired", extra={"X-Amz-Expires": expires})
        payload = query.get("X-Amz-Content-Sha256", payload) or UNSIGNED
        canonical = canonical_query(raw_query, without="X-Amz-Signature")
        return self._compare(
            head,
            path,
            canonical,
            signed.split(";"),
            payload,
            timestamp,
            scope,
            date,
            region,
            service,
            access_key,
            signature,
        )

    def _check_access_key(self, access_key: str, region: str) -> None:
        if access_key in self.temporary:
            if time.time() >= self.temporary[access_key][1]:
                raise S3Error("ExpiredToken", extra={"AWSAccessKeyId": access_key})
        elif access_key != self.access_key:
            raise S3Error("InvalidAccessKeyId", extra={"AWSAccessKeyId": access_key})
        if self.check_region and region != self.region:
            raise S3Error(
                "AuthorizationHeaderMalformed",
                f"The authorization header is malformed; the region '{region}' is wrong; expecting '{self.region}'",
                extra={"Region": self.region},
            )

    def _compare(
        self,
        head: Head,
        path: str,
        query: str,
        names: list[str],
        payload: str,
        timestamp: str,
        scope: str,
        date: str,
        region: str,
        service: str,
        access_key: str,
        signature: str,
    ) -> Auth:
        if "host" not in names:
            raise S3Error("AccessDenied", "The Host header must be signed")
        headers = head.headers
        fields = "".join([f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names])
        canonical = f"{head.method}\n{canonical_path(path)}\n{query}\n{fields}\n{';'.join(names)}\n{payload}"
        hashed = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{hashed}"
        secret = self.temporary.get(access_key, (self.secret_key, 0.0))[0]
        key = signing_key(secret, date, region, service)
        expected = hmac.digest(key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(expected, signature.lower()):
            raise S3Error(
                "SignatureDoesNotMatch",
                extra={
                    "AWSAccessKeyId": access_key,
                    "StringToSign": text,
                    "SignatureProvided": signature,
                    "CanonicalRequest": canonical,
                },
            )
        return Auth(access_key, payload, timestamp, scope, key, expected, verified=True)


def _credential(value: str, error: str) -> tuple[str, str, str, str, str]:
    parts = value.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or parts[3] not in ("s3", "s3express"):
        raise S3Error(
            error,
            'The Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        )
    access_key, date, region, service, terminator = parts
    return access_key, f"{date}/{region}/{service}/{terminator}", date, region, service


@lru_cache(maxsize=64)
def _timestamp(value: str) -> int | None:
    try:
        return calendar.timegm(time.strptime(value, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return None
