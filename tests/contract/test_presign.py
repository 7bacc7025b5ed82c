"""Presigned URLs and forms, used as their receivers would: by a client that knows nothing else."""

from __future__ import annotations

import http.client
import os
import pickle
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import S3Server

from .conftest import BACKENDS, Make, Site
from .support import MiB, ramp
from .test_list import AWKWARD

TRUSTED: ssl.SSLContext | None = None
"""Of the site of the test that runs."""


def fetch(
    url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None, **how: Any
) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    if parts.scheme == "https":
        how.setdefault("context", TRUSTED)
    host = parts.hostname or ""
    # the buckets of a site with virtual hosts are names that no resolver knows
    address = "127.0.0.1" if host.endswith(".localhost") else host
    connection = kind(address, parts.port, timeout=20, **how)
    try:
        connection.request(
            method,
            f"{parts.path}?{parts.query}" if parts.query else parts.path,
            body,
            {"Host": parts.netloc, **(headers or {})},
        )
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def use(url: objectfs.PresignedUrl, body: bytes | None = None, **how: Any) -> tuple[int, dict[str, str], bytes]:
    """As it says that it has to be used."""
    return fetch(url, url.method, body, url.headers, **how)


def post(form: objectfs.PresignedPost, content: bytes, name: str = "file.txt", **fields: str) -> tuple[int, bytes]:
    """As a browser sends a form."""
    mark = "----formular7MA4YWxkTrZu0gW"
    body = b"".join(
        f'--{mark}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in {**form.fields, **fields}.items()
    )
    body += f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'.encode()
    body += b"Content-Type: application/octet-stream\r\n\r\n" + content + f"\r\n--{mark}--\r\n".encode()
    status, _, answer = fetch(form.url, "POST", body, {"Content-Type": f"multipart/form-data; boundary={mark}"})
    return status, answer


