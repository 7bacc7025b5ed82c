"""Leaks that are made on purpose, after each round: the canary that shows that a soak would find them.

``--leak all`` must end with exit code 1, and name each measure. What is kept is never given back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from objectfs.errors import ObjectFSError
from objectfs.soak.measures import MIB
from objectfs.soak.stage import DEADLINE, Stage

_kept: list[object] = []
_never = threading.Event()


def _memory() -> None:
    _kept.append(b"x" * (24 * MIB))


def _native(stage: Stage) -> None:
    """Clients that nobody closes: on crt their engines stay, with a connection each."""
    for _ in range(3):
        client = stage.make()
        _kept.append(client)
        with suppress(ObjectFSError):
            client.exists(stage.bucket, "nothing", timeout=DEADLINE)


def _descriptors() -> None:
    _kept.append([os.pipe() for _ in range(3)])


def _threads() -> None:
    for _ in range(5):
        threading.Thread(target=_never.wait, daemon=True).start()


def _objects() -> None:
    _kept.append([[number] for number in range(20_000)])


def _allow_descriptors() -> None:
    """As many as this process may have: running out of them is another thing than what is shown here."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


_LEAKS: dict[str, Callable[[], None]] = {
    "rss": _memory,
    "descriptors": _descriptors,
    "threads": _threads,
    "objects": _objects,
}
"""By the measure that has to grow, beside the native memory."""


def leak(name: str | None, stage: Stage) -> None:
    """Make one of them, or with ``all`` each."""
    if name is not None:
        _allow_descriptors()
    if name in ("native", "all"):
        _native(stage)
    for known, make in _LEAKS.items():
        if name in (known, "all"):
            make()
