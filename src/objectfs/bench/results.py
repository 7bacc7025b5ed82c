"""What a benchmark run found, as it is written to ``report.json`` and read again.

The schema is ``objectfs-bench/1``. Times are seconds, sizes and memory bytes, unless a name says otherwise. Within
a version, fields may be added: a reader ignores what it does not know, and what was not measured is None.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

SCHEMA = "objectfs-bench/1"
GIB = 1 << 30

T = TypeVar("T")


class ReportError(ValueError):
    """A file that is no report of this schema; the text says what is wrong where."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the run was made."""

    cpu: str
    cores: int
    memory: int
    kernel: str
    python: str
    platform: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How the run was made.

    ``profiles`` are networks of the embedded server (``("-",)`` with another one), ``tls`` what was measured of
    False and True, ``server`` is "sim", "ceph" or "endpoint", ``pinning`` says in words which processors client and
    server had, ``scale`` what sizes and counts were multiplied by.
    """

    runs: int
    scenarios: tuple[str, ...]
    clients: tuple[str, ...]
    profiles: tuple[str, ...]
    tls: tuple[bool, ...]
    server: str
    pinning: str
    scale: float
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Client:
    """A client that was asked for. ``reason`` says why it is not ``available``; ``how`` in one line how it is
    configured for speed, and where its documentation says so."""

    name: str
    version: str | None
    available: bool
    reason: str | None
    how: str


@dataclass(frozen=True, slots=True)
class Latency:
    """Of single objects or requests, where the client lets them be seen."""

    mean: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run in a fresh process. With ``error`` set it failed, and its figures count nowhere.

    ``bytes`` is what was moved of objects' contents, ``requests`` the HTTP requests that the server counted (None
    where it cannot be asked), ``errors`` the error answers among them and ``error_names`` what they were ("2 x
    SlowDown"); ``user`` and ``system`` include child processes.
    """

    wall: float
    user: float
    system: float
    peak_rss: int
    bytes: int
    requests: int | None = None
    first_byte: float | None = None
    latency: Latency | None = None
    errors: int = 0
    error: str | None = None
    error_names: tuple[str, ...] = ()

    @property
    def cpu(self) -> float:
        return self.user + self.system

    @property
    def cpu_per_gib(self) -> float | None:
        return self.cpu / (self.bytes / GIB) if self.bytes else None

    @property
    def throughput(self) -> float | None:
        """Bytes per second."""
        return self.bytes / self.wall if self.bytes and self.wall else None

    @property
    def requests_per_second(self) -> float | None:
        return self.requests / self.wall if self.requests and self.wall else None

    @property
    def latency_mean(self) -> float | None:
        return self.latency.mean if self.latency else None

    @property
    def latency_p50(self) -> float | None:
        return self.latency.p50 if self.latency else None

    @property
    def latency_p99(self) -> float | None:
        return self.latency.p99 if self.latency else None


# What `Case.median` and `Case.spread` know, thresholds may name and reports show.
FIGURES: dict[str, Callable[[Run], float | None]] = {
    "wall": lambda run: run.wall,
    "cpu": lambda run: run.cpu,
    "user": lambda run: run.user,
    "system": lambda run: run.system,
    "cpu_per_gib": lambda run: run.cpu_per_gib,
    "throughput": lambda run: run.throughput,
    "peak_rss": lambda run: run.peak_rss,
    "first_byte": lambda run: run.first_byte,
    "requests": lambda run: run.requests,
    "requests_per_second": lambda run: run.requests_per_second,
    "latency_mean": lambda run: run.latency_mean,
    "latency_p50": lambda run: run.latency_p50,
    "latency_p99": lambda run: run.latency_p99,
    "errors": lambda run: run.errors,
}


