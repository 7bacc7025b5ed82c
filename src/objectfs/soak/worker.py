"""One backend's process: ``python -m objectfs.soak.worker``. The controller (run.py) starts it and reads its lines.

The first line of the standard input is the order. Then each line of the standard output is a sample, and the last one
says what came of it all. Any further line, or the end, of the standard input ends the work with the round.

The work goes in rounds: threads and tasks play scenes until the round's time is over, each ends the one that it is at,
and at rest, with the long-lived clients and their connections open, a sample is taken. So what is under way does not
blur the figures, and a leak shows after few rounds.
"""

from __future__ import annotations

import asyncio
import dataclasses
import faulthandler
import gc
import importlib
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import objectfs
from objectfs.soak import measures
from objectfs.soak.ascenes import ASYNC_SCENES
from objectfs.soak.leaks import leak
from objectfs.soak.outcomes import Failed, Outcomes
from objectfs.soak.scenes import SCENES
from objectfs.soak.stage import Play, Stage
from objectfs.soak.trouble import TROUBLE
from objectfs.soak.verdict import enough

T = TypeVar("T")

HANGS = 300.0
"""Seconds after a round's end in which all must have come to theirs: calls have 60, and a scene makes some ten."""


class HungError(Exception):
    """Threads or tasks that do not come to their end."""


def in_turns(scenes: Sequence[T], rng: random.Random) -> Iterator[T]:
    """All of them, in another order each time: none is left out for long."""
    while True:
        yield from rng.sample(scenes, len(scenes))


