"""AWS Signature Version 4: canonical requests, signing keys, and the signatures of chunks and trailers."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING = frozenset((STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER))
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/_.~-]*")


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


def canonical_headers(headers: Mapping[str, str], names: Sequence[str]) -> str:
    """The lines of the signed headers. Only blanks are folded: of raw UTF-8, 0xA0 may be a part."""
    lines = []
    for name in names:
        value = headers.get(name, "")
        if "  " in value or "\t" in value:
            value = " ".join([word for word in value.replace("\t", " ").split(" ") if word])
        lines.append(f"{name}:{value}\n")
    return "".join(lines)


def string_to_sign(timestamp: str, scope: str, canonical_request: str) -> str:
    hashed = hashlib.sha256(canonical_request.encode("latin-1")).hexdigest()
    return f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{hashed}"


def sign(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("latin-1"), "sha256").hex()
