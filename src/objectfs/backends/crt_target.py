"""What all requests to one bucket have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from objectfs import _native
from objectfs.backends.crt_trailer import Trailers
from objectfs.backends.session import Endpoint

__all__ = ["Target"]

USER_AGENT = b"objectfs"


class Target:
    """The endpoint, and the engine that talks to it."""

    __slots__ = ("base", "endpoint", "engine", "native", "trailers")

    def __init__(self, engine: Any, endpoint: Endpoint) -> None:
        self.engine = engine
        self.endpoint = endpoint
        self.base = endpoint.path_prefix
        self.native = _native.Endpoint(f"{endpoint.scheme}://{endpoint.host_header}")
        self.trailers = Trailers()

    def path(self, key: str | None, query: str = "") -> bytes:
        """The request's path and query. Only what RFC 3986 calls unreserved, and the slash, stays as it is."""
        if key is not None:
            return _native.object_path(self.base, key, query)
        path = self.base or "/"
        return (f"{path}?{query}" if query else path).encode("ascii")

    def headers(self, *groups: Mapping[str, str] | None) -> Any:
        """Host and user agent, and the groups' headers."""
        pairs = [(b"Host", self.endpoint.host_header.encode("ascii")), (b"User-Agent", USER_AGENT)]
        for group in groups:
            if group:
                pairs.extend((name.encode("ascii"), value.encode("utf-8")) for name, value in group.items())
        return _native.Headers(pairs)
