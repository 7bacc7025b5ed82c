"""Requests with a signer of the tests' own: what no client would send can be sent, and nothing is repaired."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass
class Request:
    """One request. Braces in query, headers and body name what earlier answers said: ``{etag:x}``, ``{upload:x}``,
    ``{version:x}``, ``{next}``; ``save`` names this answer's for later ones."""

    name: str
    method: str
    key: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    bucket: str = "{bucket}"
    save: str = ""
    # How to sign: any of secret, access, region, offset (seconds), payload, unsigned, presigned (expires, in seconds),
    # drop and change (of the signed request, behind the signer's back).
    sign: dict[str, Any] = field(default_factory=dict)
    chunks: str = ""
    """A form of aws-chunked: see ``chunked.encode``."""


@dataclass
class Answer:
    """One answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _encode(text: str, safe: str = "-_.~") -> str:
    return quote(text, safe=safe, encoding="utf-8")


@dataclass
class Signature:
    """What a chunked body needs of the signature of its head."""

    key: bytes
    scope: str
    timestamp: str
    value: str


def sign(
    request: Request, host: str, path: str, headers: dict[str, str], access: str, secret: str, region: str
) -> tuple[str, dict[str, str], Signature]:
    """The target and the headers to send."""
    options = request.sign
    access, secret = options.get("access", access), options.get("secret", secret)
    region = options.get("region", region)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + options.get("offset", 0)))
    date = stamp[:8]
    scope = f"{date}/{region}/{options.get('service', 's3')}/aws4_request"
    payload = options.get("payload", hashlib.sha256(request.body).hexdigest())
    query = dict(request.query)
    headers = {"host": host, **{name.lower(): value for name, value in headers.items()}}
    presigned = options.get("presigned")
    if presigned is None:
        headers |= {"x-amz-date": stamp, "x-amz-content-sha256": payload}
    else:
        payload = "UNSIGNED-PAYLOAD"
    names = ";".join(sorted(headers))
    if presigned is not None:
        query |= {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{access}/{scope}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(presigned),
            "X-Amz-SignedHeaders": names,
        }
    pairs = sorted((_encode(name), _encode(value)) for name, value in query.items())
    canonical_query = "&".join(f"{name}={value}" for name, value in pairs)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
    canonical = f"{request.method}\n{path}\n{canonical_query}\n{lines}\n{names}\n{payload}"
    hashed = hashlib.sha256(canonical.encode("utf-8")).hexdigest()
    key = _hmac(f"AWS4{secret}".encode(), date)
    for part in (region, options.get("service", "s3"), "aws4_request"):
        key = _hmac(key, part)
    value = _hmac(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}").hex()
    if presigned is not None:
        canonical_query += f"&X-Amz-Signature={value}"
    else:
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={value}"
        )
    target = f"{path}?{canonical_query}" if canonical_query else path
    for name in options.get("drop", ()):
        headers.pop(name, None)
    headers |= options.get("change", {})
    for old, new in options.get("target", ()):
        target = target.replace(old, new)
    if options.get("unsigned"):
        headers.pop("authorization", None)
    return target, headers, Signature(key, scope, stamp, value)


class Sender:
    """Sends requests to one server, in buckets of its own."""

    def __init__(self, url: str, access: str, secret: str, region: str, bucket: str) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.access, self.secret, self.region, self.bucket = access, secret, region, bucket
        self.saved: dict[str, str] = {"bucket": bucket}
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def fill(self, text: str) -> str:
        for name, value in self.saved.items():
            if "{" not in text:
                break
            text = text.replace(f"{{{name}}}", value)
        return text

    def send(self, request: Request) -> Answer:
        from .chunked import encode

        filled = Request(
            request.name,
            request.method,
            None if request.key is None else self.fill(request.key),
            {name: self.fill(value) for name, value in request.query.items()},
            {name: self.fill(value) for name, value in request.headers.items()},
            self.fill(request.body.decode("latin-1")).encode("latin-1") if b"{" in request.body else request.body,
            self.fill(request.bucket),
            request.save,
            request.sign,
            request.chunks,
        )
        path = "/" + _encode(filled.bucket)
        if filled.key is not None:
            path += "/" + _encode(filled.key, "/-_.~")
        body, headers = filled.body, dict(filled.headers)
        if filled.chunks:
            headers, finish = encode(filled, headers)
        target, headers, signature = sign(filled, self.host, path, headers, self.access, self.secret, self.region)
        if filled.chunks:
            body = finish(signature)
        if "content-length" not in headers and (body or filled.method in ("PUT", "POST")):
            headers["content-length"] = str(len(body))
        answer = self._exchange(filled.method, target, headers, body)
        self._remember(request, answer)
        return answer

    def _exchange(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        for attempt in (1, 2):
            try:
                self._connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
                for name, value in headers.items():
                    self._connection.putheader(name, value.encode("utf-8"))
                self._connection.endheaders(body or None)
                response = self._connection.getresponse()
                found = {name.lower(): value for name, value in response.getheaders()}
                return Answer(response.status, found, response.read())
            except (http.client.HTTPException, ConnectionError):
                # A connection that the server has closed meanwhile; twice is an answer of its own.
                self._connection.close()
                if attempt == 2:
                    return Answer(0, {}, b"")
        raise AssertionError

    def _remember(self, request: Request, answer: Answer) -> None:
        if not request.save:
            return
        text = answer.body.decode("utf-8", "replace")

        def element(name: str) -> str:
            return text.partition(f"<{name}>")[2].partition("<")[0]

        etag = answer.headers.get("etag", "") or element("ETag").replace("&quot;", '"')
        self.saved[f"etag:{request.save}"] = etag
        self.saved[f"upload:{request.save}"] = element("UploadId")
        self.saved[f"version:{request.save}"] = answer.headers.get("x-amz-version-id", "")
        self.saved["next"] = element("NextContinuationToken") or element("NextMarker")
