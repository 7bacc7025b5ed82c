"""Content that is sent and received through ``call``: whatever holds it, the same on both backends."""

from __future__ import annotations

import array
import asyncio
import base64
import io
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import httpchecksum
from botocore.response import StreamingBody

import objectfs
from objectfs import errors
from objectfs.sim import S3Server

from .conftest import settings
from .recorder import Recorded, Recorder, answer
from .test_requests import check_checksum

DATA = bytes(range(251)) * 9000  # 2.2 MB: more than one read of anybody
MODEL = botocore.session.get_session().get_service_model("s3")
SENDING = [name for name in MODEL.operation_names if MODEL.operation_model(name).has_streaming_input]
RECEIVING = [name for name in MODEL.operation_names if MODEL.operation_model(name).has_streaming_output]
PARAMS = {
    "PutObject": {"Bucket": "b", "Key": "k"},
    "PutObjectAnnotation": {"Bucket": "b", "Key": "k", "AnnotationName": "a"},
    "UploadPart": {"Bucket": "b", "Key": "k", "PartNumber": 1, "UploadId": "u"},
    "WriteGetObjectResponse": {"RequestRoute": "r", "RequestToken": "t"},
}


class Reads:
    """A file object that can do nothing else, and gives less than it is asked for."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 70_001) if size >= 0 else -1)


def pipe(data: bytes) -> Any:
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(data)

    threading.Thread(target=write, daemon=True).start()
    return os.fdopen(reading, "rb")


def at(place: int, file: Any) -> Any:
    file.seek(place)
    return file


def forms(path: Path) -> Iterator[tuple[str, Callable[[], Any], bytes]]:
    """(what it is, makes it, what it is to send)"""
    path.write_bytes(DATA)
    yield "bytes", lambda: DATA, DATA
    yield "bytearray", lambda: bytearray(DATA), DATA
    yield "memoryview", lambda: memoryview(DATA)[5:-5], DATA[5:-5]
    yield "array", lambda: array.array("H", [1, 2, 3]), array.array("H", [1, 2, 3]).tobytes()
    yield "text", lambda: "ä鍵", "ä鍵".encode()
    yield "BytesIO", lambda: io.BytesIO(DATA), DATA
    yield "BytesIO from within", lambda: at(1000, io.BytesIO(DATA)), DATA[1000:]
    yield "file from within", lambda: at(77, open(path, "rb")), DATA[77:]  # noqa: SIM115
    yield "unbuffered file", lambda: open(path, "rb", buffering=0), DATA  # noqa: SIM115
    yield "reads only", lambda: Reads(DATA), DATA
    yield "pipe", lambda: pipe(DATA), DATA
    yield "empty", lambda: b"", b""
    yield "empty file", lambda: io.BytesIO(), b""
    yield "file at its end", lambda: at(len(DATA), open(path, "rb")), b""  # noqa: SIM115


def close(body: Any) -> None:
    if hasattr(body, "close"):
        body.close()


def member(operation: str) -> str:
    return str(MODEL.operation_model(operation).input_shape.serialization["payload"])


@pytest.mark.parametrize("operation", SENDING)
def test_sending(operation: str, clients: dict[str, objectfs.Client], recorder: Recorder, tmp_path: Path) -> None:
    recorder.handle = lambda _: answer(200)
    for name, client in clients.items():
        for form, make, expected in forms(tmp_path / "file"):
            recorder.take()
            body = make()
            try:
                client.call(operation, **PARAMS[operation], **{member(operation): body}, timeout=20)
            finally:
                close(body)
            (request,) = recorder.take()
            assert request.body == expected, (name, form)
            if operation != "WriteGetObjectResponse":
                check_checksum(request)


def test_sending_async(clients: dict[str, objectfs.Client], recorder: Recorder, tmp_path: Path) -> None:
    recorder.handle = lambda _: answer(200)

    async def send(name: str) -> None:
        async with objectfs.AsyncClient(**settings(recorder, name)) as client:
            for form, make, expected in forms(tmp_path / "file"):
                recorder.take()
                body = make()
                try:
                    await client.call("PutObject", Bucket="b", Key="k", Body=body)
                finally:
                    close(body)
                assert recorder.take()[0].body == expected, (name, form)

    for name in clients:
        asyncio.run(send(name))


def test_sent_again(recorder: Recorder, clients: dict[str, objectfs.Client], tmp_path: Path) -> None:
    """Each attempt sends all of it, also of what can be read only once."""
    for name in clients:
        with objectfs.Client(**settings(recorder, name, max_attempts=2)) as client:
            for form, make, expected in forms(tmp_path / "file"):
                if form not in ("memoryview", "file from within", "reads only", "pipe"):
                    continue
                replies = [answer(503), answer(200)]
                recorder.handle = lambda _, replies=replies: replies.pop(0)  # type: ignore[misc]
                recorder.take()
                body = make()
                try:
                    client.call("PutObject", Bucket="b", Key="k", Body=body)
                finally:
                    close(body)
                assert [request.body == expected for request in recorder.take()] == [True] * 2, (name, form)


class Fails:
    def __init__(self, error: BaseException, seekable: bool) -> None:
        self.error = error
        self._seekable = seekable
        self._place = 0

    def seekable(self) -> bool:
        return self._seekable

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset if whence == 0 else 10 + offset if whence == 2 else self._place + offset
        return self._place

    def read(self, size: int = -1) -> bytes:
        raise self.error


def test_what_reading_raises(clients: dict[str, objectfs.Client], recorder: Recorder, tmp_path: Path) -> None:
    """It comes out unchanged, and is no failure of the connection."""
    recorder.handle = lambda _: answer(200)
    for client in clients.values():
        for seekable in (True, False):
            for error in (OSError(5, "of the test"), ValueError("of the test"), RuntimeError("of the test")):
                with pytest.raises(type(error)) as caught:
                    client.call("PutObject", Bucket="b", Key="k", Body=Fails(error, seekable))
                assert caught.value is error
        (tmp_path / "text").write_text("text")
        with open(tmp_path / "text", encoding="utf-8") as file, pytest.raises(TypeError, match="binary mode"):
            client.call("PutObject", Bucket="b", Key="k", Body=file)


def test_no_content_at_all(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    for client in clients.values():
        for body in (5, None, object(), ["a"], iter([b"a"])):
            with pytest.raises(errors.InvalidRequestError) as caught:
                client.call("PutObject", Bucket="b", Key="k", Body=body)
            assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("PutObject", "b", "k")


@pytest.mark.parametrize("operation", RECEIVING)
def test_receiving(operation: str, clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    """botocore's StreamingBody, over what has arrived."""
    data = b"first line\nsecond line\n" + DATA
    recorder.handle = lambda _: answer(200, [("ETag", '"e"')], data)
    name = MODEL.operation_model(operation).output_shape.serialization["payload"]
    params = {"Bucket": "b", "Key": "k"} | ({"AnnotationName": "a"} if "Annotation" in operation else {})

    def get(client: objectfs.Client) -> Any:
        return client.call(operation, **params, timeout=20)[name]

    for client in clients.values():
        assert get(client).read() == data
        body = get(client)
        assert body.read(5) == b"first"
        assert next(iter(body.iter_lines())) == b" line"
        body = get(client)
        assert body.readline() == b"first line\n"
        assert body.tell() == 11
        assert body.read(6) == b"second"
        assert b"".join(get(client)) == data
        assert b"".join(get(client).iter_chunks(100_000)) == data
        with get(client) as body:
            assert body.read() == data
        body = get(client)
        body.close()
        with pytest.raises(ValueError, match="closed"):
            body.read()


