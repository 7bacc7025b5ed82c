"""What fuzzing has found, on both backends: docs/design/0021-fuzzing.md"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .raw_server import Asked, RawServer, answer
from .support import MiB, check

ETAG = ("ETag", '"e"')
XHTML = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>Please log in</p></body></html>'


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +999999999999",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "1e400",
    ],
)
def test_dates_beyond_all_calendars(connect: Make, date: str) -> None:
    """OverflowError and RuntimeError came out of head() and list()."""

    def dated(asked: Asked) -> bytes:
        if asked.method == "HEAD":
            return answer(200, [ETAG, ("Last-Modified", date), ("x-amz-restore", f'expiry-date="{date}"')], length=5)
        entry = f"<Contents><Key>k</Key><LastModified>{date}</LastModified><Size>5</Size></Contents>"
        return answer(200, [], f"<ListBucketResult><Name>bucket</Name>{entry}</ListBucketResult>".encode())

    with RawServer(dated) as server:
        client = connect(endpoint_url=server.url)
        assert client.head("bucket", "k").size == 5
        assert [entry.key for entry in client.list("bucket")] == ["k"]


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_listing_from_another_age(connect: Make, date: str) -> None:
    """OverflowError came out of sdk's list()."""
    entry = f"<Contents><Key>k</Key><LastModified>{date}</LastModified><Size>5</Size></Contents>"
    body = f"<ListBucketResult><Name>bucket</Name>{entry}</ListBucketResult>".encode()
    with RawServer(lambda asked: answer(200, [], body)) as server:
        assert [entry.key for entry in connect(endpoint_url=server.url).list("bucket")] == ["k"]


@pytest.mark.parametrize("value", ["=?utf-8?b?a?=", "=?utf-8?b?====?=", "=?nonsense?b?YQ==?=", "=??="])
def test_metadata_that_is_no_encoded_word(connect: Make, value: str) -> None:
    """HeaderParseError came out of every download of such an object."""
    head = [ETAG, ("x-amz-meta-a", value), ("Content-Range", "bytes 0-4/5")]
    with RawServer(lambda asked: answer(206 if asked.headers.get("range") else 200, head, b"hello")) as server:
        client = connect(endpoint_url=server.url)
        got = client.get("bucket", "k")
        assert bytes(got) == b"hello"
        assert isinstance(got.info.metadata["a"], str)


def calls(client: objectfs.Client) -> dict[str, Callable[[], Any]]:
    return {
        "PutObject": lambda: client.put("bucket", "k", b"x"),
        "DeleteObject": lambda: client.delete("bucket", "k"),
        "DeleteObjects": lambda: client.delete_many("bucket", ["k"]),
    }


@pytest.mark.parametrize("operation", ["PutObject", "DeleteObject", "DeleteObjects"])
def test_a_page_that_is_well_formed(connect: Make, operation: str) -> None:
    """What somebody on the way says under 200 passed for a success, if it was XHTML."""
    with RawServer(lambda asked: answer(200, [ETAG], XHTML)) as server:
        with pytest.raises(errors.ServerError) as caught:
            calls(connect(endpoint_url=server.url))[operation]()
        check(caught.value, operation, "bucket", None if operation == "DeleteObjects" else "k", 200)


@pytest.mark.parametrize("operation", ["PutObject", "DeleteObject", "DeleteObjects"])
def test_an_error_under_another_success(connect: Make, operation: str) -> None:
    """Under 206, it passed for a success on sdk: botocore looks for it under 200 only."""
    error = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    with RawServer(lambda asked: answer(206, [ETAG], error)) as server:
        with pytest.raises(errors.AccessDeniedError) as caught:
            calls(connect(endpoint_url=server.url))[operation]()
        check(caught.value, operation, "bucket", None if operation == "DeleteObjects" else "k", 206)


@pytest.mark.parametrize("body", [b"", b"<Other/>"])
def test_no_answer_to_a_deletion(connect: Make, body: bytes) -> None:
    """Nothing, or another document, was taken for 'all deleted'."""
    with RawServer(lambda asked: answer(200, [], body)) as server:
        with pytest.raises(errors.ServerError) as caught:
            connect(endpoint_url=server.url).delete_many("bucket", ["k"])
        check(caught.value, "DeleteObjects", "bucket", None, 200)


