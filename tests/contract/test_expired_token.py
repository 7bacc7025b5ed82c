"""Credentials that the server calls expired before they say so: others are fetched, and a transfer goes on with them.

test_credentials.py has those that expire when they say."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp, until
from .test_credentials import Source

PART = 5 * MiB
DATA = ramp(10 * PART - 777)
HOUR = 3600.0


class Revocable(Source):
    """Where credentials are fetched that are good for an hour, as they say."""

    broken = False
    same = False

    def __init__(self, server: S3Server) -> None:
        super().__init__(server, HOUR)

    def fetch(self) -> dict[str, str]:
        if self.fetched and self.broken:
            raise OSError("the source is not there")
        if self.fetched and self.same:
            self.fetched -= 1
            found = super().fetch()
            self.revoke()
            return found
        return super().fetch()

    def revoke(self) -> None:
        """From now on the server calls the token that was fetched last expired."""
        number = self.fetched
        self.server.add_access_key(f"KEY{number}", f"secret{number}", 0.0, f"token{number}")


@contextlib.contextmanager
def revoked_during(sim: S3Server, source: Revocable, operation: str, nth: int) -> Iterator[None]:
    """The token is revoked when so many requests of that operation have come."""
    hold = threading.Event()
    fault = sim.faults.add(Fault(operation, nth=nth, hold=hold))

    def revoke() -> None:
        until(lambda: fault.hits, 60)
        source.revoke()
        hold.set()

    thread = threading.Thread(target=revoke)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        assert fault.hits


def done(sim: S3Server, operation: str) -> int:
    """Requests that went well."""
    return sum(request.operation == operation and request.status in (200, 206) for request in tuple(sim.requests))


def refused(sim: S3Server) -> int:
    return sum(request.status == 400 for request in tuple(sim.requests))


@pytest.mark.slow  # transfers that are held
def test_a_large_upload_goes_on(sim: S3Server, connect: Make, tmp_path: Path) -> None:
    """No part that the server has is sent again."""
    path = tmp_path / "f"
    path.write_bytes(DATA)
    uploads: list[Callable[[objectfs.Client], Any]] = [
        lambda client: client.put("bucket", "k", DATA),
        lambda client: client.put("bucket", "k", iter([DATA[: 3 * PART], DATA[3 * PART :]])),
        lambda client: client.put_file("bucket", "k", path),
    ]
    for upload in uploads:
        sim.clear_requests()
        client = connect(part_size=PART, max_connections=2, max_attempts=5)
        source = Revocable(sim)
        source.use(client)
        with revoked_during(sim, source, "UploadPart", 4):
            upload(client)
        assert done(sim, "UploadPart") == 10
        assert refused(sim) > 0
        assert source.fetched == 2
        assert bytes(client.get("bucket", "k")) == DATA


def opened(client: objectfs.Client) -> bytes:
    with client.open("bucket", "k") as file:
        return file.read()


@pytest.mark.slow  # transfers that are held
def test_a_large_download_goes_on(sim: S3Server, connect: Make, tmp_path: Path) -> None:
    connect().put("bucket", "k", DATA)
    path = tmp_path / "f"
    into = bytearray(len(DATA))
    downloads: list[Callable[[objectfs.Client], Any]] = [
        lambda client: client.get("bucket", "k"),
        lambda client: client.get_into("bucket", "k", into) and into,
        lambda client: client.get_file("bucket", "k", path) and path.read_bytes(),
        opened,
    ]
    for download in downloads:
        sim.clear_requests()
        client = connect(part_size=PART, max_connections=2, max_attempts=5)
        source = Revocable(sim)
        source.use(client)
        with revoked_during(sim, source, "GetObject", 4):
            assert bytes(download(client)) == DATA
        assert refused(sim) > 0
        assert source.fetched == 2


def test_the_first_request(sim: S3Server, connect: Make, tmp_path: Path) -> None:
    """Also HEAD, whose answer does not say why it is refused."""
    connect().put_many("bucket", {"k": b"x", "old": b"y"})
    path = tmp_path / "f"
    path.write_bytes(b"x")
    verbs: dict[str, Callable[[objectfs.Client], Any]] = {
        "get": lambda client: bytes(client.get("bucket", "k")) == b"x",
        "put": lambda client: client.put("bucket", "new", b"x"),
        "put_file": lambda client: client.put_file("bucket", "new", path),
        "put-large": lambda client: client.put("bucket", "new", DATA),
        "head": lambda client: client.head("bucket", "k").size == 1,
        "exists": lambda client: client.exists("bucket", "k"),
        "list": lambda client: [entry.key for entry in client.list("bucket", "k")] == ["k"],
        "get_many": lambda client: [bytes(data) for data in client.get_many("bucket", ["k"] * 300)] == [b"x"] * 300,
        "put_many": lambda client: len(client.put_many("bucket", {f"m{n}": b"x" for n in range(300)})) == 300,
        "copy": lambda client: client.copy("bucket", "k", "bucket", "new"),
        "delete": lambda client: client.delete("bucket", "old") is None,
        "call": lambda client: client.call("GetObjectTagging", Bucket="bucket", Key="k")["TagSet"] == [],
    }
    for name, verb in verbs.items():
        client = connect()
        source = Revocable(sim)
        source.use(client)
        source.revoke()
        assert verb(client), name
        assert source.fetched == 2, name


@pytest.mark.slow  # transfers that are held
def test_async(sim: S3Server, connect: Make, backend: str) -> None:
    connect().put("bucket", "k", DATA)
    settings = {"endpoint_url": sim.endpoint_url, "region": "us-east-1", "backend": backend, "part_size": PART}
    keys = {"access_key_id": "test", "secret_access_key": "testtest"}

    async def main() -> None:
        async with objectfs.AsyncClient(**settings, **keys, max_connections=2) as client:
            source = Revocable(sim)
            source.use(client)
            with revoked_during(sim, source, "GetObject", 4):
                assert bytes(await client.get("bucket", "k")) == DATA
            assert source.fetched == 2

    asyncio.run(main())


@pytest.mark.parametrize("how", ["broken", "same"])
def test_no_others_can_be_had(sim: S3Server, connect: Make, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """Then the error is the server's, and its source is not asked by each request."""
    client = connect(part_size=PART, max_attempts=3)
    source = Revocable(sim)
    source.use(client)
    setattr(source, how, True)
    source.revoke()
    for verb in (
        lambda: client.get("bucket", "k"),
        lambda: client.put("bucket", "k", DATA),
        lambda: client.get_many("bucket", ["k"] * 20),
    ):
        with pytest.raises(errors.CredentialsError) as caught:
            verb()
        assert (caught.value.status, caught.value.code) == (400, "ExpiredToken")
        assert caught.value.hint == "Renew the session credentials"
    warnings = [record for record in caplog.records if record.name == "objectfs.credentials"]
    assert 1 <= len(warnings) < 4
    assert "secret1" not in caplog.text


