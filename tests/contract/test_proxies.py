"""Requests through a proxy: one that works, and each way in which it does not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .proxy import Proxy
from .support import MiB, check, ramp

pytestmark = pytest.mark.slow  # a minute

DATA = ramp(16 * MiB + 5)
PART = 5 * MiB


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    with S3Server(buckets=("bucket",), tls=request.param == "https") as made:
        yield made


Through = Callable[..., objectfs.Client]


@pytest.fixture
def through(server: S3Server, backend: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Through]:
    """Makes clients that ask a proxy."""
    with contextlib.ExitStack() as stack:

        def make(proxy: Proxy, user: str = "", **changes: Any) -> objectfs.Client:
            for name, value in proxy.variables(user).items():
                monkeypatch.setenv(name, value)
            settings: dict[str, Any] = {
                "endpoint_url": server.endpoint_url,
                "access_key_id": "test",
                "secret_access_key": "testtest",
                "region": "us-east-1",
                "backend": backend,
                "part_size": PART,
                "max_attempts": 3,
                **changes,
            }
            if server.tls:
                settings["verify"] = server.ca_file
            return stack.enter_context(objectfs.Client(**settings))

        yield make


def verbs(client: objectfs.Client) -> list[tuple[str, Callable[[], Any]]]:
    return [
        ("GetObject", lambda: client.get("bucket", "k")),
        ("PutObject", lambda: client.put("bucket", "k", b"x")),
        ("HeadObject", lambda: client.head("bucket", "k")),
        ("CreateMultipartUpload", lambda: client.put("bucket", "k", DATA)),
    ]


def test_it_works(server: S3Server, through: Through, tmp_path: Path) -> None:
    with Proxy() as proxy:
        client = through(proxy)
        client.put("bucket", "k", DATA)
        assert bytes(client.get("bucket", "k")) == DATA
        client.get_file("bucket", "k", tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == DATA
        assert client.head("bucket", "k").size == len(DATA)
        assert [entry.key for entry in client.list("bucket")] == ["k"]
        client.close()
        wanted = f"CONNECT 127.0.0.1:{server.port}" if server.tls else f"http://127.0.0.1:{server.port}/"
        assert proxy.heads
        assert all(wanted in head for head in proxy.heads)


def test_with_a_password(server: S3Server, through: Through) -> None:
    with Proxy(password="someone:pass-word") as proxy:
        client = through(proxy, "someone:pass-word")
        client.put("bucket", "k", DATA)
        assert bytes(client.get("bucket", "k")) == DATA
        client.close()
        assert proxy.heads


def test_not_for_hosts_that_need_none(through: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with Proxy(refuses=403) as proxy:
        client = through(proxy)
        client.put("bucket", "k", b"x")
        assert bytes(client.get("bucket", "k")) == b"x"
        assert proxy.heads == []


@pytest.mark.parametrize("status", [403, 407, 503])
def test_it_refuses(server: S3Server, through: Through, status: int) -> None:
    """What the proxy says is not taken for what the server says of the object."""
    with Proxy(refuses=None if status == 407 else status, password="a:b" if status == 407 else None) as proxy:
        client = through(proxy, "a:secret-password" if status == 407 else "", max_attempts=1)
        for operation, verb in verbs(client):
            with pytest.raises(errors.ObjectFSError) as caught:
                verb()
            error = caught.value
            assert (error.operation, error.bucket, error.key) == (operation, "bucket", "k")
            if server.tls:
                assert isinstance(error, errors.ConnectionFailedError), error
                assert "proxy" in str(error)
            elif status == 407:
                assert "proxy" in str(error)
            assert "secret-password" not in str(error)
        assert len(proxy.heads) <= 6
    assert server.requests == []


def test_nobody_listens(server: S3Server, through: Through) -> None:
    with Proxy() as proxy:
        pass
    client = through(proxy, max_attempts=2)
    with pytest.raises(errors.ConnectionFailedError) as caught:
        client.get("bucket", "k")
    check(caught.value, "GetObject", "bucket", "k", None)
    assert server.requests == []


@pytest.mark.parametrize("verb", ["get", "get_file", "put"])
def test_it_dies_in_the_middle(server: S3Server, through: Through, tmp_path: Path, verb: str) -> None:
    """And another one takes its place: what was under way is sent again."""
    with Proxy() as proxy:
        client = through(proxy, max_attempts=5)
        client.put("bucket", "k", DATA)
        if verb == "put":
            server.faults.add(Fault("UploadPart", delay=0.05, times="all"))
        proxy.dies_after = 200 if verb == "put" else 7 * MiB
        if verb == "get":
            assert bytes(client.get("bucket", "k")) == DATA
        elif verb == "get_file":
            client.get_file("bucket", "k", tmp_path / "f")
            assert (tmp_path / "f").read_bytes() == DATA
        else:
            client.put("bucket", "new", DATA)
            assert bytes(client.get("bucket", "new")) == DATA
        assert proxy._dead
        client.close()


def test_it_dies_for_good(server: S3Server, through: Through, tmp_path: Path) -> None:
    """An error that says so; the old file is as it was, and nothing else is left."""
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with Proxy() as proxy:
        client = through(proxy, max_attempts=2)
        client.put("bucket", "k", DATA)
        proxy.dies_after, proxy.comes_back = 7 * MiB, False
        with pytest.raises((errors.ConnectionFailedError, errors.TruncatedError)) as caught:
            client.get_file("bucket", "k", path)
        check(caught.value, "GetObject", "bucket", "k", None)
        assert path.read_bytes() == b"old"
        assert [each.name for each in tmp_path.iterdir()] == ["f"]
        client.close()
