"""Servers that refuse, reset, cut and lie: never a wrong byte, always an error that says which kind, nothing leaked."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from objectfs import errors
from objectfs.backends.base import DeleteOptions, GetOptions, ListOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.crt_network import Network
from objectfs.backends.drive import run
from objectfs.sim import S3Server
from objectfs.sim.network.faults import Fault

from .conftest import RawServer

BROKEN = (errors.ConnectionFailedError, errors.TruncatedError)
CONTENT = bytes(random.Random(1).randbytes(200))
PART = 5 << 20
LARGE = random.Random(2).randbytes(3 * PART + 17)
HANGS = 120.0
"""Seconds after which a request is taken to hang: many times what it takes on a busy machine with a sanitizer."""


def full_length(sim: S3Server, fault: Fault, call: Callable[[], object]) -> None:
    """Cut the answer one byte later each time, until a whole one passes."""
    cut = 0
    while True:
        fault.close_at, fault.hits, fault.seen = cut, 0, 0
        sim.faults.add(fault)
        try:
            call()
        except BROKEN:
            pass
        else:
            break
        finally:
            sim.faults.clear()
        cut += 1
        assert cut < 5000
    assert cut > 100, "the cuts did not cut"


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("verb", ["get", "get_into", "head", "list", "get_many", "put"])
def test_a_server_that_ends_at_every_byte(
    make: Callable[..., CrtBackend], sim: S3Server, verb: str, reset: bool
) -> None:
    crt = make(connect_timeout=5)
    run(crt.put("bucket", "key", CONTENT, PutOptions()))

    def get() -> None:
        assert bytes(run(crt.get("bucket", "key", GetOptions()), timeout=HANGS)) == CONTENT

    def get_into() -> None:
        buffer = bytearray(b"-" * 210)
        try:
            assert run(crt.get_into("bucket", "key", buffer, GetOptions()), timeout=HANGS) == 200
        finally:
            assert buffer[200:] == b"-" * 10
            buffer += b"resizable"
        assert buffer[:200] == CONTENT

    def head() -> None:
        info = run(crt.head("bucket", "key", GetOptions()), timeout=HANGS)
        assert info.size == 200

    def list_() -> None:
        page = run(crt.list_page("bucket", options=ListOptions()), timeout=HANGS)
        assert [entry.key for entry in page.entries] == ["key"]

    def get_many() -> None:
        assert [bytes(item) for item in run(crt.get_many("bucket", ["key"], "raise", GetOptions()), timeout=HANGS)] == [
            CONTENT
        ]

    def put() -> None:
        run(crt.put("bucket", "key", CONTENT, PutOptions()), timeout=HANGS)

    call = {"get": get, "get_into": get_into, "head": head, "list": list_, "get_many": get_many, "put": put}[verb]
    full_length(sim, Fault(times=None, reset=reset), call)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_parallel_download_that_ends_anywhere(
    make: Callable[..., CrtBackend], sim: S3Server, reset: bool, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One part's answer is cut: an error without a retry, the whole content with one."""
    # A slow machine seems far away. Ranges that then begin all at once (test_spread.py) may still arrive when their
    # download has failed, and be hit by what is meant for the next one.
    monkeypatch.setattr(Network, "far", property(lambda network: False))
    once, again = make(part_size=PART), make(part_size=PART, max_attempts=3)
    run(once.put("bucket", "large", LARGE, PutOptions()))
    path = tmp_path / "file"
    rng = random.Random(3)
    cuts = [
        *range(0, 40, 3),
        *(rng.randrange(40, 700) for _ in range(12)),
        *(rng.randrange(700, PART) for _ in range(6)),
    ]
    for cut in cuts:
        for after in (0, 1):
            for crt in (once, again):
                fault = sim.faults.add(
                    Fault(operation="GetObject", key="large", times=1, after=after, close_at=cut, reset=reset)
                )
                buffer = bytearray(len(LARGE))
                try:
                    assert run(
                        crt.get_into("bucket", "large", buffer, GetOptions(end=len(LARGE))), timeout=HANGS
                    ) == len(LARGE)
                except BROKEN:
                    assert crt is once
                else:
                    # the answer with the last 17 bytes, head included, may be shorter than the cut
                    assert crt is again or fault.hits == 0 or cut > 400
                    assert buffer == LARGE
                assert fault.hits == 1
                sim.faults.clear()
        fault = sim.faults.add(Fault(operation="GetObject", key="large", times=1, after=1, close_at=cut, reset=reset))
        try:
            run(once.get_file("bucket", "large", str(path), GetOptions()), timeout=HANGS)
        except BROKEN:
            assert list(tmp_path.iterdir()) == []
        else:  # as above: ranges may all begin at once, and the one with the last 17 bytes come second
            assert cut > 400
            assert path.read_bytes() == LARGE
            path.unlink()
        sim.faults.clear()


