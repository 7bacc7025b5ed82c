"""What a person sees of a build, and the log that keeps the rest.

pip hides a backend's output unless it is asked for (-v), so the short progress lines go to the terminal
itself where there is one. Everything the tools print goes to the log file, whose path is named first and
again when something fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

__all__ = ["Report", "StepFailed"]

_NINJA = re.compile(r"^\[(\d+)/(\d+)\]")
_EVERY = 5.0  # seconds between two progress lines of one step


class StepFailed(Exception):
    """A command of the build returned non-zero; `tail` holds the last lines it printed."""

    def __init__(self, step: str, returncode: int, tail: Sequence[str]) -> None:
        super().__init__(f"{step} failed (exit {returncode})")
        self.step = step
        self.tail = list(tail)


class Report:
    """Progress lines for people, raw output for the log; `verbose` sends raw output to stdout too."""

    def __init__(self, log_path: Path | None = None, *, verbose: bool = False) -> None:
        self.log_path = log_path
        self._verbose = verbose
        self._started = time.monotonic()
        self._log: TextIO | None = None
        if log_path is not None:
            try:
                log_path.parent.mkdir(parents=True, exist_ok=True)
                self._log = log_path.open("w", encoding="utf-8", errors="replace")
            except OSError as error:  # a build that needs no log must not fail for want of one
                self.log_path = None
                print(f"objectfs: no log ({error})", flush=True)
        self._terminal = _terminal()

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        if self._log is not None:
            self._log.close()
        if self._terminal is not None:
            self._terminal.close()

    def say(self, text: str) -> None:
        """One line that a person should see now; to the terminal if pip stands between us and it."""
        line = f"objectfs: {text}\n"
        if self._log is not None:
            self._log.write(line)
            self._log.flush()
        if self._terminal is not None:
            try:
                # pip's spinner may have left something on the line.
                self._terminal.write(line if sys.platform == "win32" else f"\r\x1b[K{line}")
                self._terminal.flush()
            except OSError:  # the terminal went away: not a reason to stop a build
                self._terminal = None
        sys.stdout.write(line)
        sys.stdout.flush()

    def run(
        self, step: str, argv: Sequence[str], env: Mapping[str, str] | None = None, *, quiet: bool = False
    ) -> list[str]:
        """Run one command to its end; returns its last lines. Raises StepFailed with them when it fails.

        `quiet` keeps what it prints in the log, for commands whose failure we put into words ourselves.
        """
        self._raw(f"\n$ {' '.join(argv)}\n", quiet=quiet)
        tail: deque[str] = deque(maxlen=40)
        begun = spoken = time.monotonic()
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                self._raw(line, quiet=quiet)
                tail.append(line.rstrip())
                now = time.monotonic()
                if not quiet and now - spoken >= _EVERY and (match := _NINJA.match(line)):
                    spoken = now
                    self.say(f"  {step}: {match[1]} of {match[2]} ({now - begun:.0f} s)")
            returncode = process.wait()
        except BaseException:  # Ctrl-C included: no compiler is left running behind our back
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
        if returncode:
            raise StepFailed(step, returncode, tail)
        return list(tail)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def _raw(self, text: str, *, quiet: bool) -> None:
        if self._log is not None:
            self._log.write(text)
        if self._verbose and not quiet:
            sys.stdout.write(text)
            sys.stdout.flush()


def _terminal() -> TextIO | None:
    """The controlling terminal, if output does not already go there and nobody asked for quiet."""
    if sys.stdout.isatty() or os.environ.get("OBJECTFS_QUIET") == "1":
        return None
    try:
        return open("CONOUT$" if sys.platform == "win32" else "/dev/tty", "w", encoding="utf-8")
    except OSError:
        return None
