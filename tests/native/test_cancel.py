"""Cancel, timeout, close and drop at every stage of an operation."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from objectfs import _native, errors
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import S3Server
from objectfs.sim.network.faults import Fault

from .conftest import RawServer, backend_for, until


def resizable(buffer: bytearray) -> bool:
    """Whether nobody has exported it."""
    try:
        buffer.append(0)
    except BufferError:
        return False
    buffer.pop()
    return True


def test_cancel_before_anything_was_sent(crt: CrtBackend, sim: S3Server) -> None:
    op = next(crt.get("bucket", "key", GetOptions()))
    op.cancel()
    assert op.wait(5)
    (response,) = op.result()
    assert response.error is not None


@pytest.mark.parametrize("verb", ["get", "get_into", "put", "head"])
def test_cancel_while_the_server_is_silent(crt: CrtBackend, sim: S3Server, verb: str) -> None:
    run(crt.put("bucket", "key", b"x" * 100, PutOptions()))
    fault = sim.faults.add(Fault(key="key", stall=True, times=None))
    buffer = bytearray(100)
    steps = {
        "get": lambda: crt.get("bucket", "key", GetOptions()),
        "get_into": lambda: crt.get_into("bucket", "key", buffer, GetOptions()),
        "put": lambda: crt.put("bucket", "key", buffer, PutOptions()),
        "head": lambda: crt.head("bucket", "key", GetOptions()),
    }[verb]()
    op = next(steps)
    until(lambda: fault.hits)
    assert not op.done()
    started = time.monotonic()
    op.cancel()
    assert op.wait(5)
    assert time.monotonic() - started < 1
    with pytest.raises(errors.CancelledError):
        steps.send(op.result())
    assert resizable(buffer)


def test_cancel_in_the_middle_of_a_body(make: Callable[..., CrtBackend]) -> None:
    half = threading.Event()

    def respond(connection: socket.socket, request: bytes) -> None:
        connection.sendall(
            b'HTTP/1.1 206 Partial Content\r\nContent-Length: 1000000\r\nETag: "e"\r\n'
            b"Content-Range: bytes 0-999999/1000000\r\n\r\n" + b"x" * 500_000
        )
        half.set()
        server.release.wait(30)

    with RawServer(respond) as server:
        crt = make(server.url)
        for into in (False, True):
            half.clear()
            buffer = bytearray(1_000_000)
            steps: Any = (
                crt.get_into("bucket", "key", buffer, GetOptions()) if into else crt.get("bucket", "key", GetOptions())
            )
            op = next(steps)
            assert half.wait(5)
            if into:
                assert not resizable(buffer)
            op.cancel()
            assert op.wait(5)
            with pytest.raises(errors.CancelledError):
                steps.send(op.result())
            assert resizable(buffer)
        crt.close()


def test_cancel_of_what_has_ended_changes_nothing(crt: CrtBackend) -> None:
    run(crt.put("bucket", "key", b"data", PutOptions()))
    steps = crt.get("bucket", "key", GetOptions())
    op = next(steps)
    assert op.wait()
    op.cancel()
    op.cancel()
    with pytest.raises(StopIteration) as stop:
        steps.send(op.result())
    assert stop.value.value == b"data"


def test_result_before_the_end_is_refused(crt: CrtBackend, sim: S3Server) -> None:
    sim.faults.add(Fault(stall=True))
    op = next(crt.get("bucket", "key", GetOptions()))
    with pytest.raises(RuntimeError):
        op.result()
    assert op.wait(0) is False
    assert op.wait(0.01) is False


def test_an_infinite_timeout_waits(crt: CrtBackend, sim: S3Server) -> None:
    run(crt.put("bucket", "key", b"data", PutOptions()))
    gate = threading.Event()
    fault = sim.faults.add(Fault(hold=gate))
    op = next(crt.get("bucket", "key", GetOptions()))
    until(lambda: fault.hits)
    opener = threading.Timer(0.15, gate.set)
    opener.start()
    assert op.wait(float("inf")) is True
    opener.join()


def test_a_timeout_cancels_and_lets_go_of_the_buffer(crt: CrtBackend, sim: S3Server) -> None:
    sim.faults.add(Fault(stall=True))
    buffer = bytearray(100)
    with pytest.raises(errors.TimeoutError):
        run(crt.get_into("bucket", "key", buffer, GetOptions()), timeout=0.1)
    assert resizable(buffer)
    assert crt.stats()["operations_in_flight"] == 0


def test_close_with_operations_under_way(crt: CrtBackend, sim: S3Server) -> None:
    fault = sim.faults.add(Fault(stall=True, times=None))
    buffers = [bytearray(1000) for _ in range(20)]
    ops = [next(crt.get_into("bucket", "key", buffer, GetOptions())) for buffer in buffers]
    until(lambda: fault.hits == 20)
    started = time.monotonic()
    crt.close()
    assert time.monotonic() - started < 2
    for op in ops:
        assert op.done()
        (response,) = op.result()
        assert response.error == "AWS_ERROR_S3_CANCELED"
        assert op.wait() is True
        assert op.transferred == 0
    assert all(resizable(buffer) for buffer in buffers)


def test_close_while_threads_wait(make: Callable[..., CrtBackend], sim: S3Server) -> None:
    for _ in range(10):
        crt = make()
        fault = sim.faults.add(Fault(stall=True, times=None))
        ended: list[BaseException] = []

        def wait(crt: CrtBackend = crt, ended: list[BaseException] = ended) -> None:
            try:
                run(crt.get("bucket", "key", GetOptions()))
            except BaseException as failure:
                ended.append(failure)

        threads = [threading.Thread(target=wait) for _ in range(8)]
        for thread in threads:
            thread.start()
        until(lambda fault=fault: fault.hits == 8)
        crt.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        assert [type(error) for error in ended] == [errors.CancelledError] * 8
        sim.faults.clear()


def test_close_while_threads_start(make: Callable[..., CrtBackend], sim: S3Server) -> None:
    """Start and close at once: each start either comes before (and is cancelled) or is refused."""
    run_errors: list[BaseException] = []
    for _ in range(10):
        crt = make()
        started = threading.Barrier(5)

        def work(crt: CrtBackend = crt, started: threading.Barrier = started) -> None:
            started.wait()
            try:
                while True:
                    run(crt.put("bucket", "key", b"data", PutOptions()))
            except (errors.ClosedError, errors.CancelledError):
                pass
            except BaseException as error:
                run_errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        started.wait()
        crt.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
    assert run_errors == []


def test_many_threads_wait_for_and_cancel_one_operation(crt: CrtBackend, sim: S3Server) -> None:
    """Whoever takes the result first must not pull the memory from under those who still leave."""
    run(crt.put("bucket", "key", b"x" * 50, PutOptions()))
    target = crt.target("bucket")
    for round in range(60):
        requests = [
            _native.Request(b"GetObject", b"GET", target.path("key"), target.native, target.headers())
            for _ in range(100)  # more than 64: the group's memory is freed, not kept
        ]
        op = target.engine.start(requests, window=10)
        barrier = threading.Barrier(6)
        seen: list[int] = []

        def wait(op: Any = op, barrier: Any = barrier, seen: list[int] = seen) -> None:
            barrier.wait()
            assert op.wait(20)
            seen.append(len(op.result()))

        threads = [threading.Thread(target=wait) for _ in range(4)]
        threads.append(threading.Thread(target=lambda op=op, barrier=barrier: (barrier.wait(), op.cancel())))
        for thread in threads:
            thread.start()
        barrier.wait()
        if round % 2:
            op.cancel()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        assert seen == [100] * 4


def test_use_after_close(crt: CrtBackend) -> None:
    engine = crt.target("bucket").engine
    request = _native.Request(
        b"GetObject", b"GET", b"/bucket/key", crt.target("bucket").native, crt.target("bucket").headers()
    )
    crt.close()
    crt.close()
    with pytest.raises(errors.ClosedError):
        run(crt.get("bucket", "key", GetOptions()))
    with pytest.raises(errors.ClosedError):
        engine.start([request])
    with pytest.raises(errors.ClosedError):
        engine.set_credentials("a", "b", None)
    assert engine.close() is True
    assert engine.inflight == 0
    assert engine.submitted == 0


def test_a_verb_that_goes_on_after_close(crt: CrtBackend) -> None:
    run(crt.put("bucket", "key", bytes(9 << 20), PutOptions()))
    steps = crt.get("bucket", "key", GetOptions())
    op = next(steps)
    assert op.wait()
    crt.close()
    with pytest.raises(errors.ClosedError):  # it wanted the rest
        steps.send(op.result())


def test_a_request_is_sent_once(crt: CrtBackend) -> None:
    target = crt.target("bucket")
    request = _native.Request(b"GetObject", b"GET", b"/bucket/key", target.native, target.headers())
    with pytest.raises(ValueError, match="once"):
        target.engine.start([request, request])
    with pytest.raises(ValueError, match="once"):
        target.engine.start([_native.Request.__new__(_native.Request)])
    with pytest.raises(ValueError, match="no requests"):
        target.engine.start([])
    with pytest.raises(TypeError):
        target.engine.start(["request"])
    assert crt.stats()["operations_in_flight"] == 0


def test_dropped_unclosed(sim: S3Server) -> None:
    crt = backend_for(sim.endpoint_url)
    run(crt.put("bucket", "key", b"data", PutOptions()))
    del crt
    gc.collect()
    assert _native.debug_outstanding_bytes() == 0


def test_dropped_with_operations_under_way(sim: S3Server) -> None:
    fault = sim.faults.add(Fault(stall=True, times=None))
    crt = backend_for(sim.endpoint_url)
    buffer = bytearray(100)
    steps = crt.get_into("bucket", "key", buffer, GetOptions())
    op = next(steps)
    until(lambda: fault.hits)
    del crt, steps, op
    gc.collect()
    assert resizable(buffer)
    assert _native.debug_outstanding_bytes() == 0


def test_an_op_that_was_dropped_keeps_its_memory_until_it_ends(crt: CrtBackend, sim: S3Server) -> None:
    run(crt.put("bucket", "key", b"data", PutOptions()))
    gate = threading.Event()
    fault = sim.faults.add(Fault(hold=gate))
    buffer = bytearray(4)
    steps = crt.get_into("bucket", "key", buffer, GetOptions())
    op = next(steps)
    op.cancel()
    del op, steps
    gc.collect()
    until(lambda: fault.hits or crt.stats()["operations_in_flight"])
    gate.set()

    def released() -> bool:
        next(crt.head("bucket", "key", GetOptions())).wait()  # each start lets go of what has ended
        return resizable(buffer)

    until(released)


def test_an_operation_moves_to_another_notifier(crt: CrtBackend, sim: S3Server) -> None:
    """It must be told to the last one that watches, and leave the list of the one before."""
    run(crt.put("bucket", "key", b"data", PutOptions()))
    target = crt.target("bucket")
    pairs = [socket.socketpair() for _ in range(2)]
    for pair in pairs:
        for end in pair:
            end.setblocking(False)
    old, new = (_native.Notifier(target.engine, writer.fileno()) for _, writer in pairs)
    gate = threading.Event()
    sim.faults.add(Fault(hold=gate, times=None, after=10))

    def request() -> Any:
        return _native.Request(b"GetObject", b"GET", target.path("key"), target.native, target.headers())

    op = target.engine.start([request() for _ in range(40)], window=10)
    if op.watch(old):
        until(lambda: _readable(pairs[0][0]))  # queued with the old one: the window wants feeding
    assert op.watch(new)
    gate.set()
    while not op.advance():
        until(lambda: _readable(pairs[1][0]) or op.done())
        drained = new.drain()
        assert set(drained) <= {op}
    assert old.drain() == []
    assert [response.status for response in op.result()] == [200] * 40
    for _ in range(50):  # groups are recycled: nothing of the old lists may be left in them
        other = target.engine.start([request()])
        other.wait()
        assert old.drain() == new.drain() == []
    old.close()
    new.close()
    for pair in pairs:
        for end in pair:
            end.close()
    foreign = backend_for(sim.endpoint_url)
    late = _native.Notifier(foreign.target("bucket").engine, -1)
    sim.faults.add(Fault(stall=True))
    op = target.engine.start([request()])
    with pytest.raises(ValueError, match="another engine"):
        op.watch(late)
    foreign.close()
    assert late.drain() == []
    late.close()


def _readable(end: socket.socket) -> bool:
    try:
        return bool(end.recv(1))
    except BlockingIOError:
        return False


def test_a_closed_notifier_touches_no_descriptor(crt: CrtBackend, sim: S3Server) -> None:
    """The number of a closed descriptor soon is somebody else's socket."""
    run(crt.put("bucket", "key", b"data", PutOptions()))
    target = crt.target("bucket")
    gate = threading.Event()
    sim.faults.add(Fault(hold=gate))
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        notifier = _native.Notifier(target.engine, writer.fileno())
        op = target.engine.start(
            [_native.Request(b"GetObject", b"GET", target.path("key"), target.native, target.headers())]
        )
        assert op.watch(notifier)
        notifier.close()
        gate.set()
        assert op.wait(5)
        assert not _readable(reader)