def test_an_upload_in_parts_that_ends_anywhere(make: Callable[..., CrtBackend], sim: S3Server) -> None:
    crt = make(part_size=PART)
    for operation in ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"):
        for cut in range(0, 400, 13):
            fault = sim.faults.add(Fault(operation=operation, close_at=cut))
            try:
                run(crt.put("bucket", "large", LARGE, PutOptions()), timeout=HANGS)
            except BROKEN:
                pass
            else:
                assert cut > 150, "an answer this short is none"
            assert fault.hits == 1
            sim.faults.clear()
    # an upload whose Create was answered is aborted; one whose answer never came cannot be
    fresh = make(part_size=PART)
    sim.faults.add(Fault(operation="UploadPart", close_at=10))
    with pytest.raises(BROKEN):
        run(fresh.put("bucket", "aborted", LARGE, PutOptions()))
    uploads = run(fresh.call("ListMultipartUploads", {"Bucket": "bucket"})).get("Uploads", [])
    assert [upload for upload in uploads if upload["Key"] == "aborted"] == []


def test_connection_refused(make: Callable[..., CrtBackend]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    crt = make(f"http://127.0.0.1:{port}")
    with pytest.raises(errors.ConnectionFailedError):
        run(crt.get("bucket", "key", GetOptions()), timeout=HANGS)
    results = run(crt.get_many("bucket", [f"{i}" for i in range(100)], "return", GetOptions()), timeout=HANGS)
    # once the only address has failed, the C library's resolver says of some that it knows none (aws-c-io)
    assert {type(result) for result in results} == {errors.ConnectionFailedError}


def test_no_such_host(make: Callable[..., CrtBackend]) -> None:
    crt = make("http://nowhere.invalid:80")
    with pytest.raises(errors.NameResolutionError):
        run(crt.get("bucket", "key", GetOptions()), timeout=HANGS)


def test_close_while_connecting(make: Callable[..., CrtBackend]) -> None:
    """The backlog is full: the kernel drops the first packet, and the C library waits."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        crt = make(f"http://127.0.0.1:{address[1]}", connect_timeout=1)
        buffer = bytearray(10)
        with pytest.raises(errors.TimeoutError):
            run(crt.get_into("bucket", "key", buffer, GetOptions()), timeout=0.2)
        crt.close()
        buffer += b"resizable"
        for filler in fillers:
            filler.close()


ANSWERS = {
    "nothing": b"",
    "no http": b"SSH-2.0-OpenSSH\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "bad length": b"HTTP/1.1 206 OK\r\nContent-Length: ten\r\n\r\n0123456789",
    "negative length": b"HTTP/1.1 206 OK\r\nContent-Length: -10\r\n\r\n",
    "bad chunk": b"HTTP/1.1 206 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "cut chunk": b"HTTP/1.1 206 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "header without colon": b"HTTP/1.1 206 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
    "a redirect": b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "range without length": b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-9/100\r\nContent-Length: 5\r\n\r\n01234",
    "range of stars": b"HTTP/1.1 206 OK\r\nContent-Range: bytes */*\r\nContent-Length: 5\r\n\r\n01234",
    "unknown total": b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-4/*\r\nContent-Length: 5\r\n\r\n01234",
    "range of words": b"HTTP/1.1 206 OK\r\nContent-Range: words\r\nContent-Length: 5\r\n\r\n01234",
    "huge total": b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-4/99999999999999999999\r\nContent-Length: 5\r\n\r\n01234",
    "large total": b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-4/999999999999999999\r\nContent-Length: 5\r\n\r\n01234",
    "other range": b"HTTP/1.1 206 OK\r\nContent-Range: bytes 7-11/12\r\nContent-Length: 5\r\n\r\n01234",
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("verb", ["get", "get_into", "get_many", "get_ranges"])
def test_answers_that_no_server_should_give(make: Callable[..., CrtBackend], answer: str, verb: str) -> None:
    def respond(connection: socket.socket, request: bytes) -> None:
        connection.sendall(ANSWERS[answer])

    with RawServer(respond) as server:
        crt = make(server.url)
        buffer = bytearray(100)
        steps = {
            "get": lambda: crt.get("bucket", "key", GetOptions()),
            "get_into": lambda: crt.get_into("bucket", "key", buffer, GetOptions()),
            "get_many": lambda: crt.get_many("bucket", ["key", "other"], "raise", GetOptions()),
            "get_ranges": lambda: crt.get_ranges("bucket", "key", [(0, 5), (2, 7)], GetOptions()),
        }[verb]
        with pytest.raises((errors.ObjectFSError, MemoryError) if "total" in answer else errors.ObjectFSError):
            run(steps(), timeout=HANGS)  # type: ignore[operator]
        buffer += b"resizable"
        crt.close()


def test_a_reset_in_the_middle(make: Callable[..., CrtBackend]) -> None:
    def respond(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-99/100\r\nContent-Length: 100\r\n\r\nabc")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with RawServer(respond) as server:
        crt = make(server.url)
        with pytest.raises(BROKEN):
            run(crt.get("bucket", "key", GetOptions()), timeout=HANGS)
        crt.close()


@pytest.mark.parametrize("value", ["a\nb", "a\r\nInjected: yes", "a\0b"])
def test_no_header_is_injected(crt: CrtBackend, sim: S3Server, value: str) -> None:
    with pytest.raises((errors.ObjectFSError, ValueError)):
        run(crt.put("bucket", "key", b"", PutOptions(given={"metadata": {"a": value}})), timeout=HANGS)
    with pytest.raises(errors.NotFoundError):
        run(crt.head("bucket", "key", GetOptions()))


KEYS = [
    "a b",
    "a+b",
    "a%2Fb",
    "//a//",
    ".",
    "..",
    "a/../b",
    "ü",
    "日本語",
    "😀",
    "a&b=c?d#e",
    "~!*'()",
    "\\",
    "a\tb",
    "x" * 1024,
]


@pytest.mark.parametrize("key", KEYS)
def test_odd_keys(crt: CrtBackend, key: str) -> None:
    data = key.encode()
    run(crt.put("bucket", key, data, PutOptions()))
    assert bytes(run(crt.get("bucket", key, GetOptions()))) == data
    assert [entry.key for entry in run(crt.list_page("bucket", options=ListOptions())).entries] == [key]
    assert run(crt.delete_many("bucket", [key], DeleteOptions())) == {}
    assert run(crt.list_page("bucket", options=ListOptions())).entries == []


@pytest.mark.parametrize(
    ("content_range", "believed"),
    [
        (b"bytes 0-2/3", True),
        (b"bytes 0-2/*", False),
        (b"bytes 0-2/2", False),
        (b"bytes 0-2/", False),
        (b"bytes 2-0/3", False),
        (b"bytes -2/3", False),
        (b"bytes 0-2/3 ", True),  # white space around a value is not part of it
        (b"bytes 0-2/3x", False),
        (b"octets 0-2/3", False),
        (b"bytes 0-2/99999999999999999999", False),
        (b"bytes */3", False),
        (b"", False),
    ],
)
def test_an_answer_to_a_range_says_what_it_is(
    make: Callable[..., CrtBackend], content_range: bytes, believed: bool
) -> None:
    # it closes, and says so: the next request may otherwise go out on a connection that is about to end
    head = b'HTTP/1.1 206 OK\r\nConnection: close\r\nContent-Length: 3\r\nETag: "e"\r\nContent-Range: %b\r\n\r\n'
    head %= content_range

    def respond(connection: socket.socket, request: bytes) -> None:
        connection.sendall(head + b"abc")

    with RawServer(respond) as server:
        backend = make(server.url)
        for verb in (
            lambda: run(backend.get("b", "k", GetOptions())),
            lambda: run(backend.get_many("b", ["k"], "raise", GetOptions()))[0],
        ):
            if believed:
                assert bytes(verb()) == b"abc"
            else:
                with pytest.raises((errors.ServerError, errors.UnsupportedError)):
                    verb()


def test_the_librarys_log_has_no_secrets(tmp_path: Path) -> None:
    """It is read in the first use of the engine: a process of its own."""
    code = """
        import time
        import objectfs
        from objectfs.sim import S3Server
        with S3Server(buckets=("bucket",), tls=True) as server:
            server.add_access_key("who", "secret-of-who", time.time() + 600, "token-of-who")
            who = {"access_key_id": "who", "secret_access_key": "secret-of-who", "session_token": "token-of-who"}
            where = {"endpoint_url": server.endpoint_url, "verify": server.ca_file, "region": "us-east-1"}
            with objectfs.Client(backend="crt", **who, **where) as client:
                client.put("bucket", "k", b"content", sse_customer_key=bytes(range(32)))
                client.get("bucket", "k", sse_customer_key=bytes(range(32)))
        """
    log = tmp_path / "log"
    environment = {**os.environ, "OBJECTFS_CRT_LOG": str(log)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    text = log.read_text()
    assert "S3MetaRequest" in text
    for secret in ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "token-of-who", "secret-of-who"):
        assert secret not in text
