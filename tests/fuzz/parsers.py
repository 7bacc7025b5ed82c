"""What reads a server's answers, without a server. Each ``check_*`` takes any bytes, and an AssertionError or an
exception that is none of ours is a finding."""

from __future__ import annotations

import functools
import pickle
import re
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from objectfs import errors
from objectfs.backends import answers, crt_answers, crt_copy, crt_delete, crt_upload, digests, retrying, sdk_listing
from objectfs.backends.crt_call import CallVerbs
from objectfs.backends.crt_errors import failure
from objectfs.backends.resume_journal import Journal, Untrusted, _line
from objectfs.backends.session import Session
from objectfs.config import load

from . import events, listings
from .documents import DOCUMENTS, make, number, word
from .draw import Draw

__all__ = ["PARSERS"]

STATUSES = (200, 200, 200, 206, 204, 201, 301, 304, 400, 403, 404, 409, 412, 416, 429, 500, 503, 599)
OPERATIONS: dict[str, dict[str, Any]] = {
    "ListObjectsV2": {},
    "ListObjectVersions": {},
    "ListBuckets": {},
    "ListParts": {"Key": "k", "UploadId": "u"},
    "GetObjectTagging": {"Key": "k"},
    "GetObjectAttributes": {"Key": "k", "ObjectAttributes": ["ETag"]},
    "GetBucketLocation": {},
    "HeadObject": {"Key": "k"},
    "GetObject": {"Key": "k"},
    "PutObject": {"Key": "k"},
    "CopyObject": {"Key": "k", "CopySource": "b/k"},
    "CreateMultipartUpload": {"Key": "k"},
    "CompleteMultipartUpload": {"Key": "k", "UploadId": "u"},
    "DeleteObjects": {"Delete": {"Objects": [{"Key": "k"}]}},
}
DATES = (
    "Wed, 25 Nov 2026 10:00:00 GMT",
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 01 Jan 2024 00:00:00 +999999999999",
    "Mon, 01 Jan 2024 00:00:00 -99999",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "1",
    " ",
    ",",
    "Mon, 01 Jan 24 00:00",
    "2026-11-25T10:00:00Z",
)
RANGES = ("bytes 0-4/5", "bytes 3-4/5", "bytes */5", "bytes 0-4/*", "bytes 4-0/5", "bytes 0-9/5", "items 0-4/5", "")
METADATA = ("=?utf-8?b?w6Q=?=", "=?utf-8?b?a?=", "=?utf-8?q?=C3=A4?=", "=?nonsense?b?YQ==?=", "=?utf-8?x?a?=", "=??=")
CHECKSUMS = ("AAAAAA==", "AAAAAAAAAAA=", "a", "AAAA-3", "=", "ä", "AAAAAA==AAAAAA==")


@functools.cache
def session() -> Session:
    keys = {"access_key_id": "test", "secret_access_key": "testtest", "region": "us-east-1"}
    return Session(load({"endpoint_url": "http://127.0.0.1:9", **keys}))


@functools.cache
def request_of(operation: str) -> Any:
    params = OPERATIONS[operation]
    return session().serialize(operation, params if operation == "ListBuckets" else {"Bucket": "b", **params})


class Response:
    """As ``_native.Response``, of an answer that arrived."""

    error_code = 0
    error = error_message = failed_operation = validated = parts = None
    source_changed = truncated = in_doubt = False
    first = end = total = -1

    def __init__(self, status: int, headers: dict[str, str], body: bytes | None) -> None:
        self.status, self.headers, self.body = status, headers, body
        self.fields = list(headers.items())
        self.received = len(body or b"")

    def header(self, name: bytes) -> bytes | None:
        found = self.headers.get(name.decode().lower())
        return None if found is None else found.encode("latin-1", "replace")

    def take_body(self) -> bytes:
        body, self.body = self.body, None
        return body or b""


