"""Windows, mixtures and failures of batches; memory that is lent and given back; threads that share an engine."""

from __future__ import annotations

import array
import mmap
import random
import threading
from collections.abc import Callable
from multiprocessing import shared_memory

import pytest

from objectfs import _native, errors
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import S3Server
from objectfs.sim.network.faults import Fault

from .conftest import until


def requests(crt: CrtBackend, keys: list[str]) -> list[object]:
    target = crt.target("bucket")
    return [_native.Request(b"GetObject", b"GET", target.path(key), target.native, target.headers()) for key in keys]


@pytest.mark.parametrize("window", [0, 1, 2, 3, 7, 64, 299, 300, 301, 2**64 - 1])
@pytest.mark.parametrize("n", [1, 2, 65, 300])
def test_any_window(crt: CrtBackend, window: int, n: int) -> None:
    run(crt.put("bucket", "key", b"data", PutOptions()))
    op = crt.target("bucket").engine.start(requests(crt, ["key"] * n), window=window)
    assert op.wait(30)
    assert [response.status for response in op.result()] == [200] * n
    assert op.transferred == 4 * n


def test_no_more_than_the_window_is_under_way(crt: CrtBackend, sim: S3Server) -> None:
    gate = threading.Event()
    fault = sim.faults.add(Fault(hold=gate, times=None))
    engine = crt.target("bucket").engine
    op = engine.start(requests(crt, ["key"] * 50), window=5)
    until(lambda: fault.hits == 5)
    assert op.wait(0.05) is False
    assert fault.hits == engine.submitted == 5
    gate.set()
    assert op.wait(10)
    assert fault.hits == 50


def test_the_first_failure_stops_the_rest(crt: CrtBackend, sim: S3Server) -> None:
    run(crt.put("bucket", "key", b"data", PutOptions()))
    engine = crt.target("bucket").engine
    before = engine.submitted
    op = engine.start(requests(crt, ["key"] * 10 + ["missing"] + ["key"] * 5000), window=8, stop_on_error=True)
    assert op.wait(30)
    responses = op.result()
    assert len(responses) == 5011
    assert responses[10].status == 404
    assert responses[-1].error == "AWS_ERROR_S3_CANCELED"
    assert engine.submitted - before < 200


def test_a_failure_among_stalled_ones(crt: CrtBackend, sim: S3Server) -> None:
    """The ones that never answer are cancelled by the one that failed, whoever waits, or nobody."""
    fault = sim.faults.add(Fault(key="stall", stall=True, times=None))
    keys = [*["stall"] * 6, "missing", *["stall"] * 50]
    op = crt.target("bucket").engine.start(requests(crt, keys), window=7, stop_on_error=True)
    assert op.wait(10)
    assert fault.hits <= 6
    assert op.result()[6].status == 404


def test_get_many_with_failures_and_empty_objects(crt: CrtBackend) -> None:
    datas = {f"key{i}": bytes([i % 256]) * (i % 5) for i in range(300)}
    run(crt.put_many("bucket", datas, PutOptions()))
    keys = [key for pair in zip(datas, (f"missing{i}" for i in range(300)), strict=True) for key in pair]
    found = run(crt.get_many("bucket", keys, "return", GetOptions()))
    assert [bytes(item) for item in found[::2]] == list(datas.values())
    assert {type(item) for item in found[1::2]} == {errors.NotFoundError}
    assert [bytes(item) for item in run(crt.get_many("bucket", list(datas), "raise", GetOptions()))] == list(
        datas.values()
    )
    with pytest.raises(errors.NotFoundError) as caught:
        run(crt.get_many("bucket", keys, "raise", GetOptions()))
    assert caught.value.key.startswith("missing")
    assert crt.stats()["operations_in_flight"] == 0


def test_get_many_of_growing_objects(make: Callable[..., CrtBackend]) -> None:
    """The room for the later ones is guessed from the first ones: wrongly here."""
    crt = make(part_size=5 << 20)
    rng = random.Random(4)
    sizes = [70_000] * 20 + [0, 1, 69_999, 70_001, 200_000, 6 << 20, (5 << 20) + 1] + [70_000] * 40
    datas = {f"key{i}": rng.randbytes(size) for i, size in enumerate(sizes)}
    run(crt.put_many("bucket", datas, PutOptions()))
    found = run(crt.get_many("bucket", list(datas), "raise", GetOptions()))
    assert all(item == data for item, data in zip(found, datas.values(), strict=True))


