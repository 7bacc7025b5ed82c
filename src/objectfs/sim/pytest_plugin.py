"""Fixtures for the tests of other projects: a server, a bucket, faults. docs/server.md describes them.

pytest imports this in every run, so it imports nothing but pytest; the server comes with the first test that wants it.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from objectfs.sim import Faults, S3Server

_PROFILE = "the network of s3_server: loopback, s3, cross-region, express or lossy"
_FAULTS = "a plan of faults (TOML) for s3_server, relative to the root directory"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("objectfs", "the embedded S3 server of ObjectFS")
    group.addoption("--objectfs-profile", metavar="NAME", help=_PROFILE)
    group.addoption("--objectfs-faults", metavar="PLAN", help=_FAULTS)
    parser.addini("objectfs_profile", _PROFILE, default="loopback")
    parser.addini("objectfs_faults", _FAULTS, default="")
    parser.addini("objectfs_tls", "whether s3_server speaks HTTPS", type="bool", default=False)


def _setting(config: pytest.Config, name: str) -> str:
    given = config.getoption(f"--objectfs-{name}") or config.getini(f"objectfs_{name}")
    assert isinstance(given, str)
    return given


@pytest.fixture(scope="session")
def s3_server_options(pytestconfig: pytest.Config) -> dict[str, Any]:
    """What ``s3_server`` is made with: the keyword arguments of ``objectfs.sim.S3Server``. To be overridden."""
    from objectfs.sim import ProfileError
    from objectfs.sim.network.profile import get_profile

    try:
        profile = get_profile(_setting(pytestconfig, "profile"))
    except ProfileError as error:
        raise pytest.UsageError(f"objectfs: {error}") from None
    return {"buckets": (), "profile": profile, "tls": pytestconfig.getini("objectfs_tls")}


@pytest.fixture(scope="session")
def s3_server(s3_server_options: dict[str, Any], pytestconfig: pytest.Config) -> Iterator[S3Server]:
    """An S3 server for all tests of the run, in memory, on a free port of the loopback interface."""
    from objectfs.sim import S3Server

    with S3Server(**s3_server_options) as server:
        _plan(server, pytestconfig)
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> Iterator[str]:
    """The name of a new, empty bucket, which is gone after the test with all that is in it. The server's log of
    requests starts anew."""
    name = f"test-{uuid.uuid4().hex[:16]}"
    s3_server.create_bucket(name)
    s3_server.clear_requests()
    yield name
    with contextlib.suppress(KeyError):  # the test may have deleted it itself
        s3_server.delete_bucket(name)


@pytest.fixture
def s3_faults(s3_server: S3Server, pytestconfig: pytest.Config) -> Iterator[Faults]:
    """The server's faults, as they are at the start of the run (none, or those of the plan), and again after the test.
    ``injected`` starts anew."""
    _plan(s3_server, pytestconfig)
    yield s3_server.faults
    _plan(s3_server, pytestconfig)


def _plan(server: S3Server, config: pytest.Config) -> None:
    """Only the plan's faults, as if none had hit anything yet."""
    from objectfs.sim import FaultError

    server.faults.clear()
    server.faults.clear_injected()
    path = _setting(config, "faults")
    if path:
        try:
            server.faults.load(config.rootpath / path)
        except (FaultError, OSError) as error:
            raise pytest.UsageError(f"objectfs: {error}") from None