def headers_of(draw: Draw) -> dict[str, str]:
    """Headers as a server may send them; names in lower case. HTTP's own readers let no line break through."""
    odd = word(draw).decode("latin-1").translate({10: None, 13: None, 0: None}).strip()
    values: dict[str, Callable[[], str]] = {
        "content-length": lambda: number(draw),
        "content-range": lambda: draw.one_of((*RANGES, f"bytes {number(draw)}-{number(draw)}/{number(draw)}")),
        "etag": lambda: draw.one_of(('"e"', "", '"', odd)),
        "last-modified": lambda: draw.one_of((*DATES, odd)),
        "x-amz-meta-a": lambda: draw.one_of((*METADATA, odd)),
        "x-amz-meta-": lambda: odd,
        "x-amz-restore": lambda: f'ongoing-request="{odd}", expiry-date="{draw.one_of(DATES)}"',
        "x-amz-checksum-crc32": lambda: draw.one_of(CHECKSUMS),
        "x-amz-checksum-crc64nvme": lambda: draw.one_of(CHECKSUMS),
        "x-amz-checksum-sha256": lambda: draw.one_of(CHECKSUMS),
        "x-amz-checksum-type": lambda: draw.one_of(("FULL_OBJECT", "COMPOSITE", odd)),
        "retry-after": lambda: number(draw),
        "x-amz-bucket-region": lambda: draw.one_of(("eu-west-1", odd)),
        "x-amz-version-id": lambda: odd,
        "x-amz-mp-parts-count": lambda: number(draw),
        "x-amz-delete-marker": lambda: odd,
        "x-amz-missing-meta": lambda: number(draw),
        "expires": lambda: draw.one_of(DATES),
        "transfer-encoding": lambda: draw.one_of(("chunked", "identity", odd)),
    }
    names = list(values)
    return {name: values[name]() for name in {draw.one_of(names) for _ in range(draw.below(8))}}


def ours(call: Callable[[], Any]) -> Any:
    """What it returns, or the error of ours that it raises; those can be shown and sent to another process."""
    try:
        return call()
    except errors.ObjectFSError as caught:
        error = caught
    assert str(error)
    assert pickle.loads(pickle.dumps(error)).fields() == error.fields()
    return error


def failed(result: Any) -> bool:
    return isinstance(result, Exception)


# -- headers ---------------------------------------------------------------------------------------------------------
def check_headers(data: bytes) -> None:
    draw = Draw(data)
    headers = headers_of(draw)
    size = answers.total_size(headers)
    assert size is None or size >= 0
    info = answers.object_info("b", "k", headers)
    assert info.size >= 0
    assert repr(info)
    pickle.loads(pickle.dumps(info))
    answers.put_result(headers)
    found = answers.content_range(headers)
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("content-range", ""), re.ASCII)
    if found is not None:
        assert match is not None
        assert found == (int(match[1]), int(match[2]) + 1, int(match[3]))
        assert 0 <= found[0] < found[1] <= found[2]
    start = draw.below(10) - 3
    end = None if start < 0 or draw.chance(2) else start + 1 + draw.below(10)
    checked = ours(lambda: answers.check_range(headers, start, end))
    if not failed(checked):
        assert checked == found
        assert start < 0 or (checked[0] == start and (end is None or checked[1] <= end))
    assert 0 <= retrying.retry_after(headers) < 10**9
    known = digests.reported(headers)
    content = draw.rest(8)
    if known is not None and not failed(ours(lambda: digests.check_content(known, [content], "GetObject", "b", "k"))):
        digest = digests.Digest(known.algorithm)
        digest.update(content)
        assert digest.value() == known.value
    status = draw.one_of(STATUSES)
    error = answers.errors.from_response("GetObject", status=status, code=None, bucket="b", key="k", headers=headers)
    assert ours(lambda: _raise(error)) is error
    response: Any = Response(status, headers, content)
    assert crt_answers.object_size(response) >= 0
    ours(lambda: crt_answers.answered(response, "b", "k", start, end, len(content), draw.chance(2)))


def _raise(error: Exception) -> None:
    raise error


# -- documents -------------------------------------------------------------------------------------------------------
def check_documents(data: bytes) -> None:
    """What the crt backend reads itself of answers to what stores, copies and deletes."""
    draw = Draw(data)
    document = make(draw, draw.one_of(list(DOCUMENTS)))
    response: Any = Response(draw.one_of(STATUSES), headers_of(draw), document if draw.below(8) else None)
    root = root_of(document) if response.body else None
    refused = crt_answers.refused(response)
    if response.body and not refused:
        assert root is not None
        assert root.tag.rpartition("}")[2] != "Error"
    whose: Any = SimpleNamespace(bucket="b", key="k")
    deleted = ours(lambda: crt_delete.DeleteVerbs.refusals(whose, "b", (response,)))
    if not failed(deleted):
        assert root is not None or not response.body
        named = [] if root is None else [child for child in root if child.tag.rpartition("}")[2] == "Error"]
        assert len(deleted) == len(named)
        assert root is None or root.tag.rpartition("}")[2] == "DeleteResult"
        for item in deleted:
            ours(lambda item=item: _raise(answers.delete_failure("b", item)))  # type: ignore[misc]
    ours(lambda: crt_copy._copied(response, "CopyObject", "b", "k"))
    creating: Any = SimpleNamespace(result=lambda: (response,))
    upload_id = ours(lambda: crt_upload.Upload._created(whose, creating))
    assert failed(upload_id) or re.fullmatch(r"[A-Za-z0-9%._~-]+", upload_id)
    ours(lambda: _raise(failure(response, "PutObject", "b", "k")))


