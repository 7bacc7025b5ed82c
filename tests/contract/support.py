"""Data that shows its mistakes, and the files that tests look for."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

MiB = 1024 * 1024


def ramp(size: int, seed: int = 0) -> bytes:
    """Bytes in which every misplacement shows: a ramp modulo a prime."""
    unit = bytes((value + seed) % 251 for value in range(251))
    return (unit * (size // 251 + 1))[:size]


def python(code: str, *arguments: Any, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter; warnings are errors there too."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", timeout=60, **how)
