"""Servers, clients and the leak check of the contract tests."""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

import objectfs
from objectfs.backends.select import available
from objectfs.sim import S3Server

from .forwarder import Forwarder
from .rollout_support import SETTINGS

BACKENDS = [attempt.name for attempt in available() if attempt.ok]

ROLLOUTS: dict[str, dict[str, Any]] = {
    "routed": {"canary": 50, "breaker": True},
    "shadowed": {"shadow": True},
}
"""Clients that use both backends, by the name that stands for ``backend`` in the modules that ask for them."""

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
        "customer-keys": "Swift ignores the headers of customers' keys",
        "versioned-ids": "Swift needs versioning switched on in its middleware",
    },
}


VARIANTS = ["virtual", "tls", "tls_path"]
"""The embedded server by virtual hosts, without and with TLS, and by paths with TLS. Of a foreign server ``rgw`` whose
endpoint with TLS is known as ``rgw_tls``, ``rgw_virtual`` is another: TLS and virtual hosts."""

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
            **chosen(changes),
        }


def chosen(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with what makes a client of the backend that they name."""
    rollout = ROLLOUTS.get(settings.get("backend") or "")
    return settings if rollout is None else {**settings, "backend": None, "rollout": rollout}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        names = getattr(metafunc.module, "BACKENDS_HERE", BACKENDS)
        metafunc.parametrize("backend", names, indirect=True)
    if "site_name" in metafunc.fixturenames:
        endpoints = metafunc.config.objectfs_endpoints
        names = ["sim", *(name for name in endpoints if not name.endswith("_tls"))]
        if metafunc.config.getoption("--variants"):
            names += VARIANTS
            for name in endpoints:
                if name.endswith("_tls"):
                    names += [name, name.removesuffix("tls") + "virtual"]
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
    """Makes sites of the embedded server with TLS, with buckets that are hosts, or both."""
    with contextlib.ExitStack() as stack:

        def make(name: str) -> Site:
            virtual = not name.endswith("_path")
            server = stack.enter_context(S3Server(buckets=(), domains=(DOMAIN,), tls=name.startswith("tls")))
            more = {"verify": str(server.ca_file)} if server.tls else {}
            made = Site("sim", server.endpoint_url, "test", "testtest", "us-east-1", more=more)
            return by_hosts(made, DOMAIN, stack) if virtual else made

        yield make


def by_hosts(site: Site, domain: str, stack: contextlib.ExitStack) -> Site:
    """The site with buckets that are hosts. No resolver knows them: a proxy leads there, which the embedded server is
    itself where nothing is encrypted."""
    parts = urlsplit(site.url)
    proxy = site.url
    if parts.scheme == "https":
        assert parts.port is not None
        proxy = stack.enter_context(Forwarder(parts.port)).url
    variable = f"{parts.scheme}_proxy"
    return replace(
        site,
        url=f"{parts.scheme}://{domain}:{parts.port}",
        more={**site.more, "addressing_style": "virtual"},
        proxies={variable: proxy, variable.upper(): proxy, "NO_PROXY": "127.0.0.1"},
    )


@pytest.fixture(scope="session")
def site_base(
    request: pytest.FixtureRequest, site_name: str, shared_sim: S3Server, variants: Callable[[str], Site]
) -> Iterator[Site]:
    if site_name == "sim":
        yield Site("sim", shared_sim.endpoint_url, "test", "testtest", "us-east-1")
        return
    if site_name in VARIANTS:
        yield variants(site_name)
        return
    name, _, variant = site_name.partition("_")
    url, access, secret, *rest = request.config.objectfs_endpoints[f"{name}_tls" if variant else name]
    region, authority = [*rest, "", ""][:2]
    # where no authority is told of, the endpoint of a test machine has a certificate of its own making
    more = {"verify": authority or False} if url.startswith("https:") else {}
    made = Site(name, url, access, secret, region or "us-east-1", more=more)
    with contextlib.ExitStack() as stack:
        yield by_hosts(made, urlsplit(url).hostname or "", stack) if variant == "virtual" else made


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
    return replace(site_base, bucket=site_bucket)


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
                **chosen({"backend": backend, **changes}),
            }
            return stack.enter_context(objectfs.Client(**settings))

        yield make


@pytest.fixture
def make(connect: Make) -> Make:
    """The same, with the smallest parts that there are."""
    return partial(connect, part_size=5 * 1024 * 1024)


Roll = Callable[..., objectfs.Client]


@pytest.fixture
def both_backends() -> None:
    if not {"crt", "sdk"} <= set(BACKENDS):
        pytest.skip("a rollout needs both backends")


@pytest.fixture
def roll(sim: S3Server, both_backends: None) -> Iterator[Roll]:
    """Makes clients with a rollout on the test's own embedded server, which close with the test."""
    with contextlib.ExitStack() as stack:

        def make(rollout: Any, **more: Any) -> objectfs.Client:
            settings = {"endpoint_url": sim.endpoint_url, **SETTINGS, "rollout": rollout, **more}
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
