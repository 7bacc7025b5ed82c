"""What the tests of ``resume=True`` have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import objectfs
from objectfs.sim import Fault, S3Server

from .support import MiB, ramp

PART = 5 * MiB
"""The smallest that S3 takes."""

PARTS = 10
SIZE = PARTS * PART - 12345
KILLED_AFTER = 7
"""Parts of ten: the second run has 30 % left, and has to do with 35 %."""

DATA = ramp(SIZE)

FEW = ramp(4 * PART - 777, 5)
"""Content for tests that kill nobody: four parts."""

Make = Callable[..., objectfs.Client]


def moved(sim: S3Server, operation: str) -> int:
    """Bytes of content, as the server has counted them."""
    of_it = [request for request in tuple(sim.requests) if request.operation == operation]
    return sum(request.body_size if operation == "UploadPart" else request.sent for request in of_it)


def ours(folder: Path) -> list[str]:
    """What we have left in a folder."""
    return sorted(name for name in os.listdir(folder) if name.startswith(".objectfs-"))


def fails_after(sim: S3Server, operation: str, parts: int) -> None:
    """Have all such requests but the first ones fail. With one connection, that many parts are done then."""
    sim.faults.add(Fault(operation, after=parts, times="all", status=500))