@dataclass(frozen=True, slots=True)
class Case:
    """All runs of one client in one scenario on one network.

    ``bytes`` and ``objects`` are what a run has to move, ``concurrency`` how many objects at a time the client is
    asked for (None: it decides itself).
    """

    scenario: str
    client: str
    server: str
    profile: str
    tls: bool
    bytes: int
    objects: int
    concurrency: int | None
    runs: tuple[Run, ...] = ()

    @property
    def good(self) -> tuple[Run, ...]:
        """The runs that did not fail."""
        return tuple(run for run in self.runs if run.error is None)

    @property
    def failed(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.error is not None)

    def values(self, figure: str) -> list[float]:
        """Of the good runs, in their order. KeyError for a figure that is not in :data:`FIGURES`."""
        read = FIGURES[figure]
        return [value for run in self.good if (value := read(run)) is not None]

    def median(self, figure: str) -> float | None:
        """None where it was not measured or no run was good."""
        values = self.values(figure)
        return statistics.median(values) if values else None

    def spread(self, figure: str) -> tuple[float, float] | None:
        """The lowest and the highest."""
        values = self.values(figure)
        return (min(values), max(values)) if values else None

    @property
    def objects_per_second(self) -> float | None:
        wall = self.median("wall")
        return self.objects / wall if wall else None


@dataclass(frozen=True, slots=True)
class Missed:
    """A client that was asked for and has no case in a scenario."""

    scenario: str
    client: str
    reason: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """One limit of a threshold file. ``sense`` is "at least" or "at most"; ``measured`` is None where a client has
    no figure, which does not meet the limit."""

    text: str
    measured: float | None
    limit: float
    met: bool
    sense: str = "at least"


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run. ``created`` is ISO 8601 in UTC, ``commit`` None where the source is no checkout."""

    created: str
    commit: str | None
    objectfs_version: str
    machine: Machine
    settings: Settings
    clients: tuple[Client, ...] = ()
    cases: tuple[Case, ...] = ()
    missed: tuple[Missed, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    schema: str = field(default=SCHEMA)

    def find(self, scenario: str, client: str, *, profile: str | None = None, tls: bool | None = None) -> Case | None:
        """The case of a client; None in ``profile`` and ``tls`` stands for any."""
        for case in self.cases:
            here = (case.scenario, case.client) == (scenario, client)
            if here and profile in (None, case.profile) and tls in (None, case.tls):
                return case
        return None

    @property
    def groups(self) -> dict[tuple[str, str, bool], tuple[Case, ...]]:
        """Cases that may be compared with each other, by scenario, profile and TLS, in the order of the run."""
        found: dict[tuple[str, str, bool], list[Case]] = {}
        for case in self.cases:
            found.setdefault((case.scenario, case.profile, case.tls), []).append(case)
        return {key: tuple(cases) for key, cases in found.items()}


def to_json(report: Report) -> str:
    """The schema first, one value a line and a newline at the end, so that differences read well."""
    document = dataclasses.asdict(report)
    return json.dumps({"schema": document.pop("schema")} | document, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> Report:
    """ReportError if the text is no report of this schema."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ReportError(f"no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ReportError("no report: not a JSON object")
    if document.get("schema") != SCHEMA:
        raise ReportError(f"schema is {document.get('schema')!r}; this version reads {SCHEMA!r}")
    return _decode(Report, document, "report")


def _decode(kind: type[T], document: Any, where: str) -> T:
    """An instance of a dataclass of this module."""
    if not isinstance(document, Mapping):
        raise ReportError(f"{where}: an object is wanted, not {document!r:.60}")
    hints = typing.get_type_hints(kind)
    given = {}
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        if item.name in document:
            given[item.name] = _value(hints[item.name], document[item.name], f"{where}.{item.name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise ReportError(f"{where}: {item.name} is missing")
    return kind(**given)


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _value(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ReportError(f"{where}: a list is wanted, not {value!r:.60}")
        return tuple(_value(arguments[0], item, f"{where}[{number}]") for number, item in enumerate(value))
    if dataclasses.is_dataclass(hint):
        return _decode(hint, value, where)  # type: ignore[arg-type]
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ReportError(f"{where}: {hint.__name__} is wanted, not {value!r:.60}")
    return value
