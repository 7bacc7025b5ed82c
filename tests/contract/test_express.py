"""Directory buckets (S3 Express One Zone): a session for each bucket, whose keys sign the requests.

No server at hand has directory buckets, so this one does what the documentation of CreateSession and of its signatures
says, and computes the signatures itself.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim.auth import sigv4

from .raw_server import Asked, RawServer, answer

BUCKET = "name--usw2-az1--x-s3"
OTHER = "other--usw2-az1--x-s3"
REGION = "us-west-2"


class Express:
    """The answers of a zonal endpoint, for two buckets."""

    def __init__(self, lifetime: float = 300) -> None:
        self.lifetime = lifetime
        self.sessions: dict[str, str] = {}
        """Of each session's access key, the bucket."""
        self.refused = False
        self.wrong: list[str] = []
        self.used: list[str] = []
        self.copies: list[str] = []
        self.size = 0
        """Of all objects, as HeadObject says."""
        self.asked: Callable[[], Any] = lambda: None
        """Called by CreateSession where the gate is closed, for which it then waits."""
        self.gate = threading.Event()
        self.gate.set()
        self.held_in_vain = 0

    def handle(self, asked: Asked) -> bytes:
        path, _, query = asked.target.partition("?")
        bucket = path.split("/")[1]
        access, signature_ok = self.signed_by(asked)
        if query in ("session", "session="):
            if access != "test" or not signature_ok:
                self.wrong.append(f"CreateSession signed by {access}: {signature_ok}")
            if not self.gate.is_set():
                self.asked()
                self.held_in_vain += not self.gate.wait(5)
            if self.refused:
                return answer(403, body=b"<Error><Code>AccessDenied</Code><Message>No session</Message></Error>")
            return self.session(bucket)
        if "x-amz-copy-source" in asked.headers:
            return self.copied(asked, access, signature_ok)
        if "x-amz-s3session-token" not in asked.headers or "x-amz-security-token" in asked.headers:
            self.wrong.append(f"{asked.method} {asked.target} without a session's token")
        elif asked.headers["x-amz-s3session-token"] != f"token-{access}" or self.sessions.get(access) != bucket:
            self.wrong.append(f"{asked.method} {asked.target} with another session's token")
        if not signature_ok:
            self.wrong.append(f"{asked.method} {asked.target} with a wrong signature")
        self.used.append(access)
        if "list-type=2" in query:
            return answer(
                200, body=b"<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>"
            )
        if "tagging" in query:
            return answer(200, body=b"<Tagging><TagSet></TagSet></Tagging>")
        if asked.method == "HEAD":
            return answer(200, [("ETag", '"e"')], length=self.size)
        if query in ("uploads", "uploads="):
            return answer(
                200, body=b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            )
        if asked.method == "POST" and "delete" in query:
            deleted = b"".join(b"<Deleted><Key>" + key + b"</Key></Deleted>" for key in (b"a", b"b"))
            return answer(200, body=b"<DeleteResult>" + deleted + b"</DeleteResult>")
        if asked.method == "POST" and "uploadId" in query:
            return answer(200, body=b'<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>')
        if asked.method == "GET":
            return answer(206, [("Content-Range", "bytes 0-4/5"), ("ETag", '"e"')], b"hello")
        return answer(200, [("ETag", '"e"')])

    def copied(self, asked: Asked, access: str, signature_ok: bool) -> bytes:
        """CopyObject and UploadPartCopy are authenticated by the user's own keys, whatever the bucket."""
        if access != "test" or not signature_ok or "x-amz-s3session-token" in asked.headers:
            self.wrong.append(f"{asked.method} {asked.target} signed by {access}: {signature_ok}")
        self.copies.append(asked.target)
        kind = "CopyPartResult" if "partNumber" in asked.target else "CopyObjectResult"
        when = "<LastModified>2026-01-02T03:04:05.000Z</LastModified>"
        return answer(200, body=f'<{kind}>{when}<ETag>"e"</ETag></{kind}>'.encode())

    def session(self, bucket: str) -> bytes:
        access = f"session{len(self.sessions)}"
        self.sessions[access] = bucket
        ends = (datetime.now(UTC) + timedelta(seconds=self.lifetime)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return answer(
            200,
            body=(
                f"<CreateSessionResult><Credentials><SessionToken>token-{access}</SessionToken>"
                f"<SecretAccessKey>secret-{access}</SecretAccessKey><AccessKeyId>{access}</AccessKeyId>"
                f"<Expiration>{ends}</Expiration></Credentials></CreateSessionResult>"
            ).encode(),
        )

    def signed_by(self, asked: Asked) -> tuple[str, bool]:
        fields = dict(
            part.strip().split("=", 1) for part in asked.headers["authorization"].partition(" ")[2].split(",")
        )
        access, date, region, service, last = fields["Credential"].split("/")
        secret = "testtest" if access == "test" else f"secret-{access}"
        names = fields["SignedHeaders"].split(";")
        path, _, query = asked.target.partition("?")
        canonical = "\n".join(
            (
                asked.method,
                sigv4.canonical_path(path),
                sigv4.canonical_query(query),
                sigv4.canonical_headers(asked.headers, names),
                ";".join(names),
                asked.headers["x-amz-content-sha256"],
            )
        )
        text = sigv4.string_to_sign(asked.headers["x-amz-date"], f"{date}/{region}/{service}/{last}", canonical)
        expected = sigv4.sign(sigv4.signing_key(secret, date, region, service), text)
        return access, expected == fields["Signature"] and (region, service) == (REGION, "s3express")


def settings(server: RawServer, backend: str) -> dict[str, Any]:
    return {
        "backend": backend,
        "endpoint_url": server.url,
        "region": REGION,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "max_attempts": 1,
    }


@pytest.fixture
def express() -> Express:
    return Express()


@pytest.fixture
def server(express: Express) -> Iterator[RawServer]:
    with RawServer(express.handle) as made:
        yield made
    assert express.wrong == []


def test_verbs_use_a_session(server: RawServer, express: Express, backend: str) -> None:
    with objectfs.Client(**settings(server, backend)) as client:
        assert bytes(client.get(BUCKET, "k")) == b"hello"
        assert client.put(BUCKET, "k", b"data").etag == '"e"'
        assert client.put(BUCKET, "k", io.BytesIO(b"data")).etag == '"e"'
        assert list(client.list(BUCKET)) == []
        client.delete(BUCKET, "k")
        assert [bytes(found) for found in client.get_many(BUCKET, ["a", "b"])] == [b"hello"] * 2
        assert client.call("GetObjectTagging", Bucket=BUCKET, Key="k")["TagSet"] == []
        assert bytes(client.get(OTHER, "k")) == b"hello"
    assert express.sessions == {"session0": BUCKET, "session1": OTHER}
    assert len(express.used) >= 8


def test_async(server: RawServer, express: Express, backend: str) -> None:
    async def work() -> bytes:
        async with objectfs.AsyncClient(**settings(server, backend)) as client:
            return b"".join(map(bytes, await asyncio.gather(*(client.get(BUCKET, "k") for _ in range(5)))))

    assert asyncio.run(work()) == b"hello" * 5
    # botocore makes one for each of its threads that finds none
    assert len(express.sessions) == 1 if backend == "crt" else len(express.sessions) <= 5


def test_copies_use_none(server: RawServer, express: Express, backend: str) -> None:
    express.size = 12 * 1024**2
    with objectfs.Client(**settings(server, backend)) as client:
        assert client.copy(OTHER, "k", BUCKET, "k").etag == '"e"'
        assert len(express.copies) == 1
        done = client.copy(OTHER, "k", BUCKET, "k", multipart_threshold="5 MiB", part_size="5 MiB")
        assert done.etag == '"e"'
    assert len(express.copies) == 1 + 3


ITEMS = {f"k{number}": b"data" for number in range(3)}


async def iterate(found: Any) -> int:
    return len([each async for each in found])


async def reads(client: objectfs.AsyncClient) -> bytes:
    async with await client.open(BUCKET, "k") as file:
        return await file.read()


async def writes(client: objectfs.AsyncClient) -> None:
    async with await client.open(BUCKET, "k", "wb") as file:
        await file.write(b"data")


VERBS: dict[str, Callable[[objectfs.AsyncClient], Awaitable[Any]]] = {
    "get": lambda client: client.get(BUCKET, "k"),
    "get_into": lambda client: client.get_into(BUCKET, "k", bytearray(9)),
    "get_many": lambda client: client.get_many(BUCKET, ["a", "b"]),
    "get_ranges": lambda client: client.get_ranges(BUCKET, "k", [(0, 5)]),
    "iter_many": lambda client: iterate(client.iter_many(BUCKET, ["a", "b"])),
    "head": lambda client: client.head(BUCKET, "k"),
    "put": lambda client: client.put(BUCKET, "k", b"data"),
    "put of a stream": lambda client: client.put(BUCKET, "k", io.BytesIO(b"data")),
    "put_many": lambda client: client.put_many(BUCKET, ITEMS),
    "delete": lambda client: client.delete(BUCKET, "k"),
    "delete_many": lambda client: client.delete_many(BUCKET, ["a", "b"]),
    "list": lambda client: iterate(client.list(BUCKET)),
    "open": reads,
    "open to write": writes,
    "call": lambda client: client.call("GetObjectTagging", Bucket=BUCKET, Key="k"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_the_loop_goes_on_while_a_session_is_made(server: RawServer, express: Express, backend: str, verb: str) -> None:
    """The first one, and the one after it."""
    asked = asyncio.Event()

    async def work() -> None:
        loop = asyncio.get_running_loop()
        express.asked = lambda: loop.call_soon_threadsafe(asked.set)
        express.lifetime = 5  # the next verb needs another
        async with objectfs.AsyncClient(**settings(server, backend)) as client:
            for _ in range(2):
                express.gate.clear()
                asked.clear()
                task = asyncio.ensure_future(VERBS[verb](client))
                waiting = asyncio.ensure_future(asked.wait())
                await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
                # were the loop waiting for CreateSession, it could not open the gate
                assert waiting.done()
                assert not task.done()
                express.gate.set()
                await task

    asyncio.run(work())
    assert express.held_in_vain == 0


async def test_a_session_that_nobody_waits_for_any_more(server: RawServer, express: Express, backend: str) -> None:
    express.gate.clear()
    async with objectfs.AsyncClient(**settings(server, backend)) as client:
        with pytest.raises(errors.TimeoutError):
            await client.get(BUCKET, "k", timeout=0.2)
        express.gate.set()
        assert bytes(await client.get(BUCKET, "k")) == b"hello"


def test_a_session_at_its_end_is_followed_by_another(server: RawServer, express: Express, backend: str) -> None:
    express.lifetime = 5  # less than what is left for a request
    with objectfs.Client(**settings(server, backend)) as client:
        client.get(BUCKET, "k")
        express.lifetime = 300
        client.get(BUCKET, "k")
        made = len(express.sessions)
        client.get(BUCKET, "k")
        client.get(BUCKET, "k")
    assert made >= 2
    assert len(express.sessions) == made
    assert express.used[-1] == f"session{made - 1}"


def test_no_session_is_told(server: RawServer, express: Express, backend: str) -> None:
    express.refused = True
    with objectfs.Client(**settings(server, backend)) as client:
        with pytest.raises(errors.AccessDeniedError) as caught:
            client.get(BUCKET, "k")
        assert caught.value.bucket == BUCKET
        assert caught.value.message == "No session"
        express.refused = False
        assert bytes(client.get(BUCKET, "k")) == b"hello"
