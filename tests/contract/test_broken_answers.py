"""Connections that fail, answers that break off or lie: never a wrong byte, always a specific error."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, check, ramp, until


def test_refused(connect: Make) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = connect(endpoint_url=f"http://127.0.0.1:{unused.getsockname()[1]}")
        for verb in (lambda: client.get("bucket", "k"), lambda: client.put("bucket", "k", b"x")):
            with pytest.raises(errors.ConnectionFailedError) as caught:
                verb()
            assert type(caught.value) is errors.ConnectionFailedError
            assert isinstance(caught.value, ConnectionError)
            assert caught.value.retryable
            assert (caught.value.bucket, caught.value.key, caught.value.status) == ("bucket", "k", None)


def test_an_empty_object_whose_head_fails(connect: Make, sim: S3Server) -> None:
    """Its ranges are refused, so HEAD is asked; what HEAD's failure is, is told, and it is tried again as any other."""
    client = connect(max_attempts=2)
    client.put("bucket", "k", b"")

    def read() -> None:
        with client.open("bucket", "k") as file:
            file.read()

    for verb in (lambda: client.get("bucket", "k", 0, 5), read):
        sim.faults.add(Fault("HeadObject", code="AccessDenied"))
        with pytest.raises(errors.AccessDeniedError):
            verb()
        sim.faults.add(Fault("HeadObject", reset=True))
        verb()
        assert [injection.effect for injection in sim.faults.injected][-1] == "reset"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_refused_by_the_hundred(connect: Make, host: str) -> None:
    """A host that resolves and refuses is that for each request, however many found its address bad before."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = connect(endpoint_url=f"http://{host}:{unused.getsockname()[1]}", max_attempts=2)
        results = client.get_many("bucket", [f"k{i}" for i in range(200)], on_error="return")
    assert {type(result) for result in results} == {errors.ConnectionFailedError}


def test_a_server_that_comes_back(connect: Make) -> None:
    """The only address of a host is tried again at once, though a connection to it has failed."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    client = connect(endpoint_url=f"http://127.0.0.1:{port}")
    with pytest.raises(errors.ConnectionFailedError):
        client.get("bucket", "k")
    with S3Server(port=port, buckets=("bucket",)):
        started = time.monotonic()
        client.put("bucket", "k", b"x")
        assert time.monotonic() - started < 2


def test_no_such_host(connect: Make) -> None:
    client = connect(endpoint_url="http://no-such-host.invalid")
    with pytest.raises(errors.NameResolutionError) as caught:
        client.get("bucket", "k")
    check(caught.value, "GetObject", "bucket", "k", None)


def test_untrusted_certificate(connect: Make) -> None:
    with S3Server(tls=True) as server:
        client = connect(endpoint_url=server.endpoint_url, max_attempts=3)
        with pytest.raises(errors.TLSError) as caught:
            client.get("bucket", "k")
        check(caught.value, "GetObject", "bucket", "k", None)
        assert not caught.value.retryable
        assert client.stats()["retries"] == 0


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_tls(connect: Make) -> None:
    with S3Server(tls=True) as server:
        for verify in (server.ca_file, False):
            client = connect(endpoint_url=server.endpoint_url, verify=str(verify) if verify else False)
            data = ramp(17 * MiB)
            client.put("bucket", "k", data)
            assert bytes(client.get("bucket", "k")) == data


def test_plain_server_behind_https(sim: S3Server, connect: Make) -> None:
    client = connect(endpoint_url=sim.endpoint_url.replace("http:", "https:"))
    with pytest.raises(errors.ConnectionFailedError):
        client.get("bucket", "k")


def test_read_timeout(sim: S3Server, connect: Make) -> None:
    client = connect(read_timeout=1)
    client.put("bucket", "k", b"x")
    sim.faults.add(Fault("GetObject", times=None, stall=True))
    before = time.monotonic()
    with pytest.raises(errors.TimeoutError) as caught:
        client.get("bucket", "k")
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.retryable
    assert time.monotonic() - before < 10
    check(caught.value, "GetObject", "bucket", "k", None)


def test_reset(sim: S3Server, connect: Make) -> None:
    client = connect()
    sim.faults.add(Fault("GetObject", times=None, reset=True))
    with pytest.raises(errors.ConnectionFailedError):
        client.get("bucket", "k")


