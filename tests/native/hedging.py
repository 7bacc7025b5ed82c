"""Requests and groups of them whose answers may be late."""

from __future__ import annotations

from typing import Any

from objectfs import _native
from objectfs.backends.crt import CrtBackend

SIZE = 300_000
DATA = bytes(range(1, 251)) * (SIZE // 250)
OTHER = DATA[::-1]
LATE = 0.3  # a request that arrives later than its hedge would be answered in its stead


def request(crt: CrtBackend, recv: Any = None, *, key: str = "k", method: str = "GET", **more: Any) -> Any:
    target = crt.target("bucket")
    operation = {"GET": b"GetObject", "HEAD": b"HeadObject"}[method]
    headers = target.headers({"Range": f"bytes=0-{len(recv) - 1}"} if recv is not None else None)
    return _native.Request(
        operation, method.encode(), target.path(key), target.native, headers, recv=recv, validate="request", **more
    )


def start(crt: CrtBackend, *requests: Any, late: float = LATE, marks: bool = True, **more: Any) -> Any:
    return crt.target("bucket").engine.start(list(requests), late=late, marks=marks, **more)


def hedged(crt: CrtBackend) -> tuple[int, int]:
    found: tuple[int, int] = crt.target("bucket").engine.hedged
    return found
