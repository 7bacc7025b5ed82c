"""Requests that are sent a second time because the answer is late: native/hedge.pyx."""

from __future__ import annotations

import signal
import socket
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from objectfs import _native
from objectfs.backends.base import DeleteOptions, ListOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import Fault, S3Server

from .conftest import RawServer, start_script, until
from .hedging import DATA, LATE, OTHER, SIZE, hedged, request, start

LONG = 1e6


@pytest.fixture
def stored(crt: CrtBackend) -> CrtBackend:
    run(crt.put("bucket", "k", DATA, PutOptions()))
    return crt


@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize("kind", ["collected", "received", "head"])
def test_the_second_answer_counts(stored: CrtBackend, sim: S3Server, kind: str, marks: bool) -> None:
    if kind == "received" and not marks and _native.debug_running_bytes() is None:
        pytest.skip("the C libraries are shared ones, or this is no ELF: nobody sees whether it has begun")
    fault = sim.faults.add(Fault(key="k", stall=True))
    buffer = bytearray(SIZE)
    made = request(stored, buffer if kind == "received" else None, method="HEAD" if kind == "head" else "GET")
    op = start(stored, made, marks=marks)
    assert op.wait(20)
    (response,) = op.result()
    assert response.error is None
    assert response.status == (206 if kind == "received" else 200)
    if kind == "received":
        assert (buffer, response.received, op.transferred) == (DATA, SIZE, SIZE)
    elif kind == "collected":
        assert bytes(response.body) == DATA
        assert response.validated
    assert fault.hits == 1
    assert hedged(stored)[1] == 1


@pytest.mark.parametrize("kind", ["collected", "received", "head"])
def test_the_third_answer_counts(stored: CrtBackend, sim: S3Server, kind: str) -> None:
    sim.clear_requests()
    fault = sim.faults.add(Fault(key="k", stall=True, times=2))
    buffer = bytearray(SIZE)
    made = request(stored, buffer if kind == "received" else None, method="HEAD" if kind == "head" else "GET")
    began = time.monotonic()
    op = start(stored, made)
    assert op.wait(20)
    assert time.monotonic() - began > 1.4 * LATE
    (response,) = op.result()
    assert response.error is None
    assert buffer == (DATA if kind == "received" else bytes(SIZE))
    assert fault.hits == 2
    assert hedged(stored) == (2, 1)
    assert len([seen for seen in sim.requests if seen.key == "k"]) == 3


