"""Bodies in aws-chunked coding, right and wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .wire import Request, Signature

EMPTY = hashlib.sha256(b"").hexdigest()
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
FORMS = (
    "signed",
    "signed wrong chunk",
    "signed wrong last",
    "signed short",
    "signed trailer",
    "signed trailer wrong checksum",
    "signed trailer wrong signature",
    "unsigned trailer",
    "unsigned trailer wrong checksum",
    "unsigned trailer missing",
    "unsigned trailer undeclared length",
)


def encode(request: Request, headers: dict[str, str]) -> tuple[dict[str, str], Callable[[Signature], bytes]]:
    """The headers that announce the coding, and what makes the body once the head is signed. Sets the request's
    payload mode."""
    form, data = request.chunks, request.body
    trailing, signed = "trailer" in form, form.startswith("signed")
    mode = (SIGNED if signed else "STREAMING-UNSIGNED-PAYLOAD") + ("-TRAILER" if trailing else "")
    request.sign = {**request.sign, "payload": mode}
    size = len(data) + (1 if form == "signed short" else 0)
    headers = {**headers, "content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(size)}
    if form.endswith("undeclared length"):
        del headers["x-amz-decoded-content-length"]
    if trailing:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"

    def finish(signature: Signature) -> bytes:
        previous, out = signature.value, b""
        cut = 8192
        for piece in [data[i : i + cut] for i in range(0, len(data), cut)] + [b""]:
            extension = b""
            if signed:
                text = (
                    f"AWS4-HMAC-SHA256-PAYLOAD\n{signature.timestamp}\n{signature.scope}\n{previous}\n{EMPTY}\n"
                    f"{hashlib.sha256(piece).hexdigest()}"
                )
                previous = hmac.digest(signature.key, text.encode(), "sha256").hex()
                wrong = (form == "signed wrong chunk" and piece) or (form == "signed wrong last" and not piece)
                extension = b";chunk-signature=" + (b"0" * 64 if wrong else previous.encode())
            out += b"%x" % len(piece) + extension + b"\r\n" + (piece + b"\r\n" if piece else b"")
        if trailing and not form.endswith("missing"):
            value = zlib.crc32(data) ^ (1 if "wrong checksum" in form else 0)
            line = f"x-amz-checksum-crc32:{base64.b64encode(value.to_bytes(4, 'big')).decode()}"
            out += line.encode() + b"\r\n"
            if signed:
                hashed = hashlib.sha256(line.encode() + b"\n").hexdigest()
                text = f"AWS4-HMAC-SHA256-TRAILER\n{signature.timestamp}\n{signature.scope}\n{previous}\n{hashed}"
                value_ = hmac.digest(signature.key, text.encode(), "sha256").hex()
                out += b"x-amz-trailer-signature:" + (b"0" * 64 if "wrong signature" in form else value_.encode())
                out += b"\r\n"
        return out + b"\r\n"

    return headers, finish