@pytest.mark.parametrize("verb", ["get", "get_into", "get_file", "get_many", "get_ranges"])
def test_closed_at_every_byte(sim: S3Server, connect: Make, verb: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """However much of the answer comes, it is the whole content or an error."""
    client = connect()
    data = b"the content"
    client.put("bucket", "k", data)
    target = bytearray(20)
    path = tmp_path / "file"

    def run() -> bytes:
        target[:] = bytes(20)
        if verb == "get":
            return bytes(client.get("bucket", "k"))
        if verb == "get_into":
            return bytes(target[: client.get_into("bucket", "k", target)])
        if verb == "get_many":
            return bytes(client.get_many("bucket", ["k"])[0])
        if verb == "get_ranges":
            return bytes(client.get_ranges("bucket", "k", [(0, 11)])[0])
        client.get_file("bucket", "k", path)
        return bytes(path.read_bytes())

    whole = 0
    failures: list[objectfs.ObjectFSError] = []
    for count in range(2000):
        path.unlink(missing_ok=True)
        sim.faults.clear()
        fault = sim.faults.add(Fault("GetObject", times=None, close_at=count))
        try:
            content = run()
        except (errors.ConnectionFailedError, errors.TruncatedError) as error:
            failures.append(error)
            assert not path.exists()
            assert list(tmp_path.iterdir()) == []
        else:
            assert content == data
            assert fault.hits >= 1
            whole += 1
            if whole > 3:
                break
    assert whole, "the answer is longer than expected"
    assert failures
    assert {(error.operation, error.bucket, error.key) for error in failures} == {("GetObject", "bucket", "k")}


def test_put_closed_at_every_byte(sim: S3Server, connect: Make) -> None:
    """No answer that was cut passes for a success. One that came whole may fail all the same: a client that sees the
    connection end before it has noticed that its own request was sent cannot tell."""
    client = connect()
    whole: list[int] = []
    for count in range(2000):
        sim.faults.clear()
        fault = sim.faults.add(Fault("PutObject", times=None, close_at=count))
        failed: objectfs.ObjectFSError | None = None
        try:
            client.put("bucket", f"k{count}", b"x")
        except (errors.ConnectionFailedError, errors.TruncatedError) as error:
            failed = error
        if failed is not None:
            assert (failed.operation, failed.bucket, failed.key) == ("PutObject", "bucket", f"k{count}")
            continue
        assert fault.length is not None
        assert count >= fault.length
        whole.append(count)
        if len(whole) > 3:
            break
    assert whole


@pytest.mark.parametrize("cut", [0, 1, 9 * MiB, 20 * MiB - 1])
def test_truncated_large(sim: S3Server, connect: Make, cut: int) -> None:
    client = connect()
    data = ramp(20 * MiB)
    client.put("bucket", "k", data)
    sim.faults.add(Fault("GetObject", times=None, truncate=min(cut, 4 * MiB)))
    with pytest.raises((errors.TruncatedError, errors.ConnectionFailedError)):
        client.get("bucket", "k")
    with pytest.raises((errors.TruncatedError, errors.ConnectionFailedError)):
        client.get_into("bucket", "k", bytearray(len(data)))


def test_truncated_is_retried(sim: S3Server, connect: Make) -> None:
    client = connect(max_attempts=3)
    data = ramp(3 * MiB)
    client.put("bucket", "k", data)
    sim.faults.add(Fault("GetObject", times=1, truncate=MiB))
    assert bytes(client.get("bucket", "k")) == data


def test_corrupt_body(sim: S3Server, connect: Make, tmp_path) -> None:  # type: ignore[no-untyped-def]
    client = connect()
    data = ramp(300_000)
    assert client.put("bucket", "k", data).checksum is not None
    sim.faults.add(Fault("GetObject", times=None, corrupt=123_456))
    with pytest.raises(errors.ChecksumError) as caught:
        client.get("bucket", "k")
    check(caught.value, "GetObject", "bucket", "k", caught.value.status)
    assert caught.value.retryable
    with pytest.raises(errors.ChecksumError):
        client.get_into("bucket", "k", bytearray(len(data)))
    with pytest.raises(errors.ChecksumError):
        client.get_file("bucket", "k", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
    sim.faults.clear()
    assert bytes(client.get("bucket", "k")) == data


def test_corrupt_body_is_fetched_again(sim: S3Server, connect: Make) -> None:
    client = connect(max_attempts=3)
    data = ramp(300_000)
    client.put("bucket", "k", data)
    sim.faults.add(Fault("GetObject", times=1, corrupt=1000))
    # an engine may leave the second try to its caller, but must not return the bytes
    with contextlib.suppress(errors.ChecksumError):
        assert bytes(client.get("bucket", "k")) == data


def test_unchecked(sim: S3Server, connect: Make) -> None:
    client = connect(checksum="off")
    client.put("bucket", "k", b"x" * 100)
    info = client.get("bucket", "k").info
    assert info is None or info.checksum_validated is None
    headers = {name.lower() for request in sim.requests for name in request.headers}
    assert not [name for name in headers if name.startswith("x-amz-checksum-c") or name == "x-amz-checksum-mode"]


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "SHA1"])
@pytest.mark.parametrize("size", [100, 17 * MiB])
def test_named_algorithm(sim: S3Server, connect: Make, algorithm: str, size: int) -> None:
    client = connect(checksum=algorithm)
    data = ramp(size)
    result = client.put("bucket", "k", data)
    if result.checksum is not None:
        assert result.checksum[0] == algorithm
    assert bytes(client.get("bucket", "k")) == data
    sent = {name.lower() for request in sim.requests for name in request.headers}
    assert sent & {f"x-amz-checksum-{algorithm.lower()}", "x-amz-trailer"}


