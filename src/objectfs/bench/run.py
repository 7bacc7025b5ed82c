"""A whole run, from what was asked for to its report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import objectfs
from objectfs.bench import machine, runner
from objectfs.bench.clients import ENTRIES
from objectfs.bench.endpoint import EndpointPlace
from objectfs.bench.places import Place, sim
from objectfs.bench.process import python_of
from objectfs.bench.results import Client, Report, Settings
from objectfs.bench.scenarios import BY_NAME, SCENARIOS, Scenario


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be measured. Empty ``scenarios`` and ``clients`` stand for all; ``endpoint`` in place of the embedded
    server, which ``profiles`` and ``tls`` are for. ``peers`` are environments with other clients. What ``resume`` has
    is not measured again."""

    scenarios: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ("loopback",)
    tls: tuple[bool, ...] = (False,)
    runs: int = 5
    scale: float = 1.0
    seed: int = 0
    peers: tuple[Path, ...] = ()
    endpoint: EndpointPlace | None = None
    folder: Path | None = None
    timeout: float = runner.TIMEOUT
    resume: Report | None = None

    @property
    def scenario_names(self) -> tuple[str, ...]:
        return self.scenarios or tuple(scenario.name for scenario in SCENARIOS)

    @property
    def client_names(self) -> tuple[str, ...]:
        return self.clients or tuple(entry.name for entry in ENTRIES)

    @property
    def conditions(self) -> list[tuple[str, bool]]:
        if self.endpoint is not None:
            return [(self.endpoint.profile, self.endpoint.tls)]
        return [(profile, tls) for profile in self.profiles for tls in self.tls]


def look(request: Request) -> tuple[list[Client], list[runner.Peer]]:
    """The clients asked for, and those of them that are there. FileNotFoundError for no environment."""
    pythons = [sys.executable, *map(python_of, request.peers)]
    return runner.find_peers(request.client_names, pythons)


def left(request: Request, peers: Sequence[runner.Peer]) -> list[tuple[str, bool, list[Scenario]]]:
    """What is to be measured, by profile and TLS: without what the report that is resumed has."""
    found = []
    for profile, tls in request.conditions:
        scenarios = [
            BY_NAME[name]
            for name in request.scenario_names
            if not _has(request.resume, name, profile, tls, peers, request)
        ]
        if scenarios:
            found.append((profile, tls, scenarios))
    return found


def _has(
    old: Report | None, scenario: str, profile: str, tls: bool, peers: Sequence[runner.Peer], request: Request
) -> bool:
    """Whether a report has all clients of a scenario: they have to have taken turns."""
    if old is None:
        return False
    cases = [case for case in old.cases if (case.scenario, case.profile, case.tls) == (scenario, profile, tls)]
    there = {case.client for case in cases if case.failed or len(case.runs) >= request.runs}
    there |= {missed.client for missed in old.missed if missed.scenario == scenario}
    return bool(cases) and {peer.name for peer in peers} <= there


def count(request: Request, peers: Sequence[runner.Peer]) -> int:
    """Runs of cases, for the progress."""
    return sum(len(scenarios) for _, _, scenarios in left(request, peers)) * len(peers) * request.runs


def check_resumable(request: Request) -> None:
    """ValueError where the figures of the report that is resumed cannot stand beside those of this run."""
    old = request.resume
    if old is None:
        return
    server = request.endpoint.server if request.endpoint is not None else "sim"
    for what, then, now in (
        ("runs", old.settings.runs, request.runs),
        ("scale", old.settings.scale, request.scale),
        ("seed", old.settings.seed, request.seed),
        ("server", old.settings.server, server),
        ("commit", old.commit, machine.commit()),
        ("version", old.objectfs_version, objectfs.__version__),
        ("machine", old.machine, machine.machine()),
    ):
        if then != now:
            raise ValueError(f"its {what} is {then}, and this run's {now}")


def run(
    request: Request,
    clients: Sequence[Client],
    peers: Sequence[runner.Peer],
    watch: runner.Watch,
    save: Callable[[Report], object] = lambda report: None,
) -> tuple[Report, KeyboardInterrupt | None]:
    """Measure. ``save`` gets the report after each scenario. What was measured before Ctrl-C is in the report too, and
    the interruption is returned with it."""
    server_cpu, client_cpu = runner.cores()
    folder = request.folder or (Path("/dev/shm") if os.path.isdir("/dev/shm") else None)
    settings = runner.Settings(
        request.runs, request.scale, request.seed, client_cpu, str(folder) if folder else None, request.timeout
    )
    work = left(request, peers)
    anew = {(scenario.name, profile, tls) for profile, tls, scenarios in work for scenario in scenarios}
    found = runner.Found()
    created = datetime.now(UTC).isoformat(timespec="seconds")
    commit = machine.commit()  # of what is measured, not of what somebody has made of it meanwhile

    def measure(place: Place, scenarios: Sequence[Scenario]) -> None:
        for scenario in scenarios:
            runner.run_place(place, [scenario], peers, settings, watch, found)
            save(made())

    def made() -> Report:
        return _report(request, clients, found, anew, created, commit, client_cpu is not None)

    interrupted = None
    try:
        if request.endpoint is not None:
            with request.endpoint as named:
                for _, _, scenarios in work:
                    named.prepare(scenarios, request.scale, request.seed, watch.say)
                    measure(named, scenarios)
        else:
            for profile, tls, scenarios in work:
                names = [scenario.name for scenario in scenarios]
                with sim(profile, tls, names, request.scale, request.seed, server_cpu) as server:
                    measure(server, scenarios)
    except KeyboardInterrupt as error:
        interrupted = error
    return made(), interrupted


def _report(
    request: Request,
    clients: Sequence[Client],
    found: runner.Found,
    anew: set[tuple[str, str, bool]],
    created: str,
    commit: str | None,
    pinned: bool,
) -> Report:
    old = request.resume
    kept = [] if old is None else [c for c in old.cases if (c.scenario, c.profile, c.tls) not in anew]
    missed = [] if old is None else [m for m in old.missed if m.scenario not in {name for name, _, _ in anew}]
    conditions = [*((case.profile, case.tls) for case in kept), *request.conditions]
    scenarios = {*(case.scenario for case in kept), *request.scenario_names}
    names = dict.fromkeys([*(old.settings.clients if old is not None else ()), *request.client_names])
    there = {client.name: client for client in (*(old.clients if old is not None else ()), *clients)}
    words = "the clients have one processor" + (", the server another" if request.endpoint is None else "")
    return Report(
        created=old.created if old is not None else created,
        commit=commit,
        objectfs_version=objectfs.__version__,
        machine=machine.machine(),
        settings=Settings(
            runs=request.runs,
            scenarios=tuple(scenario.name for scenario in SCENARIOS if scenario.name in scenarios),
            clients=tuple(names),
            profiles=tuple(dict.fromkeys(profile for profile, _ in conditions)),
            tls=tuple(dict.fromkeys(tls for _, tls in conditions)),
            server=request.endpoint.server if request.endpoint is not None else "sim",
            pinning=words if pinned else "none",
            scale=request.scale,
            seed=request.seed,
        ),
        clients=tuple(there[name] for name in names if name in there),
        cases=(*kept, *found.cases),
        missed=tuple(dict.fromkeys([*missed, *found.missed])),
    )


__all__ = ["Request", "check_resumable", "count", "left", "look", "run"]
