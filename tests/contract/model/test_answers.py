"""What a server may answer to every operation of botocore's model of S3, read by both backends: the same result, or the
same error with the same fields."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import botocore.session
import pytest

import objectfs
from objectfs import errors

from .documents import Answer, answers, error_document
from .parameters import parameters
from .recorder import Recorder, answer, chunked

MODEL = botocore.session.get_session().get_service_model("s3")
OPERATIONS = list(MODEL.operation_names)


def _document(code: str, message: str = "told by <the server> & more", **more: str) -> bytes:
    return error_document(code, message, **more)


_IDS = [("x-amz-request-id", "REQUEST"), ("x-amz-id-2", "HOST=")]
FAILURES: list[tuple[int, bytes]] = [
    (301, _document("PermanentRedirect", Endpoint="bucket.s3.eu-west-1.amazonaws.com")),
    (304, b""),
    (307, _document("TemporaryRedirect")),
    (400, _document("Strange")),
    (400, b"no document at all"),
    (400, _document("RequestTimeout")),
    (403, _document("AccessDenied")),
    (403, b""),
    (404, _document("NoSuchBucket")),
    (404, _document("NoSuchKey", Key="\x01")),
    (404, b""),
    (409, _document("OperationAborted")),
    (412, _document("PreconditionFailed")),
    (416, _document("InvalidRange")),
    (418, b"{}"),
    (429, _document("TooManyRequests")),
    (500, _document("InternalError")),
    (500, b""),
    (501, _document("NotImplemented")),
    (502, b"<html><body>Bad gateway<br></body></html>"),
    (503, _document("SlowDown")),
]
LATE: list[tuple[int, bytes]] = [
    (200, _document("InternalError")),
    (200, _document("SlowDown")),
    (200, _document("AccessDenied")),
    (200, b'\n<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>InternalError</Code></Error>'),
    (200, b"<html><body>of a proxy</body></html>"),
    (200, b"no document at all"),
    (200, b"<Result><A>cut off"),
    (200, b"\n  \n"),
]
"""Under status 200. S3 finds out after it has begun to answer to CopyObject, UploadPartCopy, CompleteMultipartUpload;
the others are answers of something that is no S3."""

THOROUGH = (
    "GetObject", "PutObject", "HeadObject", "ListObjectsV2", "CopyObject", "UploadPartCopy", "CompleteMultipartUpload",
    "DeleteObjects", "GetBucketLocation", "GetBucketPolicy", "SelectObjectContent", "CreateBucket",
)  # fmt: skip
"""Operations that are tried with every failure; the others with some of them each."""


def plain(value: Any) -> Any:
    """A result without the objects that are equal only to themselves."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, ET.Element):  # botocore's, for a deprecated member
        return ET.tostring(value)
    if hasattr(value, "read"):
        return type(value), value.read()
    if hasattr(value, "__aiter__"):
        try:
            return list(value)
        except errors.ObjectFSError as error:
            return told(error)
    return value


def told(error: errors.ObjectFSError) -> tuple[type, dict[str, Any]]:
    fields = error.fields()
    del fields["crt_error"]
    if error.status is None:  # words of ours, for what no server said
        del fields["message"]
    return type(error), fields


def outcome(client: objectfs.Client, operation: str, params: dict[str, Any]) -> Any:
    try:
        return plain(client.call(operation, timeout=20, **params))
    except errors.ObjectFSError as error:
        return told(error)


def outcomes(clients: dict[str, objectfs.Client], recorder: Recorder, operation: str, given: Answer) -> dict[str, Any]:
    model = MODEL.operation_model(operation)
    status, headers, body = given
    reply = answer(status, headers, b"" if model.http["method"] == "HEAD" else body)
    recorder.handle = lambda _: reply
    params = parameters(model, "required")
    return {name: outcome(client, operation, params) for name, client in clients.items()}


def same(found: dict[str, Any]) -> Any:
    one, *others = found.values()
    for other in others:
        assert other == one
    return one


@pytest.mark.parametrize("operation", OPERATIONS)
def test_same_result(operation: str, clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    model = MODEL.operation_model(operation)
    for name, given in answers(model):
        result = same(outcomes(clients, recorder, operation, given))
        if name in ("full", "lists", "bare"):
            expected = set(model.output_shape.members) if model.output_shape is not None else set()
            absent = {member for member in expected if member not in result and not member.startswith("Checksum")}
            assert absent <= MAY_BE_ABSENT.get(operation, frozenset()), (name, absent)


MAY_BE_ABSENT: dict[str, frozenset[str]] = {
    "GetBucketLocation": frozenset(),
    "HeadObject": frozenset(("Expires",)),  # no date, which botocore tells as ExpiresString
    "GetObject": frozenset(("Expires",)),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_same_failure(operation: str, clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    index = OPERATIONS.index(operation)
    for number, (status, body) in enumerate(FAILURES + LATE):
        if operation in THOROUGH or (number + index) % 4 == 0:
            result = same(outcomes(clients, recorder, operation, (status, _IDS, body)))
            if status >= 300:
                kind, fields = result
                assert issubclass(kind, errors.ObjectFSError)
                assert (fields["operation"], fields["status"]) == (operation, status)
                assert (fields["request_id"], fields["host_id"]) == ("REQUEST", "HOST=")


@pytest.mark.parametrize("operation", ["CopyObject", "UploadPartCopy", "CompleteMultipartUpload", "DeleteObjects"])
def test_failure_under_200(operation: str, clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    for code, kind in (
        ("InternalError", errors.ServerError),
        ("SlowDown", errors.ThrottledError),
        ("AccessDenied", errors.AccessDeniedError),
        ("NoSuchKey", errors.NotFoundError),
    ):
        result = same(outcomes(clients, recorder, operation, (200, _IDS, _document(code))))
        assert result[0] is kind
        assert (result[1]["status"], result[1]["code"], result[1]["request_id"]) == (200, code, "REQUEST")
        assert result[1]["message"] == "told by <the server> & more"


@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject", "GetBucketAcl", "CopyObject", "GetObjectTorrent"])
def test_cut_short(operation: str, clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    """A connection that is lost within the answer is an error of its own, whatever the answer was to be."""
    model = MODEL.operation_model(operation)
    *_, body = dict(answers(model))["full"]
    params = parameters(model, "required")
    for reply in (
        answer(200, [("Connection", "close")], body, length=len(body) + 1),
        chunked(body, end=b""),
        chunked(body)[:-17],
    ):
        recorder.handle = lambda _, reply=reply: reply  # type: ignore[misc]
        for client in clients.values():
            with pytest.raises(errors.TruncatedError) as caught:
                client.call(operation, timeout=20, **params)
            assert (caught.value.operation, caught.value.bucket) == (operation, "a-bucket")
