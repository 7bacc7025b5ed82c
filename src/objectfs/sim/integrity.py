"""Bodies against their digests."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from objectfs.sim.checksums import decode, encode
from objectfs.sim.errors import S3Error
from objectfs.sim.operations.context import Context

if TYPE_CHECKING:
    from objectfs.sim.service import Exchange


def verify_body(exchange: Exchange, context: Context) -> None:
    """Compare what arrived with every digest that the client gave, and keep the checksums. Raises what S3 raises."""
    headers, receiver = exchange.head.headers, exchange.receiver
    if exchange.announced is not None and receiver.destination.size != exchange.announced:
        raise S3Error("IncompleteBody")
    for algorithm, running in exchange.digests.items():
        digest = running.digest()
        if algorithm == "payload":
            assert exchange.auth is not None
            assert digest is not None
            if digest.hex() != exchange.auth.payload:
                raise S3Error(
                    "XAmzContentSHA256Mismatch",
                    extra={
                        "ClientComputedContentSHA256": exchange.auth.payload,
                        "S3ComputedContentSHA256": digest.hex(),
                    },
                )
        elif algorithm.startswith("default "):
            if digest is not None:
                context.checksums[algorithm.removeprefix("default ")] = encode(digest)
        elif algorithm == "MD5":
            given = headers.get("content-md5")
            if given is not None and digest is not None:
                _check_md5(given, digest)
        else:
            name = f"x-amz-checksum-{algorithm.lower()}"
            value = headers.get(name) or receiver.trailers.get(name, "")
            expected = decode(algorithm, value)
            if expected is None:
                raise S3Error("InvalidRequest", f"Value for {name} header is invalid.")
            if digest is None:
                context.unverified = algorithm
            elif digest != expected:
                raise S3Error("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")
            context.checksums[algorithm] = encode(expected)
            context.given_checksum = True


def _check_md5(given: str, digest: bytes) -> None:
    try:
        expected = base64.b64decode(given, validate=True)
    except ValueError:
        expected = b""
    if len(expected) != 16:
        raise S3Error("InvalidDigest", extra={"Content-MD5": given})
    if expected != digest:
        raise S3Error("BadDigest", extra={"ExpectedDigest": given, "CalculatedDigest": encode(digest)})
