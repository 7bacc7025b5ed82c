"""Answers that are late, from far away: the request is sent a second time (docs/design/0022-hedging.md)."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp

pytest.importorskip("objectfs._native", reason="the engine is not built")

from objectfs import _native
from objectfs.backends import crt_get, crt_get_file, crt_late, crt_network, crt_reported, crt_spread

BACKENDS_HERE = ["crt"]  # the sdk backend sends nothing twice

PART = 5 * MiB
LARGE = ramp(3 * PART + 1234)
SMALL = ramp(100_000)
LATE = 0.3

received_as_it_comes = pytest.mark.skipif(
    not _native.debug_linked() or sys.platform != "linux", reason="files are written by the C library here"
)


@pytest.fixture(autouse=True)
def from_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the server were far away and it were known when its answers are late."""
    monkeypatch.setattr(crt_network.Network, "far", True)
    monkeypatch.setattr(crt_late.Lateness, "_look", lambda *_: (LATE, LATE))


def into(client: objectfs.Client) -> bytes:
    buffer = bytearray(len(LARGE))
    assert client.get_into("bucket", "large", buffer) == len(LARGE)
    return bytes(buffer)


@pytest.fixture
def client(sim: S3Server, connect: Make) -> objectfs.Client:
    made = connect(part_size=PART, max_attempts=3)
    made.put("bucket", "large", LARGE)
    made.put_many("bucket", {f"k{i}": SMALL for i in range(40)})
    assert made.get("bucket", "large") == LARGE  # the next one begins with HeadObject
    assert into(made) == LARGE  # and this one with all ranges
    sim.clear_requests()
    return made


def to_file(client: objectfs.Client, folder: Path) -> bytes:
    client.get_file("bucket", "large", folder / "f")
    return (folder / "f").read_bytes()


def opened(client: objectfs.Client) -> bytes:
    with client.open("bucket", "large") as file:
        file.seek(PART)
        return bytes(file.read(1000))


VERBS: dict[str, tuple[str, str, Callable[[objectfs.Client, Path], Any], Any]] = {
    "get": ("GetObject", "large", lambda client, _: bytes(client.get("bucket", "large")), LARGE),
    "head first": ("HeadObject", "large", lambda client, _: bytes(client.get("bucket", "large")), LARGE),
    "small": ("GetObject", "k1", lambda client, _: bytes(client.get("bucket", "k1")), SMALL),
    "get_into": ("GetObject", "large", lambda client, _: into(client), LARGE),
    "get_file": ("GetObject", "large", to_file, LARGE),
    "head": ("HeadObject", "k1", lambda client, _: client.head("bucket", "k1").size, len(SMALL)),
    "get_ranges": (
        "GetObject",
        "large",
        lambda client, _: [bytes(x) for x in client.get_ranges("bucket", "large", [(0, 9), (9 * MiB, 9 * MiB + 7)])],
        [LARGE[:9], LARGE[9 * MiB : 9 * MiB + 7]],
    ),
    "get_many": (
        "GetObject",
        "k7",
        lambda client, _: [bytes(x) for x in client.get_many("bucket", [f"k{i}" for i in range(40)])],
        [SMALL] * 40,
    ),
    "open": ("GetObject", "large", lambda client, _: opened(client), LARGE[PART : PART + 1000]),
}


@pytest.mark.parametrize("verb", VERBS)
def test_the_second_answer_is_as_good(sim: S3Server, client: objectfs.Client, tmp_path: Path, verb: str) -> None:
    operation, key, call, expected = VERBS[verb]
    silent = sim.faults.add(Fault(operation, key=key, stall=True))
    assert call(client, tmp_path) == expected
    assert silent.hits == 1
    sent, won = client.stats()["pace"][0]["hedged"]
    assert sent >= won >= 1


