"""``resume=True`` against every server, also those that we did not write: killed in the middle, a second run moves what
is missing, and the result is the same to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import objectfs

from .conftest import Site
from .killing import child
from .proxy import Proxy
from .resuming import DATA, PART, SIZE, ours
from .support import until

pytestmark = pytest.mark.slow  # processes that are killed

STOPS = 7 * PART
"""Bytes of ten parts that pass before the process is killed. Two at a time: five parts are there then, at least."""

MOST = 6 * PART


@pytest.fixture
def proxy(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Between the client and the server; it counts, and stops when it is told to."""
    if site.proxies:
        pytest.skip("the names of this site lead through a proxy of their own")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Proxy() as made:
        for name, value in made.variables().items():
            monkeypatch.setenv(name, value)
        yield made


def killed(proxy: Proxy, site: Site, backend: str, verb: str, key: str, path: Path) -> None:
    settings = site.settings(backend=backend, part_size=PART, max_connections=2)
    proxy.passed, proxy.stops_after = 0, STOPS
    with child(settings, verb, site.bucket, key, path, resume=True) as process:
        until(lambda: proxy.stopped.is_set() or process.poll() is not None, 120)
        assert process.poll() is None, process.communicate()
    proxy.stops_after = None
    proxy.goes_on.set()
    until(proxy.idle, 60)
    proxy.passed = 0


def test_upload(proxy: Proxy, site: Site, backend: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(DATA)
    killed(proxy, site, backend, "put_file", key, path)
    with objectfs.Client(**site.settings(backend=backend, part_size=PART)) as client:
        assert not client.exists(site.bucket, key)
        client.put_file(site.bucket, key, path, resume=True)
        assert proxy.passed < MOST
        assert bytes(client.get(site.bucket, key)) == DATA
        assert not client.call("ListMultipartUploads", Bucket=site.bucket, Prefix=key).get("Uploads")
    assert ours(tmp_path) == []


def test_download(proxy: Proxy, site: Site, backend: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    with objectfs.Client(**site.settings(backend=backend)) as client:
        client.put(site.bucket, key, DATA)
    killed(proxy, site, backend, "get_file", key, path)
    assert not path.exists()
    with objectfs.Client(**site.settings(backend=backend, part_size=PART)) as client:
        assert client.get_file(site.bucket, key, path, resume=True).size == SIZE
        assert proxy.passed < MOST
    assert path.read_bytes() == DATA
    assert ours(tmp_path) == []
