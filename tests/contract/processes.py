"""Programs in processes of their own, and those that they start: none outlives the test, and what hangs says where."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HANGS = 240
"""Seconds after which a program is asked where its threads stand, and ended."""

START = """
import faulthandler, json, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored here, as in a shell's background
import objectfs

def ramp(size, seed=0):
    unit = bytes((value + seed) % 251 for value in range(251))
    return (unit * (size // 251 + 1))[:size]
"""


class Program:
    """A file with a program, which begins with START, and its process, which is told ``arguments`` as JSON.

    Args:
        before: what the program does before objectfs is imported.
    """

    def __init__(self, folder: Path, code: str, /, *, before: str = "", **arguments: Any) -> None:
        path = folder / "program.py"
        path.write_text(before + START + code, encoding="utf-8")
        # without the memory tracer: a fork may find its lock taken, and what it counted here is nobody's business
        environment = {name: value for name, value in os.environ.items() if name != "OBJECTFS_MEMTRACE"}
        environment |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest"}
        forks = "ignore:This process:DeprecationWarning"  # since 3.12, of any fork of a process with threads
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-W", "error", "-W", forks, str(path), json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment,
            start_new_session=True,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.communicate()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """The next line that it prints; it is over, or hangs, if there is none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"it ended: {self.end()}")
        return line.rstrip("\n")

    def end(self) -> tuple[int, str, str]:
        """Its exit code, and what it still has printed to both."""
        try:
            out, err = self.process.communicate(timeout=HANGS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # faulthandler answers
            try:
                out, err = self.process.communicate(timeout=10)
            except subprocess.TimeoutExpired as error:  # its children have the pipes
                out, err = (str(each or b"") for each in (error.stdout, error.stderr))
            pytest.fail(f"it hung; stdout {out}, stderr {err}")
        return self.process.returncode, out, err


def run(folder: Path, code: str, /, **arguments: Any) -> tuple[int, str, str]:
    """A program from its beginning to its end."""
    with Program(folder, code, **arguments) as program:
        return program.end()