def test_damaged_content(recorder: Recorder, clients: dict[str, objectfs.Client]) -> None:
    """Content is validated against the checksum that the server tells, and fetched again where it is wrong."""
    values = {
        "crc32": "/sUwqQ==",
        "sha256": "7XACtDnprIRfIjV9giusFERzD722AW0+yUMil7nsn3M=",
        "crc64nvme": "lhVdXyVQTGE=",
    }
    for name in clients:
        with objectfs.Client(**settings(recorder, name, max_attempts=2)) as client:
            for algorithm, value in values.items():
                if algorithm not in {*client.backend.capabilities, "crc32", "sha256"}:
                    continue
                right = [(f"x-amz-checksum-{algorithm}", value)]
                good, bad = answer(200, right, b"content"), answer(200, right, b"CONTENT")
                replies = [bad, good]
                recorder.handle = lambda _, replies=replies: replies.pop(0)  # type: ignore[misc]
                assert client.call("GetObject", Bucket="b", Key="k")["Body"].read() == b"content"
                recorder.handle = lambda _, bad=bad: bad  # type: ignore[misc]
                with pytest.raises(errors.ChecksumError) as caught:
                    client.call("GetObject", Bucket="b", Key="k")
                assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("GetObject", "b", "k")
        with objectfs.Client(**settings(recorder, name, checksum="off")) as client:
            recorder.take()
            assert client.call("GetObject", Bucket="b", Key="k")["Body"].read() == b"CONTENT"
            assert "x-amz-checksum-mode" not in recorder.take()[0].headers


