"""The programs that are compared. Each module has ``make(endpoint)``, which returns a :class:`Peer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

ACCESS_KEY = "test"
SECRET_KEY = "testtest"
REGION = "us-east-1"

Bytes = Any
"""An object with a buffer."""


class Peer(Protocol):
    """One way to talk to S3. What it returns is checked after the clock has stopped."""

    def get_into(self, bucket: str, key: str, view: memoryview) -> Bytes:
        """The object, in ``view`` where the library can write there, else in memory of its own."""

    def get_file(self, bucket: str, key: str, path: str) -> None: ...

    def put(self, bucket: str, key: str, data: bytearray) -> None: ...

    def get_many(self, bucket: str, keys: Sequence[str], size: int) -> Sequence[Bytes]:
        """All objects, kept in memory; each has ``size`` bytes."""

    def close(self) -> None: ...
