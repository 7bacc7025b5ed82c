"""Every kind of memory that can be read into and sent from, and every kind that cannot."""

from __future__ import annotations

import array
import gc
import mmap
import threading
import weakref
from multiprocessing import shared_memory
from typing import Any

import numpy as np
import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp

DATA = ramp(1000)


@pytest.fixture
def stored(client: objectfs.Client, bucket: str, key: str) -> str:
    client.put(bucket, key, DATA)
    return key


@pytest.mark.parametrize(
    "make",
    [
        lambda: bytearray(1000),
        lambda: array.array("B", bytes(1000)),
        lambda: array.array("d", bytes(1000)),
        lambda: np.zeros(1000, "u1"),
        lambda: np.zeros((10, 25), "f4"),
        lambda: memoryview(bytearray(1000)),
        lambda: mmap.mmap(-1, 1000),
    ],
    ids=["bytearray", "array", "doubles", "numpy", "matrix", "memoryview", "mmap"],
)
def test_into(client: objectfs.Client, bucket: str, stored: str, make: Any) -> None:
    target = make()
    assert client.get_into(bucket, stored, target) == 1000
    with memoryview(target) as view:
        assert view.tobytes() == DATA


def test_into_slice(client: objectfs.Client, bucket: str, stored: str) -> None:
    whole = bytearray(b"." * 1200)
    with memoryview(whole)[100:1100] as view:
        assert client.get_into(bucket, stored, view) == 1000
    assert whole == b"." * 100 + DATA + b"." * 100
    matrix = np.zeros((4, 1000), "u1")
    client.get_into(bucket, stored, matrix[2])
    assert matrix[2].tobytes() == DATA
    assert not matrix[[0, 1, 3]].any()


def test_into_shared_memory(client: objectfs.Client, bucket: str, stored: str) -> None:
    shared = shared_memory.SharedMemory(create=True, size=1000)
    try:
        client.get_into(bucket, stored, shared.buf)
        assert bytes(shared.buf[:1000]) == DATA
    finally:
        shared.close()
        shared.unlink()


@pytest.mark.parametrize("target", [None, 5, "text", [1, 2], object()])
def test_into_no_buffer(client: objectfs.Client, bucket: str, stored: str, target: Any) -> None:
    with pytest.raises(TypeError):
        client.get_into(bucket, stored, target)


def test_into_unfit(client: objectfs.Client, bucket: str, stored: str) -> None:
    frozen = np.zeros(1000, "u1")
    frozen.flags.writeable = False
    for target in (bytes(1000), memoryview(bytes(1000)), frozen):
        with pytest.raises(ValueError):
            client.get_into(bucket, stored, target)
    for target in (memoryview(bytearray(2000))[::2], np.zeros((40, 50), "u1").T, np.zeros(2000, "u1")[::-2]):
        with pytest.raises(ValueError):
            client.get_into(bucket, stored, target)


def test_objects_are_no_bytes(client: objectfs.Client, bucket: str, stored: str) -> None:
    """An array of Python objects is memory full of addresses: overwriting them would crash the interpreter."""
    record = np.zeros(200, [("O", "i4"), ("a", "f8")])  # a field of that name is none
    assert client.get_into(bucket, stored, record) == 1000
    for target in (np.zeros(1000, object), np.zeros(1000, [("a", "i4"), ("b", object)])):
        with pytest.raises(TypeError):
            client.get_into(bucket, stored, target)
        with pytest.raises(TypeError):
            client.put(bucket, stored, target)


@pytest.mark.parametrize("size", [0, 1, 999])
def test_into_too_small(client: objectfs.Client, bucket: str, stored: str, size: int) -> None:
    target = bytearray(size)
    with pytest.raises(errors.BufferTooSmallError) as caught:
        client.get_into(bucket, stored, target)
    assert isinstance(caught.value, BufferError)
    assert (caught.value.bucket, caught.value.key) == (bucket, stored)
    target.append(0)  # it is no longer exported
    assert client.get_into(bucket, stored, bytearray(4), 10, 14) == 4