def test_no_third_where_the_second_has_begun(stored: CrtBackend, sim: S3Server) -> None:
    silent = sim.faults.add(Fault("GetObject", key="k", stall=True))
    pause = sim.faults.add(Fault("GetObject", key="k", delay=1.0, at=SIZE // 2, times=None))
    buffer = bytearray(SIZE)
    op = start(stored, request(stored, buffer), late=0.5)
    assert op.wait(20)
    assert buffer == DATA
    assert (silent.hits, pause.hits) == (1, 1)
    assert hedged(stored) == (1, 1)


@pytest.mark.parametrize("into", [True, False])
def test_the_first_answer_counts_if_it_comes_first(stored: CrtBackend, sim: S3Server, into: bool) -> None:
    first = sim.faults.add(Fault(key="k", hold=(held := threading.Event()), nth=1))
    second = sim.faults.add(Fault(key="k", stall=True, nth=(1, 2)))
    buffer = bytearray(SIZE)
    op = start(stored, request(stored, buffer if into else None))
    until(lambda: second.hits)
    held.set()
    assert op.wait(20)
    (response,) = op.result()
    assert response.error is None
    assert (bytes(buffer) if into else bytes(response.body)) == DATA
    assert first.hits == 1
    assert hedged(stored) == (second.hits, 0)


def test_what_a_hedge_has_brought_of_other_content_goes_nowhere(stored: CrtBackend, sim: S3Server) -> None:
    """The object is replaced while the first request waits, the second one's answer breaks off, the first one comes."""
    sim.faults.add(Fault("GetObject", key="k", hold=(held := threading.Event()), nth=1))
    halfway = sim.faults.add(Fault("GetObject", key="k", stall=True, at=SIZE // 2, nth=1))
    buffer = bytearray(SIZE)
    op = start(stored, request(stored, buffer))
    run(stored.put("bucket", "k", OTHER, PutOptions()))
    until(lambda: halfway.hits)
    held.set()
    assert op.wait(20)
    (response,) = op.result()
    assert response.error is None
    assert bytes(buffer) in (DATA, OTHER)
    assert hedged(stored) == (1, 0)


@pytest.mark.parametrize(("marks", "crc"), [(True, None), (True, "CRC32"), (False, None), (False, "CRC32")])
def test_an_answer_that_has_begun_is_not_late(stored: CrtBackend, sim: S3Server, marks: bool, crc: str | None) -> None:
    if not marks and _native.debug_running_bytes() is None:
        pytest.skip("the C libraries are shared ones, or this is no ELF: nobody sees it there")
    pause = sim.faults.add(Fault("GetObject", key="k", delay=1.0, at=SIZE // 2, times=None))
    buffer = bytearray(SIZE)
    op = start(stored, request(stored, buffer, crc=crc), late=0.5, marks=marks)
    assert op.wait(20)
    assert bytes(buffer) == DATA
    assert pause.hits == 1
    assert hedged(stored) == (0, 0)
    assert op.result()[0].crc == (None if crc is None else zlib.crc32(DATA))


@pytest.mark.parametrize("crc", [None, "CRC32"])
def test_of_a_file_as_well(stored: CrtBackend, sim: S3Server, tmp_path: Path, crc: str | None) -> None:
    """What has begun is not late; what is silent is, and the second answer is what the file holds."""
    with open(tmp_path / "f", "w+b", buffering=0) as file:
        sink = _native.file_sink(file.fileno(), 0, 2 * SIZE)
    if sink is None:
        pytest.skip("files are written by the C library here")
    run(stored.put("bucket", "other", OTHER, PutOptions()))
    stored.target("bucket").engine.bandwidth = 1e9  # there is room for a second request beside the first answer
    view = memoryview(sink)
    made = [request(stored, view[:SIZE], crc=crc), request(stored, view[SIZE:], key="other", crc=crc)]
    sim.clear_requests()
    sim.faults.add(Fault("GetObject", key="k", delay=2.0, at=SIZE // 2, times=None))
    silent = sim.faults.add(Fault("GetObject", key="other", stall=True))
    op = start(stored, *made, window=2, late=0.8, marks=False)
    until(lambda: hedged(stored)[0] > 0)
    assert not op.done()  # the first answer is on its way
    assert op.wait(20)
    assert [response.error for response in op.result()] == [None, None]
    assert [response.crc for response in op.result()] == [crc and zlib.crc32(data) for data in (DATA, OTHER)]
    assert silent.hits == 1
    assert hedged(stored)[1] == 1
    assert [seen.key for seen in sim.requests].count("k") == 1
    assert (tmp_path / "f").read_bytes() == DATA + OTHER


def test_what_is_refused_is_not_asked_for_twice(stored: CrtBackend, sim: S3Server) -> None:
    sim.faults.add(Fault(key="none", hold=(held := threading.Event()), nth=1))
    second = sim.faults.add(Fault(key="none", stall=True, nth=1))
    buffer = bytearray(b"\7" * SIZE)
    op = start(stored, request(stored, buffer, key="none"))
    until(lambda: second.hits)
    held.set()
    assert op.wait(20)
    assert op.result()[0].status == 404
    assert buffer == b"\7" * SIZE


@pytest.mark.parametrize("size", [0, 5, 16, 17, 1000])
def test_memory_beyond_the_content_stays(crt: CrtBackend, size: int) -> None:
    run(crt.put("bucket", "short", DATA[:size], PutOptions()))
    buffer = bytearray(b"\7" * SIZE)
    op = start(crt, request(crt, buffer, key="short"), late=LONG)
    assert op.wait(20)
    assert buffer == DATA[:size] + b"\7" * (SIZE - size)


@pytest.mark.parametrize("hits", [2, 3])
def test_cancel_while_all_are_silent(stored: CrtBackend, sim: S3Server, hits: int) -> None:
    silent = sim.faults.add(Fault(key="k", stall=True, times=None))
    buffer = bytearray(SIZE)
    op = start(stored, request(stored, buffer))
    until(lambda: silent.hits >= hits)
    started = time.monotonic()
    op.cancel()
    assert op.wait(5)
    assert time.monotonic() - started < 2
    assert op.result()[0].error == "AWS_ERROR_S3_CANCELED"
    buffer.append(0)  # nobody has it any more


@pytest.mark.parametrize("hits", [0, 1, 2, 3])
def test_close_at_every_stage(make: Callable[..., CrtBackend], sim: S3Server, hits: int) -> None:
    crt = make()
    run(crt.put("bucket", "k", DATA, PutOptions()))
    silent = sim.faults.add(Fault(key="k", stall=True, times=None))
    op = start(crt, request(crt, bytearray(SIZE)), late=LATE if hits >= 2 else LONG)
    until(lambda: silent.hits >= hits)
    started = time.monotonic()
    crt.close()
    assert time.monotonic() - started < 5  # not LONG
    assert op.done()


def test_a_handle_that_is_dropped(stored: CrtBackend, sim: S3Server) -> None:
    silent = sim.faults.add(Fault(key="k", stall=True, times=None))
    start(stored, request(stored, bytearray(SIZE)))
    until(lambda: silent.hits >= 2)
    sim.faults.clear()
    assert start(stored, request(stored)).wait(20)  # lets go of it
    engine = stored.target("bucket").engine
    until(lambda: engine._reap_cancelled() or engine.inflight == 0)


def test_a_third_and_one_at_most(stored: CrtBackend, sim: S3Server) -> None:
    silent = sim.faults.add(Fault(key="k", stall=True, times=None))
    op = start(stored, *(request(stored) for _ in range(12)), window=12)
    until(lambda: silent.hits == 12 + 5)
    assert hedged(stored) == (5, 0)
    op.cancel()
    assert op.wait(5)


def test_each_where_all_are_needed(stored: CrtBackend, sim: S3Server) -> None:
    """Twice as many as there are, and no more than twenty until one has come first."""
    silent = sim.faults.add(Fault(key="k", stall=True, times=None))
    for count, again in ((6, 12), (12, 20), (24, 24)):
        before = silent.hits, hedged(stored)[0]
        op = start(stored, *(request(stored) for _ in range(count)), window=count, each=True)
        until(lambda hits=before[0] + count + again: silent.hits == hits)
        assert not op.wait(2 * LATE)
        assert hedged(stored) == (before[1] + again, 0)
        op.cancel()
        assert op.wait(5)


@pytest.mark.parametrize(("each", "count"), [(False, 2), (True, 3)])
def test_as_often_as_it_is_worth(stored: CrtBackend, sim: S3Server, each: bool, count: int) -> None:
    """Its answer is the last one that is asked for."""
    run(stored.put("bucket", "o", DATA, PutOptions()))
    silent = sim.faults.add(Fault(key="k", stall=True, times=count))
    buffer = bytearray(SIZE)
    op = start(stored, request(stored, buffer), request(stored, key="o"), window=2, each=each)
    assert op.wait(20)
    assert buffer == DATA
    assert silent.hits == count
    assert hedged(stored) == (count, 1)


@pytest.mark.parametrize(("each", "most"), [(False, 3), (True, 4)])
def test_no_oftener(stored: CrtBackend, sim: S3Server, each: bool, most: int) -> None:
    run(stored.put("bucket", "o", DATA, PutOptions()))
    silent = sim.faults.add(Fault(key="k", stall=True, times=None))
    op = start(stored, request(stored), *(request(stored, key="o") for _ in range(11)), window=12, each=each)
    until(lambda: silent.hits == most)
    assert not op.wait(2 * LATE)
    assert silent.hits == most
    op.cancel()
    assert op.wait(5)


def test_what_waits_for_a_connection_is_not_late(make: Callable[..., CrtBackend], sim: S3Server) -> None:
    crt = make(max_connections=2)
    run(crt.put("bucket", "k", DATA, PutOptions()))
    slow = sim.faults.add(Fault("GetObject", delay=0.05, times=None))
    op = start(crt, *(request(crt) for _ in range(30)), window=30)
    assert op.wait(30)
    assert all(response.error is None for response in op.result())
    assert slow.hits == 30  # most were submitted long before they could be sent
    assert hedged(crt) == (0, 0)


def test_not_before_all_is_under_way(stored: CrtBackend, sim: S3Server) -> None:
    """As long as a batch has other work, nobody waits for what is late."""
    sim.clear_requests()
    silent = sim.faults.add(Fault(key="k", stall=True))
    for name in map(str, range(20)):
        run(stored.put("bucket", name, DATA[:10], PutOptions()))
    slow = sim.faults.add(Fault("GetObject", key_glob="[0-9]*", delay=0.03, times=None))
    requests = [request(stored), *(request(stored, key=str(i)) for i in range(20))]
    op = start(stored, *requests, window=2, late=0.01)
    assert op.wait(20)
    assert all(response.error is None for response in op.result())
    assert slow.hits >= 20
    assert silent.hits == 1
    keys = [seen.key for seen in sim.requests if seen.operation == "GetObject"]
    first, *others = (i for i, key in enumerate(keys) if key == "k")
    assert first < 2
    assert others  # one; or two, where the machine is too busy to answer in time
    assert min(others) > 19
    assert hedged(stored)[1] >= 1


def test_nothing_else_is_sent_twice(stored: CrtBackend, sim: S3Server) -> None:
    target = stored.target("bucket")
    silent = sim.faults.add(Fault(stall=True, times=None))
    headers = target.headers({"Content-Length": "10"})
    put = _native.Request(b"PutObject", b"PUT", target.path("p"), target.native, headers, body=b"x" * 10)
    delete = _native.Request(b"DeleteObject", b"DELETE", target.path("d"), target.native, target.headers())
    ops = [start(stored, put), start(stored, delete), start(stored, request(stored))]
    until(lambda: hedged(stored)[0] == 2)
    until(lambda: silent.hits == 5)
    for op in ops:
        op.cancel()
        assert op.wait(5)
    assert hedged(stored) == (2, 0)


def test_all_fail(stored: CrtBackend, sim: S3Server) -> None:
    sim.faults.add(Fault(key="k", hold=(held := threading.Event()), nth=1, status=403, code="AccessDenied"))
    second = sim.faults.add(Fault(key="k", reset=True, times=None))
    op = start(stored, request(stored, bytearray(SIZE)))
    until(lambda: second.hits)
    held.set()
    assert op.wait(20)
    assert op.result()[0].status == 403
    assert hedged(stored)[1] == 0


def test_a_hedge_outlives_a_broken_connection(stored: CrtBackend, sim: S3Server) -> None:
    sim.faults.add(Fault(key="k", hold=(first := threading.Event()), truncate=1000, nth=1))
    second = sim.faults.add(Fault(key="k", hold=(held := threading.Event()), nth=(1, 2)))
    buffer = bytearray(SIZE)
    op = start(stored, request(stored, buffer))
    until(lambda: second.hits)
    first.set()
    until(lambda: stored.stats()["operations"].get("GetObject", {}).get("failed"))  # it has begun, and broken off
    held.set()
    assert op.wait(20)
    assert op.result()[0].error is None
    assert buffer == DATA


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_crc_of_what_counts(stored: CrtBackend, sim: S3Server, algorithm: str) -> None:
    sim.faults.add(Fault(key="k", stall=True))
    buffers = [bytearray(SIZE // 2), bytearray(SIZE)]
    for buffer in buffers:
        op = start(stored, request(stored, buffer, crc=algorithm))
        assert op.wait(20)
        (response,) = op.result()
        assert buffer == DATA[: len(buffer)]
        assert response.crc == _native.crc(algorithm, buffer)
    first, second = (_native.crc(algorithm, piece) for piece in (DATA[:1000], DATA[1000:]))
    assert _native.combine_crc(algorithm, first, second, SIZE - 1000) == _native.crc(algorithm, DATA)
    assert request(stored, bytearray(10)) is not None
    with pytest.raises(ValueError, match="MD5"):
        request(stored, bytearray(10), crc="MD5")


def test_waits_are_counted_and_forgotten(stored: CrtBackend) -> None:
    engine = stored.target("bucket").engine
    engine.forget_waits()
    assert start(stored, *(request(stored) for _ in range(10)), window=4, late=0.0).wait(20)
    assert sum(engine.waits) == 10
    engine.forget_waits()
    assert sum(engine.waits) == 0
    assert run(stored.list_page("bucket", options=ListOptions())).entries
    run(stored.delete("bucket", "k", DeleteOptions()))
    assert sum(engine.waits) == 0  # of GetObjects only


def test_the_first_waits_of_connections(sim: S3Server, make: Callable[..., CrtBackend]) -> None:
    """A list is a GET too; it has the first connection here, and the third GetObject is not that one's first."""
    crt = make(max_connections=2)
    run(crt.put("bucket", "k", DATA, PutOptions()))
    engine = crt.target("bucket").engine
    assert sum(engine.first_waits) == 0
    answer = threading.Event()
    fault = sim.faults.add(Fault("GetObject", hold=answer, times="all"))
    op = start(crt, request(crt), request(crt), window=2, late=0.0)
    until(lambda: fault.hits == 2)
    answer.set()
    assert op.wait(20)
    assert start(crt, request(crt), late=0.0).wait(20)
    assert (sum(engine.first_waits), sum(engine.waits)) == (1, 3)
    engine.forget_first_waits()
    assert (sum(engine.first_waits), sum(engine.waits)) == (0, 3)


BEHIND = """
crt = make()
target = crt.target("bucket")
requests = [_native.Request(b"HeadObject", b"HEAD", target.path("k"), target.native, target.headers())
            for _ in range(COUNT)]
op = target.engine.start(requests, window=COUNT, late=LATE)
assert op.wait(30)
assert all(response.status == 200 for response in op.result())
print(target.engine.hedged)
crt.close()
"""


@pytest.mark.not_under("thread", "one loop takes longer to read what has come than another waits for it")
def test_what_has_come_and_is_not_read_yet_is_not_late() -> None:
    """The process gets no time while the answers arrive, and then reads a hundred connections at a time."""
    count, late = 250, 3.0  # nothing is late before all have been asked
    asked, answered = [], []

    def respond(connection: socket.socket, _: bytes) -> None:
        asked.append(1)
        server.release.wait(20)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "e"\r\n\r\n')
        answered.append(1)

    with RawServer(respond) as server:
        process = start_script(f"COUNT, LATE = {count}, {late}\n" + BEHIND, server.url)
        try:
            until(lambda: len(asked) == count)
            process.send_signal(signal.SIGSTOP)
            since = time.monotonic()
            server.release.set()
            until(lambda: len(answered) == count and time.monotonic() - since > late + 0.2)
        finally:
            process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=60)
    assert (err, out) == ("", "(0, 0)\n")


def test_no_more_than_twenty_where_they_do_not_pay(stored: CrtBackend, sim: S3Server) -> None:
    """A server that is slow with everything."""
    slow = sim.faults.add(Fault("GetObject", key="k", stall=True, times=None))
    op = start(stored, *[request(stored) for _ in range(90)], late=0.1, window=90)
    until(lambda: slow.hits >= 90)
    assert not op.wait(1.0)  # ten times as long as it takes until one is late
    op.cancel()
    assert op.wait(20)
    assert 1 <= hedged(stored)[0] <= 20
