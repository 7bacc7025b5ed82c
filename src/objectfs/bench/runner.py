"""Runs the cases: every run of a client in a fresh process, the clients of a scenario in turns."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from objectfs.bench.clients import BY_NAME as CLIENTS
from objectfs.bench.pages import provide
from objectfs.bench.places import Place
from objectfs.bench.process import Child, ProcessError, command
from objectfs.bench.results import Case, Client, Latency, Missed, Run
from objectfs.bench.scenarios import Item, Plan, Scenario

TIMEOUT = 900.0
_SETTINGS = ("AWS_", "OBJECTFS_", "S3_", "RCLONE_", "MINIO_")


class Watch(Protocol):
    """What is told while a run goes on: :class:`objectfs.bench.report.Watch`."""

    def start(self, case: str) -> None: ...
    def finish(self, outcome: str = "") -> None: ...
    def say(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Peer:
    """A client that is there: its name, and the Python that has it."""

    name: str
    python: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How the cases are run. ``cpu`` is the processor of the clients; ``folder`` where their files go."""

    runs: int
    scale: float
    seed: int = 0
    cpu: int | None = None
    folder: str | None = None
    timeout: float = TIMEOUT


@dataclass(slots=True)
class Found:
    """What came of a run so far."""

    cases: list[Case] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)

    @property
    def failed(self) -> list[tuple[Case, Run]]:
        return [(case, run) for case in self.cases for run in case.failed]


class _Gone(Exception):
    """The client cannot do this scenario."""


def find_peers(names: Iterable[str], pythons: Sequence[str]) -> tuple[list[Client], list[Peer]]:
    """Look for clients in the environments, whose first is that of ObjectFS itself: what there is, and what not."""
    wanted = list(names)
    found: dict[str, tuple[str, str]] = {}
    reasons: dict[str, list[str]] = {}
    for python in pythons:
        own = python == pythons[0]
        left = [name for name in wanted if name not in found and (own or not CLIENTS[name].own)]
        if not left:
            continue
        try:
            with Child(command(python, "objectfs.bench.probe"), {"clients": left}) as child:
                answers = child.receive()
        except ProcessError as error:
            answers = {name: {"version": None, "reason": f"{python}: {error}"} for name in left}
        for name, answer in answers.items():
            if answer["reason"] is None:
                found[name] = (answer["version"], python)
            else:
                reasons.setdefault(name, []).append(answer["reason"])
    clients = [
        Client(
            name,
            found[name][0] if name in found else None,
            name in found,
            None if name in found else "; ".join(dict.fromkeys(reasons.get(name, ["not looked for"]))),
            CLIENTS[name].how,
        )
        for name in wanted
    ]
    return clients, [Peer(name, found[name][1]) for name in wanted if name in found]


def run_place(
    place: Place, scenarios: Sequence[Scenario], peers: Sequence[Peer], settings: Settings, watch: Watch, found: Found
) -> None:
    """All cases of one place. What is there when it is interrupted is in ``found``."""
    for scenario in scenarios:
        plan = scenario.plan(settings.scale, settings.seed)
        where = place.profile if place.server == "sim" else place.server
        cases: dict[str, Case] = {}
        gone: set[str] = set()
        try:
            for number in range(1, settings.runs + 1):
                for peer in turns(peers, number):
                    words = f"{scenario.name}, {where}{' with TLS' if place.tls else ''}, {peer.name}"
                    watch.start(f"{words}, run {number} of {settings.runs}")
                    if peer.name in gone:
                        watch.finish("left out")
                        continue
                    try:
                        run = run_once(place, scenario, plan, peer, settings)
                    except _Gone as reason:
                        gone.add(peer.name)
                        found.missed.append(Missed(scenario.name, peer.name, str(reason)))
                        watch.finish(f"cannot: {reason}")
                        continue
                    watch.finish(_outcome(run))
                    case = cases.get(peer.name) or Case(
                        scenario.name,
                        peer.name,
                        place.server,
                        place.profile,
                        place.tls,
                        plan.bytes,
                        len(plan.items),
                        None,  # each client's own affair: ``how`` says what it is
                    )
                    cases[peer.name] = replace(case, runs=(*case.runs, run))
                    if run.error:
                        gone.add(peer.name)  # rather than fail, or hang, in each round
        finally:
            found.cases += cases.values()


