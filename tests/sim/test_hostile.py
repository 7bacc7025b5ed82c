"""What a client with bad intentions sends: an error or a closed connection, and memory that stays bounded."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from objectfs.sim import S3Server
from objectfs.sim.errors import S3Error
from objectfs.sim.record import Log, Request
from objectfs.sim.xml import MAX_DEPTH, MAX_ELEMENTS, parse_xml

from .conftest import Wire

MIB = 1024 * 1024
LAUGHS = (
    b'<!DOCTYPE Delete [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><Delete>&j;</Delete>"
)
EXTERNAL = (
    b'<!DOCTYPE Delete [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>'
)
BAD_XML = {
    "billion laughs": LAUGHS,
    "billion laughs in UTF-16": LAUGHS.decode().encode("utf-16"),
    "quadratic blow-up": b'<!DOCTYPE Delete [<!ENTITY a "%s">]><Delete>%s</Delete>' % (b"a" * 50_000, b"&a;" * 50_000),
    "external entity": EXTERNAL,
    "external entity in UTF-16": EXTERNAL.decode().encode("utf-16"),
    "external subset": b'<!DOCTYPE Delete SYSTEM "http://127.0.0.1:1/x.dtd"><Delete/>',
    "parameter entity": b'<!DOCTYPE Delete [<!ENTITY % p SYSTEM "file:///dev/zero"> %p;]><Delete/>',
    "nested": b"<Delete>" + b"<a>" * 200_000,
    "nested and closed": b"<Delete>" + b"<a>" * 50_000 + b"</a>" * 50_000 + b"</Delete>",
    "elements": b"<Delete>" + b"<a/>" * 1_500_000 + b"</Delete>",
    "attributes": b"<Delete " + b" ".join(b'a%d=""' % n for n in range(500_000)) + b"/>",
    "undefined entity": b"<Delete>&x;</Delete>",
    "NUL": b"<Delete>\0</Delete>",
    "no such encoding": b'<?xml version="1.0" encoding="x-no-such"?><Delete/>',
    "wrong encoding": b'<?xml version="1.0" encoding="utf-8"?><Delete>\xff</Delete>',
    "multi-byte encoding": b'<?xml version="1.0" encoding="shift_jis"?><Delete/>',
    "two roots": b"<Delete/><Delete/>",
    "another root": b"<delete/>",
    "empty": b"",
    "text": b"Delete",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_XML)
def test_xml_that_is_refused(name: str) -> None:
    started = time.process_time()
    with pytest.raises(S3Error, match="MalformedXML"):
        parse_xml(BAD_XML[name], "Delete")
    assert time.process_time() - started < 5


def test_xml_at_the_limits_is_taken() -> None:
    document = b"<Delete>" + b"<a>" * (MAX_DEPTH - 1) + b"x" + b"</a>" * (MAX_DEPTH - 1) + b"</Delete>"
    assert parse_xml(document, "Delete").tag == "Delete"
    assert len(parse_xml(b"<Delete>" + b"<a/>" * (MAX_ELEMENTS - 1) + b"</Delete>", "Delete")) == MAX_ELEMENTS - 1
    long = b'<Delete a="%s">%s</Delete>' % (b"x" * MIB, b"y" * MIB)
    element = parse_xml(long, "Delete")
    assert (len(element.attrib["a"]), len(element.text or "")) == (MIB, MIB)


def test_xml_names_lose_their_namespaces() -> None:
    for head in (b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">', b'<s:Delete xmlns:s="x">'):
        tail = b"</s:Delete>" if b"s:Delete" in head else b"</Delete>"
        root = parse_xml(head + b"<Quiet>true</Quiet>" + tail, "Delete")
        assert root.findtext("Quiet") == "true"
    utf16 = '<?xml version="1.0" encoding="utf-16"?><Delete><Quiet>ü</Quiet></Delete>'.encode("utf-16")
    assert parse_xml(utf16, "Delete").findtext("Quiet") == "ü"


NAMES = [
    "../outside",
    "../../../../outside",
    "/etc/outside",
    "..",
    ".",
    "a/../../outside",
    "..\\outside",
    "C:\\outside",
    "~/outside",
    ".bucket.json",
    "objects/x.json",
    "con",
    "a" * 1024,
    "ü" * 512,
    "%2e%2e%2foutside",
    "\x01\x1f\x7f",
    "￾\u202e",
    " ",
    "*?<>|\"'`$(id)\n",
]


def test_no_key_names_a_path(tmp_path: Path) -> None:
    root = tmp_path / "in" / "store"
    with S3Server(root, verify_signatures=False) as server:
        before = {path for path in tmp_path.rglob("*") if root not in path.parents}
        for name in NAMES:
            wire = Wire(server)
            target = f"/bucket/{quote(name, safe='/.~')}"
            wire.send(f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody".encode())
            assert wire.response()[0] == 200, name
            assert wire.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).response()[2] == b"body"
            wire.close()
        assert sorted(server.store.buckets["bucket"].objects) == sorted(NAMES)
        assert {path for path in tmp_path.rglob("*") if root not in path.parents} == before
    with S3Server(root, verify_signatures=False) as server:
        assert sorted(server.store.buckets["bucket"].objects) == sorted(NAMES)


@pytest.mark.parametrize(
    "target",
    ["/bucket/a%00b", "/bucket/%00", "/%00/k", "/bucket/%ff", "/bucket/%c0%ae", "/bucket/%ed%a0%80", "/bucket/%zz",
     "/bucket/%", "/bucket?prefix=%f", "/bucket?prefix=%ff", "*", "bucket/k", "//k", "http:///k", "ftp://x/bucket/k"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_targets_that_are_none(tmp_path: Path, target: str, method: str) -> None:
    with S3Server(tmp_path / "store", verify_signatures=False) as server:
        wire = Wire(server).send(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        status, _, body = wire.response()
        wire.close()
        assert 400 <= status < 500, body
        assert not server.store.buckets["bucket"].objects


@pytest.mark.parametrize("name", ["..", "../x", "%2e%2e", "a%2fb", ".bucket", "A", "a" * 64, "127.0.0.1", "a..b"])
def test_no_bucket_names_a_path(tmp_path: Path, name: str) -> None:
    root = tmp_path / "store"
    with S3Server(root, verify_signatures=False) as server:
        before = sorted(tmp_path.rglob("*"))
        for method in (b"PUT", b"DELETE", b"GET"):
            wire = Wire(server).send(b"%s /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (method, name.encode()))
            assert 400 <= wire.response()[0] < 500
            wire.close()
        assert sorted(tmp_path.rglob("*")) == before


def test_the_log_of_requests_has_a_limit() -> None:
    log = Log(50_000)
    for number in range(1000):
        log.add(Request("GET", {}, number, None), 300)
        # Each weighs 1,600 bytes.
        assert len(log) <= 31
        assert [request.connection for request in log] == list(range(number - len(log) + 1, number + 1))
    assert len(log) >= 15
    log.clear()
    for number in range(31):
        log.add(Request("GET", {}, number, None), 300)
    assert len(log) == 31
    log.add(Request("GET", {}, 1000, None), 10**9)
    log.add(Request("GET", {}, 1001, None), 10**9)
    assert [request.connection for request in log][-1] == 1001
    assert len(log) == 1


def test_the_log_of_a_server_has_a_limit() -> None:
    with S3Server(verify_signatures=False, log_bytes=100_000) as server:
        wire = Wire(server)
        head = b"GET /bucket HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 8000 + b"\r\n\r\n"
        for _ in range(20):
            assert wire.send(head).response()[0] == 200
        wire.close()
        assert 1 <= len(server.requests) <= 4


class Process:
    """A server in a process of its own, whose memory is only its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "objectfs.sim", "--no-verify", "--synthetic", "bucket/big=1000000000000"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.host, _, port = line.split("//")[1].strip().rpartition(":")
        self.port = int(port)

    def connect(self) -> socket.socket:
        sock = socket.create_connection((self.host, self.port), timeout=20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def peak(self) -> int:
        """The largest resident size so far, in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def reset_peak(self) -> None:
        """Forget the peak: what is resident now becomes it. proc(5), clear_refs."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def alive(self) -> None:
        with self.connect() as sock:
            sock.sendall(b"GET /bucket HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    if not os.path.exists("/proc/self/status"):
        pytest.skip("memory is read from /proc, which this system does not have")
    server = Process()
    server.alive()
    yield server
    server.close()


def shout(sock: socket.socket, data: bytes, times: int = 1) -> None:
    """Send as much as the server takes, reading nothing; and be content with a closed connection."""
    sock.settimeout(1.0)
    try:
        for _ in range(times):
            sock.sendall(data)
    except (TimeoutError, ConnectionError):
        return


def many_heads(server: Process) -> None:
    """Half a head on each of 300 connections."""
    socks = [server.connect() for _ in range(300)]
    for sock in socks:
        shout(sock, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 60_000)
    server.alive()
    for sock in socks:
        sock.close()


def one_endless_head(server: Process) -> None:
    with server.connect() as sock:
        shout(sock, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100_000, 50)


def a_pipelining_flood(server: Process) -> None:
    """Requests without end, and nobody who reads the answers."""
    with server.connect() as sock:
        shout(sock, b"GET /bucket/big HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000, 50)
    with server.connect() as sock:
        shout(sock, b"GET /bucket HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000, 5)


def empty_lines(server: Process) -> None:
    with server.connect() as sock:
        shout(sock, b"\r\n" * 500_000, 10)


def bodies_that_never_come(server: Process) -> None:
    """5 GiB are announced, and memory is not taken for them."""
    socks = [server.connect() for _ in range(100)]
    for sock in socks:
        shout(sock, b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5368709120\r\n\r\n" + b"x" * 10_000)
    server.alive()
    for sock in socks:
        sock.close()


def more_than_announced(server: Process) -> None:
    head = (
        b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"
        b"x-amz-decoded-content-length: 10\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with server.connect() as sock:
        shout(sock, head + b"ffffff0\r\nffffff0\r\n" + b"x" * 1_000_000)
        shout(sock, b"x" * 1_000_000, 200)


def a_body_where_there_is_none(server: Process) -> None:
    for operation in (b"GET /bucket/big?x", b"DELETE /bucket/k", b"POST /bucket/k", b"PUT /nobucket/k"):
        with server.connect() as sock:
            shout(sock, operation + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000000\r\n\r\n")
            shout(sock, b"x" * 1_000_000, 100)


def documents(server: Process) -> None:
    for document in (BAD_XML["elements"], BAD_XML["attributes"], BAD_XML["nested"], LAUGHS, b"x" * 20 * MIB):
        with server.connect() as sock:
            head = b"POST /bucket?delete HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(document)
            shout(sock, head + document)
            sock.settimeout(20)
            assert sock.recv(12) == b"HTTP/1.1 400"


def parameters(server: Process) -> None:
    query = b"&".join(b"%x" % n for n in range(10_000))
    with server.connect() as sock:
        for _ in range(20):
            sock.sendall(b"GET /bucket?list-type=2&%s HTTP/1.1\r\nHost: x\r\n\r\n" % query)
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")


def chunks_of_nothing(server: Process) -> None:
    head = (
        b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"
        b"x-amz-decoded-content-length: 1000000\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with server.connect() as sock:
        shout(sock, head + b"1\r\n1\r\n" * 100_000, 5)
    with server.connect() as sock:
        shout(sock, head + b"1;" + b"x" * 4000 + b"\r\n1\r\n" * 1000, 5)


ATTACKS: list[tuple[Callable[[Process], None], int]] = [
    (many_heads, 60),
    (one_endless_head, 10),
    (a_pipelining_flood, 20),
    (empty_lines, 10),
    (bodies_that_never_come, 40),
    (more_than_announced, 10),
    (a_body_where_there_is_none, 10),
    (documents, 100),
    (parameters, 30),
    (chunks_of_nothing, 10),
]


@pytest.mark.parametrize(("attack", "mebibytes"), ATTACKS, ids=[attack.__name__ for attack, _ in ATTACKS])
def test_memory_stays_bounded(process: Process, attack: Callable[[Process], None], mebibytes: int) -> None:
    process.reset_peak()
    before = process.peak()
    attack(process)
    process.alive()
    grown = (process.peak() - before) / MIB
    print(f"{attack.__name__}: {grown:.1f} MiB")
    assert grown < mebibytes
