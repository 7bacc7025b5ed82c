"""What S3 refuses of signed requests, with its code, status and words; and what it must not refuse."""

from __future__ import annotations

import hashlib
import io
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from objectfs.sim import S3Server

from .conftest import connect
from .signing import error, send, signed
from .test_auth import Clock

Headers = dict[str, str]
EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.fixture
def strict() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


KEYS = [
    "plain",
    "a//b",
    "/leading",
    "//",
    ".",
    "..",
    "../up",
    "a/./b/../c",
    "trailing/",
    "a b+c",
    "100%",
    "%2F",
    "~-_.!*'()",
    ';:@&=$,?#[]\\^`{|}<>"',
    "ü€😀",
    "\x7f\x1f",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("presigned", [False, True])
def test_paths_are_signed_as_sent(strict: S3Server, key: str, presigned: bool) -> None:
    """Encoded once, and never normalised: S3 keeps double slashes and dots."""
    target = f"/bucket/{quote(key, safe='/~')}"
    expires = 60 if presigned else None
    put, headers = signed(strict, "PUT", target, b"" if presigned else b"body", expires=expires)
    assert send(strict, "PUT", put, headers, b"body")[0] == 200
    assert list(strict.store.buckets["bucket"].objects) == [key]
    get, headers = signed(strict, "GET", target, expires=expires)
    assert send(strict, "GET", get, headers)[2] == b"body"


@pytest.mark.parametrize(
    "query",
    [
        "acl",
        "acl=",
        "prefix=a%20b&list-type=2",
        "list-type=2&prefix=%C3%BC%2F",
        "list-type=2&delimiter=%2F&prefix=",
        "prefix=b&prefix=a",
        "prefix=a&Prefix=b&PREFIX=c",
        "x-id=ListObjectsV2&list-type=2&start-after=~-_.",
        "prefix=%26%3D%3F%2B%25",
    ],
)
def test_queries_are_signed_sorted(strict: S3Server, query: str) -> None:
    target, headers = signed(strict, "GET", f"/bucket?{query}")
    assert send(strict, "GET", target, headers)[0] == 200
    target, headers = signed(strict, "GET", f"/bucket?{query}", expires=60)
    assert send(strict, "GET", target, headers)[0] == 200


def test_values_of_headers(strict: S3Server) -> None:
    """Blanks are folded; raw UTF-8 keeps its bytes, of which 0xA0 is not a blank."""
    raw = "à ü".encode().decode("latin-1")
    target, headers = signed(strict, "PUT", "/bucket/k", b"x", x_amz_meta_a="one  two   three", x_amz_meta_b="c")
    headers["x-amz-meta-b"] = "  c \t"
    assert send(strict, "PUT", target, headers, b"x")[0] == 200
    from objectfs.sim.auth.sigv4 import canonical_headers

    fields = {"a": "one \t two", "b": raw}
    assert canonical_headers(fields, ["a", "b"]) == f"a:one two\nb:{raw}\n"


def test_payloads(strict: S3Server) -> None:
    target, headers = signed(strict, "PUT", "/bucket/k", b"right")
    assert headers["x-amz-content-sha256"] == hashlib.sha256(b"right").hexdigest()
    assert send(strict, "PUT", target, headers, b"right")[0] == 200
    answer = error(send(strict, "PUT", target, headers, b"wrong"))
    assert (answer["status"], answer["Code"]) == ("400", "XAmzContentSHA256Mismatch")
    assert answer["ClientComputedContentSHA256"] == headers["x-amz-content-sha256"]
    assert answer["S3ComputedContentSHA256"] == hashlib.sha256(b"wrong").hexdigest()
    target, headers = signed(strict, "PUT", "/bucket/k", payload="UNSIGNED-PAYLOAD")
    assert send(strict, "PUT", target, headers, b"sent")[0] == 200
    assert send(strict, "GET", *signed(strict, "GET", "/bucket/k"))[2] == b"sent"


def test_botocores_trailers() -> None:
    """Over TLS botocore sends STREAMING-UNSIGNED-PAYLOAD-TRAILER in the chunked transfer coding."""
    body = bytes(range(256)) * 10_000
    with S3Server(tls=True) as server:
        s3 = connect(server)
        for algorithm in ("CRC32", "SHA1", "SHA256"):
            s3.put_object(Bucket="bucket", Key=algorithm, Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
            request = server.requests[-1]
            assert request.headers["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
            assert "content-length" not in request.headers
            assert s3.get_object(Bucket="bucket", Key=algorithm)["Body"].read() == body
        s3.close()


def stamp(offset: float = 0.0) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + offset))


def changed(headers: Headers, old: str, new: str) -> None:
    assert old in headers["authorization"]
    headers["authorization"] = headers["authorization"].replace(old, new)


WRONG: dict[str, tuple[Callable[[Headers], Any], int, str, str]] = {
    "signature": (
        lambda h: h.update(authorization=h["authorization"][:-64] + "0" * 64),
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    ),
    "signature that is no ASCII": (
        lambda h: h.update(authorization=h["authorization"][:-64] + "\xe4"),
        403,
        "SignatureDoesNotMatch",
        "",
    ),
    "another host": (lambda h: h.update(host="other"), 403, "SignatureDoesNotMatch", ""),
    "a header added": (
        lambda h: h.update({"x-amz-acl": "private", "x-amz-meta-a": "b"}),
        403,
        "AccessDenied",
        "There were headers present in the request which were not signed",
    ),
    "host not signed": (
        lambda h: changed(h, "SignedHeaders=host;", "SignedHeaders="),
        403,
        "AccessDenied",
        "There were headers present in the request which were not signed",
    ),
    "a signed header missing": (lambda h: h.pop("range"), 403, "SignatureDoesNotMatch", ""),
    "no hash": (
        lambda h: h.pop("x-amz-content-sha256"),
        400,
        "InvalidRequest",
        "Missing required header for this request: x-amz-content-sha256",
    ),
    "no such hash": (
        lambda h: h.update({"x-amz-content-sha256": "UNSIGNED"}),
        400,
        "InvalidArgument",
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER, or a valid sha256 value.",
    ),
    "no date": (
        lambda h: h.pop("x-amz-date"),
        403,
        "AccessDenied",
        "AWS authentication requires a valid Date or x-amz-date header",
    ),
    "no such date": (lambda h: h.update({"x-amz-date": "20261399T999999Z"}), 403, "AccessDenied", ""),
    "date of another day": (
        lambda h: h.update({"x-amz-date": "20200101T000000Z"}),
        400,
        "AuthorizationHeaderMalformed",
        'The authorization header is malformed; Invalid credential date "TODAY". This date is not the same '
        'as x-amz-date: "20200101".',
    ),
    "credential without a slash": (
        lambda h: changed(h, "/s3/", "/"),
        400,
        "AuthorizationHeaderMalformed",
        "The authorization header is malformed; the Credential is mal-formed; expecting "
        '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    ),
    "service": (
        lambda h: changed(h, "/s3/", "/ec2/"),
        400,
        "AuthorizationHeaderMalformed",
        'The authorization header is malformed; incorrect service "ec2". This endpoint belongs to "s3".',
    ),
    "terminal": (
        lambda h: changed(h, "/aws4_request", "/aws5_request"),
        400,
        "AuthorizationHeaderMalformed",
        'The authorization header is malformed; incorrect terminal "aws5_request". This endpoint uses "aws4_request".',
    ),
    "date of the credential": (
        lambda h: changed(h, f"/{stamp()[:8]}/", "/today/"),
        400,
        "AuthorizationHeaderMalformed",
        'The authorization header is malformed; incorrect date format "today". This date in the credential must be in '
        'the format "yyyyMMdd".',
    ),
    "component": (
        lambda h: changed(h, "SignedHeaders=", "SignedHeaders"),
        400,
        "AuthorizationHeaderMalformed",
        "",
    ),
    "component missing": (
        lambda h: h.update(authorization=h["authorization"].rpartition(",")[0]),
        400,
        "AuthorizationHeaderMalformed",
        "The authorization header is malformed; the authorization header requires three components: Credential, "
        "SignedHeaders, and Signature.",
    ),
    "component twice": (
        lambda h: h.update(authorization=h["authorization"] + ", Signature=0"),
        400,
        "AuthorizationHeaderMalformed",
        "",
    ),
    "version 2": (
        lambda h: h.update(authorization="AWS test:c2lnbmF0dXJl"),
        400,
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    ),
    "version 4a": (
        lambda h: changed(h, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        501,
        "NotImplemented",
        "",
    ),
    "bearer": (lambda h: h.update(authorization="Bearer x"), 400, "InvalidArgument", "Unsupported Authorization Type"),
    "nothing": (lambda h: h.pop("authorization"), 403, "AccessDenied", "Access Denied"),
    "a token of nobody": (
        lambda h: h.update({"x-amz-security-token": "t"}),
        400,
        "InvalidToken",
        "The provided token is malformed or otherwise invalid.",
    ),
}


def headers_day(headers: dict[str, str]) -> str:
    """The day in the credential: not that of the test's beginning, when midnight has passed since."""
    found = re.search(r"Credential=[^/]*/(\d{8})/", headers.get("authorization", ""))
    return found[1] if found else ""


@pytest.mark.parametrize("name", WRONG)
def test_refused(strict: S3Server, name: str) -> None:
    spoil, status, code, message = WRONG[name]
    target, headers = signed(strict, "GET", "/bucket/k", range="bytes=0-1")
    spoil(headers)
    answer = error(send(strict, "GET", target, headers))
    assert (answer["status"], answer["Code"]) == (str(status), code)
    if message:
        assert answer["Message"] == message.replace("TODAY", headers_day(headers))


def test_what_is_named_in_the_answer(strict: S3Server) -> None:
    target, headers = signed(strict, "GET", "/bucket/k")
    headers.update({"x-amz-acl": "private", "x-amz-meta-a": "b"})
    assert error(send(strict, "GET", target, headers))["HeadersNotSigned"] == "x-amz-acl, x-amz-meta-a"
    target, headers = signed(strict, "GET", "/bucket/k", keys=("nobody", "x"))
    answer = error(send(strict, "GET", target, headers))
    assert (answer["status"], answer["Code"], answer["AWSAccessKeyId"]) == ("403", "InvalidAccessKeyId", "nobody")
    target, headers = signed(strict, "GET", "/bucket/k", region="eu-west-1")
    answer = error(send(strict, "GET", target, headers))
    assert (answer["status"], answer["Code"], answer["Region"]) == ("400", "AuthorizationHeaderMalformed", "us-east-1")
    assert answer["Message"] == (
        "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-east-1'"
    )
    target, headers = signed(strict, "GET", "/bucket/k", region="eu-west-1", expires=60)
    answer = error(send(strict, "GET", target, headers))
    assert (answer["Code"], answer["Region"]) == ("AuthorizationQueryParametersError", "us-east-1")
    target, headers = signed(strict, "GET", "/bucket/k", keys=("test", "wrong"))
    answer = error(send(strict, "GET", target, headers))
    assert answer["StringToSign"].startswith(f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n")
    assert answer["CanonicalRequest"].splitlines()[:2] == ["GET", "/bucket/k"]
    assert answer["SignatureProvided"] == headers["authorization"][-64:]
    target, headers = signed(strict, "GET", "/bucket/k", expires=60)
    headers["authorization"] = "AWS4-HMAC-SHA256 x"
    answer = error(send(strict, "GET", target, headers))
    assert (answer["Code"], answer["ArgumentName"]) == ("InvalidArgument", "Authorization")
    assert answer["Message"].startswith("Only one auth mechanism allowed")


def test_a_clock_that_is_wrong(strict: S3Server) -> None:
    clock = Clock()
    strict._service.verifier.clock = clock.time
    target, headers = signed(strict, "GET", "/bucket/k")
    for seconds in (-890, 890):  # of 900, and a busy machine takes some for itself
        clock.offset = seconds
        assert send(strict, "GET", target, headers)[0] == 404
    for seconds in (-910, 910):
        clock.offset = seconds
        answer = error(send(strict, "GET", target, headers))
        assert (answer["status"], answer["Code"]) == ("403", "RequestTimeTooSkewed")
        assert answer["RequestTime"] == headers["x-amz-date"]
        assert answer["MaxAllowedSkewMilliseconds"] == "900000"
        assert answer["ServerTime"][:4] == headers["x-amz-date"][:4]


def test_the_date_header_will_do(strict: S3Server) -> None:
    """Without x-amz-date, Date says when the request was signed. Where it is given, botocore signs it instead."""
    target, headers = signed(strict, "GET", "/bucket/k", date="now")
    assert "x-amz-date" not in headers
    assert error(send(strict, "GET", target, headers))["Code"] == "NoSuchKey"
    headers["date"] = stamp()
    answer = error(send(strict, "GET", target, headers))
    assert (answer["Code"], answer["StringToSign"].split("\n")[1]) == ("SignatureDoesNotMatch", headers["date"])
    headers["date"] = "yesterday"
    assert error(send(strict, "GET", target, headers))["Code"] == "AccessDenied"


EXPIRES = [
    ("0", "X-Amz-Expires must be at least 1 second"),
    ("-1", "X-Amz-Expires must be non-negative"),
    ("-99999999999999999999", "X-Amz-Expires must be non-negative"),
    ("abc", "X-Amz-Expires should be a number"),
    ("1.5", "X-Amz-Expires should be a number"),
    ("604801", "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
     "than 604800 seconds"),
    ("9" * 5000, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
     "than 604800 seconds"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "message"), EXPIRES, ids=[value[:8] for value, _ in EXPIRES])
def test_expiry_out_of_range(strict: S3Server, value: str, message: str) -> None:
    target, headers = signed(strict, "GET", "/bucket/k", expires=60)
    answer = error(send(strict, "GET", target.replace("X-Amz-Expires=60", f"X-Amz-Expires={value}"), headers))
    assert (answer["status"], answer["Code"]) == ("400", "AuthorizationQueryParametersError")
    assert answer["Message"] == message


@pytest.mark.parametrize("seconds", [1, 604800])
def test_expiry_at_its_ends(strict: S3Server, seconds: int) -> None:
    clock = Clock()
    strict._service.verifier.clock = clock.time
    target, headers = signed(strict, "GET", "/bucket/k", expires=seconds)
    clock.offset = seconds - 1
    assert send(strict, "GET", target, headers)[0] == 404
    clock.offset = seconds + 1
    answer = error(send(strict, "GET", target, headers))
    assert (answer["status"], answer["Code"], answer["Message"]) == ("403", "AccessDenied", "Request has expired")
    assert answer["X-Amz-Expires"] == str(seconds)
    clock.offset = -901
    answer = error(send(strict, "GET", target, headers))
    assert (answer["status"], answer["Code"], answer["Message"]) == ("403", "AccessDenied", "Request is not yet valid")
    assert answer["X-Amz-Date"].endswith("000")


QUERY_NAMES = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"]


@pytest.mark.parametrize("name", QUERY_NAMES)
def test_a_query_parameter_is_missing_or_wrong(strict: S3Server, name: str) -> None:
    target, headers = signed(strict, "GET", "/bucket/k", expires=60)
    path, _, query = target.partition("?")
    without = "&".join(item for item in query.split("&") if not item.startswith(f"X-Amz-{name}="))
    answer = error(send(strict, "GET", f"{path}?{without}", headers))
    assert (answer["status"], answer["Code"]) == ("400", "AuthorizationQueryParametersError")
    assert answer["Message"].startswith("Query-string authentication version 4 requires")
    wrong = error(send(strict, "GET", f"{path}?{without}&X-Amz-{name}=wrong", headers))
    assert (wrong["status"], wrong["Code"]) in (
        ("400", "AuthorizationQueryParametersError"),
        ("403", "SignatureDoesNotMatch"),
        ("403", "AccessDenied"),
    )


def test_presigned_requests_may_not_gain_headers(strict: S3Server) -> None:
    target, headers = signed(strict, "PUT", "/bucket/k", expires=60)
    answer = error(send(strict, "PUT", target, {**headers, "x-amz-acl": "public-read"}, b"x"))
    assert (answer["Code"], answer["HeadersNotSigned"]) == ("AccessDenied", "x-amz-acl")
    hashed = hashlib.sha256(b"x").hexdigest()
    assert send(strict, "PUT", target, {**headers, "x-amz-content-sha256": hashed}, b"x")[0] == 200
    answer = error(send(strict, "PUT", target, {**headers, "x-amz-content-sha256": hashed}, b"y"))
    assert answer["Code"] == "XAmzContentSHA256Mismatch"


def test_version_2_urls_are_refused_even_where_anyone_may_come() -> None:
    with S3Server(anonymous=True) as server:
        target = "/bucket/k?AWSAccessKeyId=test&Signature=x&Expires=99999999999"
        answer = error(send(server, "GET", target, {"host": "x"}))
        assert (answer["status"], answer["Code"]) == ("400", "InvalidRequest")
        assert send(server, "GET", "/bucket", {"host": "x"})[0] == 200
        target, headers = signed(server, "GET", "/bucket", keys=("test", "wrong"))
        assert error(send(server, "GET", target, headers))["Code"] == "SignatureDoesNotMatch"


@pytest.mark.parametrize("expires", [None, 60])
def test_session_tokens(strict: S3Server, expires: int | None) -> None:
    strict.add_access_key("ASIA", "secret", time.time() + 60, "token")
    strict.add_access_key("OLD", "secret", time.time() - 1, "token")
    strict.add_access_key("ANY", "secret", time.time() + 60)

    def code(*keys: str) -> str:
        target, headers = signed(strict, "GET", "/bucket/k", keys=keys, expires=expires)
        return error(send(strict, "GET", target, headers))["Code"]

    assert code("ASIA", "secret", "token") == "NoSuchKey"
    assert code("ASIA", "wrong", "token") == "SignatureDoesNotMatch"
    assert code("ASIA", "secret", "other") == "InvalidToken"
    assert code("ASIA", "secret") == "InvalidAccessKeyId"
    assert code("OLD", "secret", "token") == "ExpiredToken"
    assert code("ANY", "secret", "whatever") == "NoSuchKey"
    assert code("ANY", "secret") == "NoSuchKey"
    assert code("test", "testtest", "token") == "InvalidToken"
