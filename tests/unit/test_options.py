"""The table of options: against botocore's model, against the signatures, and what values may be."""

from __future__ import annotations

import base64
import inspect
import logging
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_type_hints

import botocore.session
import pytest

import objectfs
from objectfs import arguments, errors
from objectfs.options import GROUPS, OPTIONS, check_options, params
from objectfs.options.table import OWN
from objectfs.sim import S3Server

MODEL = botocore.session.get_session().get_service_model("s3")
KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()
NOW = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)

# What the model has, and the table leaves out: the verb does it itself.
OF_THE_VERBS = {
    ("checksum_mode", "GetObject"),
    ("part_number", "UploadPart"),
    ("part_number", "UploadPartCopy"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_table_is_botocores(name: str) -> None:
    row = OPTIONS[name]
    used = set().union(*(row.operations for row in OPTIONS.values()))
    for operation in used:
        members = MODEL.operation_model(operation).input_shape.members
        assert (row.parameter in members) == (operation in row.operations or (name, operation) in OF_THE_VERBS), (
            operation
        )
        if operation not in row.operations:
            continue
        member = members[row.parameter]
        place = {"querystring": "query"}.get(member.serialization["location"], member.serialization["location"])
        wire = member.serialization["name"]
        assert (row.place, row.wire) == (place, wire.lower() if place == "header" else wire)


def test_names_are_botocores_or_shorter() -> None:
    usual = {
        "tags": "tagging",
        "sse_kms_key_id": "ssekms_key_id",
        "sse_kms_encryption_context": "ssekms_encryption_context",
        "object_lock_retain_until": "object_lock_retain_until_date",
        "object_lock_legal_hold": "object_lock_legal_hold_status",
    }
    for name, row in OPTIONS.items():
        assert botocore.xform_name(row.parameter) in (name, usual.get(name), name.replace("copy_", "")), name


def test_signatures_have_the_tables_names() -> None:
    assert set().union(*GROUPS.values()) - OWN <= OPTIONS.keys()
    for group, names in GROUPS.items():
        assert get_type_hints(getattr(params, group)).keys() == names


@pytest.mark.parametrize("kind", [objectfs.Client, objectfs.AsyncClient])
def test_both_clients_take_the_same(kind: Any) -> None:
    other = objectfs.Client
    for name, verb in inspect.getmembers(other, inspect.isfunction):
        if not name.startswith("_") and "options" in inspect.signature(verb).parameters and name != "open":
            ours = inspect.signature(getattr(kind, name)).parameters
            theirs = inspect.signature(verb).parameters
            assert list(ours) == list(theirs), name
            assert ours["options"].annotation == theirs["options"].annotation, name


@pytest.mark.parametrize(
    ("group", "name", "words"),
    [
        ("GetParams", "version", "version_id"),
        ("GetParams", "VersionId", "version_id"),
        ("GetParams", "SSECustomerKey", "sse_customer_key"),
        ("PutParams", "ContentType", "content_type"),
        ("PutParams", "content-type", "content_type"),
        ("PutParams", "x-amz-tagging", "tags"),
        ("PutParams", "version_id", "not of this verb"),
        ("DeleteParams", "tags", "not of this verb"),
        ("PutParams", "qqqq", "there are acl, "),
    ],
)
def test_unknown(group: str, name: str, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        check_options(group, {name: "x"})
    assert name in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("if_modified_since", NOW.astimezone(timezone(timedelta(hours=-7))), "Mon, 03 Feb 2031 04:05:06 GMT"),
        ("object_lock_retain_until", NOW, "2031-02-03T04:05:06Z"),
        ("object_lock_retain_until", NOW.replace(microsecond=7999), "2031-02-03T04:05:06.007Z"),
        ("tags", {"a b": "c/d&e", "é": ""}, "a%20b=c%2Fd%26e&%C3%A9="),
        ("tags", {}, None),
        ("metadata", {"Name": "v"}, {"name": "v"}),
        ("bucket_key_enabled", False, "false"),
        ("bypass_governance_retention", True, "true"),
        ("bypass_governance_retention", False, None),
        ("part_number", 10_000, "10000"),
        ("sse_customer_key", KEY, TEXT),
        ("sse_customer_key", bytearray(KEY), TEXT),
        ("sse_customer_key", TEXT, TEXT),
        ("optional_object_attributes", ["RestoreStatus"], "RestoreStatus"),
        ("acl", None, None),
    ],
)
def test_what_is_sent(name: str, value: Any, sent: Any) -> None:
    assert OPTIONS[name].check(name, value) == sent if value is not None and sent is not None else True
    group = next(group for group, names in GROUPS.items() if name in names)
    beside = {"object_lock_mode": "GOVERNANCE"} if name == "object_lock_retain_until" else {}
    assert check_options(group, {name: value, **beside}).get(name) == sent


@pytest.mark.parametrize(
    ("name", "value", "kind", "words"),
    [
        ("if_modified_since", datetime(2031, 1, 1), ValueError, "time zone"),
        ("if_modified_since", "Mon, 03 Feb 2031 04:05:06 GMT", TypeError, "a datetime"),
        ("tags", {str(i): "" for i in range(11)}, ValueError, "11 entries"),
        ("tags", {"k" * 129: ""}, ValueError, "128"),
        ("tags", {"": ""}, ValueError, "1 to 128"),
        ("tags", {"k": "v" * 257}, ValueError, "256"),
        ("tags", {"aws:x": ""}, ValueError, "aws:"),
        ("tags", {"k": 1}, TypeError, "strings to strings"),
        ("tags", "a=b", TypeError, "a mapping"),
        ("tags", {"\ud800": ""}, ValueError, "UTF-8"),
        ("acl", "public", ValueError, "'public-read'"),
        ("acl", 1, TypeError, "'public-read'"),
        ("part_number", 0, ValueError, "from 1 to 10000"),
        ("part_number", True, TypeError, "whole number"),
        ("bucket_key_enabled", "true", TypeError, "True or False"),
        ("request_payer", "me", ValueError, "'requester'"),
        ("expected_bucket_owner", "12 34", ValueError, "12 digits"),
        ("website_redirect_location", "other", ValueError, "begin with"),
        ("content_type", "a\nb", ValueError, "printable ASCII"),
        ("content_type", "", ValueError, "empty"),
        ("server_side_encryption", "aes256", ValueError, "'AES256'"),
        ("optional_object_attributes", "RestoreStatus", TypeError, "sequence"),
        ("headers", {"x-amz-server-side-encryption-customer-key": "x"}, ValueError, "sse_customer_key="),
    ],
)
def test_what_is_refused(name: str, value: Any, kind: type[Exception], words: str) -> None:
    group = next(group for group, names in GROUPS.items() if name in names)
    make = {"P": arguments.put_options, "D": arguments.delete_options}.get(group[0], arguments.get_options)
    with pytest.raises(kind) as caught:
        arguments.list_options(group, {name: value}) if group[0] == "L" else make(group, {name: value})
    assert name in str(caught.value) or name == "headers"
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sse_kms_key_id": "k"}, "aws:kms"),
        ({"sse_kms_encryption_context": {"a": "b"}, "server_side_encryption": "AES256"}, "aws:kms"),
        ({"sse_customer_key": KEY, "server_side_encryption": "AES256"}, "exclude each other"),
        ({"object_lock_mode": "GOVERNANCE"}, "go together"),
        ({"acl": "private", "grant_read": 'id="1"'}, "exclude each other"),
        ({"if_none_match": '"etag"'}, "'*'"),
        ({"checksum": "SHA1", "expected_checksum": ("CRC32", "AAAAAA==")}, "contradict"),
        ({"checksum": "MD5"}, "CRC64NVME"),
        ({"expected_checksum": "md5:00"}, "one of CRC64NVME"),
        ({"expected_checksum": "sha256:00"}, "32 bytes"),
        ({"expected_checksum": ("SHA256", TEXT[:-1] + "=-3")}, "parts"),
        ({"sse_kms_encryption_context": "e30", "server_side_encryption": "aws:kms"}, "JSON"),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        arguments.put_options("PutParams", options)
    assert words in str(caught.value)


def test_a_part_is_a_range_already() -> None:
    with pytest.raises(errors.InvalidRequestError):
        arguments.get_options("GetParams", {"part_number": 1}, 0, 10)


@pytest.mark.parametrize("wrong", [b"short", KEY + b"!", TEXT[:-4], "no base64!" * 4, TEXT + "A"])
def test_a_wrong_key_is_not_repeated(wrong: Any) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        arguments.get_options("GetParams", {"sse_customer_key": wrong})
    said = f"{caught.value!r} {caught.value}"
    assert "32" in said
    assert str(wrong) not in said
    assert repr(wrong) not in said


def test_a_key_does_not_show() -> None:
    options = arguments.put_options("PutParams", {"sse_customer_key": KEY})
    hidden = options.given["sse_customer_key"]
    for shown in (repr(options), str(hidden), f"{hidden}", f"{hidden:>60}", repr(options.given)):
        assert TEXT not in shown
    with pytest.raises(TypeError):
        pickle.dumps(options)
    sent = options.sent("UploadPart")
    assert sent["x-amz-server-side-encryption-customer-key"].encode() == TEXT.encode()
    assert TEXT not in repr(sent)


@pytest.mark.parametrize("backend", [attempt.name for attempt in objectfs.backends.select.available() if attempt.ok])
def test_no_log_has_the_key(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with S3Server(buckets=("bucket",), tls=True) as server:
        settings: dict[str, Any] = {
            "endpoint_url": server.endpoint_url,
            "verify": server.ca_file,
            "region": "us-east-1",
        }
        who = {"access_key_id": "test", "secret_access_key": "testtest"}
        with objectfs.Client(**settings, **who, backend=backend) as client:
            client.put("bucket", "k", b"content", sse_customer_key=KEY)
            client.get("bucket", "k", sse_customer_key=KEY)
        who["secret_access_key"] = "wrong"  # the server then repeats what was signed
        with (
            objectfs.Client(**settings, **who, backend=backend) as client,
            pytest.raises(errors.AccessDeniedError) as caught,
        ):
            client.get("bucket", "k", sse_customer_key=KEY)
        assert TEXT not in f"{caught.value!r} {caught.value} {caught.value.fields()}"
    text = caplog.text
    assert backend == "crt" or "customer-key" in text.lower()
    assert TEXT not in text
    assert TEXT.encode().hex(" ") not in text


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org", "localhost.example.org"])
def test_no_key_goes_in_the_clear(host: str) -> None:
    who = {"access_key_id": "test", "secret_access_key": "testtest", "region": "us-east-1", "backend": "sdk"}
    with objectfs.Client(endpoint_url=f"http://{host}", **who) as client:
        for verb in (
            lambda: client.get("bucket", "k", sse_customer_key=KEY),
            lambda: client.put("bucket", "k", b"", sse_customer_key=KEY),
            lambda: client.put("bucket", "k", iter([b""]), sse_customer_key=KEY),
            lambda: client.open("bucket", "k", sse_customer_key=KEY),
        ):
            with pytest.raises(errors.InvalidRequestError) as caught:
                verb()
            assert "https://" in str(caught.value)
            assert host in str(caught.value)
