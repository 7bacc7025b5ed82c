"""Processes that are killed in the middle of a transfer: nothing wrong is visible, and a second run repairs.

Where the kill strikes is left to chance, between the first request and the last; what holds, holds wherever it is.
``OBJECTFS_CRASHES=200`` kills so many in all.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs.sim import S3Server

from .killing import child, settings_of
from .resuming import Make, ours
from .support import MiB, ramp, until

CRASHES = int(os.environ.get("OBJECTFS_CRASHES", "12"))
"""Of each backend half, and of those half each way, and with and without ``resume`` by turns."""

OLD = ramp(300_000, 1)
NEW = ramp(24 * MiB + 12345, 2)
"""Five parts."""

REQUESTS = 8
"""HeadObject, or CreateMultipartUpload, and the parts: the kill comes when so many have begun at most."""

TRIES = 20
"""A transfer of fewer requests may be done before the kill. That is none, and chance has another go."""


def killed(sim: S3Server, backend: str, chance: random.Random, verb: str, path: Path, resume: bool) -> bool:
    """Kill a process once the server has seen a number of requests that nobody knows beforehand, or a little later.
    Whether that was before its transfer was done."""
    sim.clear_requests()
    seen = chance.randrange(1, REQUESTS)
    with child(settings_of(sim, backend), verb, "bucket", "k", path, resume=resume) as process:
        until(lambda: len(sim.requests) >= seen or process.poll() is not None, 120)
        if chance.random() < 0.5:  # within what these requests bring, not only at their beginnings
            sent = chance.randrange(8 * MiB)
            until(lambda: moved(sim) >= sent or process.poll() is not None, 120)
        process.kill()
        said, errors = process.communicate()
    assert process.returncode in (0, -9), f"it ended by itself with {process.returncode}: {errors}"
    return "done" not in said


def moved(sim: S3Server) -> int:
    return sum(request.sent + request.body_size for request in tuple(sim.requests))


@pytest.mark.parametrize("turn", range(max(1, CRASHES // 4)))
def test_downloads(sim: S3Server, backend: str, make: Make, tmp_path: Path, turn: int) -> None:
    chance = random.Random(f"down {backend} {turn}")
    resume = turn % 2 == 0
    path = tmp_path / "f"
    make().put("bucket", "k", NEW)
    before = OLD if turn % 3 else None
    for _ in range(TRIES):
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)
        during = killed(sim, backend, chance, "get_file", path, resume)
        now = path.read_bytes() if path.exists() else None
        assert now in ((before, NEW) if during else (NEW,))
        if during:
            break
    else:
        pytest.fail("no kill came before the end")
    make().get_file("bucket", "k", path, resume=resume)
    assert path.read_bytes() == NEW
    if resume:
        assert ours(tmp_path) == []


@pytest.mark.parametrize("turn", range(max(1, CRASHES // 4)))
def test_uploads(sim: S3Server, backend: str, make: Make, tmp_path: Path, turn: int) -> None:
    chance = random.Random(f"up {backend} {turn}")
    resume = turn % 2 == 0
    path = tmp_path / "f"
    path.write_bytes(NEW)
    client = make()
    before = OLD if turn % 3 else None
    for _ in range(TRIES):
        client.delete("bucket", "k")
        if before is not None:
            client.put("bucket", "k", before)
        during = killed(sim, backend, chance, "put_file", path, resume)
        assert content(client) in ((before, NEW) if during else (NEW,))
        if during:
            break
    else:
        pytest.fail("no kill came before the end")
    client.put_file("bucket", "k", path, resume=resume)
    assert content(client) == NEW
    if resume:
        assert ours(tmp_path) == []


def content(client: objectfs.Client) -> Any:
    try:
        return bytes(client.get("bucket", "k"))
    except objectfs.errors.NotFoundError:
        return None
