"""Everything that is not a verb of its own: any operation, presigned URLs, health, stats, selection."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import ssl
import time
import urllib.error
import urllib.request

import pytest

import objectfs
from objectfs import errors
from objectfs.backends.base import Attempt
from objectfs.sim import Fault, S3Server

from .conftest import Make, Site
from .support import MiB, ramp


def test_call(client: objectfs.Client, site: Site, key: str) -> None:
    bucket = site.bucket
    names = [entry["Name"] for entry in client.call("ListBuckets")["Buckets"]]
    assert bucket in names
    answer = client.call("PutObject", Bucket=bucket, Key=key, Body=b"body", Metadata={"a": "b"})
    assert answer["ETag"] == client.head(bucket, key).etag
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    got = client.call("GetObject", Bucket=bucket, Key=key)
    assert got["Body"].read() == b"body"
    assert (got["ContentLength"], got["Metadata"]) == (4, {"a": "b"})
    assert isinstance(got["LastModified"], dt.datetime)
    head = client.call("HeadObject", Bucket=bucket, Key=key)
    assert head["ContentLength"] == 4
    listed = client.call("ListObjectsV2", Bucket=bucket, Prefix=key)
    assert [item["Key"] for item in listed["Contents"]] == [key]
    client.call("PutObject", Bucket=bucket, Key=key, Body=io.BytesIO(b"from a file"))
    assert bytes(client.get(bucket, key)) == b"from a file"
    client.call("CopyObject", Bucket=bucket, Key=key + "-copy", CopySource={"Bucket": bucket, "Key": key})
    assert bytes(client.get(bucket, key + "-copy")) == b"from a file"
    deleted = client.call("DeleteObjects", Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": key + "-copy"}]})
    assert {item["Key"] for item in deleted["Deleted"]} == {key, key + "-copy"}


def test_call_multipart(client: objectfs.Client, bucket: str, key: str) -> None:
    upload = client.call("CreateMultipartUpload", Bucket=bucket, Key=key)["UploadId"]
    where = {"Bucket": bucket, "Key": key, "UploadId": upload}
    parts = []
    for number, size in ((1, 5 * MiB), (2, 10)):
        tag = client.call("UploadPart", PartNumber=number, Body=ramp(size, number), **where)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    listed = client.call("ListParts", **where)["Parts"]
    assert [part["Size"] for part in listed] == [5 * MiB, 10]
    client.call("CompleteMultipartUpload", MultipartUpload={"Parts": parts}, **where)
    assert bytes(client.get(bucket, key)) == ramp(5 * MiB, 1) + ramp(10, 2)


def test_call_refused(client: objectfs.Client, bucket: str, key: str) -> None:
    with pytest.raises(errors.InvalidRequestError, match="PutObject"):
        client.call("PutObjct", Bucket=bucket)
    with pytest.raises(errors.InvalidRequestError):
        client.call("GetObject", Bucket=bucket, Key=key, Nonsense=1)
    with pytest.raises(errors.InvalidRequestError):
        client.call("GetObject", Bucket=bucket)
    with pytest.raises(errors.InvalidRequestError):
        client.call("GetObject", Bucket=bucket, Key=5)
    with pytest.raises(errors.InvalidRequestError):
        client.call("PutObject", Bucket=bucket, Key=key, Body=5)
    with pytest.raises(errors.InvalidRequestError):
        client.call("ListObjectsV2", Bucket=5)
    with pytest.raises(TypeError):
        client.call(5)  # type: ignore[arg-type]
    with pytest.raises(errors.NotFoundError) as caught:
        client.call("GetObject", Bucket=bucket, Key=key)
    assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("GetObject", bucket, key)
    assert caught.value.code == "NoSuchKey"


def test_conflict(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, b"x")
    with pytest.raises(errors.ConflictError) as caught:
        client.call("DeleteBucket", Bucket=bucket)
    assert (caught.value.status, caught.value.code) == (409, "BucketNotEmpty")
    assert isinstance(caught.value, FileExistsError)


def test_presign(client: objectfs.Client, site: Site, key: str) -> None:
    context = None
    if site.url.startswith("https:"):
        verify = site.more["verify"]
        context = ssl.create_default_context(cafile=verify) if verify else ssl._create_unverified_context()

    def fetch(url: str, method: str, body: bytes | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(url, data=body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20, context=context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    name = key + "/with space+é"
    status, _ = fetch(client.presign("put", site.bucket, name), "PUT", b"presigned")
    assert status == 200
    assert fetch(client.presign("get", site.bucket, name), "GET") == (200, b"presigned")
    assert fetch(client.presign("head", site.bucket, name), "HEAD")[0] == 200
    assert fetch(client.presign("get", site.bucket, name).replace("Signature=", "Signature=0"), "GET")[0] == 403
    assert fetch(client.presign("delete", site.bucket, name), "DELETE")[0] == 204
    assert not client.exists(site.bucket, name)
    url = client.presign("get", site.bucket, name, expires=5, params={"ResponseContentType": "text/x-test"})
    assert "response-content-type=text" in url
    assert site.secret_key not in url
    for method, expires in (("post", 60), ("get", 0), ("get", 604_801)):
        with pytest.raises(errors.InvalidRequestError):
            client.presign(method, site.bucket, name, expires)  # type: ignore[arg-type]


def test_health(sim: S3Server, connect: Make) -> None:
    client = connect()
    health = client.health()
    assert (health["ok"], health["reachable"], health["error"]) == (True, True, None)
    assert health["seconds"] >= 0
    assert health["endpoint"] == sim.endpoint_url
    wrong = connect(secret_access_key="wrong").health()
    assert (wrong["ok"], wrong["reachable"]) == (False, True)
    assert isinstance(wrong["error"], errors.AccessDeniedError)
    gone = connect(endpoint_url="http://127.0.0.1:9").health()
    assert (gone["ok"], gone["reachable"]) == (False, False)
    sim.faults.add(Fault(times=None, stall=True))
    slow = client.health(timeout=0.3)
    assert isinstance(slow["error"], errors.TimeoutError)


def test_backend_info(connect: Make, backend: str) -> None:
    client = connect()
    info = client.backend
    assert info.name == backend
    assert info.attempts[-1].ok
    assert isinstance(info.attempts[-1], Attempt)
    assert len(info.attempts) == 1
    stats = client.stats()
    assert stats["backend"] == backend
    for name in ("part_size", "max_connections", "checksum"):
        assert name in stats


def test_auto(sim: S3Server) -> None:
    with objectfs.Client(endpoint_url=sim.endpoint_url, anonymous=True) as client:
        assert client.backend.name in ("crt", "sdk")
        assert client.backend.attempts[-1].name == client.backend.name
        assert all(not attempt.ok for attempt in client.backend.attempts[:-1])


def test_secrets_stay_secret(sim: S3Server, connect: Make, caplog: pytest.LogCaptureFixture) -> None:
    import logging

    secret, token = "s3cr3t-of-the-test", "t0ken-of-the-test"
    caplog.set_level(logging.DEBUG, logger="objectfs")
    client = connect(secret_access_key=secret, session_token=token)
    texts = [repr(client), str(client), repr(client.backend), repr(client.stats()), repr(vars(client))]
    texts += [repr(vars(client._core)), repr(client._core.session), repr(client._core.config)]
    for verb in (lambda: client.get("bucket", "k"), lambda: client.put("bucket", "k", b"")):
        with pytest.raises(objectfs.ObjectFSError) as caught:
            verb()
        texts += [str(caught.value), repr(caught.value), repr(caught.value.fields())]
    texts.append(caplog.text)
    for text in texts:
        assert secret not in text
        assert token not in text


def test_no_secret_in_any_log(sim: S3Server, connect: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does a server's answer bring it there: S3 repeats a wrong token, and what was signed when a key is wrong."""
    caplog.set_level("DEBUG")
    token = "hidden-session-token"
    sim.add_access_key("known", "another", time.time() + 3600, token)
    for key in ("test", "known"):
        client = connect(access_key_id=key, secret_access_key="hidden-secret-key", session_token=token)
        for name, arguments in (("get", ("bucket", "k")), ("put", ("bucket", "k", b"x")), ("call", ("ListBuckets",))):
            with contextlib.suppress(errors.ObjectFSError):
                getattr(client, name)(*arguments)
    assert {request.error for request in sim.requests} == {"InvalidToken", "SignatureDoesNotMatch"}
    assert "hidden-" not in caplog.text
    assert token.encode().hex(" ") not in caplog.text
