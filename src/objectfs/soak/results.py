"""What a soak found, as it is written to ``soak.json``.

The schema is ``objectfs-soak/1``. Times are seconds, memory bytes, slopes units per second. Within a version fields may
be added; what could not be measured is None.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Literal

from objectfs.bench.results import Machine
from objectfs.soak.measures import Sample

SCHEMA = "objectfs-soak/1"

Word = Literal["steady", "grows", "undecided"]


@dataclass(frozen=True, slots=True)
class Growth:
    """How a measure went. ``limit`` is of the slope; it grows where ``low``, the interval's lower end, is above."""

    measure: str
    first: float
    last: float
    slope: float
    low: float
    high: float
    limit: float
    points: int
    seconds: float
    verdict: Word


@dataclass(frozen=True, slots=True)
class Left:
    """What was there after all clients were closed. ``allowed`` is what there may be."""

    measure: str
    left: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Verb:
    """How often a verb succeeded, failed as it may (by the error's class), or was cancelled."""

    name: str
    succeeded: int
    cancelled: int
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class Course:
    """What one backend's process did. ``wrong`` are outcomes that must not be: other bytes, another error, a hang."""

    backend: str
    samples: tuple[Sample, ...]
    verbs: tuple[Verb, ...]
    bytes: int
    wrong: tuple[str, ...]
    growth: tuple[Growth, ...] = ()
    left: tuple[Left, ...] = ()
    uploads_left: int | None = None

    @property
    def operations(self) -> int:
        return sum(verb.succeeded + verb.cancelled + sum(verb.errors.values()) for verb in self.verbs)

    @property
    def errors(self) -> int:
        return sum(sum(verb.errors.values()) for verb in self.verbs)

    @property
    def problems(self) -> list[str]:
        """Why the run is no success, in sentences."""
        found = [f"{self.backend}: {text}" for text in self.wrong]
        found += [
            f"{self.backend}: {item.measure} grows by at least {item.low:.6g} a second; the limit is {item.limit:.6g}"
            for item in self.growth
            if item.verdict == "grows"
        ]
        found += [
            f"{self.backend}: {item.left} {item.measure} after all clients were closed; {item.allowed} may be"
            for item in self.left
            if item.left > item.allowed
        ]
        return found

    @property
    def decided(self) -> bool:
        return bool(self.growth) and all(item.verdict != "undecided" for item in self.growth)


@dataclass(frozen=True, slots=True)
class Report:
    """``seconds`` is what was asked for; ``interrupted`` says that it was ended before. ``faults`` counts what the
    server did wrong on purpose; None with a server that is not ours."""

    created: str
    commit: str | None
    objectfs_version: str
    machine: Machine
    seconds: float
    warm_up: float
    confidence: float
    seed: int
    server: str
    interrupted: bool
    faults: int | None
    courses: tuple[Course, ...] = ()
    schema: str = field(default=SCHEMA)

    @property
    def problems(self) -> list[str]:
        return [text for course in self.courses for text in course.problems]


def to_json(report: Report) -> str:
    document = dataclasses.asdict(report)
    return json.dumps({"schema": document.pop("schema")} | document, indent=1, ensure_ascii=False) + "\n"
