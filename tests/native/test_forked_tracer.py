"""The memory tracer, which all these tests switch on, in a forked child: it has a lock, which a thread of the parent
may hold at that moment, and nobody there ever gives it back."""

from __future__ import annotations

import os

import pytest

from objectfs.sim import S3Server

from .conftest import run_script

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform"),
    pytest.mark.not_under("thread", "a child of a fork has threads"),
]

FORK = """
import warnings
warnings.simplefilter('ignore')  # 3.12+ warns of any fork with threads
def in_child(call):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(240)  # a lock that nobody gives back
            call()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
def use():
    crt = make()
    assert bytes(run(crt.get('bucket', 'k', GetOptions()))) == b'data'
    assert _native.debug_outstanding_bytes() > 0
    crt.close()
crt = make()
run(crt.put('bucket', 'k', b'data', PutOptions()))
"""


def test_a_child_counts_what_is_its_own(sim: S3Server) -> None:
    code = """
def child(more):
    assert _native.debug_outstanding_bytes() == 0  # that of the parent is never given back here
    use()
    if more:
        in_child(lambda: child(more - 1))
assert _native.debug_outstanding_bytes() > 0
in_child(lambda: child(1))
assert bytes(run(crt.get('bucket', 'k', GetOptions()))) == b'data'
crt.close()
assert _native.debug_outstanding_bytes() == 0
"""
    run_script(FORK + code, sim.endpoint_url)