@pytest.mark.parametrize("encoding", ["nonsense", "utf-7", "utf-16"])
def test_a_document_of_another_encoding(connect: Make, encoding: str) -> None:
    """S3's are UTF-8. What is said of that came out of crt's deletions as LookupError and ValueError."""
    error = "<Error><Key>k</Key><Code>AccessDenied</Code></Error>"
    body = f'<?xml version="1.0" encoding="{encoding}"?><DeleteResult>{error}</DeleteResult>'.encode()
    with RawServer(lambda asked: answer(200, [], body)) as server:
        failures = connect(endpoint_url=server.url).delete_many("bucket", ["k"])
        assert [type(failure) for failure in failures.values()] == [errors.AccessDeniedError]


@pytest.mark.parametrize("value", ["a", "\xff", "AAAA=A=="])
def test_a_checksum_that_is_none(connect: Make, value: str) -> None:
    """binascii.Error came out of sdk's downloads."""
    head = [ETAG, ("x-amz-checksum-crc32", value), ("Content-Range", "bytes 0-4/5")]
    with RawServer(lambda asked: answer(206 if asked.headers.get("range") else 200, head, b"hello")) as server:
        try:
            content = bytes(connect(endpoint_url=server.url).get("bucket", "k"))
        except (errors.ChecksumError, errors.ServerError) as error:
            check(error, "GetObject", "bucket", "k", None)
        else:
            assert content == b"hello"


def reads(client: objectfs.Client, folder: Path) -> dict[str, Callable[[], Any]]:
    return {
        "get": lambda: client.get("bucket", "k"),
        "get_into": lambda: client.get_into("bucket", "k", bytearray(4 * MiB)),
        "get_file": lambda: client.get_file("bucket", "k", folder / "got"),
        "call": lambda: client.call("GetObject", Bucket="bucket", Key="k"),
    }


@pytest.mark.parametrize("read", ["get", "get_into", "get_file", "call"])
@pytest.mark.parametrize("size", [b"FFFFFFFFFFFFFFFF", b"FFFFFFFFFFFFFFFFFF", b"FFFFFFFFFFFF", b"-5"])
def test_a_chunk_of_all_there_is(connect: Make, tmp_path: Path, size: bytes, read: str) -> None:
    """OverflowError came out of sdk's downloads; MemoryError, of a chunk that is only larger than the machine."""
    chunked = [ETAG, ("Transfer-Encoding", "chunked")]
    with RawServer(lambda asked: answer(200, chunked, size + b"\r\nhello", length=None)) as server:
        with pytest.raises((errors.ConnectionFailedError, errors.TruncatedError)) as caught:
            reads(connect(endpoint_url=server.url), tmp_path)[read]()
        check(caught.value, "GetObject", "bucket", "k", None)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", ["get", "call"])
def test_chunks_of_other_sizes_than_what_is_read_at_once(connect: Make, tmp_path: Path, read: str) -> None:
    content = bytes(range(251)) * 10_000
    pieces = [content[:1], content[1 : 1 + MiB], content[1 + MiB :]]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    chunked = [ETAG, ("Transfer-Encoding", "chunked")]
    with RawServer(lambda asked: answer(200, chunked, body, length=None)) as server:
        got = reads(connect(endpoint_url=server.url), tmp_path)[read]()
        assert (got["Body"].read() if read == "call" else bytes(got)) == content


def test_an_entry_with_two_keys(connect: Make) -> None:
    """sdk gave a list of elements as the key."""
    body = b"<ListBucketResult><Contents><Key>a</Key><Key>b</Key><Size>1</Size></Contents></ListBucketResult>"
    with RawServer(lambda asked: answer(200, [], body)) as server:
        with pytest.raises(errors.ServerError) as caught:
            list(connect(endpoint_url=server.url).list("bucket"))
        check(caught.value, "ListObjectsV2", "bucket", None, 200)


@pytest.mark.parametrize("url", [False, True], ids=["plain", "url"])
@pytest.mark.parametrize("declared", ["UTF-8", "ISO-8859-1"])
@pytest.mark.parametrize(
    ("key", "read"),
    [
        (b"%C3%A9" + "é".encode(), "éé"),
        (b"%C3%A9" + b"\xe9", None),
        (b"&amp;%C3%A9" + b"\xe9", None),
        (b"&#xD800;%C3%A9", None),
        (b"%E9", "\ufffd"),
    ],
)
def test_a_listing_in_another_encoding(connect: Make, url: bool, declared: str, key: bytes, read: str | None) -> None:
    """S3's are UTF-8, whatever is declared; bytes that are none came out of crt's listing replaced, as another name,
    if there was an escape beside them. A key of other bytes can be named by escapes alone; it is shown as botocore
    does."""
    head = f'<?xml version="1.0" encoding="{declared}"?>'.encode()
    encoded = b"<EncodingType>url</EncodingType>" if url else b""
    entry = b"<Contents><Key>" + key + b"</Key><Size>1</Size></Contents>"
    body = head + b"<ListBucketResult>" + encoded + entry + b"</ListBucketResult>"
    with RawServer(lambda asked: answer(200, [], body)) as server:
        client = connect(endpoint_url=server.url)
        if read is None:
            with pytest.raises(errors.ServerError) as caught:
                list(client.list("bucket"))
            check(caught.value, "ListObjectsV2", "bucket", None, 200)
        else:
            assert [entry.key for entry in client.list("bucket")] == [read if url else key.decode()]