@pytest.fixture
def trusted(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site; ``fetch`` knows its certificate."""
    if site.url.startswith("https:"):
        verify = site.more["verify"]
        context = ssl.create_default_context(cafile=verify) if verify else ssl._create_unverified_context()
        monkeypatch.setitem(globals(), "TRUSTED", context)
    return site


def test_each_verb(client: objectfs.Client, trusted: Site, key: str) -> None:
    bucket = trusted.bucket
    assert use(client.presign("put", bucket, key), b"content")[0] == 200
    assert use(client.presign("get", bucket, key))[::2] == (200, b"content")
    status, headers, body = use(client.presign("head", bucket, key))
    assert (status, headers["content-length"], body) == (200, "7", b"")
    assert use(client.presign("delete", bucket, key))[0] == 204
    assert not client.exists(bucket, key)
    assert use(client.presign("get", bucket, key))[0] == 404


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names(client: objectfs.Client, trusted: Site, key: str, name: str) -> None:
    client.put(trusted.bucket, f"{key}/{name}", name.encode())
    assert use(client.presign("get", trusted.bucket, f"{key}/{name}"))[::2] == (200, name.encode())


def test_what_the_url_says_of_itself(client: objectfs.Client, trusted: Site, key: str) -> None:
    url = client.presign("get", trusted.bucket, key, expires=60)
    assert isinstance(url, str)
    assert (url.method, url.headers) == ("GET", {})
    assert abs(url.expires_at - datetime.now(UTC) - timedelta(seconds=60)) < timedelta(seconds=30)
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["60"]
    assert trusted.secret_key not in url
    again = pickle.loads(pickle.dumps(url))
    assert (again, again.method, again.headers, again.expires_at) == (url, url.method, url.headers, url.expires_at)


def test_headers_have_to_be_sent_along(client: objectfs.Client, trusted: Site, key: str) -> None:
    bucket = trusted.bucket
    url = client.presign(
        "put", bucket, key, content_type="text/x-test", metadata={"a": "b"}, headers={"cache-control": "no-store"}
    )
    assert url.headers == {"content-type": "text/x-test", "x-amz-meta-a": "b", "cache-control": "no-store"}
    assert fetch(url, "PUT", b"x", {"content-type": "text/x-test"})[0] == 403
    assert fetch(url, "PUT", b"x", {**url.headers, "x-amz-meta-a": "c"})[0] == 403
    assert use(url, b"x")[0] == 200
    info = client.head(bucket, key)
    assert (info.content_type, info.metadata, info.headers["cache-control"]) == ("text/x-test", {"a": "b"}, "no-store")


def test_conditions(connect: Make) -> None:
    client = connect()
    url = client.presign("put", "bucket", "k", if_none_match="*", tags={"a": "b"})
    assert use(url, b"first")[0] == 200
    assert use(url, b"second")[0] == 412
    assert bytes(client.get("bucket", "k")) == b"first"
    assert client.call("GetObjectTagging", Bucket="bucket", Key="k")["TagSet"] == [{"Key": "a", "Value": "b"}]
    etag = client.head("bucket", "k").etag
    assert use(client.presign("get", "bucket", "k", if_match=etag))[0] == 200
    assert use(client.presign("get", "bucket", "k", if_match='"other"'))[0] == 412


def test_versions_and_what_the_answer_looks_like(connect: Make) -> None:
    client = connect()
    client.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    old = client.put("bucket", "k", b"old").version_id
    client.put("bucket", "k", b"new")
    until = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    url = client.presign(
        "get",
        "bucket",
        "k",
        version_id=old,
        response_content_type="text/x-a; b=c+d",
        response_content_disposition='attachment; filename="a b+c.txt"',
        response_expires=until,
    )
    assert url.headers == {}
    status, headers, body = use(url)
    assert (status, body) == (200, b"old")
    assert headers["content-type"] == "text/x-a; b=c+d"
    assert headers["content-disposition"] == 'attachment; filename="a b+c.txt"'
    assert headers["expires"] == "Wed, 02 Jan 2030 03:04:05 GMT"
    # and by botocore's names
    url = client.presign("get", "bucket", "k", params={"VersionId": old, "ResponseCacheControl": "no-cache"})
    assert use(url)[1]["cache-control"] == "no-cache"
    assert use(client.presign("delete", "bucket", "k", version_id=old))[0] == 204
    with pytest.raises(errors.NotFoundError):
        client.get("bucket", "k", version_id=old)


def test_an_upload_in_parts(client: objectfs.Client, trusted: Site, key: str) -> None:
    bucket = trusted.bucket
    upload = client.call("CreateMultipartUpload", Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number, part in ((1, ramp(5 * MiB)), (2, b"the rest")):
        url = client.presign("upload_part", bucket, key, upload_id=upload, part_number=number)
        assert url.method == "PUT"
        status, headers, _ = use(url, part)
        assert status == 200
        parts.append({"PartNumber": number, "ETag": headers["etag"]})
    client.call("CompleteMultipartUpload", Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    assert bytes(client.get(bucket, key)) == ramp(5 * MiB) + b"the rest"


def test_customer_keys(connect: Make) -> None:
    with S3Server(buckets=("bucket",), tls=True) as sim:
        client = connect(endpoint_url=sim.endpoint_url, verify=sim.ca_file)
        secret = os.urandom(32)
        trust = {"context": ssl.create_default_context(cafile=sim.ca_file)}
        url = client.presign("put", "bucket", "k", sse_customer_key=secret)
        assert use(url, b"hidden", **trust)[0] == 200
        assert bytes(client.get("bucket", "k", sse_customer_key=secret)) == b"hidden"
        assert use(client.presign("get", "bucket", "k", sse_customer_key=secret), **trust)[::2] == (200, b"hidden")
        assert use(client.presign("get", "bucket", "k"), **trust)[0] == 400
        client.close()


def test_it_ends(connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", b"x")
    url = client.presign("get", "bucket", "k", expires=1)
    assert use(url)[0] == 200
    while datetime.now(UTC) <= url.expires_at + timedelta(seconds=1):
        time.sleep(0.05)
    assert use(url)[0] == 403


def test_no_request_is_made(connect: Make, sim: S3Server) -> None:
    client = connect()
    client.presign("get", "bucket", "k")
    client.presign("upload_part", "bucket", "k", upload_id="x", part_number=10_000)
    client.presign_post("bucket", "k")
    assert sim.requests == []


def test_both_backends_answer_the_same(connect: Make) -> None:
    urls = [
        connect(backend=name).presign("get", "bucket", "k é", version_id="v", response_content_type="a/b")
        for name in BACKENDS
    ]
    changing = {"X-Amz-Date", "X-Amz-Signature"}
    told = [{k: v for k, v in parse_qs(urlsplit(url).query).items() if k not in changing} for url in urls]
    assert told[0] == told[-1]


# -- forms -----------------------------------------------------------------------------------------------------------
def test_a_form(client: objectfs.Client, trusted: Site, key: str) -> None:
    trusted.need("forms")
    form = client.presign_post(
        trusted.bucket, f"{key}/${{filename}}", fields={"Content-Type": "text/x-form"}, max_size=20
    )
    assert trusted.secret_key not in str(form)
    assert post(form, b"the content", "some name.txt")[0] == 204
    assert bytes(client.get(trusted.bucket, f"{key}/some name.txt")) == b"the content"
    assert client.head(trusted.bucket, f"{key}/some name.txt").content_type == "text/x-form"
    status, answer = post(form, b"longer than is allowed")
    assert status == 400
    assert b"EntityTooLarge" in answer
    assert post(form, b"x", **{"Content-Type": "text/html"})[0] == 403
    assert post(form, b"x", key=f"{key}-elsewhere")[0] == 403
    assert post(form, b"x", policy=form.fields["policy"][:-8])[0] in (400, 403)


def test_what_a_form_allows(connect: Make) -> None:
    client = connect()
    form = client.presign_post(
        "bucket",
        "one",
        min_size=2,
        conditions=[["starts-with", "$Content-Type", "image/"], {"success_action_status": "201"}],
        fields={"x-amz-meta-from": "form"},
    )
    more = {"Content-Type": "image/png", "success_action_status": "201"}
    assert post(form, b"pixels", **more)[0] == 201
    info = client.head("bucket", "one")
    assert (info.content_type, info.metadata) == ("image/png", {"from": "form"})
    assert post(form, b"p", **more)[0] == 400
    assert post(form, b"pixels", **{**more, "Content-Type": "text/plain"})[0] == 403


WRONG: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"method": "post"}, errors.InvalidRequestError),
    ({"method": None}, errors.InvalidRequestError),
    ({"expires": 0}, errors.InvalidRequestError),
    ({"expires": 604_801}, errors.InvalidRequestError),
    ({"expires": 1.5}, TypeError),
    ({"expires": True}, TypeError),
    ({"key": ""}, errors.InvalidRequestError),
    ({"upload_id": "x"}, errors.InvalidRequestError),
    ({"method": "upload_part"}, errors.InvalidRequestError),
    ({"method": "upload_part", "upload_id": "x"}, errors.InvalidRequestError),
    ({"method": "upload_part", "upload_id": "x", "part_number": 0}, errors.InvalidRequestError),
    ({"method": "upload_part", "upload_id": 7, "part_number": 1}, TypeError),
    ({"method": "upload_part", "upload_id": "x", "part_number": 1, "metadata": {"a": "b"}}, TypeError),
    ({"content_type": "a/b"}, TypeError),
    ({"params": {"Colour": "blue"}}, errors.InvalidRequestError),
    ({"checksum": "off"}, errors.InvalidRequestError),
    ({"headers": {"host": "elsewhere"}}, errors.InvalidRequestError),
]


@pytest.mark.parametrize(("options", "kind"), WRONG)
def test_wrong_arguments(connect: Make, options: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        connect().presign(**{"method": "get", "bucket": "bucket", "key": "k", **options})


def test_wrong_forms(connect: Make) -> None:
    client = connect()
    for options in ({"expires": 604_801}, {"min_size": 5, "max_size": 4}, {"max_size": -1}):
        with pytest.raises(errors.InvalidRequestError):
            client.presign_post("bucket", "k", **options)  # type: ignore[arg-type]
    for wrong in ({"max_size": "1"}, {"fields": {"a": 1}}, {"conditions": ["x"]}):
        with pytest.raises(TypeError):
            client.presign_post("bucket", "k", **wrong)  # type: ignore[arg-type]
    with pytest.raises(errors.CredentialsError):
        connect(anonymous=True, access_key_id=None, secret_access_key=None).presign_post("bucket", "k")
    client.close()
    with pytest.raises(errors.ClosedError):
        client.presign_post("bucket", "k")
