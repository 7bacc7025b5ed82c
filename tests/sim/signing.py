"""Requests signed by botocore, a signer that nobody here wrote, and sent as bytes: nothing in between may tidy up."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from objectfs.sim import S3Server

from .conftest import Wire

KEYS = ("test", "testtest")


def signed(
    server: S3Server,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    keys: tuple[str, ...] = KEYS,
    region: str = "us-east-1",
    payload: str | None = None,
    expires: int | None = None,
    **headers: str,
) -> tuple[str, dict[str, str]]:
    """The target and the headers of a request; with ``expires``, the target of a presigned URL."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method=method, url=server.endpoint_url + target, data=body or None, headers=names)
    signer: Any
    if expires is None:
        signer = S3SigV4Auth(Credentials(*keys), "s3", region)
        if payload is not None:
            signer.payload = lambda _: payload
    else:
        signer = S3SigV4QueryAuth(Credentials(*keys), "s3", region, expires=expires)
    signer.add_auth(request)
    parts = urlsplit(request.url)
    # Not request.prepare(), which would quote anew.
    sent = {name.lower(): str(value) for name, value in request.headers.items()}
    sent.setdefault("host", f"{server.host}:{server.port}")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path, sent


def send(
    server: S3Server, method: str, target: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    length = f"Content-Length: {len(body)}\r\n" if body or method in ("PUT", "POST") else ""
    wire = Wire(server)
    try:
        wire.send(f"{method} {target} HTTP/1.1\r\n{head}{length}\r\n".encode("latin-1") + body)
        return wire.response()
    finally:
        wire.close()


def error(answer: tuple[int, dict[str, str], bytes]) -> dict[str, str]:
    """The elements of an error document, and the status."""
    status, _, body = answer
    elements = {child.tag: child.text or "" for child in ET.fromstring(body)}
    return {"status": str(status), **elements}