def test_large_into_too_small(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, ramp(20 * MiB))
    guarded = bytearray(b"#" * (19 * MiB + 100))
    with memoryview(guarded)[: 19 * MiB] as view, pytest.raises(errors.BufferTooSmallError):
        client.get_into(bucket, key, view)
    assert guarded[19 * MiB :] == b"#" * 100


def test_nothing_beyond_is_touched(client: objectfs.Client, bucket: str, key: str) -> None:
    for size in (0, 1, 1000, 8 * MiB + 1):
        client.put(bucket, key, ramp(size))
        target = bytearray(b"#" * (size + 1000))
        assert client.get_into(bucket, key, target) == size
        assert target == ramp(size) + b"#" * 1000


def test_resized_while_in_use(sim: S3Server, connect: Make) -> None:
    client = connect()
    client.put("bucket", "k", DATA)
    hold = threading.Event()
    sim.faults.add(Fault("GetObject", hold=hold))
    target = bytearray(1000)
    results: list[Any] = []
    reader = threading.Thread(target=lambda: results.append(client.get_into("bucket", "k", target)))
    reader.start()
    try:
        for _ in range(100):
            if any(request.operation == "GetObject" for request in sim.requests) or results:
                break
            reader.join(0.02)
        with pytest.raises(BufferError):
            target.extend(b"more")
    finally:
        hold.set()
        reader.join()
    assert results == [1000]
    target.extend(b"more")
    assert target == DATA + b"more"


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        bytearray(DATA),
        memoryview(DATA),
        memoryview(DATA)[100:900],
        array.array("B", DATA),
        np.frombuffer(DATA, "u1"),
        np.frombuffer(DATA, "f4").reshape(10, 25),
        b"",
        bytearray(),
        np.zeros(0),
    ],
    ids=range(10),
)
def test_put(client: objectfs.Client, bucket: str, key: str, data: Any) -> None:
    client.put(bucket, key, data)
    assert bytes(client.get(bucket, key)) == memoryview(data).tobytes()


def test_put_releases(client: objectfs.Client, bucket: str, key: str) -> None:
    data = bytearray(ramp(18 * MiB))
    client.put(bucket, key, data)
    data.append(0)
    with pytest.raises(errors.BucketNotFoundError):
        client.put("no-such-bucket-of-objectfs", key, data)
    data.append(0)


def test_put_mmap(client: objectfs.Client, bucket: str, key: str) -> None:
    with mmap.mmap(-1, 9 * MiB) as area:
        area[:] = ramp(9 * MiB)
        client.put(bucket, key, area)
    assert bytes(client.get(bucket, key)) == ramp(9 * MiB)


@pytest.mark.parametrize("data", [None, 5, "text", {"a": 1}, object(), [1, 2], ["text"]])
def test_put_of_no_bytes(client: objectfs.Client, bucket: str, key: str, data: Any) -> None:
    with pytest.raises(TypeError):
        client.put(bucket, key, data)
    assert not client.exists(bucket, key)


def test_put_of_strided(client: objectfs.Client, bucket: str, key: str) -> None:
    for data in (memoryview(DATA)[::2], np.zeros((4, 5)).T):
        with pytest.raises(ValueError):
            client.put(bucket, key, data)
    with pytest.raises((TypeError, ValueError)):
        client.put_many(bucket, {key: memoryview(DATA)[::2]})
    with pytest.raises(TypeError):
        client.put_many(bucket, {key: "text"})
    with pytest.raises(TypeError):
        client.put_many(bucket, [key])  # type: ignore[arg-type]


def test_memory_goes_with_its_last_reference(client: objectfs.Client, bucket: str, key: str) -> None:
    """Not with some later garbage collection: a loop over large objects would hold many of them."""
    client.put(bucket, key, ramp(100_000))
    verbs = (
        lambda: client.get(bucket, key),
        lambda: client.get_many(bucket, [key])[0],
        lambda: client.get_ranges(bucket, key, [(0, 90_000)])[0],
        lambda: client.get(bucket, key, start=0, end=10),
    )
    gc.collect()
    gc.disable()
    try:
        for verb in verbs:
            for look in (False, True):
                buffer = verb()
                if look:
                    assert buffer.info.key == key
                gone = weakref.ref(buffer)
                del buffer
                assert gone() is None
    finally:
        gc.enable()
