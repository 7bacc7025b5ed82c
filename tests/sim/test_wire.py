"""The protocol as bytes: what is legal but rare, and what is not legal at all."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import zlib
from collections.abc import Callable

import pytest

from objectfs.sim import S3Server

from .conftest import Wire

Opener = Callable[[], Wire]
PUT = b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n"
CRC = base64.b64encode(zlib.crc32(b"hello world").to_bytes(4, "big"))
STREAMING = (
    b"x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nx-amz-decoded-content-length: 11\r\n"
    b"Content-Encoding: aws-chunked\r\nx-amz-trailer: x-amz-checksum-crc32\r\n"
)


def aws_chunks(crc: bytes = CRC) -> bytes:
    return b"b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:" + crc + b"\r\n\r\n"


def test_byte_by_byte(wire: Opener) -> None:
    connection = wire()
    for byte in PUT + b"Content-Length: 5\r\n\r\nhello" + GET:
        connection.send(bytes((byte,)))
    assert connection.response()[0] == 200
    assert connection.response()[2] == b"hello"


def test_pipelined_requests_are_answered_in_order(wire: Opener) -> None:
    connection = wire()
    for number in range(5):
        connection.send(b"PUT /bucket/%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d" % (number, number))
    connection.send(b"".join(b"GET /bucket/%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(5)))
    assert [connection.response()[0] for _ in range(5)] == [200] * 5
    assert [connection.response()[2] for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


def test_half_closed_client_gets_all_answers(wire: Opener, memory: S3Server) -> None:
    import socket

    memory.store.add_synthetic("bucket", "k", 3_000_000)
    connection = wire()
    connection.send(GET * 3)
    connection.sock.shutdown(socket.SHUT_WR)
    assert connection.read_all().count(b"HTTP/1.1 200 OK") == 3


def test_connection_close_and_http_1_0(wire: Opener) -> None:
    answer = wire().send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").read_all()
    assert b"Connection: close" in answer
    assert wire().send(b"GET / HTTP/1.0\r\n\r\n").read_all().startswith(b"HTTP/1.1 200")


def test_expect_continue(wire: Opener) -> None:
    connection = wire().send(PUT + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert connection.response()[0] == 100
    assert connection.send(b"hello").response()[0] == 200
    # Before an empty body too: botocore's next answer on the connection would be misread without it.
    connection.send(PUT + b"Content-Length: 0\r\nExpect: 100-continue\r\n\r\n")
    assert (connection.response()[0], connection.response()[0]) == (100, 200)
    refused = PUT.replace(b"bucket", b"nobucket") + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    assert wire().send(refused).read_all().startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("streaming", [False, True])
def test_chunked_transfer_coding_is_for_aws_chunked_alone(wire: Opener, streaming: bool) -> None:
    """S3 must know the length beforehand, which x-amz-decoded-content-length tells. The connection goes on."""
    body = b"5;x=y\r\n" + aws_chunks()[:5] + b"\r\n"
    body += b"%x\r\n%s\r\n0\r\nA: b\r\n\r\n" % (len(aws_chunks()) - 5, aws_chunks()[5:])
    head = PUT + (STREAMING if streaming else b"x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n")
    connection = wire().send(head + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    status, _, answer = connection.response()
    assert status == (200 if streaming else 501)
    assert (b"<Header>Transfer-Encoding</Header>" in answer) is not streaming
    assert connection.send(GET).response()[0] == (200 if streaming else 404)


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_aws_chunked_with_trailer(wire: Opener, memory: S3Server, step: int) -> None:
    body = aws_chunks()
    data = PUT + STREAMING + b"Content-Length: %d\r\n\r\n" % len(body) + body
    connection = wire()
    for at in range(0, len(data), step):
        connection.send(data[at : at + step])
    status, headers, _ = connection.response()
    assert (status, headers["x-amz-checksum-crc32"]) == (200, CRC.decode().lower())
    status, headers, body = connection.send(GET).response()
    assert body == b"hello world"
    assert "content-encoding" not in headers


def test_aws_chunked_inside_chunked(wire: Opener) -> None:
    inner = aws_chunks()
    outer = b"".join(b"%x\r\n%s\r\n" % (len(inner[i : i + 10]), inner[i : i + 10]) for i in range(0, len(inner), 10))
    connection = wire().send(PUT + STREAMING + b"Transfer-Encoding: chunked\r\n\r\n" + outer + b"0\r\n\r\n")
    assert connection.response()[0] == 200
    assert connection.send(GET).response()[2] == b"hello world"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (aws_chunks(b"AAAAAA=="), b"BadDigest"),
        (aws_chunks(b"junk"), b"InvalidRequest"),
        (b"b\r\nhello world\r\n0\r\n\r\n", b"MalformedTrailerError"),
        (aws_chunks().replace(b"crc32:", b"sha1:"), b"MalformedTrailerError"),
        (aws_chunks().replace(b"crc32:", b"crc32="), b"MalformedTrailerError"),
        (aws_chunks().replace(b"x-amz-checksum-crc32", b""), b"MalformedTrailerError"),
        (aws_chunks()[:-2] + b"x-amz-checksum-crc32:" + CRC + b"\r\n\r\n", b"MalformedTrailerError"),
        (aws_chunks()[:-2] + b"x: " + b"y" * 4000 + b"\r\n\r\n", b"MalformedTrailerError"),
        (b"6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:" + CRC + b"\r\n\r\n", b"InvalidChunkSizeError"),
        (b"6\r\nhello \r\n0\r\nx-amz-checksum-crc32:" + CRC + b"\r\n\r\n", b"IncompleteBody"),
        (b"c\r\nhello worlds\r\n0\r\nx-amz-checksum-crc32:" + CRC + b"\r\n\r\n", b"IncompleteBody"),
        (b"fffffffffffffff\r\nhello worlds", b"IncompleteBody"),
        (b"6\r\nhello \r\n", b"IncompleteBody"),
        (b"", b"IncompleteBody"),
        (b"zz\r\nhello", b"IncompleteBody"),
        (b"-5\r\nhello", b"IncompleteBody"),
        (b"0x5\r\nhello", b"IncompleteBody"),
        (b"1000000000000000000\r\nhello", b"IncompleteBody"),
        (b"b;chunk-signature=0\r\nhello world\r\n", b"IncompleteBody"),
        (b"b\nhello world\n0\n\n", b"IncompleteBody"),
        (b"5\r\nhelloXX\r\n", b"IncompleteBody"),
        (b"f" * 5000, b"IncompleteBody"),
        (aws_chunks() + b"more", b"IncompleteBody"),
    ],
)
def test_bad_aws_chunks(wire: Opener, body: bytes, code: bytes) -> None:
    head = PUT + STREAMING + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    answer = wire().send(head + body).read_all()
    assert b"<Code>%s</Code>" % code in answer
    assert wire().send(GET).response()[0] == 404


def test_the_answer_names_the_small_chunk(wire: Opener) -> None:
    body = b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"
    answer = wire().send(PUT + STREAMING + b"Content-Length: %d\r\n\r\n" % len(body) + body).response()
    assert answer[0] == 403
    assert b"<Chunk>2</Chunk><BadChunkSize>6</BadChunkSize>" in answer[2]


CHUNKED_BODY = STREAMING + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"
CHUNKED = PUT + STREAMING + b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"GET / HTTP/1.1\r\nHost: x\r\n"
MALFORMED = [
    b"GARBAGE\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"GET / HTTP/2.0\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\na b: c\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n folded: c\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\na: \0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.10\r\nHost: x\r\n\r\n",
    b"GET /\r\nHost: x\r\n\r\n",
    b"GET / a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\n" + OK + b"\r\n",
    OK + b"A: b\r\n c\r\n\r\n",
    OK + b"A: b\rC: d\r\n\r\n",
    OK + b"A: \x01\r\n\r\n",
    OK + b"A: \x7f\r\n\r\n",
    OK + b": b\r\n\r\n",
    OK + b"A : b\r\n\r\n",
    OK + b"\xc3\xa4: b\r\n\r\n",
    OK + b"x-amz-date: a\r\nX-Amz-Date: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
    # Two readers of these could disagree about where the next request starts.
    PUT + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    PUT + b"Content-Length: 5, 5\r\n\r\nhello",
    PUT + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    PUT + b"Content-Length: -1\r\n\r\n",
    PUT + b"Content-Length: +5\r\n\r\nhello",
    PUT + b"Content-Length: 1_0\r\n\r\n",
    PUT + b"Content-Length: 0x5\r\n\r\nhello",
    PUT + b"Content-Length: \xd9\xa5\r\n\r\nhello",
    PUT + b"Content-Length:\r\n\r\nhello",
    PUT + b"Content-Length: " + b"9" * 19 + b"\r\n\r\n",
    PUT + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    PUT + b"Transfer-Encoding: gzip\r\n\r\n",
    PUT + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    PUT + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    PUT + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    PUT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    PUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    PUT + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    PUT + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    PUT.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    CHUNKED + b"xyz\r\n",
    CHUNKED + b"-1\r\n",
    CHUNKED + b"+1\r\nx\r\n",
    CHUNKED + b" 1\r\nx\r\n",
    CHUNKED + b"0x1\r\nx\r\n",
    CHUNKED + b"3\r\nhello\r\n",
    CHUNKED + b"3\nhel\n",
    CHUNKED + b"3\r\nhel\n0\r\n\r\n",
    CHUNKED + b"1;a\nb\r\nx\r\n",
    CHUNKED + b"1" * 5000,
    CHUNKED + b"ffffffffffffffff\r\n",
    CHUNKED + b"1;" + b"e" * 5000,
    CHUNKED + b"".join(b"1;%s\r\n%c\r\n" % (b"e" * 2000, byte) for byte in b"b\r\nhello world"),
    CHUNKED + b"%x\r\n%s\r\n0\r\nbad\r\n\r\n" % (len(aws_chunks()), aws_chunks()),
    CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(aws_chunks()), aws_chunks()) + b"A: b\r\n" * 5000,
    OK + b"X: " + b"x" * 9_000 + b"\r\n\r\n",
    OK + b"".join(b"X%d: y\r\n" % n for n in range(2000)) + b"\r\n",
    OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
    b"GET /" + b"x" * 70_000,
]


@pytest.mark.parametrize("data", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_http_is_refused_and_closed(wire: Opener, data: bytes) -> None:
    answer = wire().send(data).read_all()
    assert answer[:10] in (b"HTTP/1.1 4", b"HTTP/1.1 5")
    assert b"Connection: close" in answer
    assert wire().send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").response()[0] == 200


@pytest.mark.parametrize("data", [b"Transfer-Encoding: gzip\r\n\r\n", b"Content-Length: x\r\n\r\n", CHUNKED_BODY])
def test_no_answer_to_head_has_a_body(wire: Opener, data: bytes) -> None:
    head, _, body = wire().send(b"HEAD /bucket/k HTTP/1.1\r\nHost: x\r\n" + data).read_all().partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    assert body == b""


def test_body_cut_short_leaves_nothing(wire: Opener, memory: S3Server) -> None:
    import socket

    connection = wire().send(PUT + b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000)
    connection.sock.shutdown(socket.SHUT_WR)
    assert connection.read_all() == b""
    assert wire().send(GET).response()[0] == 404


def test_a_huge_declared_length_allocates_nothing(wire: Opener) -> None:
    answer = wire().send(PUT + b"Content-Length: 99999999999999999\r\nExpect: 100-continue\r\n\r\n").read_all()
    assert b"EntityTooLarge" in answer


def test_put_without_length(wire: Opener) -> None:
    assert wire().send(PUT + b"\r\n").response()[0] == 411


@pytest.mark.parametrize("host", [b"bucket.localhost", b"bucket.localhost:1234", b"BUCKET.localhost"])
def test_virtual_host_style(wire: Opener, host: bytes) -> None:
    connection = wire()
    connection.send(b"PUT /k HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\n\r\nhi" % host)
    assert connection.response()[0] == 200
    assert connection.send(GET).response()[2] == b"hi"


def test_configured_domain_and_absolute_target() -> None:
    with S3Server(verify_signatures=False, domains=("s3.example.com",)) as server:
        connection = Wire(server)
        connection.send(b"PUT /k HTTP/1.1\r\nHost: bucket.s3.example.com\r\nContent-Length: 2\r\n\r\nhi")
        assert connection.response()[0] == 200
        connection.send(b"GET http://bucket.s3.example.com/k HTTP/1.1\r\nHost: proxy\r\n\r\n")
        assert connection.response()[2] == b"hi"
        connection.close()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@pytest.mark.parametrize("damage", ["", "chunk", "last", "trailer"])
def test_signed_chunks_and_trailer(damage: str) -> None:
    """STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, signed here by the rules in AWS's documentation."""
    mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    key = b"AWS4testtest"
    for part in scope.split("/"):
        key = _hmac(key, part)
    fields = {
        "content-encoding": "aws-chunked",
        "host": "x",
        "x-amz-content-sha256": mode,
        "x-amz-date": stamp,
        "x-amz-decoded-content-length": "8197",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    canonical = "\n".join(
        ["PUT", "/bucket/k", "", *[f"{n}:{v}" for n, v in fields.items()], "", ";".join(fields), mode]
    )
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    signature = _hmac(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}").hex()
    fields["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={';'.join(fields)}, Signature={signature}"
    )
    empty = hashlib.sha256(b"").hexdigest()
    body = b""
    for data in (b"x" * 8192, b"world", b""):
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{signature}\n{empty}\n"
        text += hashlib.sha256(data).hexdigest()
        signature = _hmac(key, text).hex()
        sent = "0" * 64 if (damage, data) in (("chunk", b"world"), ("last", b"")) else signature
        body += f"{len(data):x};chunk-signature={sent}\r\n".encode() + data + (b"\r\n" if data else b"")
    crc = base64.b64encode(zlib.crc32(b"x" * 8192 + b"world").to_bytes(4, "big")).decode()
    trailer = f"x-amz-checksum-crc32:{crc}\n"
    text = f"AWS4-HMAC-SHA256-TRAILER\n{stamp}\n{scope}\n{signature}\n"
    text += hashlib.sha256(trailer.encode()).hexdigest()
    sent = "0" * 64 if damage == "trailer" else _hmac(key, text).hex()
    body += trailer.encode().replace(b"\n", b"\r\n") + f"x-amz-trailer-signature:{sent}\r\n\r\n".encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with S3Server() as server:
        connection = Wire(server)
        connection.send(f"PUT /bucket/k HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, _, answer = connection.response()
        connection.close()
        assert status == (403 if damage else 200), answer
        assert ("k" in server.store.buckets["bucket"].objects) is (not damage)
