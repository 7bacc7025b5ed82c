"""A run: the server's process, one for each backend, and what they say put together.

Ctrl-C and SIGTERM end the work with the round that runs; what was found until then is reported. A second one ends at
once.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import objectfs
from objectfs.bench import machine
from objectfs.bench.process import Child, ProcessError, command
from objectfs.soak.measures import Sample
from objectfs.soak.results import Course, Left, Report, Verb
from objectfs.soak.stage import PART
from objectfs.soak.verdict import CONFIDENCE, WARM_UP, judge, left

SAMPLES = 60
"""A round is a run's time by this, and between :data:`ROUND` seconds."""

ROUND = (0.1, 60.0)

SILENCE = 900.0
"""Seconds without a line of a backend's process, after which it is ended: more than its own limit for a round."""

BUCKET = "soak"

# The tracer counts the C libraries' memory. glibc's malloc is told to give back what is free at the end of each arena,
# and at once what is large: by itself it learns to keep up to 64 MiB there, which would hide a leak for long.
ENVIRONMENT = {"OBJECTFS_MEMTRACE": "1", "MALLOC_TRIM_THRESHOLD_": str(1 << 20), "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be done. ``settings`` are those of clients for a server that is not the embedded one, on which
    ``bucket`` has to be; None stands for the embedded server."""

    seconds: float
    backends: tuple[str, ...]
    threads: int = 3
    tasks: int = 3
    seed: int = 0
    faults: bool = True
    settings: dict[str, Any] | None = None
    bucket: str = BUCKET
    warm_up: float = WARM_UP
    leak: str | None = None

    @property
    def interval(self) -> float:
        return min(max(self.seconds / SAMPLES, ROUND[0]), ROUND[1])


@dataclass
class _Running:
    """What a backend's process has said so far."""

    backend: str
    child: Child
    samples: list[Sample] = field(default_factory=list)
    end: dict[str, Any] | None = None
    error: str | None = None

    def read(self, tell: Callable[[_Running], object]) -> None:
        """On a thread of its own, to the end."""
        try:
            while self.end is None:
                line = self.child.receive()
                if "sample" in line:
                    self.samples.append(Sample(**line["sample"]))
                    tell(self)
                else:
                    self.end = line["end"]
        except ProcessError as error:
            self.error = str(error)
        tell(self)


Tell = Callable[[str, Sample], object]


def run(request: Request, tell: Tell, say: Callable[[str], object]) -> tuple[Report, BaseException | None]:
    """Work, and judge. ``tell`` gets each sample with its backend, ``say`` what a person should read at once. What
    ended the run early is returned beside the report."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    with contextlib.ExitStack() as stack:
        server, settings = None, request.settings
        if settings is None:
            order = {"buckets": [request.bucket], "faults": request.faults, "seed": request.seed}
            server = stack.enter_context(Child(command(sys.executable, "objectfs.soak.server"), order))
            hello = server.receive()
            settings = {
                "endpoint_url": hello["endpoint"],
                "access_key_id": hello["access_key"],
                "secret_access_key": hello["secret_key"],
                "region": "us-east-1",
            }
        running = [stack.enter_context(_start(request, settings, backend)) for backend in request.backends]
        works = [_Running(backend, child) for backend, child in zip(request.backends, running, strict=True)]
        interrupted = _watch(works, tell, say)
        faults, lost = None, []
        if server is not None:
            try:
                faults = server.ask("faults")["faults"]
            except ProcessError as error:
                lost = [f"the server: {error}"]
    courses = tuple(_course(work, request, lost) for work in works)
    return Report(
        created=created,
        commit=machine.commit(),
        objectfs_version=objectfs.__version__,
        machine=machine.machine(),
        seconds=request.seconds,
        warm_up=request.warm_up,
        confidence=CONFIDENCE,
        seed=request.seed,
        server="embedded" if server is not None else "endpoint",
        interrupted=interrupted is not None,
        faults=faults,
        courses=courses,
    ), interrupted


def _start(request: Request, settings: dict[str, Any], backend: str) -> Child:
    order = {
        "backend": backend,
        "settings": {
            # Small, so that much happens with little data; errors come soon.
            "part_size": PART,
            "max_connections": 16,
            "memory_limit": 256 << 20,
            "max_attempts": 3,
            "read_timeout": 5.0,
            **settings,
            "backend": backend,
        },
        "bucket": request.bucket,
        "prefix": f"objectfs-soak-{secrets.token_hex(4)}/{backend}/",
        "seed": request.seed,
        "threads": request.threads,
        "tasks": request.tasks,
        "seconds": request.seconds,
        "interval": request.interval,
        "warm_up": request.warm_up,
        "leak": request.leak,
    }
    return Child(
        command(sys.executable, "objectfs.soak.worker"),
        order,
        timeout=SILENCE,
        environment={**os.environ, **ENVIRONMENT},
    )


def _watch(works: list[_Running], tell: Tell, say: Callable[[str], object]) -> BaseException | None:
    """Until all have ended; what ended them early."""
    told: queue.SimpleQueue[_Running] = queue.SimpleQueue()
    readers = [threading.Thread(target=work.read, args=(told.put,), daemon=True) for work in works]
    for reader in readers:
        reader.start()
    interrupted: BaseException | None = None
    while True:
        try:  # around all of the loop: a signal comes anywhere
            while any(reader.is_alive() for reader in readers):
                with contextlib.suppress(queue.Empty):
                    work = told.get(timeout=0.5)
                    if work.samples and work.end is None:
                        tell(work.backend, work.samples[-1])
            return interrupted
        except (KeyboardInterrupt, SystemExit) as error:
            if interrupted is not None:
                raise
            interrupted = error
            say("ending with this round; again to end at once")
            for work in works:
                work.child.send("stop")


def _course(work: _Running, request: Request, lost: list[str]) -> Course:
    end = work.end or {"verbs": [], "bytes": 0, "wrong": [], "uploads_left": None, "before": None, "after": None}
    wrong = [*end["wrong"], *lost]
    if work.error is not None:
        wrong.append(f"its process: {work.error}")
    remains: tuple[Left, ...] = ()
    if end["before"] is not None and end["after"] is not None:
        remains = left(Sample(**end["before"]), Sample(**end["after"]))
    return Course(
        backend=work.backend,
        samples=tuple(work.samples),
        verbs=tuple(Verb(**verb) for verb in end["verbs"]),
        bytes=end["bytes"],
        wrong=tuple(wrong),
        growth=judge(work.samples, request.warm_up),
        left=remains,
        uploads_left=end["uploads_left"],
    )
