"""The fault matrix: a sample in each run, all of it with ``-m slow`` (over 5,000 cases, more than an hour).

``MATRIX_LOG`` names a file that is told of each failure at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from objectfs.backends.select import available
from objectfs.sim import S3Server

from . import kinds
from .cases import Case, all_cases, sample
from .runner import Runner, descriptors
from .verbs import VERBS
from .world import PART, World, wait_for

SAMPLE = 80
"""Cases of each backend in a usual run."""


def memory() -> int:
    """Bytes that the engine holds."""
    if (
        not any(attempt.name == "crt" and attempt.ok for attempt in available())
        or os.environ.get("OBJECTFS_MEMTRACE") != "1"
    ):
        return 0
    from objectfs import _native

    return int(_native.debug_outstanding_bytes())


@pytest.fixture
def runner(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    monkeypatch.setattr("objectfs.backends.sdk_wire.BACKOFF_CAP", 0.02)  # seconds between attempts; as crt's first
    with S3Server(buckets=("bucket",)) as server:
        settings: dict[str, Any] = {
            "endpoint_url": server.endpoint_url,
            "access_key_id": "test",
            "secret_access_key": "testtest",
            "region": "us-east-1",
            "max_attempts": kinds.ATTEMPTS,
            "part_size": PART,
            "backend": backend,
        }
        yield Runner(server, World(server, tmp_path), settings, memory)


def run(runner: Runner, cases: list[Case]) -> None:
    failed = []
    before = 0
    for number, case in enumerate(cases):
        if number == 1:
            before = descriptors()
        problems = runner.problems(case)
        if problems:
            failed.append(f"{case.name}: {'; '.join(problems)}")
            if log := os.environ.get("MATRIX_LOG"):
                with open(log, "a", encoding="utf-8") as file:
                    print(runner.settings["backend"], failed[-1], file=file)
    # what the server has not yet noticed to be closed is its own
    if len(cases) > 1 and not wait_for(lambda: descriptors() <= before + 4):
        failed.append(f"{descriptors() - before} descriptors are left")
    assert not failed, f"{len(failed)} of {len(cases)}\n" + "\n".join(failed)


def test_there_is_a_kind_for_each_fault() -> None:
    assert kinds.all_effects() <= kinds.fields_in_use()
    assert 2 * len(all_cases()) >= 2000


def test_sample(runner: Runner) -> None:
    run(runner, sample(SAMPLE))


@pytest.mark.slow  # thousands of cases, each with a client of its own
@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_all(runner: Runner, verb: str) -> None:
    run(runner, [case for case in all_cases() if case.verb.name == verb])