class Players:
    """Threads and tasks; the tasks have one loop for all rounds."""

    def __init__(self, stage: Stage, order: dict[str, Any]) -> None:
        self.stage = stage
        seeds = random.Random(order["seed"])
        self._threads = [
            (number, random.Random(seeds.random()), in_turns((*SCENES, *TROUBLE), random.Random(seeds.random())))
            for number in range(order["threads"])
        ]
        self._tasks = [
            (number, random.Random(seeds.random()), in_turns(ASYNC_SCENES, random.Random(seeds.random())))
            for number in range(order["tasks"])
        ]
        self.loop = asyncio.new_event_loop()
        self._loop_thread = threading.Thread(target=self.loop.run_forever, name="soak-loop", daemon=True)
        self._loop_thread.start()

    def round(self, seconds: float, stopped: threading.Event) -> None:
        """HungError if somebody does not come to an end."""
        over = threading.Event()
        threads = [
            threading.Thread(target=self._play, args=(*player, over), name=f"soak-{player[0]}", daemon=True)
            for player in self._threads
        ]
        for thread in threads:
            thread.start()
        tasks = [asyncio.run_coroutine_threadsafe(self._aplay(*player, over), self.loop) for player in self._tasks]
        stopped.wait(seconds)
        over.set()
        deadline = time.monotonic() + HANGS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise HungError(f"thread {thread.name} has not ended {HANGS:.0f} seconds after its round")
        for number, task in enumerate(tasks):
            try:
                task.result(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise HungError(f"task {number} has not ended {HANGS:.0f} seconds after its round") from None

    def _play(self, number: int, rng: random.Random, scenes: Iterator[Any], over: threading.Event) -> None:
        while not over.is_set():
            scene = next(scenes)
            play = Play(self.stage, rng, f"t{number}")
            try:
                scene(play)
            except Failed:
                pass
            except Exception as error:
                self.stage.outcomes.note(scene.__name__, error)
            play.clear()

    async def _aplay(self, number: int, rng: random.Random, scenes: Iterator[Any], over: threading.Event) -> None:
        while not over.is_set():
            scene = next(scenes)
            play = Play(self.stage, rng, f"a{number}")
            try:
                await scene(play)
            except Failed:
                pass
            except Exception as error:
                self.stage.outcomes.note(f"async {scene.__name__}", error)
            play.clear()
            await asyncio.sleep(0)

    def end(self) -> None:
        async def rest() -> None:
            await self.loop.shutdown_asyncgens()
            await self.loop.shutdown_default_executor()

        asyncio.run_coroutine_threadsafe(rest(), self.loop).result(HANGS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._loop_thread.join(HANGS)
        self.loop.close()


def clear(stage: Stage) -> int:
    """Delete what the scenes have left; abort uploads, and say how many they were. Tries again where it is refused."""
    aborted = 0
    for _ in range(5):
        with suppress(objectfs.ObjectFSError):
            keys = [entry.key for entry in stage.client.list(stage.bucket, stage.prefix, timeout=60)]
            failures = stage.client.delete_many(stage.bucket, keys, timeout=60)
            answer = stage.client.call("ListMultipartUploads", Bucket=stage.bucket, Prefix=stage.prefix, timeout=60)
            for upload in answer.get("Uploads") or ():
                where = {"Bucket": stage.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
                with suppress(objectfs.errors.NotFoundError):
                    stage.client.call("AbortMultipartUpload", **where, timeout=60)
                aborted += 1
            if not failures:
                return aborted
    return aborted


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def soak(order: dict[str, Any], stopped: threading.Event, folder: Path) -> None:
    settings = order["settings"]
    # What is opened and loaded once, and kept, is there before anything is counted: also what sdk uses of the engine.
    with suppress(ImportError):
        importlib.import_module("objectfs._native")
    with objectfs.Client(**settings) as first, suppress(objectfs.ObjectFSError):
        first.exists(order["bucket"], "nothing", timeout=60)
    before = settled(lambda sample: sample.native in (0, None), time.monotonic(), 0)
    outcomes = Outcomes()
    stage = Stage(
        settings,
        order["bucket"],
        order["prefix"],
        folder,
        outcomes,
        objectfs.Client(**settings),
        objectfs.AsyncClient(**settings),
    )
    players = Players(stage, order)
    began = time.monotonic()
    uploads, hung = 0, None
    times: list[float] = []
    # However slow the machine is, there are as many rounds as are needed to say something.
    while not stopped.is_set() and (time.monotonic() - began < order["seconds"] or not enough(times, order["warm_up"])):
        try:
            players.round(order["interval"], stopped)
        except HungError as error:
            faulthandler.dump_traceback(sys.stderr, all_threads=True)
            hung = str(error)
            break
        uploads += clear(stage)
        leak(order["leak"], stage)
        sample = measures.take(began, outcomes.operations)
        times.append(sample.time)
        say(sample=dataclasses.asdict(sample))
    if hung is not None:
        _end(outcomes, [hung], None, None, None)
        os._exit(3)  # nothing that hangs can be waited for
    players.end()
    stage.client.close()
    stage.aclient.close()
    del stage, players
    after = settled(
        lambda sample: (
            sample.native in (0, None)
            and sample.threads <= before.threads
            and (sample.descriptors or 0) <= (before.descriptors or 0)
        ),
        began,
        outcomes.operations,
        # What was leaked on purpose need not be waited for.
        patience=60.0 if order["leak"] is None else 0.0,
    )
    _end(outcomes, [], uploads, before, after)


def _end(
    outcomes: Outcomes,
    wrong: list[str],
    uploads: int | None,
    before: measures.Sample | None,
    after: measures.Sample | None,
) -> None:
    say(
        end={
            "verbs": [dataclasses.asdict(verb) for verb in outcomes.verbs()],
            "bytes": outcomes.bytes,
            "wrong": [*outcomes.wrong, *outcomes.never(), *wrong],
            "uploads_left": uploads,
            "before": before and dataclasses.asdict(before),
            "after": after and dataclasses.asdict(after),
        }
    )


def settled(
    done: Callable[[measures.Sample], bool], began: float, operations: int, patience: float = 60.0
) -> measures.Sample:
    """A sample when threads that are ending have ended: what is there after a minute stays."""
    deadline = time.monotonic() + patience
    while True:
        gc.collect()
        engine = sys.modules.get("objectfs._native")
        if engine is not None:
            engine.debug_outstanding_bytes(5.0)  # waits for the C libraries' threads
        sample = measures.take(began, operations)
        if done(sample) or time.monotonic() > deadline:
            return sample
        time.sleep(0.05)


def main() -> None:
    order = json.loads(sys.stdin.readline())
    stopped = threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        stopped.set()

    threading.Thread(target=listen, name="soak-stdin", daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="objectfs-soak-") as folder:
        soak(order, stopped, Path(folder))


if __name__ == "__main__":
    main()