def test_checksum_setting(recorder: Recorder, clients: dict[str, objectfs.Client]) -> None:
    """``checksum=`` of the client holds for ``call`` too; what the caller gives goes before it."""
    recorder.handle = lambda _: answer(200)

    def names(request: Recorded) -> set[str]:
        return {name for name in request.headers if "checksum" in name and name != "x-amz-sdk-checksum-algorithm"}

    for name in clients:
        for setting, header in (("off", None), ("auto", "crc32"), ("SHA256", "sha256"), ("CRC32", "crc32")):
            with objectfs.Client(**settings(recorder, name, checksum=setting)) as client:
                recorder.take()
                client.call("PutObject", Bucket="b", Key="k", Body=b"x")
                client.call("PutObject", Bucket="b", Key="k", Body=b"x", ChecksumAlgorithm="SHA1")
                client.call("PutObject", Bucket="b", Key="k", Body=b"x", ChecksumCRC32C="AAAAAA==")
                client.call("PutBucketTagging", Bucket="b", Tagging={"TagSet": []})
                found = [names(request) for request in recorder.take()]
                assert found[0] == ({f"x-amz-checksum-{header}"} if header else set())
                assert found[1:3] == [{"x-amz-checksum-sha1"}, {"x-amz-checksum-crc32c"}]
                assert len(found[3]) == 1  # S3 insists


def test_checksum_refused(recorder: Recorder, clients: dict[str, objectfs.Client]) -> None:
    """An endpoint that knows no checksums is found out about once."""

    def handle(request: Recorded) -> bytes:
        if "x-amz-checksum-crc32" in request.headers:
            document = b"<Error><Code>InvalidRequest</Code><Message>x-amz-checksum-crc32 is unknown</Message></Error>"
            return answer(400, (), document)
        return answer(200)

    for name in clients:
        recorder.handle = handle
        with objectfs.Client(**settings(recorder, name)) as client:
            recorder.take()
            for _ in range(3):
                client.call("PutObject", Bucket="b", Key="k", Body=io.BytesIO(b"x"))
            assert ["x-amz-checksum-crc32" in request.headers for request in recorder.take()] == [True, *[False] * 3]