def test_a_page_instead_of_a_listing(connect: Make) -> None:
    """Under another status than 200, sdk took it for an empty listing."""
    with RawServer(lambda asked: answer(206, [], XHTML)) as server, pytest.raises(errors.ServerError):
        list(connect(endpoint_url=server.url).list("bucket"))


ENTRY = "<Contents><Key>{}</Key><Size>5</Size></Contents>"


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (ENTRY.format("<![CDATA[a<b]]>"), ["a<b"]),
        (ENTRY.format("a<!-- -->b"), ["ab"]),
        ("<!-- " + ENTRY.format("no") + " -->" + ENTRY.format("yes"), ["yes"]),
        ('<Contents a="b"><Key>k</Key><Size>5</Size></Contents>', ["k"]),
        ("<Contents ><Key>k</Key><Size>5</Size></Contents>", ["k"]),
        ('<Contents><Key a="b">k</Key><Size>5</Size></Contents>', ["k"]),
        ("<Contents><Key>k</Key><Size>5</Size><Extra><Key>other</Key></Extra></Contents>", ["k"]),
        ("<Contents><Key>k</Key><Size>5</Size></Contents ><Contents><Key>l</Key><Size>6</Size></Contents>", ["k", "l"]),
        (ENTRY.format("a&nbsp;b"), None),
        (ENTRY.format("a & b"), None),
        (ENTRY.format("k") + "<IsTruncated >true</IsTruncated>", None),
        (ENTRY.format("k") + '<IsTruncated a="b">true</IsTruncated>', None),
    ],
)
def test_a_listing_that_can_be_read_in_two_ways(connect: Make, content: str, keys: list[str] | None) -> None:
    """Read as XML is read, or refused. The native reader took the inside of comments for entries, gave keys without
    their CDATA sections, and took listings whose IsTruncated has an attribute for the last page."""
    body = f"<ListBucketResult><Name>bucket</Name>{content}</ListBucketResult>".encode()
    with RawServer(lambda asked: answer(200, [], body)) as server:
        try:
            found = [entry.key for entry in connect(endpoint_url=server.url).list("bucket")]
        except errors.ServerError as error:
            check(error, "ListObjectsV2", "bucket", None, 200)
        else:
            assert found == keys


@pytest.mark.parametrize(
    "content",
    [
        "<DeleteMarker><VersionId>v</VersionId></DeleteMarker>",
        "<CommonPrefixes></CommonPrefixes>",
        '<Version a="b"><Key>k</Key><Size>5</Size></Version>',
        "<!-- <DeleteMarker> --><Version><Key>k</Key><Size>5</Size></Version>",
    ],
)
def test_versions_that_can_be_read_in_two_ways(connect: Make, content: str) -> None:
    """KeyError came out of sdk's list_versions(), which left out versions whose tag has attributes."""
    body = f"<ListVersionsResult><Name>bucket</Name>{content}</ListVersionsResult>".encode()
    with RawServer(lambda asked: answer(200, [], body)) as server:
        try:
            found = [entry.key for entry in connect(endpoint_url=server.url).list_versions("bucket")]
        except errors.ServerError as error:
            check(error, "ListObjectVersions", "bucket", None, 200)
        else:
            assert found == ["k"]


