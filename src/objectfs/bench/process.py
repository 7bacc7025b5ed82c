"""Processes of a run: one for each case and run, and one for the server. Both are asked and answer in lines of JSON.

A client's process is started with the Python of the environment that has the client's package. That may be without
ObjectFS: :func:`command` lets it find :mod:`objectfs.bench` and nothing else that is installed beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

PACKAGE = Path(__file__).resolve().parents[1]

# A package with the right path and nothing in it takes the place of objectfs, whose imports are not there.
_LEND = (
    "import sys, types, runpy; "
    "lent = types.ModuleType('objectfs'); lent.__path__ = [sys.argv[1]]; sys.modules['objectfs'] = lent; "
    "name = sys.argv[2]; del sys.argv[1:3]; runpy.run_module(name, run_name='__main__', alter_sys=True)"
)


class ProcessError(RuntimeError):
    """A process ended, or did not answer in time; the text has its last words."""


def command(python: str, module: str) -> list[str]:
    """What runs a module of this package with a Python that may not have it."""
    if Path(python) == Path(sys.executable):
        return [python, "-m", module]
    # -s: what a person has installed for themselves belongs to no environment.
    return [python, "-s", "-c", _LEND, str(PACKAGE), module]


class Child:
    """A process that is asked with a line of JSON and answers with one."""

    def __init__(
        self,
        arguments: Sequence[str],
        order: dict[str, Any],
        *,
        timeout: float = 60,
        environment: dict[str, str] | None = None,
    ) -> None:
        # A file: what nobody reads from a pipe would stop the process.
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
            env=environment,
            # Ctrl-C is for us: we end them, when what they wrote has been removed.
            start_new_session=True,
        )
        self.timeout = timeout
        self.send(order)

    def send(self, question: Any) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it is gone: the answer that does not come will say so
            self.process.stdin.write(f"{question if isinstance(question, str) else json.dumps(question)}\n")
            self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The next answer. ProcessError if there is none."""
        assert self.process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._kill()

        timer = threading.Timer(self.timeout, give_up)
        timer.start()
        try:
            while line := self.process.stdout.readline():
                if line.startswith("{"):  # a client may print what it likes
                    answer: dict[str, Any] = json.loads(line)
                    return answer
        finally:
            timer.cancel()
        code = self.process.wait()
        if late.is_set():
            raise ProcessError(f"no answer within {self.timeout:g} seconds")
        raise ProcessError(f"the process ended with {code}: {self.last_words()}")

    def ask(self, question: Any) -> dict[str, Any]:
        self.send(question)
        return self.receive()

    def last_words(self) -> str:
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def close(self) -> None:
        """Ends with its standard input; killed if it does not."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self._kill()
            self.process.wait()
        self.process.stdout.close()
        self._words.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is not None:
            self._kill()
        self.close()

    def _kill(self) -> None:
        """The process, and the programs that it started."""
        if self.process.poll() is None:  # else its number may be another's
            if hasattr(os, "killpg"):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()


def python_of(folder: Path) -> str:
    """The interpreter of a virtual environment. FileNotFoundError if it has none."""
    for name in ("bin/python", "Scripts/python.exe"):
        if (folder / name).exists():
            return os.path.abspath(folder / name)
    raise FileNotFoundError(f"{folder} is no virtual environment: it has no bin/python")
