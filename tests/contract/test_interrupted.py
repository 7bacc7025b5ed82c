"""Ctrl-C between any two instructions: what was started is cancelled and waited for, and nothing stays anywhere.

A signal's handler runs between two instructions of Python's. Here KeyboardInterrupt is raised at each place of ours
where that may be, as far as a call passes it on its thread while something is under way; one run for each. Of calls
with many such places only some: OBJECTFS_TEST_EVERYWHERE=1 takes all, and those where nothing is, which takes minutes.
"""

from __future__ import annotations

import asyncio
import dis
import functools
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import objectfs
from objectfs.sim import S3Server
from objectfs.sim.network.faults import Fault

from .support import MiB, ramp

HERE = str(Path(objectfs.__file__).parent)
SIM = str(Path(HERE) / "sim")
PART = 5 * MiB
SMALL = ramp(1000)
LARGE = ramp(2 * PART + 5)
EVERYWHERE = os.environ.get("OBJECTFS_TEST_EVERYWHERE") == "1"
MOST = 25
SLOW = 0.2 + 0.5
"""Seconds: 200 ms, and what a shared test machine adds."""

pytestmark = [
    pytest.mark.skipif(sys.gettrace() is not None, reason="another tracer is at work"),
    # what Python's own code has just opened, or made, when it is interrupted is closed by the count of references
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Interrupt:
    """Raises KeyboardInterrupt at one of the places where a signal's handler may run while this thread is in files of
    the package: after a call, at the beginning of a function, and when a loop begins anew. Counted from 0; -1 for
    none. The places are noted, if ``wanted`` says so there."""

    def __init__(self, position: int = -1, wanted: Callable[[], bool] = lambda: True) -> None:
        self.position = position
        self.wanted = wanted
        self.kept: list[int] = []
        self.places: list[tuple[CodeType, int, int]] = []
        self.raised_at: float | None = None

    def __enter__(self) -> Interrupt:
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(HERE) or name.startswith(SIM):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        instructions = _instructions(frame.f_code)
        checks = instructions.get(frame.f_lasti, True)

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal checks
            if event == "opcode":
                if checks:
                    self._arrive(frame)
                checks = instructions.get(frame.f_lasti, False)
            return step

        return step

    def _arrive(self, frame: FrameType) -> None:
        self.places.append((frame.f_code, frame.f_lasti, frame.f_lineno))
        if self.position < 0 and self.wanted():
            self.kept.append(len(self.places) - 1)
        if len(self.places) - 1 == self.position:
            sys.settrace(None)
            self.raised_at = time.monotonic()
            raise KeyboardInterrupt

    def positions(self) -> list[int]:
        """Each place, when it is passed first and when it is passed last."""
        first = {self.places[index]: index for index in reversed(self.kept)}
        last = {self.places[index]: index for index in self.kept}
        found = sorted({*first.values(), *last.values()})
        return found if EVERYWHERE else found[:: max(1, len(found) // MOST)]

    def where(self) -> str:
        code, _, line = self.places[-1]
        return f"{code.co_filename[len(HERE) + 1 :]}:{line} ({code.co_name})"


@functools.cache
def _instructions(code: CodeType) -> dict[int, bool]:
    """Whether handlers of signals may run after each. (Not where ``yield from`` and ``await`` go on.)"""
    return {
        each.offset: each.opname.startswith("CALL")
        or each.opname in ("JUMP_BACKWARD", "POP_JUMP_BACKWARD_IF_TRUE", "POP_JUMP_BACKWARD_IF_FALSE")
        or (each.opname == "RESUME" and (each.arg or 0) & 3 < 2)
        for each in dis.get_instructions(code)
    }


def under_way(client: Any) -> int:
    """Operations that have neither ended nor are to go on."""
    backend = client._core.backend()
    if client.backend.name == "crt":
        return int(client.stats()["operations_in_flight"])
    return sum(not op.done() and op._cancellable for op in tuple(backend._wire._operations))


def leftovers(client: Any) -> Any:
    backend = client._core.backend()
    return backend.leftovers if client.backend.name == "crt" else backend._wire.leftovers


class Sweep:
    """One call, interrupted everywhere."""

    def __init__(self, sim: S3Server, client: Any, call: Callable[[], Any]) -> None:
        self.sim, self.client, self.call = sim, client, call

    def uploads(self) -> int:
        return len(self.sim.store.buckets["bucket"].uploads)

    def busy(self) -> bool:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return EVERYWHERE or bool(under_way(self.client) or leftovers(self.client)._open)
        finally:
            sys.settrace(tracer)

    def problem(self, position: int) -> str | None:
        interrupt = Interrupt(position)
        before, known = under_way(self.client), len(leftovers(self.client)._open)
        uploads = self.uploads()
        try:
            with interrupt:
                self.call()
        except KeyboardInterrupt:
            pass
        elapsed = 0.0 if interrupt.raised_at is None else time.monotonic() - interrupt.raised_at
        if interrupt.raised_at is None:
            return None  # another thread was faster this time, so there were fewer lines
        where = interrupt.where()
        left = under_way(self.client) - before
        if left > 0:
            return f"{where}: {left} operations under way"
        if elapsed > SLOW:
            return f"{where}: answered after {elapsed * 1000:.0f} ms"
        deadline = time.monotonic() + 2
        while self.uploads() > uploads or len(leftovers(self.client)._open) > known or under_way(self.client) > before:
            if time.monotonic() > deadline:
                return f"{where}: {self.uploads()} uploads, known: {len(leftovers(self.client)._open)}"
            time.sleep(0.002)
        return None

    def run(self) -> None:
        self.call()
        with Interrupt(wanted=self.busy) as all_of_them:
            self.call()
        assert all_of_them.kept
        found = []
        for position in all_of_them.positions():
            problem = self.problem(position)
            for _ in range(2):  # a machine that is busy elsewhere is no reason
                problem = problem and self.problem(position)
            if problem:
                found.append(problem)
            if len(found) == 10:
                break
        print(len(all_of_them.places), "places", len(all_of_them.positions()), "positions")
        assert not found, "\n".join(found)
        self.call()  # the client goes on


CALLS: dict[str, Callable[[Any, str], Any]] = {
    "get": lambda client, path: client.get("bucket", "small"),
    "get-large": lambda client, path: client.get("bucket", "large"),
    "get_into": lambda client, path: client.get_into("bucket", "small", bytearray(1000)),
    "get_file": lambda client, path: client.get_file("bucket", "large", path + ".new"),
    "get_many": lambda client, path: client.get_many("bucket", ["small"] * 3),
    "get_ranges": lambda client, path: client.get_ranges("bucket", "large", [(0, 10), (PART, PART + 10)]),
    "head": lambda client, path: client.head("bucket", "small"),
    "put": lambda client, path: client.put("bucket", "new", SMALL),
    "put-large": lambda client, path: client.put("bucket", "new", LARGE),
    "put_file": lambda client, path: client.put_file("bucket", "new", path),
    "put-stream": lambda client, path: client.put("bucket", "new", iter([LARGE])),
    "put_many": lambda client, path: client.put_many("bucket", {f"many/{n}": SMALL for n in range(3)}),
    "copy": lambda client, path: client.copy("bucket", "small", "bucket", "new"),
    "delete_many": lambda client, path: client.delete_many("bucket", ["gone", "gone too"]),
    "call": lambda client, path: client.call("GetObjectTagging", Bucket="bucket", Key="small"),
}
BLOCKING: dict[str, Callable[[Any, str], Any]] = {
    **CALLS,
    "list": lambda client, path: list(client.list("bucket")),
    "iter_many": lambda client, path: list(client.iter_many("bucket", ["small"] * 3)),
}


@pytest.fixture
def slow_sim(sim: S3Server, backend: str, settings: dict[str, Any]) -> S3Server:
    """Answers late enough that no operation ends before somebody looks whether it was left alone. (One of the engine's
    counts until its result has been taken.)"""
    with objectfs.Client(**settings) as client:
        client.put_many("bucket", {"small": SMALL, "large": LARGE})
    if backend == "sdk":
        sim.faults.add(Fault(delay=0.01, times=None))
    return sim


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    return str(path)


@pytest.fixture
def settings(sim: S3Server, backend: str) -> dict[str, Any]:
    return {
        "endpoint_url": sim.endpoint_url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "max_attempts": 1,
        "backend": backend,
        "part_size": PART,
    }


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """What only the garbage collector would end counts as left alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("verb", BLOCKING)
def test_blocking(slow_sim: S3Server, settings: dict[str, Any], file: str, verb: str) -> None:
    with objectfs.Client(**settings) as client:
        Sweep(slow_sim, client, lambda: BLOCKING[verb](client, file)).run()


@pytest.mark.parametrize("verb", [verb for verb in CALLS if verb != "put-stream"])  # that runs on a thread
def test_asyncio(slow_sim: S3Server, settings: dict[str, Any], file: str, verb: str) -> None:
    client = objectfs.AsyncClient(**settings)

    async def main() -> None:
        await CALLS[verb](client, file)

    Sweep(slow_sim, client, lambda: asyncio.run(main())).run()
    asyncio.run(client.aclose())
