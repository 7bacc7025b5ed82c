"""Downloads from far away: ranges that all begin at once, with HeadObject beside them for the object's checksum."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectfs import errors
from objectfs.backends import crt_network
from objectfs.backends.base import DeleteOptions, GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import Fault, S3Server

from .conftest import RawServer

MiB = 1024 * 1024
PART = 5 * MiB
SIZE = 4 * PART + 12_345
VERBS = ("get_into", "get", "get_file")


@pytest.fixture(scope="module")
def data() -> bytes:
    return random.Random(12).randbytes(SIZE)


@pytest.fixture
def far(make: Callable[..., CrtBackend], data: bytes, monkeypatch: pytest.MonkeyPatch) -> CrtBackend:
    """One that has learned already that a first byte takes long, whatever it sees here, and that objects fill their
    memory."""
    monkeypatch.setattr(crt_network.Network, "far", True)
    # requests are counted here: none is to be sent twice because a busy machine is late
    backend = make(part_size=PART, max_attempts=3, hedge=False)
    run(backend.put("bucket", "k", data, PutOptions()))
    seem_far(backend)
    return backend


def seem_far(backend: CrtBackend) -> None:
    paces = backend.target("bucket").engine.paces
    paces.network.latency = 0.1
    paces.filled = True


def read(backend: CrtBackend, verb: str, tmp_path: Path, room: int = SIZE) -> bytes:
    if verb == "get":
        return bytes(run(backend.get("bucket", "k", GetOptions())))
    if verb == "get_file":
        run(backend.get_file("bucket", "k", str(tmp_path / "f"), GetOptions()))
        return (tmp_path / "f").read_bytes()
    buffer = bytearray(room)
    return bytes(buffer[: run(backend.get_into("bucket", "k", buffer, GetOptions()))])


def asked(sim: S3Server, before: int) -> list[tuple[str, str | None]]:
    return [(request.method, request.headers.get("range")) for request in sim.requests[before:]]


@pytest.mark.parametrize("verb", VERBS)
def test_each_byte_once_and_one_head(far: CrtBackend, sim: S3Server, data: bytes, tmp_path: Path, verb: str) -> None:
    before = len(sim.requests)
    assert read(far, verb, tmp_path) == data
    ranges = [f"bytes={at}-{min(at + PART, SIZE) - 1}" for at in range(0, SIZE, PART)]
    if verb != "get_into":  # how long the object is, the first range tells
        ranges[-1] = f"bytes={4 * PART}-{SIZE - 1}"
    assert Counter(asked(sim, before)) == Counter([("HEAD", None), *(("GET", each) for each in ranges)])


@pytest.mark.parametrize("verb", VERBS)
def test_checksum_off_asks_for_none(
    make: Callable[..., CrtBackend], sim: S3Server, data: bytes, tmp_path: Path, verb: str
) -> None:
    backend = make(part_size=PART, checksum="off")
    run(backend.put("bucket", "k", data, PutOptions()))
    seem_far(backend)
    before = len(sim.requests)
    assert read(backend, verb, tmp_path) == data
    assert {request.method for request in sim.requests[before:]} == {"GET"}
    assert not any("x-amz-checksum-mode" in request.headers for request in sim.requests[before:])


def test_learned_by_itself(make: Callable[..., CrtBackend], data: bytes) -> None:
    with S3Server(profile="express") as sim:
        backend = make(sim.endpoint_url, part_size=PART)
        run(backend.put("bucket", "k", data, PutOptions()))
        buffer = bytearray(SIZE)
        methods = []
        for _ in range(2):
            before = len(sim.requests)
            assert run(backend.get_into("bucket", "k", buffer, GetOptions())) == SIZE
            assert buffer == data
            methods.append([method for method, _ in asked(sim, before)].count("GET"))
        assert backend.target("bucket").engine.paces.network.latency >= 0.002
        assert methods[1] == 5


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_bit_is_found(far: CrtBackend, sim: S3Server, tmp_path: Path, verb: str) -> None:
    # no range of the object has a checksum of its own: what is reported of all of it must tell
    sim.faults.add(Fault(operation="GetObject", key="k", after=2, corrupt=1000))
    with pytest.raises(errors.ChecksumError):
        read(far, verb, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", VERBS)
def test_a_range_that_fails_is_asked_for_again(
    far: CrtBackend, sim: S3Server, data: bytes, tmp_path: Path, verb: str
) -> None:
    sim.faults.add(Fault(operation="GetObject", key="k", after=1, status=500, code="InternalError"))
    sim.faults.add(Fault(operation="GetObject", key="k", after=2, close_at=MiB))
    assert read(far, verb, tmp_path) == data
    assert sum(1 for request in sim.requests if request.status == 500) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_replaced_meanwhile(far: CrtBackend, sim: S3Server, tmp_path: Path, verb: str) -> None:
    sim.faults.add(Fault(operation="GetObject", key="k", after=2, replace=True))
    with pytest.raises(errors.ObjectChangedError):
        read(far, verb, tmp_path)
    assert not list(tmp_path.iterdir())


def test_memory_that_the_object_does_not_fill(far: CrtBackend, sim: S3Server, data: bytes) -> None:
    """Ranges beyond the end are refused, and not asked for the next time."""
    buffer = bytearray(8 * PART)
    for beyond in (3, 0):
        before = len(sim.requests)
        assert run(far.get_into("bucket", "k", buffer, GetOptions())) == SIZE
        assert buffer[:SIZE] == data
        assert sum(1 for request in sim.requests[before:] if request.status == 416) == beyond


def test_memory_that_is_too_small(far: CrtBackend) -> None:
    for _ in range(2):
        with pytest.raises(errors.BufferTooSmallError):
            run(far.get_into("bucket", "k", bytearray(SIZE - 1), GetOptions()))


def test_an_empty_object(far: CrtBackend) -> None:
    run(far.put("bucket", "empty", b"", PutOptions()))
    assert run(far.get_into("bucket", "empty", bytearray(2 * PART), GetOptions())) == 0


def test_none_there(far: CrtBackend, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(errors.NotFoundError) as caught:
            run(far.get_into("bucket", "none", bytearray(2 * PART), GetOptions()))
        assert (caught.value.operation, caught.value.bucket, caught.value.key) == ("GetObject", "bucket", "none")


def test_an_endpoint_without_ranges(make: Callable[..., CrtBackend], data: bytes) -> None:
    def whole(connection: Any, head: bytes) -> None:
        body = b"" if head.startswith(b"HEAD") else data
        connection.sendall(
            b'HTTP/1.1 200 OK\r\nETag: "e"\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % SIZE + body
        )

    with RawServer(whole) as server:
        backend = make(server.url, part_size=PART)
        seem_far(backend)
        buffer = bytearray(SIZE)
        assert run(backend.get_into("bucket", "k", buffer, GetOptions())) == SIZE
        assert buffer == data


def test_what_is_said_of_another_object_says_nothing(far: CrtBackend, sim: S3Server, data: bytes) -> None:
    """HeadObject came before the object that was read, or after it."""
    sim.faults.add(
        Fault(
            operation="HeadObject",
            key="k",
            etag='"of-another"',
            set_headers={"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="},
        )
    )
    buffer = bytearray(SIZE)
    assert run(far.get_into("bucket", "k", buffer, GetOptions())) == SIZE
    assert buffer == data


@pytest.mark.parametrize("verb", ["get", "get_file"])
def test_after_a_large_object_head_comes_first(
    far: CrtBackend, sim: S3Server, data: bytes, tmp_path: Path, verb: str
) -> None:
    """Instead of a first range, for which all others would wait; and again as before when the objects are small."""
    assert read(far, verb, tmp_path) == data
    before = len(sim.requests)
    assert read(far, verb, tmp_path) == data
    ranges = [("GET", f"bytes={at}-{min(at + PART, SIZE) - 1}") for at in range(0, SIZE, PART)]
    found = asked(sim, before)
    assert found[0] == ("HEAD", None)
    assert Counter(found[1:]) == Counter(ranges)
    run(far.put("bucket", "k", b"small", PutOptions()))
    for methods in (["HEAD", "GET"], ["GET"]):
        before = len(sim.requests)
        assert read(far, verb, tmp_path) == b"small"
        assert [method for method, _ in asked(sim, before)] == methods


@pytest.mark.parametrize("verb", ["get", "get_file"])
def test_where_head_comes_first_failures_are_told_as_ever(
    far: CrtBackend, sim: S3Server, data: bytes, tmp_path: Path, verb: str
) -> None:
    read(far, verb, tmp_path)
    sim.faults.add(Fault(operation="GetObject", key="k", after=2, replace=True))
    with pytest.raises(errors.ObjectChangedError):
        read(far, verb, tmp_path)
    sim.faults.clear()
    run(far.put("bucket", "k", data, PutOptions()))  # what replaced it has no checksum
    sim.faults.add(Fault(operation="GetObject", key="k", after=1, corrupt=1000))
    with pytest.raises(errors.ChecksumError):
        read(far, verb, tmp_path)
    sim.faults.clear()
    run(far.delete("bucket", "k", DeleteOptions()))
    with pytest.raises(errors.NotFoundError) as caught:
        read(far, verb, tmp_path)
    assert caught.value.operation == "GetObject"
    assert caught.value.code == "NoSuchKey"


@pytest.mark.parametrize("verb", ["get", "get_file"])
def test_an_endpoint_without_ranges_is_never_asked_for_some(
    make: Callable[..., CrtBackend], data: bytes, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crt_network.Network, "far", True)
    asked = []

    def whole(connection: Any, head: bytes) -> None:
        asked.append(head.split(b" ", 1)[0])
        connection.sendall(
            b'HTTP/1.1 200 OK\r\nETag: "e"\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % SIZE + data
        )

    with RawServer(whole) as server:
        backend = make(server.url, part_size=PART)
        seem_far(backend)
        for _ in range(2):
            assert read(backend, verb, tmp_path) == data
    assert asked == [b"GET", b"GET"]


def test_objects_of_a_batch_that_are_larger_than_expected(far: CrtBackend, sim: S3Server) -> None:
    """The last batch's were small, so each is asked for as if these were: the rest comes at the same time."""
    contents = {f"many/{number}": bytes([number]) * 100_000 for number in range(40)}
    run(far.put_many("bucket", contents, PutOptions()))
    keys = list(contents)
    assert list(map(bytes, run(far.get_many("bucket", keys, "raise", GetOptions())))) == list(contents.values())
    larger = {key: value * 3 for key, value in contents.items()}
    run(far.put_many("bucket", larger, PutOptions()))
    sim.faults.add(Fault(operation="GetObject", key="many/7", times=None, after=1, status=403, code="AccessDenied"))
    found = run(far.get_many("bucket", keys, "return", GetOptions()))
    assert isinstance(found[7], errors.AccessDeniedError)
    assert [bytes(found[n]) == larger[f"many/{n}"] for n in range(40) if n != 7] == [True] * 39
    sim.faults.clear()
    run(far.put_many("bucket", {key: value * 3 for key, value in larger.items()}, PutOptions()))
    sim.faults.add(Fault(operation="GetObject", key="many/9", times=None, after=1, status=403, code="AccessDenied"))
    with pytest.raises(errors.AccessDeniedError):
        run(far.get_many("bucket", keys, "raise", GetOptions()))
