"""What botocore decides: addresses, credentials, and the writing and reading of requests."""

from __future__ import annotations

import datetime as dt
import io
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError

from objectfs.backends.session import Session
from objectfs.config import load
from objectfs.errors import ConfigError, CredentialsError, InvalidRequestError

KEYS = {"access_key_id": "AKID", "secret_access_key": "hidden-away"}
LOCAL = {"endpoint_url": "http://127.0.0.1:9000", **KEYS}


def session(**arguments: Any) -> Session:
    return Session(load(arguments))


@pytest.mark.parametrize(
    ("settings", "bucket", "expected"),
    [
        ({"region": "eu-west-1"}, "bucket", ("https", "bucket.s3.eu-west-1.amazonaws.com", 443, "", True)),
        ({"region": "eu-west-1"}, "a.b", ("https", "s3.eu-west-1.amazonaws.com", 443, "/a.b", False)),
        ({"region": "cn-north-1"}, "bucket", ("https", "bucket.s3.cn-north-1.amazonaws.com.cn", 443, "", True)),
        (
            {"region": "eu-west-1", "addressing_style": "path"},
            "bucket",
            ("https", "s3.eu-west-1.amazonaws.com", 443, "/bucket", False),
        ),
        (
            {"region": "eu-west-1"},
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/point",
            ("https", "point-123456789012.s3-accesspoint.eu-west-1.amazonaws.com", 443, "", True),
        ),
        (LOCAL, "bucket", ("http", "127.0.0.1", 9000, "/bucket", False)),
        (
            {**LOCAL, "endpoint_url": "https://s3.example.com", "addressing_style": "virtual"},
            "bucket",
            ("https", "bucket.s3.example.com", 443, "", True),
        ),
        ({**LOCAL, "endpoint_url": "http://[::1]:9000"}, "bucket", ("http", "::1", 9000, "/bucket", False)),
    ],
)
def test_endpoint(settings: dict[str, Any], bucket: str, expected: tuple[Any, ...]) -> None:
    found = session(**{**KEYS, **settings}).endpoint(bucket)
    assert (found.scheme, found.host, found.port, found.path_prefix, found.virtual_host) == expected
    assert found.signing_name == "s3"
    assert found.signing_region == settings.get("region", "us-east-1")


def test_endpoint_of_service() -> None:
    made = session(**LOCAL)
    assert made.endpoint(None).path_prefix == ""
    assert made.endpoint(None).host_header == "127.0.0.1:9000"
    assert made.custom_endpoint
    assert session(region="eu-west-1").endpoint(None).host_header == "s3.eu-west-1.amazonaws.com"
    assert not session(region="eu-west-1").custom_endpoint
    assert session(**{**LOCAL, "endpoint_url": "http://[::1]:9000"}).endpoint(None).host_header == "[::1]:9000"


def test_aws_own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:7")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    made = session()
    assert made.region == "ap-south-1"
    assert made.endpoint("bucket").port == 7
    assert made.verify == str(bundle)
    assert session(verify=False).verify is False
    assert session(region="eu-west-1").region == "eu-west-1"
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    assert session().endpoint("bucket").host == "bucket.s3.dualstack.ap-south-1.amazonaws.com"
    monkeypatch.delenv("AWS_CA_BUNDLE")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    assert session().verify == str(bundle)


def test_endpoint_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequestError):
        session(**LOCAL).endpoint("not a bucket")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    with pytest.raises(ConfigError, match="FIPS") as caught:
        session(region="cn-north-1").endpoint("bucket")
    assert (caught.value.bucket, caught.value.key) == ("bucket", None)
    with pytest.raises(ConfigError, match="region"):
        session(region="no such region").endpoint("bucket")


