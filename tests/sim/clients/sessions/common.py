"""What the sessions share. They run in processes of their own, with the clients' environment, and know of the server
only what a user knows: an endpoint, two keys, a certificate."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

ENDPOINT = os.environ["S3_ENDPOINT"]
"""URL whose host is an address (path style), or s3.localhost, of which buckets are subdomains (virtual-host style)."""
VIRTUAL = os.environ["S3_STYLE"] == "virtual"
CA = os.environ.get("S3_CA") or None
ACCESS_KEY, SECRET_KEY, REGION = os.environ["S3_ACCESS_KEY"], os.environ["S3_SECRET_KEY"], "us-east-1"
FOLDER = os.environ["S3_FOLDER"]
"""An empty folder of the session's own."""
PORT = int(ENDPOINT.rpartition(":")[2])
TLS = ENDPOINT.startswith("https:")
BUCKET = "session-bucket"
MIB = 1024 * 1024

KEYS = [
    "plain.txt",
    "with space/and more",
    " leading and trailing ",
    "a+b=c&d?e#f",
    "100%",
    "not%20decoded%2Ftwice",
    "double//slash",
    "ends/in/slash/",
    "ünï/日本語/🎉",
    "quotes'\"<&>;:@$,!*()",
    "~tilde-dash_under.dot",
    "{braces}[brackets]|^`\\",
]
"""Keys that clients and servers get wrong: each is put, read, listed, copied and deleted."""

for _name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.lower(), None)


def data(size: int, seed: str = "") -> bytes:
    """Bytes without a pattern, the same in every process."""
    return hashlib.shake_128(f"{size}:{seed}".encode()).digest(size)


def resolve_localhost() -> None:
    """Make ``*.localhost`` resolve for this process's Python code. RFC 6761 says that it does; not every libc knows."""
    original = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if isinstance(name, str) and name.endswith(".localhost"):
            host = "127.0.0.1"
        return original(host, *rest, **named)

    socket.getaddrinfo = getaddrinfo


def raises(kind: type[BaseException], act: Callable[[], Any]) -> Any:
    """The exception of that kind that ``act`` raises; anything else fails the session."""
    try:
        result = act()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected; the answer was {result!r}")


def same(got: Any, wanted: Any) -> None:
    """Equal, or a message that shows the start of both."""
    if got != wanted:
        raise AssertionError(f"got {str(got)[:600]}\nnot {str(wanted)[:600]}")


def open_url(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    """What the standard library's client gets for a presigned URL: status and body."""
    import ssl

    context = ssl.create_default_context(cafile=CA) if TLS else None
    request = urllib.request.Request(url, data=body, method=method)
    if body is not None:
        # urllib adds a form's type otherwise, which is not what was signed.
        request.add_header("Content-Type", "application/octet-stream")
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def done(version: str) -> None:
    """The last line of a session that came to its end."""
    print(f"done: {version}")
    sys.stdout.flush()