@pytest.mark.parametrize(("stored", "asked"), [("CRC64NVME", "auto"), ("off", "auto"), ("CRC64NVME", "off")])
def test_into_memory_however_large(
    sim: S3Server, connect: Make, monkeypatch: pytest.MonkeyPatch, stored: str, asked: str
) -> None:
    """The first object tells what the next one will be held to, also where nobody ever calls get()."""
    monkeypatch.setattr(crt_get, "WHOLE_FROM_FAR", PART)
    connect(part_size=PART, checksum=stored).put("bucket", "large", LARGE)
    client = connect(part_size=PART, max_attempts=3, read_timeout=2, checksum=asked)
    assert into(client) == LARGE
    silent = sim.faults.add(Fault("GetObject", key="large", stall=True))
    assert into(client) == LARGE
    assert silent.hits == 1
    sent, won = client.stats()["pace"][0]["hedged"]
    assert sent >= won >= 1


@received_as_it_comes
@pytest.mark.parametrize(("stored", "asked"), [("CRC64NVME", "auto"), ("off", "auto"), ("CRC64NVME", "off")])
def test_into_a_file_however_large(
    sim: S3Server, connect: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stored: str, asked: str
) -> None:
    """HeadObject tells beforehand what it will be held to, and the CRC is known when the last byte has come."""
    monkeypatch.setattr(crt_get, "WHOLE_FROM_FAR", PART)
    connect(part_size=PART, checksum=stored).put("bucket", "large", LARGE)
    client = connect(part_size=PART, max_attempts=3, read_timeout=2, checksum=asked)
    assert to_file(client, tmp_path) == LARGE
    monkeypatch.setattr(crt_get_file, "file_blocks", lambda path: pytest.fail("it is read again"))
    silent = sim.faults.add(Fault("GetObject", key="large", stall=True))
    info = client.get_file("bucket", "large", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == LARGE
    assert info.checksum_validated == (stored if (stored, asked) == ("CRC64NVME", "auto") else None)
    assert silent.hits == 1
    sent, won = client.stats()["pace"][0]["hedged"]
    assert sent >= won >= 1


@pytest.mark.parametrize("verb", ["get", "get_into", "get_file"])
def test_of_very_many_parts_the_library_makes_the_requests(
    client: objectfs.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str
) -> None:
    monkeypatch.setattr(crt_spread, "MOST", 3)  # of 4
    monkeypatch.setattr(crt_spread.SpreadVerbs, "_spread", lambda *_: pytest.fail("ranges of our own"))
    assert VERBS[verb][2](client, tmp_path) == LARGE


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"x-amz-checksum-type": "FULL_OBJECT"}, False),
        ({"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "FULL_OBJECT"}, True),
        ({"x-amz-checksum-sha512": "only the C library computes it"}, True),
        ({"x-amz-checksum-sha256": "of-3", "x-amz-checksum-type": "COMPOSITE"}, False),
    ],
)
def test_what_only_the_library_validates_is_left_to_it(headers: dict[str, str], expected: bool) -> None:
    assert crt_reported.tells_checksum(headers) is expected


@pytest.mark.parametrize("large", [False, True])
def test_a_file_of_other_content(
    sim: S3Server, client: objectfs.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, large: bool
) -> None:
    if large:
        monkeypatch.setattr(crt_get, "WHOLE_FROM_FAR", PART)
    sim.faults.add(Fault("GetObject", key="large", corrupt=1000))
    with pytest.raises(errors.ChecksumError):
        to_file(client, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["get", pytest.param("get_file", marks=received_as_it_comes)])
def test_each_range_of_an_object(sim: S3Server, connect: Make, tmp_path: Path, verb: str) -> None:
    """Not a third of them at most: the whole object would wait for the others."""
    client = connect(part_size=PART, max_attempts=3, read_timeout=10)
    data = ramp(9 * PART)

    def read() -> bytes:
        if verb == "get":
            return bytes(client.get("bucket", "larger"))
        client.get_file("bucket", "larger", tmp_path / "f")
        return (tmp_path / "f").read_bytes()

    client.put("bucket", "larger", data)
    assert read() == data
    silent = sim.faults.add(Fault("GetObject", key="larger", stall=True, times=6))
    assert read() == data
    assert silent.hits == 6
    assert client.stats()["pace"][0]["hedged"][1] >= 6
    assert client.stats()["retries"] == 0


