"""A whole run, from what was asked for to its report."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import objectfs
from objectfs.bench import machine, runner
from objectfs.bench.clients import ENTRIES
from objectfs.bench.endpoint import EndpointPlace
from objectfs.bench.places import sim
from objectfs.bench.process import python_of
from objectfs.bench.results import Client, Report, Settings
from objectfs.bench.scenarios import BY_NAME, SCENARIOS


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be measured. Empty ``scenarios`` and ``clients`` stand for all; ``endpoint`` in place of the embedded
    server, which ``profiles`` and ``tls`` are for. ``peers`` are environments with other clients."""

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


def count(request: Request, peers: Sequence[runner.Peer]) -> int:
    """Runs of cases, for the progress."""
    return len(request.conditions) * len(request.scenario_names) * len(peers) * request.runs


def run(
    request: Request, clients: Sequence[Client], peers: Sequence[runner.Peer], watch: runner.Watch
) -> tuple[Report, KeyboardInterrupt | None]:
    """Measure. What was measured before Ctrl-C is in the report too, and the interruption is returned with it."""
    server_cpu, client_cpu = runner.cores()
    folder = request.folder or (Path("/dev/shm") if os.path.isdir("/dev/shm") else None)
    settings = runner.Settings(
        request.runs, request.scale, request.seed, client_cpu, str(folder) if folder else None, request.timeout
    )
    scenarios = [BY_NAME[name] for name in request.scenario_names]
    found = runner.Found()
    interrupted = None
    try:
        if request.endpoint is not None:
            with request.endpoint as place:
                place.prepare(scenarios, request.scale, request.seed, watch.say)
                runner.run_place(place, scenarios, peers, settings, watch, found)
        else:
            for profile, tls in request.conditions:
                names = request.scenario_names
                with sim(profile, tls, names, request.scale, request.seed, server_cpu) as server:
                    runner.run_place(server, scenarios, peers, settings, watch, found)
    except KeyboardInterrupt as error:
        interrupted = error
    conditions = request.conditions
    pinned = "the clients have one processor" + (", the server another" if request.endpoint is None else "")
    report = Report(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=machine.commit(),
        objectfs_version=objectfs.__version__,
        machine=machine.machine(),
        settings=Settings(
            runs=request.runs,
            scenarios=request.scenario_names,
            clients=request.client_names,
            profiles=tuple(dict.fromkeys(profile for profile, _ in conditions)),
            tls=tuple(dict.fromkeys(tls for _, tls in conditions)),
            server=request.endpoint.server if request.endpoint is not None else "sim",
            pinning=pinned if client_cpu is not None else "none",
            scale=request.scale,
            seed=request.seed,
        ),
        clients=tuple(clients),
        cases=tuple(found.cases),
        missed=tuple(dict.fromkeys(found.missed)),
    )
    return report, interrupted


__all__ = ["Request", "count", "look", "run"]
