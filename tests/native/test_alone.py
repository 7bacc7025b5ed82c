"""Which answers are taken for those of a server that had nothing else to do (docs/design/0015-pace.md)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import Fault, S3Server

PART = 5 * 1024 * 1024


@pytest.fixture
def backend(make: Callable[..., CrtBackend]) -> CrtBackend:
    backend = make(part_size=PART)
    run(backend.put("bucket", "large", bytes(4 * PART), PutOptions()))
    run(backend.put("bucket", "small", b"small", PutOptions()))
    return backend


def test_of_a_parallel_download_the_first(backend: CrtBackend, sim: S3Server) -> None:
    """However often who waits looks meanwhile: the others have waited for each other."""
    sim.faults.add(Fault("GetObject", key="large", after=1, times="all", delay=0.4))
    assert run(backend.get_into("bucket", "large", bytearray(4 * PART), GetOptions())) == 4 * PART
    (wait,) = backend.target("bucket").engine.alone
    assert wait < 0.4e9


def test_none_of_several_at_once(backend: CrtBackend) -> None:
    assert len(list(run(backend.get_many("bucket", ["small"] * 20, "raise", GetOptions())))) == 20
    assert backend.target("bucket").engine.alone == []


def test_the_last_five(backend: CrtBackend) -> None:
    for count in range(1, 8):
        run(backend.get("bucket", "small", GetOptions()))
        assert len(backend.target("bucket").engine.alone) == min(count, 5)
