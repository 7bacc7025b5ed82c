"""Answers that are well-formed HTTP and say something else than what was asked for. Their bytes are the wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .raw_server import Asked, RawServer, answer
from .support import MiB, check, ramp

DATA = ramp(1000)
ETAG = ("ETag", '"e"')


def ranged(
    asked: Asked, start: int = 0, end: int = 0, content_range: str = "bytes {0}-{1}/1000", size: int = 1000
) -> bytes:
    """The range that is asked for, its ends moved."""
    if asked.method == "HEAD":
        return answer(200, [ETAG], length=size)
    if "range" not in asked.headers:
        return answer(200, [ETAG], DATA)
    first, stop = asked.range(size)
    first, stop = min(first + start, 999), max(first + start + 1, min(stop + end, 1000))
    return answer(206, [ETAG, ("Content-Range", content_range.format(first, stop - 1))], DATA[first:stop])


READS: dict[str, tuple[Callable[[objectfs.Client, Path], bytes], bytes]] = {
    "get": (lambda c, _: bytes(c.get("bucket", "k")), DATA),
    "get range": (lambda c, _: bytes(c.get("bucket", "k", 3, 9)), DATA[3:9]),
    "get rest": (lambda c, _: bytes(c.get("bucket", "k", 3)), DATA[3:]),
    "get suffix": (lambda c, _: bytes(c.get("bucket", "k", -7)), DATA[-7:]),
    "get_into": (lambda c, _: into(c), DATA),
    "get_into range": (lambda c, _: into(c, 3, 9), DATA[3:9]),
    "get_into rest": (lambda c, _: into(c, 3), DATA[3:]),
    "get_into suffix": (lambda c, _: into(c, -7), DATA[-7:]),
    "get_file": (lambda c, path: (c.get_file("bucket", "k", path), path.read_bytes())[1], DATA),
    "get_file range": (lambda c, path: (c.get_file("bucket", "k", path, 3, 9), path.read_bytes())[1], DATA[3:9]),
    "get_many": (lambda c, _: bytes(c.get_many("bucket", ["k"])[0]), DATA),
    "get_ranges": (lambda c, _: b"".join(map(bytes, c.get_ranges("bucket", "k", [(3, 9)]))), DATA[3:9]),
}


def into(client: objectfs.Client, *bounds: int) -> bytes:
    target = bytearray(b"#" * 2000)
    count = client.get_into("bucket", "k", target, *bounds)
    assert target[count:] == b"#" * (2000 - count)
    return bytes(target[:count])


def whole(read: str) -> bool:
    return read in ("get", "get_into", "get_file", "get_many")


ANSWERS: dict[str, Callable[[Asked], bytes]] = {
    "right": ranged,
    "later": lambda asked: ranged(asked, 5, 5),
    "earlier": lambda asked: ranged(asked, -1, -1),
    "longer": lambda asked: ranged(asked, 0, 10),
    "shorter": lambda asked: ranged(asked, 0, -3),
    "no range": lambda asked: answer(200, [ETAG], DATA if asked.method == "GET" else b"", length=1000),
    "206 without Content-Range": lambda asked: answer(206, [ETAG], DATA[slice(*asked.range(1000))]),
    "unknown size": lambda asked: ranged(asked, content_range="bytes {0}-{1}/*"),
    "no numbers": lambda asked: ranged(asked, content_range="bytes a-b/c"),
    "other unit": lambda asked: ranged(asked, content_range="items {0}-{1}/1000"),
    "backwards": lambda asked: ranged(asked, content_range="bytes {1}-{0}/1000"),
    "beyond its size": lambda asked: ranged(asked, content_range="bytes {0}-{1}/{1}"),
    "huge": lambda asked: ranged(asked, content_range="bytes {0}-{1}/99999999999999999999999999"),
    "no length": lambda asked: answer(206, [ETAG, ("Content-Range", "bytes 0-999/1000")], DATA, length=None),
}


@pytest.mark.parametrize("sent", ANSWERS)
def test_another_range(connect: Make, tmp_path: Path, sent: str) -> None:
    path = tmp_path / "file"
    with RawServer(ANSWERS[sent]) as server:
        client = connect(endpoint_url=server.url)
        for read, (run, expected) in READS.items():
            path.unlink(missing_ok=True)
            try:
                content = run(client, path)
            except (errors.ServerError, errors.UnsupportedError, errors.TruncatedError) as error:
                assert sent != "right", read
                assert sent != "no range" or not whole(read), read
                check(error, "GetObject", "bucket", "k", None)
                assert list(tmp_path.iterdir()) == [], read
            else:
                assert content == expected, read


def test_an_endpoint_without_ranges(connect: Make, tmp_path: Path) -> None:
    with RawServer(ANSWERS["no range"]) as server:
        client = connect(endpoint_url=server.url)
        for read, (run, _) in READS.items():
            if not whole(read):
                with pytest.raises(errors.UnsupportedError):
                    run(client, tmp_path / "file")


@pytest.mark.parametrize("missing", [1, 6])
def test_fewer_bytes_than_announced(connect: Make, tmp_path: Path, missing: int) -> None:
    """Content-Range promises what the body does not hold."""

    def short(asked: Asked) -> bytes:
        if asked.method == "HEAD":
            return answer(200, [ETAG], length=1000)
        start, end = asked.range(1000)
        return answer(206, [ETAG, ("Content-Range", f"bytes {start}-{end - 1}/1000")], DATA[start : end - missing])

    with RawServer(short) as server:
        client = connect(endpoint_url=server.url)
        for run, _ in READS.values():
            with pytest.raises(errors.TruncatedError) as caught:
                run(client, tmp_path / "file")
            check(caught.value, "GetObject", "bucket", "k", None)
            assert list(tmp_path.iterdir()) == []


def test_a_short_part_of_a_large_object(connect: Make, tmp_path: Path) -> None:
    """The parts behind the first go straight into memory or the file: a short one leaves a gap of old bytes."""
    data = ramp(20 * MiB)

    def short(asked: Asked) -> bytes:
        if asked.method == "HEAD":
            return answer(200, [ETAG], length=len(data))
        start, end = asked.range(len(data))
        headers = [ETAG, ("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")]
        return answer(206 if "range" in asked.headers else 200, headers, data[start : end - (start > 0)])

    with RawServer(short) as server:
        client = connect(endpoint_url=server.url, part_size=5 * MiB)
        for read in (
            lambda: client.get("bucket", "k"),
            lambda: client.get_into("bucket", "k", bytearray(len(data))),
            lambda: client.get_file("bucket", "k", tmp_path / "file"),
            lambda: client.get_ranges("bucket", "k", [(1, len(data))]),
        ):
            with pytest.raises(errors.ObjectFSError) as caught:
                read()
            assert isinstance(caught.value, (errors.TruncatedError, errors.ServerError))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("chunked", [True, False])
def test_truncated(connect: Make, tmp_path: Path, chunked: bool) -> None:
    def cut(asked: Asked) -> bytes:
        if asked.method == "HEAD":
            return answer(200, [ETAG], length=1000)
        headers = [ETAG, ("Content-Range", "bytes 0-999/1000")] if "range" in asked.headers else [ETAG]
        status = 206 if "range" in asked.headers else 200
        if chunked:  # all but the last chunk, which says that there is no more
            headers.append(("Transfer-Encoding", "chunked"))
            return answer(status, headers, b"3e8\r\n" + DATA + b"\r\n", length=None)
        return answer(status, headers, DATA[:500], length=1000)

    with RawServer(cut) as server:
        client = connect(endpoint_url=server.url)
        for read, (run, _) in READS.items():
            if whole(read):
                with pytest.raises(errors.TruncatedError) as caught:
                    run(client, tmp_path / "file")
                check(caught.value, "GetObject", "bucket", "k", None)
                assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("first", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_interim_answers(connect: Make, first: str) -> None:
    interim = f"HTTP/1.1 {first}\r\nLink: </x>\r\n\r\n".encode()
    with RawServer(lambda asked: interim + ranged(asked)) as server:
        client = connect(endpoint_url=server.url)
        assert bytes(client.get("bucket", "k")) == DATA
        assert bytes(client.get("bucket", "k", 3, 9)) == DATA[3:9]


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nabcde",
        b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
        b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=range(9),
)
def test_malformed_heads(connect: Make, sent: bytes) -> None:
    with RawServer(lambda asked: sent) as server:
        client = connect(endpoint_url=server.url)
        for operation, verb in (
            ("GetObject", lambda: client.get("bucket", "k")),
            ("PutObject", lambda: client.put("bucket", "k", b"x")),
        ):
            with pytest.raises(errors.ConnectionFailedError) as caught:
                verb()
            check(caught.value, operation, "bucket", "k", None)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirected(connect: Make, status: int) -> None:
    """A redirect is an error that says where to; nobody is asked again, and not a thousand times."""
    with RawServer(lambda asked: answer(status, [("Location", "http://127.0.0.1:1/x")])) as server:
        client = connect(endpoint_url=server.url)
        for verb, operation in (
            (lambda: client.get("bucket", "k"), "GetObject"),
            (lambda: client.put("bucket", "k", b"x"), "PutObject"),
            (lambda: client.head("bucket", "k"), "HeadObject"),
        ):
            with pytest.raises(errors.RedirectError) as caught:
                verb()
            check(caught.value, operation, "bucket", "k", status)
        assert len(server.asked) == 3


@pytest.mark.parametrize("date", ["yesterday", "Mon, 99 Foo 99999 25:61:61 GMT"])
def test_unreadable_date(connect: Make, date: str) -> None:
    def dated(asked: Asked) -> bytes:
        if asked.target.startswith("/bucket?"):
            entry = f"<Contents><Key>k</Key><LastModified>{date}</LastModified><Size>5</Size></Contents>"
            return answer(200, [], f"<ListBucketResult><Name>bucket</Name>{entry}</ListBucketResult>".encode())
        return ranged(asked).replace(b"ETag:", f"Last-Modified: {date}\r\nETag:".encode())

    with RawServer(dated) as server:
        client = connect(endpoint_url=server.url)
        assert client.head("bucket", "k").last_modified is None
        assert bytes(client.get("bucket", "k")) == DATA
        assert [(entry.key, entry.last_modified) for entry in client.list("bucket")] == [("k", None)]


PORTAL = b"<html><body><p>Please log in<br></body></html>"


@pytest.mark.parametrize("body", [PORTAL, b"welcome", b"<Error><Code>AccessDenied</Code><Message>m</Message></Error>"])
def test_success_that_is_none(connect: Make, body: bytes) -> None:
    """Status 200 by somebody who is not S3, or by S3 that found out late: nothing has been stored or deleted."""
    cls = errors.AccessDeniedError if body.startswith(b"<Error>") else errors.ServerError
    with RawServer(lambda asked: answer(200, [ETAG], body)) as server:
        client = connect(endpoint_url=server.url)
        for operation, key, verb in (
            ("PutObject", "k", lambda: client.put("bucket", "k", b"x")),
            ("PutObject", "k", lambda: client.put_many("bucket", {"k": b"x"})),
            ("CreateMultipartUpload", "k", lambda: client.put("bucket", "k", bytes(20 * MiB))),
            ("DeleteObject", "k", lambda: client.delete("bucket", "k")),
            ("DeleteObjects", None, lambda: client.delete_many("bucket", ["k"])),
            ("ListObjectsV2", None, lambda: list(client.list("bucket"))),
            ("GetBucketLocation", None, lambda: client.call("GetBucketLocation", Bucket="bucket")),
        ):
            with pytest.raises(cls) as caught:
                verb()
            check(caught.value, operation, "bucket", key, 200)


@pytest.mark.parametrize("last", [PORTAL, b""])
def test_upload_not_completed(connect: Make, last: bytes) -> None:
    def upload(asked: Asked) -> bytes:
        if "uploads" in asked.target:
            return answer(
                200, [], b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            )
        return answer(200, [ETAG] if asked.method == "PUT" else [], last if asked.method == "POST" else b"")

    with RawServer(upload) as server, pytest.raises(errors.ServerError) as caught:
        connect(endpoint_url=server.url).put("bucket", "k", bytes(20 * MiB))
    check(caught.value, "CompleteMultipartUpload", "bucket", "k", 200)
    assert [asked.method for asked in server.asked][-1] == "DELETE"  # aborted


def test_listing_that_cannot_be(connect: Make) -> None:
    for entry in ("<Key>k</Key><Size>five</Size>", "<Size>5</Size>", "<Key>k</Key>"):
        body = f"<ListBucketResult><Name>b</Name><Contents>{entry}</Contents></ListBucketResult>".encode()
        with RawServer(lambda asked, body=body: answer(200, [], body)) as server:  # type: ignore[misc]
            with pytest.raises(errors.ServerError) as caught:
                list(connect(endpoint_url=server.url).list("bucket"))
            check(caught.value, "ListObjectsV2", "bucket", None, 200)


@pytest.mark.parametrize("body", [PORTAL, b""])
def test_nothing_is_not_no_answer(connect: Make, body: bytes) -> None:
    """It passed for a listing without a bucket, and a page for an object without tags, of which Ceph says nothing."""
    with RawServer(lambda asked: answer(200, [], body)) as server:
        client = connect(endpoint_url=server.url)
        calls: list[tuple[str, Callable[[], Any]]] = [
            ("ListBuckets", lambda: list(client.list_buckets())),
            ("GetObjectTagging", lambda: client.call("GetObjectTagging", Bucket="bucket", Key="k")),
        ]
        if not body:
            assert calls.pop()[1]().get("TagSet", []) == []
        for operation, call in calls:
            with pytest.raises(errors.ServerError) as caught:
                call()
            assert (caught.value.operation, caught.value.status) == (operation, 200)


@pytest.mark.parametrize("body", [PORTAL, b""])
def test_no_upload_id(sim: S3Server, connect: Make, tmp_path: Path, body: bytes) -> None:
    """The same class whoever makes the parts."""
    path = tmp_path / "file"
    path.write_bytes(bytes(20 * MiB))
    client = connect()
    sim.faults.add(Fault("CreateMultipartUpload", times=None, body=body))
    for verb in (lambda: client.put("bucket", "k", bytes(20 * MiB)), lambda: client.put_file("bucket", "k", path)):
        with pytest.raises(errors.ServerError):
            verb()


def test_error_without_a_document(connect: Make) -> None:
    with RawServer(lambda asked: answer(404)) as server, pytest.raises(errors.BucketNotFoundError) as caught:
        connect(endpoint_url=server.url).call("GetBucketLocation", Bucket="bucket")
    check(caught.value, "GetBucketLocation", "bucket", None, 404)


def test_call_truncated(connect: Make) -> None:
    with RawServer(lambda asked: answer(200, [ETAG], b"half", length=8)) as server:
        client = connect(endpoint_url=server.url)
        for operation, more in (("GetObject", {}), ("PutObject", {"Body": b"x"})):
            with pytest.raises(errors.TruncatedError) as caught:
                client.call(operation, Bucket="bucket", Key="k", **more)
            check(caught.value, operation, "bucket", "k", None)


def suffix_errors() -> Any:
    return [("InvalidAccessKeyId", 403, errors.CredentialsError), ("ExpiredToken", 400, errors.CredentialsError)]


@pytest.mark.parametrize(("code", "status", "cls"), suffix_errors())
def test_suffix_into_memory_says_why(connect: Make, code: str, status: int, cls: type[errors.ObjectFSError]) -> None:
    """Where a suffix begins must be found out first; not by a HEAD, whose answer has no words."""
    body = f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()
    with RawServer(lambda asked: answer(status, [], body if asked.method != "HEAD" else b"")) as server:
        client = connect(endpoint_url=server.url)
        for verb in (
            lambda: client.get_into("bucket", "k", bytearray(10), -5),
            lambda: client.get_into("bucket", "k", bytearray(10), -50 * MiB),
            lambda: client.get_into("bucket", "k", bytearray()),
            lambda: client.get("bucket", "k", -50 * MiB),
        ):
            with pytest.raises(cls) as caught:
                verb()
            check(caught.value, "GetObject", "bucket", "k", status)
            assert caught.value.code == code


HEAD = b'HTTP/1.1 200 OK\r\nConnection: close\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n'


def test_the_same_class_wherever_an_answer_ends(connect: Make) -> None:
    """Before its first header is complete there was no answer; after it, the answer broke off."""
    sent = [b""]
    with RawServer(lambda asked: sent[0]) as server:
        client = connect(endpoint_url=server.url)
        for size in range(len(HEAD)):
            sent[0] = HEAD[:size]
            began = size >= HEAD.index(b"ETag")
            with pytest.raises(errors.TruncatedError if began else errors.ConnectionFailedError):
                client.put("bucket", "k", b"x")