def test_into_memory_of_other_content(sim: S3Server, connect: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of our own are held to the object's checksum as the library's are."""
    monkeypatch.setattr(crt_get, "WHOLE_FROM_FAR", PART)
    client = connect(part_size=PART, max_attempts=3)
    client.put("bucket", "large", LARGE)
    assert into(client) == LARGE
    sim.faults.add(Fault("GetObject", key="large", corrupt=1000))
    with pytest.raises(errors.ChecksumError):
        into(client)


@pytest.mark.parametrize("verb", ["get", "get_many"])
def test_async(sim: S3Server, client: objectfs.Client, verb: str) -> None:
    async def go() -> None:
        async with objectfs.AsyncClient(
            endpoint_url=sim.endpoint_url,
            access_key_id="test",
            secret_access_key="testtest",
            region="us-east-1",
            backend="crt",
        ) as other:
            sim.faults.add(Fault("GetObject", stall=True))
            if verb == "get":
                assert bytes(await other.get("bucket", "k1")) == SMALL
            else:
                keys = [f"k{i}" for i in range(40)]
                assert [bytes(body) for body in await other.get_many("bucket", keys)] == [SMALL] * 40

    asyncio.run(asyncio.wait_for(go(), 30))


def test_not_wanted(sim: S3Server, connect: Make) -> None:
    client = connect(hedge=False, part_size=PART, max_attempts=3)
    client.put("bucket", "k", SMALL)
    slow = sim.faults.add(Fault("GetObject", delay=3 * LATE, times=None))
    assert client.get("bucket", "k") == SMALL
    assert slow.hits == 1


def test_not_with_one_attempt(sim: S3Server, connect: Make) -> None:
    client = connect(max_attempts=1, part_size=PART)
    client.put("bucket", "k", SMALL)
    slow = sim.faults.add(Fault("GetObject", delay=3 * LATE, times=None))
    assert client.get("bucket", "k") == SMALL
    assert slow.hits == 1


def test_writing_is_never_sent_twice(sim: S3Server, client: objectfs.Client, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(LARGE)
    sim.clear_requests()
    sim.faults.add(Fault(delay=2 * LATE, times=None))
    client.put("bucket", "new", SMALL)
    client.put("bucket", "parts", LARGE)
    client.put_file("bucket", "file", tmp_path / "f")
    client.copy("bucket", "k1", "bucket", "copy")
    client.delete("bucket", "copy")
    seen = Counter(
        (request.operation, request.key, request.query.get("partNumber"))
        for request in sim.requests
        if request.operation not in ("GetObject", "HeadObject")
    )
    assert set(seen.values()) == {1}


def test_an_object_that_is_replaced_meanwhile(sim: S3Server, client: objectfs.Client) -> None:
    """All of one, or ObjectChangedError; never a part of each."""
    other = LARGE[::-1]
    held = threading.Event()
    sim.faults.add(Fault("GetObject", key="large", hold=held, nth=2))
    found: list[Any] = []

    def get() -> None:
        try:
            found.append(bytes(client.get("bucket", "large")))
        except errors.ObjectChangedError as error:
            found.append(error)

    reader = threading.Thread(target=get)
    reader.start()
    client.put("bucket", "large", other)
    held.set()
    reader.join(30)
    assert found
    assert isinstance(found[0], errors.ObjectChangedError) or found[0] in (LARGE, other)


def test_a_wrong_checksum_is_told(sim: S3Server, client: objectfs.Client) -> None:
    """Of ranges whose CRCs are put together."""
    sim.faults.add(Fault("GetObject", key="large", corrupt=5, ranged=True, times=None))
    with pytest.raises(errors.ChecksumError):
        into(client)