def test_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert session(**LOCAL, session_token="t").frozen_credentials() == ("AKID", "hidden-away", "t")
    assert session(anonymous=True).frozen_credentials() is None
    made = session(**LOCAL)
    assert made.frozen_credentials() == ("AKID", "hidden-away", None)
    assert not made.credentials_refresh_due()
    with pytest.raises(CredentialsError) as caught:
        session().frozen_credentials()
    assert "AWS_ACCESS_KEY_ID" in str(caught.value)
    assert "anonymous=True" in str(caught.value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "E")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "es")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "et")
    assert session().frozen_credentials() == ("E", "es", "et")
    assert session(**LOCAL).frozen_credentials() == ("AKID", "hidden-away", None)
    shared = tmp_path / "credentials"
    shared.write_text("[of-aws]\naws_access_key_id=P\naws_secret_access_key=ps\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    assert session(profile="of-aws").frozen_credentials() == ("P", "ps", None)
    with pytest.raises(ConfigError, match="of-aws"):
        session(profile="nobody").frozen_credentials()


def test_credentials_that_expire() -> None:
    made = session(**LOCAL)
    fetched = []

    def fetch() -> dict[str, str]:
        fetched.append(1)
        later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        return {
            "access_key": f"A{len(fetched)}",
            "secret_key": "s",
            "token": "t",
            "expiry_time": later.isoformat(),
        }

    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)
    made._credentials = RefreshableCredentials("A0", "s", "t", soon, fetch, "test")
    assert made.credentials_refresh_due()
    assert made.frozen_credentials() == ("A1", "s", "t")
    assert not made.credentials_refresh_due()


def test_credentials_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile broken]\ncredential_process = false\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with pytest.raises(CredentialsError, match="cannot be fetched"):
        session(profile="broken").frozen_credentials()
    config.write_text("this is no config file")
    with pytest.raises(ConfigError, match="cannot be read"):
        session().frozen_credentials()


def test_secrets() -> None:
    made = session(**LOCAL)
    made.frozen_credentials()
    assert "hidden-away" not in repr(made)
    with pytest.raises(TypeError):
        pickle.dumps(made)
    request = made.serialize(
        "PutObject",
        {"Bucket": "b", "Key": "k", "Body": b"", "SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32},
    )
    assert "k" * 32 not in repr(request)
    assert "x-amz-server-side-encryption-customer-key" in {name.lower() for name in request.headers}


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("plain", "/b/plain"),
        ("a b+c%d", "/b/a%20b%2Bc%25d"),
        ("é/日", "/b/%C3%A9/%E6%97%A5"),
        ("a//b/../c/.", "/b/a//b/../c/."),
        ("~-_.!*'()", "/b/~-_.%21%2A%27%28%29"),
        ("?#&=", "/b/%3F%23%26%3D"),
    ],
)
def test_serialize(key: str, path: str) -> None:
    request = session(**LOCAL).serialize("GetObject", {"Bucket": "b", "Key": key, "Range": "bytes=0-1"})
    assert (request.method, request.scheme, request.host, request.port) == ("GET", "http", "127.0.0.1", 9000)
    assert (request.path, request.query, request.body) == (path, "", b"")
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers == {"range": "bytes=0-1", "x-amz-checksum-mode": "ENABLED"}


def test_serialize_bodies() -> None:
    made = session(**{**LOCAL, "endpoint_url": "https://127.0.0.1:9000"})
    tagging = made.serialize(
        "PutObjectTagging", {"Bucket": "b", "Key": "k", "Tagging": {"TagSet": [{"Key": "a<", "Value": "&"}]}}
    )
    assert (tagging.method, tagging.query) == ("PUT", "tagging")
    assert b"<Key>a&lt;</Key><Value>&amp;</Value>" in tagging.body
    names = {name.lower() for name in tagging.headers}
    assert "x-amz-checksum-crc32" in names or "content-md5" in names
    assert not names & {"host", "authorization", "content-length", "user-agent", "x-amz-date"}
    # over https, botocore would make a chunked body with a trailer of it
    upload = made.serialize(
        "PutObject", {"Bucket": "b", "Key": "k", "Body": io.BytesIO(b"xyz"), "ChecksumAlgorithm": "CRC32"}
    )
    assert {name.lower(): value for name, value in upload.headers.items()}["x-amz-checksum-crc32"] == "6466Zw=="
    assert "aws-chunked" not in str(upload.headers)
    assert upload.body.read() == b"xyz"