def turns(peers: Sequence[Peer], number: int) -> list[Peer]:
    """Their order in a round, from 1 on: nobody always comes behind the same one, whose memory, caches and closing
    connections it would meet each time. Of an even number of clients, in as many rounds each comes once behind each
    other one (E. J. Williams, "Experimental designs balanced for the estimation of residual effects of treatments",
    Australian Journal of Scientific Research A 2, 1949); of an odd number, more than one."""
    count = len(peers)
    places = [place // 2 if place % 2 == 0 else -(place // 2 + 1) for place in range(count)]
    named = {place % count: peer for place, peer in zip(places, peers, strict=True)}
    return [named[(place + number - 1) % count] for place in places]


def _outcome(run: Run) -> str:
    if run.error:
        return f"FAILED: {run.error}"
    speed = f", {run.throughput / 1e6:.0f} MB/s" if run.throughput else ""
    return f"{run.wall:.3f} s{speed}, {run.cpu:.3f} s CPU" + (f", {run.errors} errors" if run.errors else "")


@contextlib.contextmanager
def _folder(settings: Settings) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="objectfs-bench-", dir=settings.folder) as folder:
        yield folder


def run_once(place: Place, scenario: Scenario, plan: Plan, peer: Peer, settings: Settings) -> Run:
    """One fresh process: warm-up, comparison, measured run. A failure is in the Run."""
    items = [replace(item, key=place.prefix + item.key) for item in plan.uploads]
    with _folder(settings) as folder:
        order = {
            "scenario": scenario.name,
            "scale": settings.scale,
            "seed": settings.seed,
            "target": place.target | {"client": peer.name, "folder": folder},
            "read": place.read,
            "warm": place.warm,
            "write": place.write,
            "prefix": place.prefix,
            "cpu": settings.cpu,
        }
        arguments = command(peer.python, "objectfs.bench.worker")
        try:
            with Child(arguments, order, timeout=settings.timeout, environment=_environment(place)) as child:
                return _measured(place, child, items, plan)
        except (ProcessError, ValueError) as error:
            return Run(0.0, 0.0, 0.0, 0, 0, error=str(error))
        finally:
            if items:
                for bucket in {place.warm, place.write}:
                    place.clean(bucket, items)


def _environment(place: Place) -> dict[str, str]:
    """Without the user's own settings of any client, which would be measured along, and with trust in the server."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    found |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "OBJECTFS_CONFIG"), os.devnull)
    found |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": place.target["region"]}
    if place.target.get("ca_file"):
        found |= {"SSL_CERT_FILE": place.target["ca_file"], "AWS_CA_BUNDLE": place.target["ca_file"]}
    if place.server == "sim":
        found |= {"NO_PROXY": "*", "no_proxy": "*"}
    return found


def _measured(place: Place, child: Child, items: Sequence[Item], plan: Plan) -> Run:
    _expect(child.receive(), "warm")
    if items:
        place.check(place.warm, items, whole=True)
        place.clean(place.warm, items)
    provide(plan.bytes)
    place.forget()
    figures = _expect(child.ask("go"), "done")
    counted = place.count()
    if items:
        place.check(place.write, items, whole=False)
    return Run(
        wall=figures["wall"],
        user=figures["user"],
        system=figures["system"],
        peak_rss=figures["peak_rss"],
        bytes=plan.bytes,
        requests=counted.requests,
        first_byte=figures["first_byte"],
        latency=Latency(**figures["latency"]) if figures["latency"] else None,
        errors=sum(counted.errors.values()),
        error_names=tuple(f"{count} x {name}" for name, count in sorted(counted.errors.items())),
    )


def _expect(answer: dict[str, Any], event: str) -> dict[str, Any]:
    if answer["event"] == "missing":
        raise _Gone(answer["reason"])
    if answer["event"] != event:
        raise ValueError(answer["reason"])
    return answer


def cores() -> tuple[int | None, int | None]:
    """A processor for the server and another for the client, where there are two and the system lets us choose."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    found = sorted(os.sched_getaffinity(0))
    return (found[0], found[1]) if len(found) > 1 else (None, None)


__all__ = ["Found", "Peer", "Settings", "Watch", "cores", "find_peers", "run_once", "run_place", "turns"]
