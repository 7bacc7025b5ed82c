"""Both clients, the same operations, and what differs."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from objectfs.client import Client
from objectfs.equivalence.perform import Performer
from objectfs.equivalence.plan import PART_SIZE, Operation, operations

__all__ = ["BACKENDS", "Difference", "Tester"]

BACKENDS = ("crt", "sdk")
"""Side A and side B."""

_WRONG: Mapping[str, dict[str, Any]] = {
    "wrong secret": {"secret_access_key": "wrong" * 8},
    "unknown key id": {"access_key_id": "UNKNOWNKEYID", "secret_access_key": "wrong" * 8},
    "anonymous": {"anonymous": True},
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One operation that came to something else on the other backend."""

    operation: Operation
    outcomes: tuple[Any, Any]
    """In the order of :data:`BACKENDS`."""

    def lines(self) -> Iterator[str]:
        """For people: the operation, and each place where the two differ."""
        yield str(self.operation)
        for where, one, other in differing(*self.outcomes):
            yield f"    {where or 'result'}:"
            yield f"        {BACKENDS[0]}: {_short(one)}"
            yield f"        {BACKENDS[1]}: {_short(other)}"


class Tester:
    """Runs operations on both backends. Use it in a ``with`` block: what it stored goes when that ends.

    Args:
        settings: of the clients, but for ``backend``.
        bucket: a bucket that both may write to.
        seed: of the operations.
        prefix: of all keys; nothing else in the bucket is touched.
    """

    def __init__(self, settings: Mapping[str, Any], bucket: str, seed: int, prefix: str) -> None:
        self._settings = {"part_size": PART_SIZE, "checksum": "CRC32", **settings, "rollout": None}
        self._bucket, self._seed, self._prefix = bucket, seed, prefix
        self._stack = contextlib.ExitStack()
        self._others: dict[tuple[str, str], Client] = {}
        self._performers: list[Performer] = []
        self.done: Counter[str] = Counter()
        self.refused = 0
        """Operations that came to an error, on both."""

    def __enter__(self) -> Tester:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="objectfs-compare-"))
            # as long as each other, so that nothing depends on a length
            prefixes = (f"{self._prefix}A/", f"{self._prefix}B/")
            clients = [stack.enter_context(self._make(backend)) for backend in BACKENDS]
            stack.callback(self._clean_up, clients[1])
            for own, client in enumerate(clients):
                others = self._making(BACKENDS[own])
                self._performers.append(Performer(client, others, self._bucket, folder, prefixes, own))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _make(self, backend: str, **changes: Any) -> Client:
        return Client(**{**self._settings, "backend": backend, **changes})

    def _making(self, backend: str) -> Callable[[str], Client]:
        def other(what: str) -> Client:
            found = self._others.get((backend, what))
            if found is None:
                changes = dict(_WRONG[what])
                if "anonymous" in changes:
                    changes.update(access_key_id=None, secret_access_key=None, session_token=None)
                elif "access_key_id" not in changes:
                    changes.setdefault("access_key_id", self._settings.get("access_key_id") or "UNKNOWNKEYID")
                found = self._others[backend, what] = self._stack.enter_context(self._make(backend, **changes))
            return found

        return other

    def _clean_up(self, client: Client) -> None:
        client.delete_many(self._bucket, (entry.key for entry in client.list(self._bucket, self._prefix)))

    def run(self, count: int) -> Iterator[Difference | None]:
        """``count`` operations: None for each that came to the same on both, and a difference for each that did not."""
        for operation in operations(self._seed, count):
            yield self.compare(operation)

    def compare(self, operation: Operation) -> Difference | None:
        one, other = (performer.perform(operation) for performer in self._performers)
        self.done[operation.name] += 1
        if one == other:
            self.refused += isinstance(one, dict) and "error" in one
            return None
        return Difference(operation, (one, other))


def differing(one: Any, other: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The places where two plain values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in {**one, **other}:
            missing = "(not there)"
            yield from differing(one.get(name, missing), other.get(name, missing), f"{where}.{name}" if where else name)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for at, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differing(left, right, f"{where}[{at}]")
    elif one != other:
        yield where, one, other


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 400 else f"{text[:400]}… ({len(text)} characters)"
