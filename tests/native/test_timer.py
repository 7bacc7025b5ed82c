"""Event loops sleep until a task is due: native/timer.c."""

from __future__ import annotations

import threading
import time

import pytest

from objectfs import _native
from objectfs.backends.base import PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import Fault, S3Server

from .conftest import until

WHILE = 1.0
"""Seconds."""

pytestmark = pytest.mark.skipif(not _native.debug_linked(), reason="only where the linker can do that")


def waiting(crt: CrtBackend, sim: S3Server, late: float) -> float:
    """Seconds of processor time of this process while a request waits for its answer, which is late after so long."""
    target, answer = crt.target("bucket"), threading.Event()
    held = sim.faults.add(Fault(key="k", hold=answer))
    made = _native.Request(b"GetObject", b"GET", target.path("k"), target.native, target.headers(None))
    op = target.engine.start([made], late=late)
    try:
        until(lambda: held.hits == 1)
        assert not op.wait(0.2)
        began = time.process_time()
        assert not op.wait(WHILE)
        return time.process_time() - began
    finally:
        answer.set()
        assert op.wait(20)


@pytest.mark.not_under("thread", "each look takes many times as long")
def test_looking_for_late_answers_takes_next_to_no_processor_time(crt: CrtBackend, sim: S3Server) -> None:
    """It looks every 5 ms, of which the event loop asked up to one whether it was time."""
    run(crt.put("bucket", "k", b"content", PutOptions()))
    without = min(waiting(crt, sim, 0.0) for _ in range(2))
    assert min(waiting(crt, sim, 60.0) for _ in range(2)) < without + 0.05 * WHILE