def test_buffers_are_exported_while_in_use(crt: CrtBackend, sim: S3Server) -> None:
    run(crt.put("bucket", "key", b"new!", PutOptions()))
    gate = threading.Event()
    fault = sim.faults.add(Fault(hold=gate, times=None))
    target, source = bytearray(b"old?"), bytearray(b"sent")
    steps = crt.get_into("bucket", "key", target, GetOptions()), crt.put("bucket", "other", source, PutOptions())
    ops = [next(step) for step in steps]
    until(lambda: fault.hits == 2)
    for buffer in target, source:
        with pytest.raises(BufferError):
            buffer.append(0)
    gate.set()
    for op, step in zip(ops, steps, strict=True):
        assert op.wait(5)
        with pytest.raises(StopIteration):
            step.send(op.result())
    target.append(1)
    source.append(1)
    assert target == b"new!\x01"


def test_a_request_that_cannot_be_made_lets_go(crt: CrtBackend) -> None:
    target = crt.target("bucket")
    body = bytearray(4)
    for more in ({"recv": b"read-only"}, {"recv": 5}, {"recv": memoryview(bytearray(8))[::2]}):
        with pytest.raises((BufferError, TypeError)):
            _native.Request(b"PutObject", b"PUT", b"/bucket/key", target.native, target.headers(), body=body, **more)
    body.append(0)


def test_bodies_of_any_shape(crt: CrtBackend) -> None:
    numpy = pytest.importorskip("numpy")
    memory = shared_memory.SharedMemory(create=True, size=4096)
    mapped = mmap.mmap(-1, 4096)
    try:
        memory.buf[:] = mapped[:] = bytes(range(256)) * 16
        shapes = {
            "bytes": b"abc",
            "empty": b"",
            "bytearray": bytearray(b"abc"),
            "view": memoryview(b"xabcx")[1:4],
            "array": array.array("d", [1.0, 2.0]),
            "numpy": numpy.arange(60, dtype="<i4").reshape(3, 4, 5),
            "no rows": numpy.zeros((0, 5)),
            "mmap": mapped,
            "shared": memory.buf,
        }
        for name, data in shapes.items():
            run(crt.put("bucket", name, data, PutOptions()))
            view = memoryview(data)
            assert bytes(run(crt.get("bucket", name, GetOptions()))) == view.tobytes()
            view.release()
            into = numpy.zeros(4096, dtype="u1")
            size = run(crt.get_into("bucket", name, into, GetOptions()))
            assert into[:size].tobytes() == memoryview(data).tobytes()
        run(crt.put_many("bucket", shapes, PutOptions()))
        with pytest.raises(ValueError, match="contiguous"):
            run(crt.put("bucket", "key", numpy.zeros((4, 4))[:, ::2], PutOptions()))
        with pytest.raises(TypeError):
            run(crt.put("bucket", "key", "text", PutOptions()))  # type: ignore[arg-type]
    finally:
        mapped.close()
        shapes.clear()
        memory.close()
        memory.unlink()


def test_a_buffer() -> None:
    empty, full = _native.Buffer(0), _native.Buffer(3)
    memoryview(full)[:] = b"abc"
    assert bytes(empty) == b"" == empty
    assert full == b"abc" != empty
    assert full != "abc"
    assert list(full) == [97, 98, 99]
    assert full[1] == 98
    assert bytes(full[1:]) == b"bc"
    with pytest.raises((OverflowError, ValueError)):
        _native.Buffer(-1)
    with pytest.raises(MemoryError):
        _native.Buffer(2**63)
    view = memoryview(full)
    del full
    assert bytes(view) == b"abc"
    with pytest.raises(ValueError, match="fit"):
        _native.copy_into(bytearray(3), 1, b"abc")
    with pytest.raises(BufferError):
        _native.copy_into(b"abc", 0, b"abc")


def test_a_buffer_in_use_does_not_shrink() -> None:
    buffer = _native.Buffer(1000)
    with memoryview(buffer) as view, memoryview(view), pytest.raises(BufferError):
        buffer._shrink(10)
    buffer._shrink(10)
    assert len(buffer) == 10
    buffer._shrink(0)
    assert bytes(buffer) == b""


def test_sixteen_threads_share_an_engine(crt: CrtBackend) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        rng = random.Random(number)
        try:
            for i in range(40):
                data = rng.randbytes(rng.choice((0, 1, 1000, 100_000)))
                key = f"{number}/{i % 4}"
                run(crt.put("bucket", key, data, PutOptions()))
                assert bytes(run(crt.get("bucket", key, GetOptions()))) == data
                if i % 10 == 0:
                    next(crt.get("bucket", key, GetOptions())).cancel()
                    run(crt.get_many("bucket", [key, "missing"], "return", GetOptions()))
                    crt.stats()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert failures == []
