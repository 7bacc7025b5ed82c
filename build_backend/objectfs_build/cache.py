"""Where built prefixes are kept between builds, and how builds at once stay out of each other's way."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["cache_dir", "exclusive"]


def cache_dir() -> Path:
    """OBJECTFS_CACHE, or `objectfs` in the place the platform keeps caches."""
    if given := os.environ.get("OBJECTFS_CACHE"):
        return Path(given).expanduser().absolute()
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "objectfs" / "Cache"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "objectfs"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "objectfs"


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[float]:
    """Hold the lock file `path`; yields the seconds spent waiting for it.

    The operating system lets go of it when the process ends, however it ends. It saves a second build the
    work; correctness rests on prefixes being renamed into place complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with path.open("a+b") as file:
        _acquire(file)
        try:
            yield time.monotonic() - begun
        finally:
            _release(file)


if sys.platform == "win32":
    import msvcrt

    def _acquire(file: IO[bytes]) -> None:
        file.seek(0)
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # tries for 10 s, then raises
            except OSError:
                continue
            return

    def _release(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _acquire(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _release(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
