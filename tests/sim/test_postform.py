"""Uploads from forms, signed by boto3's generate_presigned_post, sent as a browser sends them."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from objectfs.sim import S3Server

from .conftest import connect

K = {"Bucket": "bucket", "Key": "k"}
BOUNDARY = "----a-browser-s-boundary"


@pytest.fixture
def s3(server: S3Server) -> Iterator[Any]:
    # Without this boto3 signs forms with version 2.
    client = connect(server, config={"signature_version": "s3v4"})
    yield client
    client.close()


def send(
    server: S3Server, fields: dict[str, str], content: bytes = b"content", name: str = "f.txt", **more: Any
) -> Any:
    """Status, headers and body of the answer."""
    body = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    )
    if not more.get("no_file"):
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'.encode()
        body += b"Content-Type: text/plain\r\n\r\n" + content + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    kind = more.get("kind", f"multipart/form-data; boundary={BOUNDARY}")
    connection.request("POST", "/bucket", body, {"Content-Type": kind})
    response = connection.getresponse()
    answer = response.status, dict(response.headers), response.read()
    connection.close()
    return answer


def code(answer: Any) -> tuple[int, str]:
    found = re.search(rb"<Code>(\w+)</Code>", answer[2])
    assert found, answer
    return answer[0], found[1].decode()


def test_a_form_puts_an_object(s3: Any, server: S3Server) -> None:
    extra = {"Content-Type": "text/a", "acl": "public-read", "x-amz-meta-one": "1"}
    form = s3.generate_presigned_post(
        "bucket", "up/${filename}", Fields=extra, Conditions=[{name: value} for name, value in extra.items()]
    )
    content = b"a\r\n--b\0\r\n\r\n"
    status, headers, body = send(server, form["fields"], content, name="C:\\folder\\x ü.txt")
    assert (status, body) == (204, b"")
    assert headers["Location"].endswith("/bucket/up/x%20%C3%BC.txt")
    got = s3.get_object(Bucket="bucket", Key="up/x ü.txt")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (content, "text/a", {"one": "1"})
    assert got["ETag"] == headers["ETag"]
    assert len(s3.get_object_acl(Bucket="bucket", Key="up/x ü.txt")["Grants"]) == 2


def test_what_a_form_is_answered_with(s3: Any, server: S3Server) -> None:
    for field, value, status in (
        ("success_action_status", "200", 200),
        ("success_action_status", "201", 201),
        ("success_action_status", "418", 204),
        ("success_action_redirect", "http://example.com/done?x=1", 303),
    ):
        form = s3.generate_presigned_post(**K, Fields={field: value}, Conditions=[{field: value}])
        answer = send(server, form["fields"])
        assert answer[0] == status
        if status == 201:
            assert b"<Bucket>bucket</Bucket><Key>k</Key>" in answer[2]
        if status == 303:
            assert answer[1]["Location"].startswith("http://example.com/done?x=1&bucket=bucket&key=k&etag=%22")


def test_what_the_policy_does_not_allow(s3: Any, server: S3Server) -> None:
    form = s3.generate_presigned_post(
        **K, Conditions=[["content-length-range", 3, 5], ["starts-with", "$x-amz-meta-a", "b"]]
    )
    fields = {**form["fields"], "x-amz-meta-a": "bc"}
    assert send(server, fields, b"1234")[0] == 204
    assert code(send(server, fields, b"12")) == (400, "EntityTooSmall")
    assert code(send(server, fields, b"123456")) == (400, "EntityTooLarge")
    assert code(send(server, {**fields, "key": "other"}, b"1234")) == (403, "AccessDenied")
    assert code(send(server, {**fields, "x-amz-meta-a": "c"}, b"1234")) == (403, "AccessDenied")
    assert code(send(server, {**fields, "x-amz-meta-z": "c"}, b"1234")) == (403, "AccessDenied")
    assert send(server, {**fields, "x-ignore-z": "c"}, b"1234")[0] == 204
    expired = s3.generate_presigned_post(**K, ExpiresIn=-5)
    answer = send(server, expired["fields"])
    assert (code(answer), b"Policy expired" in answer[2]) == ((403, "AccessDenied"), True)


def test_signatures_of_forms(s3: Any, server: S3Server) -> None:
    fields = s3.generate_presigned_post(**K)["fields"]
    assert code(send(server, {**fields, "x-amz-signature": "0" * 64})) == (403, "SignatureDoesNotMatch")
    wider = base64.b64encode(json.dumps({"expiration": "2100-01-01T00:00:00Z", "conditions": []}).encode()).decode()
    assert code(send(server, {**fields, "policy": wider})) == (403, "SignatureDoesNotMatch")
    without = {name: value for name, value in fields.items() if name != "x-amz-signature"}
    assert code(send(server, without)) == (400, "InvalidArgument")
    assert code(send(server, {"key": "k"})) == (403, "AccessDenied")
    strange = {**fields, "x-amz-credential": fields["x-amz-credential"].replace("test/", "other/", 1)}
    assert code(send(server, strange)) == (403, "InvalidAccessKeyId")
    old = connect(server)
    assert code(send(server, old.generate_presigned_post(**K)["fields"])) == (400, "InvalidRequest")
    old.close()
    assert "Contents" not in s3.list_objects_v2(Bucket="bucket")


def test_forms_that_are_none(s3: Any, server: S3Server) -> None:
    fields = s3.generate_presigned_post(**K)["fields"]
    assert code(send(server, fields, no_file=True)) == (400, "InvalidArgument")
    assert code(send(server, fields, kind="multipart/form-data")) == (400, "MalformedPOSTRequest")
    assert code(send(server, fields, kind="multipart/form-data; boundary=other")) == (400, "MalformedPOSTRequest")
    assert code(send(server, fields, kind="text/plain"))[0] == 403  # no form: it would have to be signed


def test_conditions_and_anonymous_forms() -> None:
    with S3Server(anonymous=True) as server:
        s3 = connect(server)
        assert send(server, {"key": "k"})[0] == 204
        assert code(send(server, {})) == (400, "InvalidArgument")
        assert code(send(server, {"key": "x" * 1025})) == (400, "KeyTooLongError")
        assert code(send(server, {"key": "k", "x-amz-checksum-crc32": "AAAAAA=="})) == (400, "BadDigest")
        assert code(send(server, {"key": "k", "x-amz-storage-class": "COLD"})) == (400, "InvalidStorageClass")
        assert [item["Key"] for item in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["k"]
        s3.close()


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"expiration": 1, "conditions": []}', b"\xff"])
def test_policies_that_are_none(memory: S3Server, document: bytes) -> None:
    policy = base64.b64encode(document).decode() or "A"
    assert code(send(memory, {"key": "k", "policy": policy})) == (400, "InvalidPolicyDocument")
