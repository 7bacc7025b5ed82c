"""Where built prefixes are kept between builds, and how builds at once stay out of each other's way."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

__all__ = ["cache_dir", "exclusive"]


def cache_dir() -> Path:
    """OBJECTFS_CACHE, or `objectfs` in the place the platform keeps caches."""
    if given := os.environ.get("OBJECTFS_CACHE"):
        return Path(given).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "objectfs" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "objectfs"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "objectfs"


@contextlib.contextmanager
def exclusive(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path`; `waiting` is called once if somebody else holds it.

    The operating system lets go of it when the process ends, however it ends. It saves a second build the
    work; correctness rests on prefixes being renamed into place complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if not _acquire(file, block=False):
            if waiting is not None:
                waiting()
            _acquire(file, block=True)
        try:
            yield
        finally:
            _release(file)


if sys.platform == "win32":
    import msvcrt

    def _acquire(file: IO[bytes], *, block: bool) -> bool:
        file.seek(0)
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if block else msvcrt.LK_NBLCK, 1)
            except OSError:  # LK_LOCK gives up after 10 s
                if not block:
                    return False
            else:
                return True

    def _release(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _acquire(file: IO[bytes], *, block: bool) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if block else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def _release(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
