"""Servers, clients and the leak check of the contract tests."""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import objectfs
from objectfs.backends.select import available
from objectfs.sim import S3Server

from .forwarder import Forwarder

BACKENDS = [attempt.name for attempt in available() if attempt.ok]

QUIRKS: dict[str, dict[str, str]] = {
    # What a server gets wrong, or does not do; a test that needs it is skipped there with this as its reason.
    "rgw": {
        "checksums": "Ceph accepts x-amz-checksum-* headers, but neither checks nor stores them",
        "copy-version-id": "Ceph does not say which version CopyObject has made",
        "complete-etag": "Ceph answers CompleteMultipartUpload with an empty ETag",
        "complete-if-none-match": "Ceph ignores If-None-Match on CompleteMultipartUpload and overwrites",
        "put-if-match": "Ceph compares If-Match of a PUT with the ETag without its quotes",
    },
    "swift": {
        "checksums": "Swift checks checksums but does not answer with them",
        "put-if-match": "Swift answers 501 to If-Match of a PUT",
        "storage-class": "Swift knows only STANDARD",
        "long-keys": "Swift limits names to 1,024 bytes after its own escaping",
        "tags": "Swift answers 501 to object tags",
        "forms": "Swift answers 412 to POST forms",
        "versioned-ids": "Swift needs versioning switched on in its middleware",
    },
}


VARIANTS = ["virtual", "tls"]
"""The embedded server by virtual hosts, without and with TLS."""

DOMAIN = "s3.localhost"


@dataclass
class Site:
    """A server that the tests run against, and a bucket of the test's own on it."""

    name: str
    url: str
    access_key: str
    secret_key: str
    region: str
    bucket: str = ""
    more: dict[str, Any] = field(default_factory=dict)
    proxies: dict[str, str] = field(default_factory=dict)
    """Variables under which its names lead somewhere."""

    def need(self, feature: str) -> None:
        """Skip the test where the server lacks what it needs."""
        reason = QUIRKS.get(self.name, {}).get(feature)
        if reason is not None:
            pytest.skip(f"{self.name}: {reason}")

    def has(self, feature: str) -> bool:
        """Whether the server does this right."""
        return feature not in QUIRKS.get(self.name, {})

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {
            "endpoint_url": self.url,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            "region": self.region,
            "max_attempts": 2,
            **self.more,
            **changes,
        }


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", BACKENDS, indirect=True)
    if "site_name" in metafunc.fixturenames:
        names = ["sim", *metafunc.config.objectfs_endpoints]
        if metafunc.config.getoption("--variants"):
            names += VARIANTS
        metafunc.parametrize("site_name", names, indirect=True, scope="session")


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The backend's name; parametrised."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def site_name(request: pytest.FixtureRequest) -> str:
    """The server's name; parametrised."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def shared_sim() -> Iterator[S3Server]:
    """One embedded server for tests that only need a server."""
    with S3Server(buckets=("bucket",)) as server:
        yield server


@pytest.fixture
def sim() -> Iterator[S3Server]:
    """An embedded server of the test's own: for faults, and for what it recorded."""
    with S3Server(buckets=("bucket",)) as server:
        yield server


@pytest.fixture(scope="session")
def variants() -> Iterator[Callable[[str], Site]]:
    """Makes sites whose buckets are hosts. No resolver knows them: a proxy leads there, which the server is itself
    where nothing is encrypted."""
    with contextlib.ExitStack() as stack:

        def make(name: str) -> Site:
            server = stack.enter_context(S3Server(buckets=(), domains=(DOMAIN,), tls=name == "tls"))
            more: dict[str, Any] = {"addressing_style": "virtual"}
            proxy = server.endpoint_url
            if server.tls:
                more["verify"] = str(server.ca_file)
                forwarder = Forwarder(server.port)
                stack.callback(forwarder.close)
                proxy = forwarder.url
            scheme = "https" if server.tls else "http"
            proxies = {f"{scheme}_proxy": proxy, f"{scheme}_proxy".upper(): proxy, "NO_PROXY": "127.0.0.1"}
            url = f"{scheme}://{DOMAIN}:{server.port}"
            return Site("sim", url, "test", "testtest", "us-east-1", more=more, proxies=proxies)

        yield make