@pytest.mark.parametrize("said", [b'HTTP/1.1 200 X\r\nETag: "0123', b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"])
def test_a_head_that_is_broken_before_the_body_was_sent(connect: Make, said: bytes) -> None:
    """botocore asks whether it may send that, and read such an answer with a class of its own: sdk's put() was done."""

    class Early(RawServer):
        def serve(self, connection: socket.socket) -> None:
            connection.settimeout(5)
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536)
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    with Early(lambda asked: b"") as server:
        with pytest.raises((errors.ConnectionFailedError, errors.TruncatedError)) as caught:
            connect(endpoint_url=server.url).put("bucket", "k", b"x" * 1000)
        check(caught.value, "PutObject", "bucket", "k", None)


def test_an_object_of_no_known_size(connect: Make) -> None:
    """HEAD's answer without a length was that of an empty object: open() read nothing, and said that that was all."""

    def unknown(asked: Asked) -> bytes:
        if asked.method == "HEAD":
            return answer(200, [ETAG, ("Transfer-Encoding", "chunked")], length=None)
        return answer(206, [ETAG], b"hello")  # no range is named, so that the size has to be asked for

    with RawServer(unknown) as server:
        client = connect(endpoint_url=server.url)
        with pytest.raises(errors.ServerError) as caught:
            client.head("bucket", "k")
        check(caught.value, "HeadObject", "bucket", "k", 200)
        with pytest.raises(errors.ObjectFSError), client.open("bucket", "k") as file:
            file.read()


def test_what_an_attempt_that_failed_leaves_in_a_buffer(connect: Make) -> None:
    """The content is whole; behind it may lie what came of a larger object before. Nobody writes further."""

    def replaced(asked: Asked) -> bytes:
        size, sent = (1500, b"a" * 1400) if len(server.asked) == 1 else (1000, b"b" * 1000)
        head = [("ETag", f'"{size}"')]
        if "range" in asked.headers:
            head.append(("Content-Range", f"bytes 0-{size - 1}/{size}"))
        return answer(206 if "range" in asked.headers else 200, head, sent, length=size)

    with RawServer(replaced) as server:
        buffer = bytearray(b"#" * 2000)
        assert connect(endpoint_url=server.url, max_attempts=2).get_into("bucket", "k", buffer) == 1000
        assert len(server.asked) == 2
        assert buffer[:1000] == b"b" * 1000
        assert not buffer[1000:].strip(b"a#")
        assert buffer[1400:] == b"#" * 600


def test_a_delete_marker_with_content(connect: Make) -> None:
    """crt had the size, ETag and class that are said of it; botocore knows of none."""
    said = "<Size>7</Size><ETag>e</ETag><StorageClass>GLACIER</StorageClass>"
    restored = "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
    marker = f"<DeleteMarker><Key>k</Key><VersionId>v</VersionId>{said}{restored}</DeleteMarker>"
    body = f"<ListVersionsResult><Name>bucket</Name>{marker}</ListVersionsResult>".encode()
    with RawServer(lambda asked: answer(200, [], body)) as server:
        (found,) = connect(endpoint_url=server.url).list_versions("bucket")
        assert isinstance(found, objectfs.ObjectVersion)
        assert (found.key, found.version_id, found.is_delete_marker) == ("k", "v", True)
        assert (found.size, found.etag, found.storage_class, found.restore_in_progress) == (0, None, None, None)


def test_pages_in_a_circle(connect: Make) -> None:
    """The listing had no end."""

    def page(asked: Asked) -> bytes:
        token = asked.target.partition("continuation-token=")[2][:1]
        following = {"": "a", "a": "b", "b": "c", "c": "a"}[token]
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{following}</NextContinuationToken>"
        return answer(200, [], f"<ListBucketResult><Name>b</Name>{more}</ListBucketResult>".encode())

    with RawServer(page) as server:
        with pytest.raises(errors.ServerError) as caught:
            list(connect(endpoint_url=server.url).list("bucket"))
        assert caught.value.operation == "ListObjectsV2"
        assert len(server.asked) < 20


def test_a_bucket_without_a_name(connect: Make) -> None:
    buckets = b"<Buckets><Bucket><CreationDate>x</CreationDate></Bucket></Buckets>"
    body = b"<ListAllMyBucketsResult>" + buckets + b"</ListAllMyBucketsResult>"
    with RawServer(lambda asked: answer(200, [], body)) as server:
        with pytest.raises(errors.ServerError) as caught:
            list(connect(endpoint_url=server.url).list_buckets())
        assert caught.value.operation == "ListBuckets"


def test_an_error_with_a_checksum(connect: Make) -> None:
    """botocore takes the header for that of a stream: AttributeError came out of call()."""
    head = [("x-amz-checksum-crc32", "AAAAAA==")]
    with RawServer(lambda asked: answer(500, head, b"<Error><Code>InternalError</Code></Error>")) as server:
        client = connect(endpoint_url=server.url)
        for get in (
            lambda: client.call("GetObject", Bucket="bucket", Key="k", ChecksumMode="ENABLED"),
            lambda: client.get("bucket", "k"),
        ):
            with pytest.raises(errors.ServerError) as caught:
                get()
            check(caught.value, "GetObject", "bucket", "k", 500)


def test_names_that_are_no_text(sim: S3Server, connect: Make, tmp_path: Path) -> None:
    """UnicodeDecodeError came out of crt's copies and uploads in parts."""
    client = connect()
    client.put("bucket", "k", b"hello")
    sim.faults.add(Fault("CopyObject", times=None, body=b"<CopyObjectResult><ETag>\xff</ETag></CopyObjectResult>"))
    try:
        client.copy("bucket", "k", "bucket", "l")
    except errors.ServerError as error:
        check(error, "CopyObject", "bucket", "l", 200)
    upload = b"<InitiateMultipartUploadResult><UploadId>\xff</UploadId></InitiateMultipartUploadResult>"
    sim.faults.add(Fault("CreateMultipartUpload", times=None, body=upload))
    with pytest.raises(errors.ServerError) as caught:
        client.put("bucket", "l", bytes(20 * MiB))
    check(caught.value, "CreateMultipartUpload", "bucket", "l", 200)


@pytest.mark.parametrize("parts", ["<Part><Size>5</Size></Part>", "<NextPartNumberMarker>{}</NextPartNumberMarker>"])
def test_parts_of_an_upload_that_is_gone_on_with(sim: S3Server, connect: Make, tmp_path: Path, parts: str) -> None:
    """A part without its number came out as KeyError; markers that go up and down again had no end."""
    path = tmp_path / "file"
    path.write_bytes(bytes(11 * MiB))
    client = connect(part_size=5 * MiB)
    cut = sim.faults.add(Fault("UploadPart", times=None, after=1, status=403, code="AccessDenied"))
    with pytest.raises(errors.AccessDeniedError):
        client.put_file("bucket", "k", path, resume=True)
    sim.faults.remove(cut)
    for number in range(6):
        more = parts.format(1 + number % 2) + "<IsTruncated>true</IsTruncated>"
        sim.faults.add(Fault("ListParts", body=f"<ListPartsResult>{more}</ListPartsResult>".encode()))
    client.put_file("bucket", "k", path, resume=True)
    assert bytes(client.get("bucket", "k")) == bytes(11 * MiB)
    assert sum(request.operation == "ListParts" for request in sim.requests) <= 4


def test_a_bomb(connect: Make) -> None:
    """Entities of entities: 10 TB of text if somebody wrote them out."""
    names = "abcdefghijkl"
    entities = '<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in itertools.pairwise(names)
    )
    bomb = f"<!DOCTYPE z [{entities}]>"
    document = "<{0}><Name>b</Name><Contents><Key>&l;</Key><Size>1</Size></Contents></{0}>"

    def explode(asked: Asked) -> bytes:
        name = "DeleteResult" if asked.method == "POST" else "ListBucketResult" if asked.method == "GET" else "Error"
        return answer(200, [ETAG], (bomb + document.format(name)).encode())

    with RawServer(explode) as server:
        client = connect(endpoint_url=server.url)
        began = time.process_time()
        for call in (*calls(client).values(), lambda: list(client.list("bucket"))):
            with pytest.raises(errors.ServerError):
                call()
        assert time.process_time() - began < 60


