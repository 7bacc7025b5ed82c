"""Data that shows its mistakes, and the files that tests look for."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

from objectfs import errors

from .processes import HANGS

MiB = 1024 * 1024


def ramp(size: int, seed: int = 0) -> bytes:
    """Bytes in which every misplacement shows: a ramp modulo a prime."""
    unit = bytes((value + seed) % 251 for value in range(251))
    return (unit * (size // 251 + 1))[:size]


def python(code: str, *arguments: Any, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter; warnings are errors there too."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", timeout=HANGS, **how)


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for what another thread or the server is about to do. Time in which this process was stopped does not
    count."""
    left, before = seconds, time.monotonic()
    while not condition():
        assert left > 0, "it did not come to that"
        time.sleep(0.005)
        now = time.monotonic()
        left, before = left - min(now - before, 1.0), now


def check(error: errors.ObjectFSError, operation: str, bucket: str, key: str | None, status: int | None) -> None:
    assert (error.operation, error.bucket, error.key, error.status) == (operation, bucket, key, status)
    assert str(error).startswith(f"{operation} s3://{bucket}")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.fields() == error.fields()
