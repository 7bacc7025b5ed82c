"""The matrix: which fault strikes which request of which verb, when, and how often."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from .kinds import ATTEMPTS, KINDS, Kind
from .verbs import VERBS, Verb

__all__ = ["Case", "all_cases", "sample"]


@dataclass(frozen=True)
class Case:
    verb: Verb
    kind: Kind
    operation: str
    nth: int
    """The first request of that operation that is struck, from 1."""
    strikes: int | None
    """How many; None: it goes on."""

    @property
    def name(self) -> str:
        often = "always" if self.strikes is None else f"{self.strikes}x"
        return f"{self.verb.name} {self.operation}#{self.nth} {self.kind.name} {often}"


def _positions(verb: Verb, kind: Kind, operation: str) -> Iterator[tuple[int, int | None]]:
    last = verb.requests[operation]
    yield 1, 1
    if kind.outcome in ("retried", "either"):
        yield 1, None
    if kind.outcome == "retried" and not kind.slow:
        yield 1, ATTEMPTS - 1
    if last > 1:
        yield last, 1
        if not kind.slow and kind.outcome != "harmless":
            yield 2, 1
            yield last, None


def _fits(verb: Verb, kind: Kind, operation: str) -> bool:
    if kind.only and operation not in kind.only:
        return False
    if operation == "HeadObject" and (kind.coded or "body" in kind.fault):
        return False  # its answers have no document, and what their headers say is what there is to know
    return not (kind.name.startswith("corrupt") and verb.ranged)


def all_cases(seed: str = "objectfs") -> list[Case]:
    """Each fault on each request of each verb; when and how often is drawn."""
    drawn = random.Random(seed)
    return [
        Case(verb, kind, operation, *drawn.choice(list(_positions(verb, kind, operation))))
        for verb in VERBS
        for operation in verb.requests
        for kind in KINDS.values()
        if _fits(verb, kind, operation)
    ]


def sample(count: int, seed: str = "objectfs") -> list[Case]:
    """Some of them, always the same: at least one of each verb and of each fault that takes no time."""
    drawn = random.Random(seed)
    cases = [case for case in all_cases(seed) if not case.kind.slow]
    drawn.shuffle(cases)
    wanted: set[str] = {case.verb.name for case in cases} | {case.kind.name for case in cases}
    chosen, others = [], []
    for case in cases:
        names = {case.verb.name, case.kind.name}
        (chosen if names & wanted else others).append(case)
        wanted -= names
    return (chosen + others)[:count]