def test_new_ones_that_are_refused_too(sim: S3Server, connect: Make) -> None:
    """It ends: with the server's answer, after a bounded number of requests."""
    client = connect(max_attempts=3)
    source = Revocable(sim)
    source.use(client)
    sim.faults.add(Fault(times="all", code="ExpiredToken"))
    with pytest.raises(errors.CredentialsError) as caught:
        client.get("bucket", "k")
    assert caught.value.code == "ExpiredToken"
    assert source.fetched == 2
    assert len(sim.requests) <= 2 * 3 + 2


@pytest.mark.slow  # transfers that are held
def test_files_are_read_again(sim: S3Server, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs write new keys there."""
    source = Revocable(sim)
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))

    def write() -> None:
        found = source.fetch()
        path.write_text(
            f"[default]\naws_access_key_id = {found['access_key']}\n"
            f"aws_secret_access_key = {found['secret_key']}\naws_session_token = {found['token']}\n"
        )

    write()
    with objectfs.Client(
        endpoint_url=sim.endpoint_url, region="us-east-1", backend=backend, part_size=PART, max_connections=2
    ) as client:
        client.put("bucket", "k", b"x")
        hold = threading.Event()
        fault = sim.faults.add(Fault("UploadPart", nth=4, hold=hold))

        def rewrite() -> None:
            until(lambda: fault.hits, 60)
            source.revoke()
            write()
            hold.set()

        thread = threading.Thread(target=rewrite)
        thread.start()
        client.put("bucket", "k", DATA)
        thread.join()
        assert done(sim, "UploadPart") == 10
        assert bytes(client.get("bucket", "k")) == DATA
    assert source.fetched == 2


def test_a_role_that_was_assumed_is_assumed_again() -> None:
    """botocore keeps what it has fetched for one until it expires, as it says itself."""
    from botocore.credentials import CachedCredentialFetcher, DeferredRefreshableCredentials

    from objectfs.backends.replacing import Replacing

    made = 0

    class Fetcher(CachedCredentialFetcher):
        def _create_cache_key(self) -> str:
            return "key"

        def _get_credentials(self) -> Any:
            nonlocal made
            made += 1
            keys = {"AccessKeyId": f"KEY{made}", "SecretAccessKey": "s", "SessionToken": "t"}
            return {"Credentials": {**keys, "Expiration": "2100-01-01T00:00:00Z"}}

    credentials = DeferredRefreshableCredentials(Fetcher({}, 600).fetch_credentials, "assume-role")
    assert credentials.get_frozen_credentials().access_key == "KEY1"
    assert Replacing().replace(credentials)
    assert credentials.get_frozen_credentials().access_key == "KEY2"
