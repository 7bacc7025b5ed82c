"""One client doing one scenario in a process of its own, started by :mod:`objectfs.bench.process`.

The first line of the standard input is the order. The work is done once to warm up (imports, connections, pages), what
arrived is compared byte by byte, and ``{"event": "warm"}`` goes to the standard output. With the next line of input it
is done again and measured; then only lengths are compared, with the clock stopped.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import sys
import time
from dataclasses import replace
from importlib import import_module
from typing import Any

from objectfs.bench import content
from objectfs.bench.clients import BY_NAME
from objectfs.bench.clients.base import Client, Elsewhere, Missing, Target
from objectfs.bench.memory import forget_peak, peak_rss
from objectfs.bench.scenarios import BY_NAME as SCENARIOS
from objectfs.bench.scenarios import Item


def cpu() -> tuple[float, float]:
    """User and system seconds of this process and of its children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime for usage in both), sum(usage.ru_stime for usage in both)


class Task:
    """The work of one scenario for one client. ``run`` is what is measured."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.scenario = SCENARIOS[order["scenario"]]
        plan = self.scenario.plan(order["scale"], order["seed"])
        self.target = Target(**order["target"])
        self.read, self.warm, self.write = order["read"], order["warm"], order["write"]
        prefix = order["prefix"]
        self.items = [replace(item, key=prefix + item.key) for item in plan.items]
        self.prefix = prefix + plan.prefix
        self.count = len(plan.items)
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.path = os.path.join(self.target.folder, "object")
        self.source = os.path.join(self.target.folder, "source")
        self.back = os.path.join(self.target.folder, "back")
        self.data: list[bytes] = []
        self.result: Any = None
        self._prepare()
        module = import_module(f"objectfs.bench.clients.{BY_NAME[self.target.client].module}")
        self.client: Client = module.make(self.target)

    def _prepare(self) -> None:
        match self.scenario.verb:
            case "put" | "put_each" | "mixed":
                largest = max((item.size for item in self.items if item.put), default=0)
                whole = bytes(content.fill(largest))
                # An object's content is the beginning of any larger one's.
                self.data = [whole if item.size == largest else whole[: item.size] for item in self.items if item.put]
            case "put_file":
                content.write_file(self.source, self.items[0].size)
            case "trees":
                for item in self.items:
                    path = os.path.join(self.source, *item.key.removeprefix(self.prefix).split("/"))
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    content.write_file(path, item.size)

    def run(self, write: str) -> None:
        client, items, first = self.client, self.items, self.items[0]
        note = self.latencies.append
        match self.scenario.verb:
            case "get":
                self.result = [client.get(self.read, first)]
            case "get_file":
                client.get_file(self.read, first, self.path)
            case "put":
                client.put(write, first, self.data[0])
            case "put_file":
                client.put_file(write, first, self.source)
            case "get_each":
                self.result = [self._timed(client.get, self.read, item) for item in items]
            case "put_each":
                for item, data in zip(items, self.data, strict=True):
                    self._timed(client.put, write, item, data)
            case "get_many":
                self.result = client.get_many(self.read, items, note)
            case "get_ranges":
                self.result = client.get_ranges(self.read, items, note)
            case "mixed":
                self.result = client.mixed(self.read, write, items, self.data, note)
            case "first_byte":
                self.result = [self._first_byte(item) for item in items]
            case "list":
                self.result = client.list(self.read, self.prefix)
            case "trees":
                client.upload_tree(write, self.prefix, self.source)
                client.download_tree(write, self.prefix, self.back)

    def _timed(self, work: Any, *arguments: Any) -> Any:
        start = time.perf_counter()
        result = work(*arguments)
        self.latencies.append(time.perf_counter() - start)
        return result

    def _first_byte(self, item: Item) -> bytes:
        start = time.perf_counter()
        byte, close = self.client.first_byte(self.read, item)
        self.firsts.append(time.perf_counter() - start)
        close()
        return byte

    def check(self, *, whole: bool) -> None:
        """Compare what arrived: its content, or only its length. Everything is as before the run then."""
        match self.scenario.verb:
            case "get" | "get_each" | "get_many" | "get_ranges":
                self._check_all(self.items, whole)
            case "mixed":
                self._check_all([item for item in self.items if not item.put], whole)
            case "get_file":
                self._check_one(self.path, self.items[0], whole)
            case "first_byte":
                if self.result != [b"\0"] * self.count:
                    raise ValueError("another byte is first")
            case "list":
                if self.result != self.count:
                    raise ValueError(f"{self.result} keys were listed, not {self.count}")
            case "trees":
                for item in self.items:
                    path = os.path.join(self.back, *item.key.removeprefix(self.prefix).split("/"))
                    self._check_one(path, item, whole)
                shutil.rmtree(self.back)
        self.result = None

    def _check_all(self, items: list[Item], whole: bool) -> None:
        if len(self.result) != len(items):
            raise ValueError(f"{len(self.result)} objects arrived, not {len(items)}")
        for data, item in zip(self.result, items, strict=True):
            self._check_one(data, item, whole)

    @staticmethod
    def _check_one(data: Any, item: Item, whole: bool) -> None:
        if isinstance(data, str):
            if whole:
                content.check_file(data, item.size)
            elif os.path.getsize(data) != item.size:
                raise ValueError(f"{data}: {os.path.getsize(data)} bytes, not {item.size}")
            os.unlink(data)
        elif isinstance(data, list):
            place = item.start or 0
            for piece in data:  # of an object that stays as it arrived
                if whole:
                    content.check(piece, memoryview(piece).nbytes, item.key, start=place)
                place += memoryview(piece).nbytes
            if place - (item.start or 0) != item.size:
                raise ValueError(f"{item.key}: {place - (item.start or 0)} bytes arrived, not {item.size}")
        elif isinstance(data, Elsewhere):
            if data.size != item.size:
                raise ValueError(f"{item.key}: {data.size} bytes arrived, not {item.size}")
        elif whole:
            content.check(data, item.size, item.key, start=item.start or 0)
        elif memoryview(data).nbytes != item.size:
            raise ValueError(f"{item.key}: {memoryview(data).nbytes} bytes arrived, not {item.size}")


def measure(task: Task) -> dict[str, Any]:
    task.latencies.clear()
    task.firsts.clear()
    forget_peak()
    before = cpu()
    start = time.perf_counter()
    task.run(task.write)
    wall = time.perf_counter() - start
    after = cpu()
    rss = peak_rss()
    task.check(whole=False)
    times = sorted(task.firsts or task.latencies)
    latency = None
    if len(times) > 1:
        latency = {
            "mean": statistics.fmean(times),
            "p50": statistics.median(times),
            "p99": times[min(len(times) - 1, int(len(times) * 0.99))],
        }
    return {
        "wall": wall,
        "user": after[0] - before[0],
        "system": after[1] - before[1],
        "peak_rss": rss,
        "first_byte": statistics.median(task.firsts) if task.firsts else None,
        "latency": latency,
    }


def tell(event: str, **rest: Any) -> None:
    print(json.dumps({"event": event} | rest), flush=True)


def main() -> int:
    order = json.loads(sys.stdin.readline())
    if order["cpu"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {order["cpu"]})
    try:
        task = Task(order)
        task.client.checking = True
        task.run(task.warm)
        task.check(whole=True)
        task.client.checking = False
        tell("warm")
        if sys.stdin.readline().strip() != "go":
            return 0
        tell("done", **measure(task))
        task.client.close()
    except Missing as error:
        tell("missing", reason=str(error))
    except Exception as error:
        tell("failed", reason=f"{type(error).__name__}: {str(error) or repr(error)}"[:500])
    return 0


if __name__ == "__main__":
    sys.exit(main())