def test_parse() -> None:
    made = session(**LOCAL)
    listing = made.serialize("ListObjectsV2", {"Bucket": "b"})
    assert listing.query == "list-type=2&encoding-type=url"
    document = (
        b"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%20b</Key></Contents></ListBucketResult>"
    )
    assert listing.parse(200, [("content-type", "application/xml")], document)["Contents"] == [{"Key": "a b"}]
    with pytest.raises(ClientError) as caught:
        listing.parse(404, [("x-amz-request-id", "R")], b"<Error><Code>NoSuchBucket</Code><Message>M</Message></Error>")
    assert caught.value.response["Error"]["Code"] == "NoSuchBucket"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    for status in (301, 500, 503):  # neither retried nor redirected behind the caller's back
        for body in (b"", b"<Error><Code>PermanentRedirect</Code></Error>", b"not xml"):
            with pytest.raises(Exception) as any_error:
                listing.parse(status, [("x-amz-bucket-region", "eu-west-1")], body)
            assert getattr(any_error.value, "response", None) or "parse" in str(any_error.value)
    complete = made.serialize("CompleteMultipartUpload", {"Bucket": "b", "Key": "k", "UploadId": "u"})
    with pytest.raises(ClientError) as caught:
        complete.parse(200, [], b"<Error><Code>InternalError</Code></Error>")
    assert caught.value.response["Error"]["Code"] == "InternalError"
    got = made.serialize("GetObject", {"Bucket": "b", "Key": "k"})
    assert got.parse(200, [("content-length", "3")], b"abc")["Body"].read() == b"abc"


def test_every_operation_can_be_written() -> None:
    """Nothing of S3's model needs a hand-written case."""
    made = session(**LOCAL)
    model = made.pipeline().service_model
    written = 0
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        required = shape.required_members if shape else []
        if set(required) <= {"Bucket", "Key", "UploadId"}:
            params = {"Bucket": "b", "Key": "k", "UploadId": "u"}
            request = made.serialize(name, {member: params[member] for member in required})
            assert request.path.startswith("/")
            written += 1
    assert written > 40


def test_refused() -> None:
    made = session(**LOCAL)
    for operation, params in (
        ("GetObjekt", {}),
        ("", {}),
        ("GetObject", {"Bucket": "b"}),
        ("GetObject", {"Bucket": "b", "Key": 3}),
        ("GetObject", {"Bucket": "b", "Key": "k", "Nonsense": 1}),
        ("PutObject", {"Bucket": "b", "Key": "k", "Metadata": {"a": "é"}}),
    ):
        with pytest.raises(InvalidRequestError):
            made.serialize(operation, params)


def test_threads() -> None:
    made = session(**LOCAL)
    wrong: list[Any] = []

    def work(number: int) -> None:
        for turn in range(20):
            request = made.serialize("GetObject", {"Bucket": "b", "Key": f"{number}-{turn}"})
            answer = request.parse(200, [("content-length", "1"), ("etag", f'"{number}"')], b"x")
            if request.path != f"/b/{number}-{turn}" or answer["ETag"] != f'"{number}"':
                wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_botocores_models_are_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = session(**LOCAL), session(**LOCAL)
    loaders = [made.botocore.get_component("data_loader") for made in (first, second)]
    assert loaders[0] is loaders[1]
    assert first.endpoint("bucket") == second.endpoint("bucket")
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    other = session(**LOCAL).botocore.get_component("data_loader")
    assert other is not loaders[0]
    assert str(tmp_path) in other.search_paths