def test_crc64nvme(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    """Of content, by a backend that says so."""
    recorder.handle = lambda _: answer(200)
    for client in clients.values():
        for name, value in (("CRC64NVME", "AE8B14860A799888"), ("CRC32C", "E3069283")):
            recorder.take()
            send = partial(
                client.call, "PutObject", Bucket="b", Key="k", Body=io.BytesIO(b"123456789"), ChecksumAlgorithm=name
            )
            if "crc64nvme" in client.backend.capabilities:
                send()
                sent = recorder.take()[0].headers[f"x-amz-checksum-{name.lower()}"]
                assert base64.b64decode(sent) == bytes.fromhex(value)
            else:
                with pytest.raises(errors.UnsupportedError, match=name):
                    send()


def test_over_tls(clients: dict[str, objectfs.Client]) -> None:
    """There botocore sends the checksum behind the content, in chunks, and the engine before it: stored is the same."""
    with S3Server(buckets=("bucket",), tls=True) as server:
        for name in clients:
            with objectfs.Client(
                endpoint_url=server.endpoint_url,
                access_key_id="test",
                secret_access_key="testtest",
                region="us-east-1",
                verify=server.ca_file,
                backend=name,
            ) as client:
                for body in (DATA, io.BytesIO(DATA), Reads(DATA)):
                    client.call("PutObject", Bucket="bucket", Key=name, Body=body, ContentEncoding="coding")
                    head = client.call("HeadObject", Bucket="bucket", Key=name, ChecksumMode="ENABLED")
                    assert head["ChecksumCRC32"] == base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()
                    assert (head["ContentLength"], head["ContentEncoding"]) == (len(DATA), "coding")
                    assert client.call("GetObject", Bucket="bucket", Key=name)["Body"].read() == DATA


def test_algorithms(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    """What botocore computes, both do; what it does not, both refuse."""
    recorder.handle = lambda _: answer(200)
    mine = {"CRC32", "SHA1", "SHA256", "SHA512"} & {
        name.upper() for name in httpchecksum._SUPPORTED_CHECKSUM_ALGORITHMS
    }
    for client in clients.values():
        for name in sorted(mine):
            recorder.take()
            client.call("PutObject", Bucket="b", Key="k", Body=io.BytesIO(b"x"), ChecksumAlgorithm=name)
            client.call("PutBucketTagging", Bucket="b", Tagging={"TagSet": []}, ChecksumAlgorithm=name)
            for request in recorder.take():
                assert f"x-amz-checksum-{name.lower()}" in request.headers
                check_checksum(request)
        with pytest.raises(errors.UnsupportedError, match="XXHASH64"):
            client.call("PutObject", Bucket="b", Key="k", Body=b"x", ChecksumAlgorithm="XXHASH64")
        with pytest.raises(errors.UnsupportedError, match="CRC64NVME"):
            client.call("PutBucketTagging", Bucket="b", Tagging={"TagSet": []}, ChecksumAlgorithm="CRC64NVME")


def test_reading_does_not_hold_the_loop(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    recorder.handle = lambda _: answer(200)

    class Waits(Reads):
        def __init__(self) -> None:
            super().__init__(b"content")
            self.go = threading.Event()

        def read(self, size: int = -1) -> bytes:
            assert self.go.wait(20), "the loop did not come round"
            return super().read(size)

    async def send(name: str) -> None:
        async with objectfs.AsyncClient(**settings(recorder, name)) as client:
            body = Waits()
            task = asyncio.create_task(client.call("PutObject", Bucket="b", Key="k", Body=body))
            await asyncio.sleep(0)
            body.go.set()
            await task

    for name in clients:
        recorder.take()
        asyncio.run(send(name))
        assert recorder.take()[0].body == b"content"


def test_bodies_without_readinto(monkeypatch: pytest.MonkeyPatch, clients: dict[str, objectfs.Client]) -> None:
    """botocore 1.38.0 has such; all that reads goes on."""
    for kind in (StreamingBody, httpchecksum.StreamingChecksumBody):
        monkeypatch.delattr(kind, "readinto", raising=False)
    with S3Server(buckets=("bucket",)) as server:
        for name in clients:
            with objectfs.Client(**settings(server, name)) as client:
                client.put("bucket", "k", DATA)
                assert bytes(client.get("bucket", "k")) == DATA
                target = bytearray(len(DATA))
                assert client.get_into("bucket", "k", target) == len(DATA)
                assert target == DATA