def root_of(document: bytes) -> Any:
    """Its first element, by a parser of XML; None if it is none."""
    try:
        return ET.fromstring(document, ET.XMLParser(encoding="utf-8"))
    except (ET.ParseError, ValueError, LookupError):
        return None


# -- what botocore reads ---------------------------------------------------------------------------------------------
def read(operation: str, status: int, headers: dict[str, str], body: bytes) -> Any:
    """An answer as ``call`` gives it, or the error."""
    response: Any = Response(status, headers, body)
    return ours(lambda: CallVerbs._read(None, request_of(operation), response))  # type: ignore[arg-type]


def check_calls(data: bytes) -> None:
    draw = Draw(data)
    operation = draw.one_of(list(OPERATIONS))
    name = draw.one_of((operation, operation, *DOCUMENTS)) if operation in DOCUMENTS else draw.one_of(list(DOCUMENTS))
    document = make(draw, name)
    headers = headers_of(draw)
    if draw.below(4):
        headers.pop("content-length", None)
    found = read(operation, draw.one_of(STATUSES), headers, document)
    assert failed(found) or isinstance(found, dict)


# -- listings --------------------------------------------------------------------------------------------------------
def check_listing(data: bytes) -> None:
    """Three readers of one document: ours, botocore's, and a parser of XML. Whoever reads it reads the same."""
    draw = Draw(data)
    versions = draw.chance(3)
    name = "ListObjectVersions" if versions else draw.one_of(("ListObjectsV2", "encoded"))
    # XML has bare carriage returns read as newlines. Ours leaves them: who does not escape them has them in his keys
    document = make(draw, name).replace(b"\r", b"\n")
    mine = listings.native(document, versions)
    reference = listings.reference(document, versions)
    if mine is not None and reference is not None:
        assert listings.equal(mine, reference), f"{mine}\nnot {reference}\nin {document!r}"
    operation = "ListObjectVersions" if versions else "ListObjectsV2"
    answer = read(operation, 200, {}, document)
    if failed(answer):
        return
    order = re.findall(rb"<(Version|DeleteMarker)[\s>]", document)
    theirs = ours(lambda: listings.botocores(answer, order, versions))
    if mine is not None and reference is not None and not failed(theirs):
        assert listings.equal(mine, theirs), f"{mine}\nnot {theirs}\nin {document!r}"


# -- event streams ---------------------------------------------------------------------------------------------------
def check_events(data: bytes) -> None:
    """All events that were sent, or an error: what is missing is never taken for the end."""
    draw = Draw(data)
    sent, spoiled, whole = events.stream(draw)
    source = events.source(session())
    found = ours(lambda: list(events.read(spoiled, source)))
    if not failed(found):
        assert spoiled == sent or not events.needs_error(found), found
        assert not whole or spoiled != sent or len(found) >= 1


# -- journals --------------------------------------------------------------------------------------------------------
@functools.cache
def _folder() -> Any:
    return tempfile.TemporaryDirectory(prefix="objectfs-fuzz-")  # goes with the process


def check_journal(data: bytes) -> None:
    """A journal beside a file may have been written by anything."""
    from objectfs.backends.resume_get import _spans
    from objectfs.backends.resume_put import _upload_of

    draw = Draw(data)
    records: list[Any] = [
        {"format": 1, "kind": "get", "size": 5},
        [0, 5, 7],
        {"upload_id": "u", "part_size": 5 << 20, "algorithm": None},
        [[]],
        {"upload_id": 1, "part_size": True},
        [0, "5", None],
        [-1, 1e400, 5],
        "x",
        {"format": 2},
    ]
    content = b"".join(_line(draw.one_of(records)) for _ in range(draw.below(4) + 1))
    while draw.chance(2):
        at = draw.below(len(content) + 1)
        content = content[:at] + word(draw) + content[at + draw.below(30) :]
    path = Path(_folder().name) / "journal"
    path.write_bytes(content)
    try:
        found = Journal(str(path)).read()
        assert found is not None
        bound, rest = found
        assert isinstance(bound, dict)
        _upload_of(rest)
        for start, end, check in _spans(rest):
            assert type(start) is type(end) is type(check) is int
    except Untrusted:
        pass


PARSERS: dict[str, Callable[[bytes], None]] = {
    "headers": check_headers,
    "documents": check_documents,
    "calls": check_calls,
    "listing": check_listing,
    "events": check_events,
    "journal": check_journal,
}
assert sdk_listing  # imported for the coverage that guides
