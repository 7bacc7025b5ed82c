"""Where a run's objects are: on an embedded server that it starts, or in a bucket that a person names."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from objectfs.bench import simserver
from objectfs.bench.process import Child, command
from objectfs.bench.scenarios import Item


@dataclass(frozen=True, slots=True)
class Counted:
    """HTTP requests that a server saw, and the names of the errors among its answers."""

    requests: int | None
    errors: Counter[str]


class Place(Protocol):
    """``target`` is for :class:`objectfs.bench.clients.base.Target`, without ``client`` and ``folder``. Keys begin with
    ``prefix``. ``warm`` is where the warm-up writes, ``write`` where the measured run does."""

    server: str
    profile: str
    tls: bool
    target: dict[str, Any]
    prefix: str
    read: str
    warm: str
    write: str

    def forget(self) -> None:
        """Count from here."""

    def count(self) -> Counted: ...

    def check(self, bucket: str, items: Sequence[Item], *, whole: bool) -> None:
        """ValueError unless these were written; ``whole`` compares their content."""

    def clean(self, bucket: str, items: Sequence[Item]) -> None:
        """Remove what was written."""


class SimPlace:
    """The embedded server."""

    server = "sim"
    prefix = ""
    read, warm, write = simserver.READ, simserver.WARM, simserver.WRITE

    def __init__(self, child: Child, hello: dict[str, Any], profile: str, tls: bool) -> None:
        self.profile = profile
        self.tls = tls
        self.target = {
            "endpoint": hello["endpoint"],
            "region": simserver.REGION,
            "access_key": hello["access_key"],
            "secret_key": hello["secret_key"],
            "bucket": self.read,
            "ca_file": hello["ca_file"],
        }
        self._child = child

    def forget(self) -> None:
        self._child.ask({"ask": "forget"})

    def count(self) -> Counted:
        answer = self._child.ask({"ask": "count"})
        return Counted(answer["requests"], Counter(answer["errors"]))

    def check(self, bucket: str, items: Sequence[Item], *, whole: bool) -> None:
        names = [(item.key, item.size) for item in items]
        wrong = self._child.ask({"ask": "check", "bucket": bucket, "items": names})["wrong"]
        if wrong:
            raise ValueError(wrong)

    def clean(self, bucket: str, items: Sequence[Item]) -> None:
        self._child.ask({"ask": "clean", "bucket": bucket})


@contextlib.contextmanager
def sim(
    profile: str, tls: bool, scenarios: Sequence[str], scale: float, seed: int, cpu: int | None
) -> Iterator[SimPlace]:
    """A server that has the scenarios' objects, for as long as the context lasts."""
    order = {
        "profile": profile,
        "tls": tls,
        "scenarios": list(scenarios),
        "scale": scale,
        "seed": seed,
        "cpu": cpu,
    }
    with Child(command(sys.executable, "objectfs.bench.simserver"), order, timeout=300) as child:
        yield SimPlace(child, child.receive(), profile, tls)
