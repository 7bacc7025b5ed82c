"""One client doing one scenario, in a process of its own: started by :mod:`objectfs.bench.engine.runner`.

The first run warms up (imports, connections, pages) and is not counted. What arrived is checked after each
run, with the clock stopped. The result is one line of JSON on the standard output.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import sys
import time
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from objectfs.bench import content as payload
from objectfs.bench.engine.scenarios import BUCKET, BY_NAME, CLIENTS, SINK, Scenario
from objectfs.bench.memory import peak_rss


class Task:
    """The scenario's work for one peer: prepared, run any number of times, checked."""

    def __init__(self, scenario: Scenario, client: str, endpoint: str, folder: str) -> None:
        self.scenario = scenario
        self.endpoint = endpoint
        self.own_settings = dict(scenario.settings) if client.startswith("objectfs") else {}
        module, _, name = CLIENTS[client].partition(":")
        self.peer = getattr(import_module(module), name)(endpoint, **self.own_settings)
        self.raw = client == "raw"
        self.path = os.path.join(folder, f"objectfs-bench-{os.getpid()}")
        self.keys = scenario.keys
        self.result: Any = None
        if scenario.verb == "get_into":
            self.view = memoryview(bytearray(scenario.size))
        elif scenario.verb == "put":
            self.data = payload.fill(scenario.size)

    def run(self, measured: bool) -> None:
        scenario, key = self.scenario, self.keys[0]
        match scenario.verb:
            case "get_into":
                self.result = self.peer.get_into(BUCKET, key, self.view)
            case "get_many":
                self.result = self.peer.get_many(BUCKET, self.keys, scenario.size)
            case "get_file":
                self.peer.get_file(BUCKET, key, self.path)
            case "put":
                # The warm-up's object is kept and read back; the measured one is dropped as it arrives.
                self.peer.put(SINK if measured else BUCKET, f"up-{key}", self.data)

    def check(self, measured: bool) -> None:
        scenario = self.scenario
        match scenario.verb:
            case "get_into":
                payload.check(self.result, scenario.size)
                # A run that moves nothing must not find the bytes of the one before it.
                for start in range(0, scenario.size, payload.MIB):
                    self.view[start] = 0xFF
            case "get_many":
                if len(self.result) != scenario.count:
                    raise ValueError(f"{len(self.result)} objects arrived, not {scenario.count}")
                for data in self.result:
                    payload.check(data, scenario.size)
            case "get_file":
                payload.check_file(self.path, scenario.size)
                os.unlink(self.path)
            case "put":
                if not self.raw:
                    self._check_upload(SINK if measured else BUCKET, content=not measured)
        self.result = None

    def _check_upload(self, bucket: str, *, content: bool) -> None:
        with contextlib.closing(http.client.HTTPConnection(urlsplit(self.endpoint).netloc)) as connection:
            connection.request("GET" if content else "HEAD", f"/{bucket}/up-{self.keys[0]}")
            with connection.getresponse() as answer:
                size = int(answer.getheader("Content-Length", "-1"))
                if answer.status != 200 or size != self.scenario.size:
                    raise ValueError(f"upload: HTTP {answer.status}, {size} bytes")
                done = 0
                while data := answer.read(4 * payload.MIB) if content else b"":
                    payload.check(data, len(data), "upload", start=done)
                    done += len(data)
        if content and done != size:
            raise ValueError(f"upload: {done} bytes, not {size}")


def measure(task: Task) -> dict[str, float]:
    task.run(measured=False)
    task.check(measured=False)
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    task.run(measured=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    rss = peak_rss()
    task.check(measured=True)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {"wall": wall, "user": user, "system": system, "cpu": user + system, "rss_mib": rss / payload.MIB}


def main() -> None:
    order = json.loads(sys.argv[1])
    if order["cpu"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {order["cpu"]})
    scenario = BY_NAME[order["scenario"]]
    task = Task(scenario, order["client"], order["endpoint"], order["folder"])
    try:
        print(json.dumps(measure(task)), flush=True)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(task.path)
    task.peer.close()


if __name__ == "__main__":
    main()
