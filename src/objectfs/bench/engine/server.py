"""The server of a run: in its own process, on its own core."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator

from objectfs.bench.engine.scenarios import BUCKET, SINK, Scenario

KINDS = ("sim", "raw")


@contextlib.contextmanager
def running(kind: str, scenarios: list[Scenario], cpu: int | None) -> Iterator[str]:
    """The endpoint of a server that has the scenarios' objects."""
    if kind == "raw":
        command = [sys.executable, "-m", "objectfs.bench.engine.rawserver"]
    else:
        # What is measured is the client: the server checks no signatures, and keeps no objects but the
        # warm-up's.
        command = [
            sys.executable,
            "-m",
            "objectfs.sim",
            "--no-verify",
            "--anonymous",
            "--bucket",
            BUCKET,
            "--bucket",
            SINK,
        ]
        for scenario in scenarios:
            if scenario.verb in ("get_into", "get_file", "get_many"):
                for key in scenario.keys:
                    command += ["--synthetic", f"{BUCKET}/{key}={scenario.size}"]
    if cpu is not None:
        command += ["--cpu", str(cpu)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"https?://\S+", line)
        if not found:
            raise RuntimeError(f"the {kind} server did not start: {line.strip() or 'see its message above'}")
        yield found[0]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