def test_checksums_refused_once(sim: S3Server, connect: Make) -> None:
    """An endpoint that knows no checksums is found out with the first upload, and remembered."""
    client = connect(max_attempts=2)
    refusal = sim.faults.add(Fault("PutObject", times=1, status=501, code="NotImplemented"))
    client.put("bucket", "k", b"first")
    assert refusal.hits == 1
    before = len(sim.requests)
    client.put("bucket", "k", b"second")
    assert len(sim.requests) == before + 1
    assert bytes(client.get("bucket", "k")) == b"second"
    assert client.stats()["checksum"]


def test_checksums_refused_side_by_side(sim: S3Server, connect: Make) -> None:
    """A refusal may arrive when another upload has found out already, and has gone through without."""
    client = connect(max_attempts=2)
    hold = threading.Event()
    sim.faults.add(Fault("PutObject", key="late", status=501, code="NotImplemented", hold=hold))
    sim.faults.add(Fault("PutObject", key="early", status=501, code="NotImplemented"))
    failures: list[BaseException] = []

    def put_late() -> None:
        try:
            client.put("bucket", "late", b"late")
        except BaseException as error:
            failures.append(error)

    late = threading.Thread(target=put_late)
    late.start()
    until(lambda: [request for request in sim.requests if request.key == "late"])
    client.put("bucket", "early", b"early")
    hold.set()
    late.join(30)
    assert not failures
    assert [bytes(client.get("bucket", key)) for key in ("early", "late")] == [b"early", b"late"]


def test_replaced_while_read(sim: S3Server, connect: Make) -> None:
    client, other = connect(), connect()
    client.put("bucket", "k", ramp(40 * MiB))
    hold = threading.Event()
    sim.faults.add(Fault("GetObject", times=None, after=1, hold=hold))
    failures: list[BaseException] = []

    def read() -> None:
        try:
            got = client.get("bucket", "k")
            assert bytes(got) in (ramp(40 * MiB), ramp(40 * MiB, 7))
        except BaseException as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.3)
    other.put("bucket", "k", ramp(40 * MiB, 7))
    hold.set()
    reader.join(30)
    assert not reader.is_alive()
    for failure in failures:
        assert isinstance(failure, errors.ObjectChangedError), failure


# -- a server that is none -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that answers everything with the same bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(2)
                with contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops",
        b"HTTP/1.1 503 Slow\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 Partial\r\nContent-Range: nonsense\r\nContent-Length: 0\r\n\r\n",
        b"\x00" * 100,
    ],
    ids=range(11),
)
def test_strange_answers(connect: Make, answer: bytes) -> None:
    with answering(answer) as url:
        client = connect(endpoint_url=url, read_timeout=5, connect_timeout=2)
        with pytest.raises(errors.ObjectFSError):
            client.get("bucket", "k", 3)
        with pytest.raises(errors.ObjectFSError):
            client.get_into("bucket", "k", bytearray(100), 3, 9)
