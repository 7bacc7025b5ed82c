"""A server with content, what a client makes of it, and what must hold afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import objectfs
from objectfs.sim import S3Server

__all__ = ["LARGE", "MANY", "SMALL", "World", "uploads"]

MiB = 1024 * 1024
PART = 5 * MiB


def ramp(size: int, seed: int = 0) -> bytes:
    """Bytes in which every misplacement shows: a ramp modulo a prime."""
    unit = bytes((value + seed) % 251 for value in range(251))
    return (unit * (size // 251 + 1))[:size]


SMALL = ramp(1000)
LARGE = ramp(2 * PART + MiB, 3)
MANY = {f"many/{number}": ramp(300 + number, number) for number in range(5)}
CONTENT = {"small": SMALL, "large": LARGE, **MANY}
FLIP = bytes(byte ^ 1 for byte in range(256))


class World:
    """One case's surroundings. The server outlives it, its content is put back."""

    def __init__(self, server: S3Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.client: Any = None
        self.settings: dict[str, Any] = {}

    def objects(self) -> dict[str, Any]:
        return self.server.store.buckets["bucket"].objects

    def content(self, key: str) -> bytes | None:
        """What the server holds, without a request."""
        record = self.objects().get(key)
        if record is None:
            return None
        return b"".join(bytes(chunk) for chunk in record.blob.chunks(0, record.size))

    def fill(self, setup: objectfs.Client) -> None:
        """Put all back as it was."""
        setup.put_many("bucket", CONTENT)
        self.clear()

    def clear(self) -> None:
        """Remove what a case has made."""

        def remove() -> None:
            bucket = self.server.store.buckets["bucket"]
            for key in [key for key in bucket.objects if key not in CONTENT]:
                self.server.store.remove(bucket, key)
            bucket.uploads.clear()

        self.server.run(remove)
        for path in self.folder.iterdir():
            path.unlink()
        (self.folder / "small.src").write_bytes(SMALL)
        (self.folder / "large.src").write_bytes(LARGE)

    def damaged(self) -> bool:
        """Whether an object that was there before is not as it was."""
        return any(self.content(key) != data for key, data in CONTENT.items())

    def leftovers(self) -> list[str]:
        """Files that nobody asked for."""
        known = {"small.src", "large.src", "got"}
        return sorted(path.name for path in self.folder.iterdir() if path.name not in known)


def uploads(server: S3Server) -> int:
    return len(server.store.buckets["bucket"].uploads)


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> bool:
    """Time in which this process was stopped does not count."""
    left, before = seconds, time.monotonic()
    while not condition():
        if left <= 0:
            return False
        time.sleep(0.005)
        now = time.monotonic()
        left, before = left - min(now - before, 1.0), now
    return True