@pytest.fixture(scope="session")
def site_base(
    request: pytest.FixtureRequest, site_name: str, shared_sim: S3Server, variants: Callable[[str], Site]
) -> Site:
    if site_name == "sim":
        return Site("sim", shared_sim.endpoint_url, "test", "testtest", "us-east-1")
    if site_name in VARIANTS:
        return variants(site_name)
    url, access, secret, *region = request.config.objectfs_endpoints[site_name]
    # the endpoint of a test machine has a certificate of its own making
    more = {"verify": False} if url.startswith("https:") else {}
    return Site(site_name, url, access, secret, region[0] if region and region[0] else "us-east-1", more=more)


@pytest.fixture(scope="session")
def site_bucket(site_base: Site) -> Iterator[str]:
    """A bucket for this run; it goes with everything in it."""
    name = f"objectfs-{secrets.token_hex(6)}"
    with (
        pytest.MonkeyPatch.context() as patch,
        objectfs.Client(**site_base.settings(backend="sdk" if "sdk" in BACKENDS else None)) as client,
    ):
        for variable, value in site_base.proxies.items():
            patch.setenv(variable, value)
        client.call("CreateBucket", Bucket=name)
        yield name
        client.delete_many(name, [entry.key for entry in client.list(name)])
        with contextlib.suppress(objectfs.ObjectFSError):
            client.call("DeleteBucket", Bucket=name)


@pytest.fixture
def site(site_base: Site, site_bucket: str) -> Site:
    return Site(
        site_base.name,
        site_base.url,
        site_base.access_key,
        site_base.secret_key,
        site_base.region,
        site_bucket,
        site_base.more,
        site_base.proxies,
    )


@pytest.fixture(autouse=True)
def proxies(request: pytest.FixtureRequest, own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test on a site needs to get there."""
    if "site_base" in request.fixturenames:
        for variable, value in request.getfixturevalue("site_base").proxies.items():
            monkeypatch.setenv(variable, value)


@pytest.fixture
def bucket(site: Site) -> str:
    return site.bucket


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return f"t/{secrets.token_hex(8)}"


@pytest.fixture
def client(site: Site, backend: str) -> Iterator[objectfs.Client]:
    """A client of the backend under test, on the server under test."""
    with objectfs.Client(**site.settings(backend=backend)) as made:
        yield made


Make = Callable[..., objectfs.Client]


@pytest.fixture
def connect(sim: S3Server, backend: str) -> Iterator[Make]:
    """Makes clients on the test's own embedded server, which close with the test."""
    with contextlib.ExitStack() as stack:

        def make(**changes: Any) -> objectfs.Client:
            settings = {
                "endpoint_url": sim.endpoint_url,
                "access_key_id": "test",
                "secret_access_key": "testtest",
                "region": "us-east-1",
                "max_attempts": 1,
                "backend": backend,
                **changes,
            }
            return stack.enter_context(objectfs.Client(**settings))

        yield make


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Once a test's clients are closed, the engine holds no memory."""
    yield
    check_memory()


@pytest.fixture(scope="session")
def memory_check() -> Callable[[], None]:
    """For clients that live longer than a test."""
    return check_memory


def check_memory() -> None:
    """Fail if the engine holds memory that goes with the last client."""
    if "crt" not in BACKENDS or os.environ.get("OBJECTFS_MEMTRACE") != "1":
        return
    from objectfs import _native

    deadline = time.monotonic() + 5
    while True:
        gc.collect()
        left = _native.debug_outstanding_bytes()
        if not left:
            return
        if time.monotonic() > deadline:
            pytest.fail(f"the engine holds {left} bytes although all clients are closed")
        time.sleep(0.02)
