"""The thread that brings new credentials to operations under way: when it exists, and how it ends."""

from __future__ import annotations

import datetime as dt
import gc
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import S3Server
from objectfs.sim.network.faults import Fault

from .conftest import backend_for, run_script, until


@pytest.fixture(autouse=True)
def temporary_key(sim: S3Server) -> None:
    """A key that comes with tokens; the server's own has none, and S3 refuses it with one."""
    sim.add_access_key("temporary", "testtest", time.time() + 3600)


def renewals() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "objectfs-credentials"]


def expiring(crt: CrtBackend, seconds: float, fetch: Callable[[], Any] | None = None) -> list[float]:
    """Give a backend credentials that are good for so long; when they were fetched."""
    fetched: list[float] = []

    def default() -> dict[str, str]:
        fetched.append(time.monotonic())
        if fetch is not None:
            fetch()
        expiry = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        return {
            "access_key": "temporary",
            "secret_key": "testtest",
            "token": f"token{len(fetched)}",
            "expiry_time": expiry.isoformat(),
        }

    first = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    crt.session._credentials = RefreshableCredentials("temporary", "testtest", "token0", first, default, "test")
    return fetched


def test_credentials_that_do_not_expire_have_none(crt: CrtBackend) -> None:
    run(crt.put("bucket", "k", b"x", PutOptions()))
    op = next(crt.get("bucket", "k", GetOptions()))
    assert crt._renewal is None
    assert not renewals()
    op.wait()


def test_it_ends_with_the_operations(crt: CrtBackend, sim: S3Server) -> None:
    fetched = expiring(crt, 3)
    sim.faults.add(Fault(key="slow", delay=2.0))
    run(crt.put("bucket", "slow", b"x", PutOptions()))
    assert len(fetched) > 2  # once when the verb began, then while it ran
    until(lambda: not renewals())
    run(crt.put("bucket", "k", b"x", PutOptions()))
    assert renewals()


def test_fresh_credentials_are_left_alone(crt: CrtBackend, sim: S3Server) -> None:
    fetched = expiring(crt, 3600)
    sim.faults.add(Fault(key="slow", delay=1.0))
    run(crt.put("bucket", "slow", b"x", PutOptions()))
    assert not fetched


def test_a_source_that_fails_for_a_while(crt: CrtBackend, sim: S3Server) -> None:
    broken = threading.Event()

    def fetch() -> None:
        if broken.is_set():
            raise OSError("the source is not there")

    fetched = expiring(crt, 5, fetch)
    sim.faults.add(Fault(key="slow", delay=3.0))
    op = next(crt.put("bucket", "slow", b"x", PutOptions()))
    broken.set()
    before = len(fetched)
    until(lambda: len(fetched) >= before + 2)  # it tries again
    broken.clear()
    until(lambda: crt._credentials[2] == f"token{len(fetched)}")
    assert op.wait(10)


def test_a_backend_that_was_dropped(sim: S3Server) -> None:
    crt = backend_for(sim.endpoint_url)
    expiring(crt, 3)
    run(crt.put("bucket", "k", b"x", PutOptions()))
    assert renewals()
    del crt
    gc.collect()
    until(lambda: not renewals())


def test_close_while_credentials_are_fetched(sim: S3Server) -> None:
    crt = backend_for(sim.endpoint_url)
    release = threading.Event()
    main = threading.current_thread()

    def fetch() -> None:
        if threading.current_thread() is not main:
            release.wait(20)

    fetched = expiring(crt, 3, fetch)
    sim.faults.add(Fault(key="stall", stall=True))
    op = next(crt.get("bucket", "stall", GetOptions()))
    until(lambda: len(fetched) > 1)
    started = time.monotonic()
    crt.close()
    assert time.monotonic() - started < 2
    assert op.done()
    release.set()
    until(lambda: not renewals())


SCRIPT = """
import datetime as dt
from botocore.credentials import RefreshableCredentials
main = threading.current_thread()
armed, hang = threading.Event(), threading.Event()
def fetch():
    if armed.is_set() and threading.current_thread() is not main:
        hang.set(); time.sleep(60)
    expiry = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=3)
    return dict(access_key="temporary", secret_key="testtest", token="t", expiry_time=expiry.isoformat())
def expiring(crt):
    now = dt.datetime.now(dt.timezone.utc)
    crt.session._credentials = RefreshableCredentials("temporary", "testtest", "t", now, fetch, "test")
    return crt
crt = expiring(make())
run(crt.put("bucket", "k", b"data", PutOptions()))
op = next(crt.get("bucket", "stall", GetOptions()))
if HANG:
    armed.set()
    hang.wait(10)
"""


@pytest.mark.parametrize("hang", [False, True])
def test_exit_is_silent(sim: S3Server, hang: bool) -> None:
    sim.faults.add(Fault(key="stall", stall=True, times=None))
    last = "import atexit; atexit.register(lambda: print(time.monotonic()))\n"  # called first: its end begins
    began = run_script(last + f"HANG = {hang}" + SCRIPT, sim.endpoint_url)
    assert time.monotonic() - float(began) < 15


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.not_under("thread", "a child of a fork has threads")
@pytest.mark.parametrize("hang", [False, True])
def test_fork(sim: S3Server, hang: bool) -> None:
    sim.faults.add(Fault(key="stall", stall=True, times=None))
    code = """
import warnings
warnings.simplefilter("ignore")
pid = os.fork()
if pid == 0:
    code = 1
    try:
        main = threading.current_thread()
        armed.clear()  # in the child nothing hangs that did not hang when it was forked
        crt.close()
        new = expiring(make())
        assert bytes(run(new.get("bucket", "k", GetOptions()))) == b"data"
        assert new._renewal is not None
        new.close()
        code = 0
    finally:
        os._exit(code)
assert os.waitpid(pid, 0)[1] == 0
print("fine")
"""
    assert run_script(f"HANG = {hang}" + SCRIPT + code, sim.endpoint_url) == "fine\n"