HASTY = 6 * MiB
"""Bytes: too many to be written before somebody reads."""


class Hasty:
    """Answers a PUT of that size, and the next request that nobody has made, before it reads the first one's body."""

    def __init__(self, wire: bytes) -> None:
        self.wire = wire
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Hasty:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(1)
                    received = b""
                    while b"\r\n\r\n" not in received and (piece := connection.recv(1000)):
                        received += piece
                    connection.sendall(self.wire)
                    left = HASTY - 1000
                    while left > 0 and (piece := connection.recv(1 << 20)):
                        left -= len(piece)


@pytest.mark.parametrize("second", ["ETag: x\r\nContent-Length: 0", "ETag: x", "Content-Length: 1\r\n\r\nx"])
def test_an_answer_behind_the_answer(connect: Make, second: str) -> None:
    """crt took a refusal for a success: what followed it, before the request was written, counted as its own. (Of
    small requests, the error document and the next answer's body were the content of an object.)"""
    wire = f"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n{second}\r\n\r\n"
    with Hasty(wire.encode()) as server:
        client = connect(endpoint_url=server.url, max_attempts=2)
        with pytest.raises((errors.AccessDeniedError, errors.ConnectionFailedError)):
            client.put("bucket", "k", bytes(HASTY), timeout=60)
