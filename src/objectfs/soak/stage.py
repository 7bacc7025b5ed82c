"""What all scenes have: clients, a bucket, names for objects, and the tally."""

from __future__ import annotations

import itertools
import os
import random
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import objectfs
from objectfs.soak import content
from objectfs.soak.outcomes import Outcomes

DEADLINE = 60.0
"""Seconds for each call: ``timeout=`` of all of them that are not cut short on purpose."""

SIZES = (0, 1, 1_000, 4_096, 65_537, 300_000, 1_048_576)
LARGE = 11_000_000
"""Three parts of 5 MiB, the last one smaller."""

PART = 5 << 20


@dataclass
class Stage:
    """One backend's. ``settings`` are those of its clients; ``client`` and ``aclient`` live as long as the run."""

    settings: dict[str, Any]
    bucket: str
    prefix: str
    folder: Path
    outcomes: Outcomes
    client: objectfs.Client
    aclient: objectfs.AsyncClient
    _numbers: Any = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def number(self) -> int:
        with self._lock:
            number: int = next(self._numbers)
            return number

    def make(self, **changes: Any) -> objectfs.Client:
        """A client more."""
        return objectfs.Client(**{**self.settings, **changes})

    def make_async(self, **changes: Any) -> objectfs.AsyncClient:
        return objectfs.AsyncClient(**{**self.settings, **changes})


class Play:
    """One scene: its objects lie below a prefix that nobody else uses."""

    def __init__(self, stage: Stage, rng: random.Random, name: str) -> None:
        self.stage = stage
        self.random = rng
        self.verb = stage.outcomes.verb
        self.refused = stage.outcomes.refused
        self.client, self.aclient, self.bucket = stage.client, stage.aclient, stage.bucket
        number = stage.number()
        self.prefix = f"{stage.prefix}{name}/{number}/"
        self.path = str(stage.folder / f"{name}-{number}")
        self._keys = itertools.count()

    def key(self) -> str:
        return f"{self.prefix}{next(self._keys):03}"

    def size(self) -> int:
        return self.random.choice(SIZES)

    def range(self, size: int) -> tuple[int, int]:
        """Of an object that is not empty."""
        start = self.random.randrange(size)
        return start, self.random.randint(start + 1, size)

    def check(self, key: str, size: int, data: Any, start: int = 0, end: int | None = None) -> None:
        content.check(key, size, data, start, end)
        self.stage.outcomes.moved(len(data))

    def check_file(self, key: str, size: int) -> None:
        self.check(key, size, Path(self.path).read_bytes())

    def write_file(self, key: str, size: int) -> None:
        Path(self.path).write_bytes(content.fill(key, size))

    def clear(self) -> None:
        """Remove the file, and nothing at the server: its prefix goes with others' at the end of the round."""
        if os.path.exists(self.path):
            os.unlink(self.path)


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port
