"""Objects read as files: they behave as Python's own, and fetch what is needed."""

from __future__ import annotations

import io
import itertools
import pickle
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, check, ramp, until

KiB = 1024
SIZE = 24 * MiB + 4321


@pytest.fixture(scope="module")
def content() -> bytes:
    """Bytes of which no two ranges are alike."""
    return random.Random(4).randbytes(SIZE)


@pytest.fixture(scope="module")
def served(content: bytes) -> Iterator[S3Server]:
    """A server that has the content, for the whole file."""
    with S3Server(buckets=("bucket",)) as server:
        with objectfs.Client(**settings_of(server)) as client:
            client.put("bucket", "k", content)
        yield server


@pytest.fixture
def reader(served: S3Server, backend: str) -> Iterator[objectfs.Client]:
    """A client of the backend under test, for that server, whose log is empty."""
    with objectfs.Client(**settings_of(served), backend=backend) as client:
        served.clear_requests()
        yield client


def settings_of(server: S3Server) -> dict[str, Any]:
    return {
        "endpoint_url": server.endpoint_url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "max_attempts": 1,
    }


# -- the model --------------------------------------------------------------------------------------------------------
positions = st.one_of(
    st.integers(0, SIZE + 10),
    st.sampled_from([0, 1, 256 * KiB - 1, 256 * KiB, 8 * MiB, SIZE - 1, SIZE, SIZE + 1]),
)
sizes = st.one_of(
    st.integers(0, 300),
    st.integers(0, 300 * KiB),
    st.sampled_from([1, 16 * KiB, 64 * KiB, 3 * MiB, 9 * MiB, 17 * MiB]),
)
steps = st.one_of(
    st.tuples(st.just("seek"), positions),
    st.tuples(st.just("skip"), st.integers(-300 * KiB, 300 * KiB)),
    st.tuples(st.just("back"), st.integers(0, 200 * KiB)),
    st.tuples(st.sampled_from(["read", "readinto", "read1", "peek", "readline"]), sizes),
    st.tuples(st.just("on"), st.integers(1, 40)),  # so many reads, one behind the other
    st.tuples(st.just("all"), st.just(0)),
)


@given(program=st.lists(steps, max_size=12), buffering=st.sampled_from([-1, 0, 1000, 256 * KiB]), prefetch=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_reads_as_memory_does(
    reader: objectfs.Client, content: bytes, program: list[tuple[str, int]], buffering: int, prefetch: Any
) -> None:
    ahead = prefetch.draw(st.sampled_from([None, 0, MiB, 40 * MiB]))
    model = io.BytesIO(content)
    with reader.open("bucket", "k", "rb", buffering, prefetch=ahead) as file:
        for what, number in program:
            step(file, model, what, number)
            assert file.tell() == model.tell()


def step(file: Any, model: io.BytesIO, what: str, number: int) -> None:
    position = model.tell()
    if what == "seek":
        assert file.seek(number) == model.seek(number)
    elif what == "skip":
        if position + number < 0:
            with pytest.raises(ValueError, match="negative"):
                file.seek(number, io.SEEK_CUR)
        else:
            assert file.seek(number, io.SEEK_CUR) == model.seek(position + number)
    elif what == "back":
        assert file.seek(-number, io.SEEK_END) == model.seek(-number, io.SEEK_END)
    elif what == "on":
        for _ in range(number):
            assert full(file, 50_000) == model.read(50_000)
    elif what == "all":
        assert file.read() == model.read()
    elif what == "readline":
        assert file.readline(number) == model.readline(number)
    elif what == "readinto":
        memory = bytearray(number)
        count = file.readinto(memory)
        assert (count > 0) == (number > 0 and position < SIZE)
        assert memory[:count] == model.read(count)
    elif what == "read" or not hasattr(file, "peek"):
        assert full(file, number) == model.read(number)
    elif what == "read1":
        data = file.read1(number)
        assert bool(data) == (number > 0 and position < SIZE)
        assert data == model.read(len(data))
    else:
        data = file.peek(number)
        assert bool(data) == (position < SIZE)
        assert data == model.getvalue()[position : position + len(data)]


def full(file: Any, size: int) -> bytes:
    """``size`` bytes; a raw file may bring fewer at a time."""
    data = file.read(size)
    while isinstance(file, io.RawIOBase) and len(data) < size:
        more = file.read(size - len(data))
        if not more:
            break
        data += more
    return data


# -- what a file is ---------------------------------------------------------------------------------------------------
def test_it_is_a_file(client: objectfs.Client, bucket: str, key: str) -> None:
    client.put(bucket, key, b"one\ntwo\n", content_type="text/x", metadata={"m": "1"})
    with client.open(bucket, key) as file:
        assert isinstance(file, io.BufferedReader)
        assert isinstance(file.raw, io.RawIOBase)
        assert (file.readable(), file.seekable(), file.writable(), file.isatty()) == (True, True, False, False)
        assert (file.mode, file.name) == ("rb", f"s3://{bucket}/{key}")
        info = file.info
        assert (info.size, info.content_type, info.metadata) == (8, "text/x", {"m": "1"})
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")
        with pytest.raises(io.UnsupportedOperation):
            file.truncate()
        with pytest.raises(ValueError, match="whence"):
            file.raw.seek(0, 5)
        with pytest.raises(TypeError):
            file.raw.seek(0.5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(file)
        assert list(file) == [b"one\n", b"two\n"]
        assert file.read() == b""
    assert file.closed
    assert file.raw.closed
    file.close()
    for use in (file.read, file.readline, file.tell, lambda: file.seek(0), file.raw.readall, file.raw.tell):
        with pytest.raises(ValueError, match="closed"):
            use()
    with client.open(bucket, key, buffering=0) as raw:
        assert isinstance(raw, io.RawIOBase)
        assert not isinstance(raw, io.BufferedReader)
        assert raw.readall() == b"one\ntwo\n"


def test_small_objects(sim: S3Server, connect: Make) -> None:
    """What fits into the first range is one request; of more the checksum is asked for, if it is read through."""
    client = connect()
    for size in (0, 1, 256 * KiB - 1, 256 * KiB, 256 * KiB + 1):
        client.put("bucket", "k", ramp(size))
        sim.clear_requests()
        with client.open("bucket", "k") as file:
            assert file.read() == ramp(size)
            assert file.read(1) == b""
            assert file.seek(0, io.SEEK_END) == size
            assert file.seek(size + 5) == size + 5
            assert file.read(1) == b""
        operations = [request.operation for request in sim.requests]
        expected = ["GetObject"] if 0 < size <= 256 * KiB else ["GetObject", "HeadObject"]  # no range of what is empty
        assert sorted(operations) == sorted([*expected, *["GetObject"] * (size > 256 * KiB)])


def test_nothing_to_open(client: objectfs.Client, bucket: str, key: str) -> None:
    with pytest.raises(errors.NotFoundError) as caught:
        client.open(bucket, key)
    check(caught.value, "GetObject", bucket, key, 404)
    with pytest.raises(FileNotFoundError):
        client.open(bucket, key, "r")
    etag = client.put(bucket, key, b"x").etag
    with pytest.raises(errors.PreconditionFailedError):
        client.open(bucket, key, if_match='"other"')
    with client.open(bucket, key, if_match=etag) as file:
        assert file.read() == b"x"


def test_modes_that_are_none(client: objectfs.Client, bucket: str) -> None:
    wrong: list[Any] = ["", "q", "rw", "rr", "b", "rbt"]
    for mode in wrong:
        with pytest.raises(ValueError, match="mode"):
            client.open(bucket, "k", mode)
    for mode in ("rb+", "r+", "ab", "a", "w+"):
        with pytest.raises(errors.UnsupportedError, match="Read with 'rb'"):
            client.open(bucket, "k", mode)
    with pytest.raises(TypeError, match="mode"):
        client.open(bucket, "k", 1)  # type: ignore[call-overload]


def test_arguments_that_do_not_go_together(client: objectfs.Client, bucket: str) -> None:
    def refused(kind: type[Exception], text: str, *arguments: Any, **more: Any) -> None:
        with pytest.raises(kind, match=text):
            client.open(bucket, "k", *arguments, **more)

    refused(ValueError, "encoding", "rb", encoding="utf-8")
    refused(ValueError, "newline", "rb", newline="")
    refused(ValueError, "unbuffered", "r", 0)
    refused(ValueError, "buffering", "rb", -2)
    refused(ValueError, "newline", "r", newline="x")
    refused(LookupError, "encoding", "r", encoding="no-such")
    refused(TypeError, "encoding", "r", encoding=1)
    refused(TypeError, "content_type", "rb", content_type="a/b")
    refused(TypeError, "version_id", "wb", version_id="1")
    refused(TypeError, "prefetch", "wb", prefetch=1)
    refused(TypeError, "no_such", "rb", no_such=1)
    refused(ValueError, "exclude", "xb", if_match='"e"')
    refused(ValueError, "size", "rb", prefetch="much")
    refused(errors.InvalidRequestError, "timeout", "rb", timeout=-1)


def test_text(client: objectfs.Client, bucket: str, key: str) -> None:
    text = "eins\r\nzwei\nöäü€\rdrei"
    client.put(bucket, key, text.encode())
    with client.open(bucket, key, "r") as file:
        assert isinstance(file, io.TextIOWrapper)
        assert file.encoding == "utf-8"
        assert file.info.size == len(text.encode())
        assert file.readlines() == ["eins\n", "zwei\n", "öäü€\n", "drei"]
        file.seek(0)
        assert file.read(3) == "ein"
        there = file.tell()
        rest = file.read()
        file.seek(there)
        assert file.read() == rest
    with client.open(bucket, key, "rt", newline="") as file:
        assert file.read() == text
    client.put(bucket, key, "Größe".encode("latin-1"))
    with client.open(bucket, key, "r", encoding="latin-1") as file:
        assert file.read() == "Größe"
    with client.open(bucket, key, "r") as file, pytest.raises(UnicodeDecodeError):
        file.read()
    with client.open(bucket, key, "r", errors="replace") as file:
        assert file.read() == "Gr\ufffd\ufffde"


def test_a_version(sim: S3Server, connect: Make) -> None:
    """Of a versioned object the version is read to its end that was there at first, whatever comes after it."""
    client = connect()
    client.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    old = client.put("bucket", "k", ramp(3 * MiB)).version_id
    with client.open("bucket", "k", prefetch=0) as file:
        assert file.info.version_id == old
        client.put("bucket", "k", ramp(3 * MiB, 7))
        assert file.read() == ramp(3 * MiB)
    with client.open("bucket", "k", version_id=old) as file:
        assert file.read() == ramp(3 * MiB)
    with client.open("bucket", "k") as file:
        assert file.read() == ramp(3 * MiB, 7)


# -- what is fetched --------------------------------------------------------------------------------------------------
def ranges(sim: S3Server) -> list[tuple[int, int]]:
    """Half-open ranges of the GETs so far, in the order of their arrival."""
    found = []
    for request in sim.requests:
        if request.operation == "HeadObject":  # for the checksum of the whole
            continue
        assert request.operation == "GetObject"
        assert request.range is not None
        first, _, last = request.range.removeprefix("bytes=").partition("-")
        found.append((int(first), int(last) + 1))
    return found


def test_the_first_request_is_small(served: S3Server, reader: objectfs.Client) -> None:
    sim, client = served, reader
    with client.open("bucket", "k") as file:
        assert ranges(sim) == [(0, 256 * KiB)]
        file.read(10)
        file.seek(100_000)
        file.read(10)
        assert ranges(sim) == [(0, 256 * KiB)]  # there already; and no reason yet to read ahead


def test_random_reads_fetch_little(served: S3Server, reader: objectfs.Client, content: bytes) -> None:
    sim, client = served, reader
    rng = random.Random(1)
    with client.open("bucket", "k") as file:
        before = 0
        for _ in range(60):
            position = rng.randrange(MiB, SIZE - 100 * KiB)
            file.seek(position)
            assert file.read(64 * KiB) == content[position : position + 64 * KiB]
        fetched = [end - start for start, end in ranges(sim)[1:]]
        assert len(fetched) <= 60
        assert max(fetched) <= 80 * KiB
        before = len(fetched)
        # what was read last is still there, a little before and after it too
        file.seek(position + 5)
        assert file.read(1000) == content[position + 5 : position + 1005]
        file.seek(position)
        assert file.read(70_000) == content[position : position + 70_000]
        assert len(ranges(sim)) - 1 == before


def test_sequential_reads_run_ahead(served: S3Server, reader: objectfs.Client, content: bytes) -> None:
    """In parallel, in ranges that grow up to a part, each byte once."""
    sim, client = served, reader
    with client.open("bucket", "k") as file:
        read = bytearray()
        while block := file.read(100_000):
            read += block
    assert read == content
    fetched = sorted(ranges(sim))
    assert all(before[1] == after[0] for before, after in itertools.pairwise(fetched))
    assert (fetched[0][0], fetched[-1][1]) == (0, SIZE)
    sizes = [end - start for start, end in fetched[:-1]]
    assert sizes == sorted(sizes)
    assert sizes[0] < max(sizes) <= 8 * MiB
    assert len(fetched) < 40


def test_ranges_are_on_their_way_together(sim: S3Server, connect: Make) -> None:
    """While all ranges behind the first are held back by the server, several have been asked for."""
    client = connect()
    client.put("bucket", "k", ramp(20 * MiB))
    gate = threading.Event()
    with client.open("bucket", "k") as file:
        fault = sim.faults.add(Fault("GetObject", hold=gate, times=None))
        read: list[bytes] = []
        thread = threading.Thread(target=lambda: read.append(file.read(600_000)))
        thread.start()
        try:
            until(lambda: fault.hits >= 3)
            assert not read
        finally:
            gate.set()
            thread.join(10)
        assert read == [ramp(600_000)]


def test_memory_is_bounded(served: S3Server, reader: objectfs.Client, content: bytes) -> None:
    client = reader
    for prefetch in (0, 2 * MiB, 16 * MiB):
        with client.open("bucket", "k", prefetch=prefetch) as file:
            while file.read(50_000):
                pass
            assert file.raw._reading.segments.most_bytes <= prefetch + 24 * MiB
    with client.open("bucket", "k", prefetch=0) as file:
        rng = random.Random(2)
        for _ in range(150):
            file.seek(rng.randrange(SIZE))
            file.read(200_000)
        assert file.raw._reading.segments.most_bytes <= 24 * MiB


def test_all_readers_of_a_client_share_a_budget(served: S3Server, reader: objectfs.Client, content: bytes) -> None:
    """With none of it left, reading goes on without reading ahead; what is closed gives its share back."""
    budget = reader._core.backend().budget
    files = [reader.open("bucket", "k") for _ in range(3)]
    for file in files[:2]:
        file.read(300_000)
    assert reader.stats()["budget"]["holders"] == {"readers": 3}
    assert reader.stats()["budget"]["held_by"]["readers"] == reader.stats()["budget"]["held"] > 2 * MiB
    other = budget.lease("others")
    other.force(budget.room - reader.stats()["budget"]["held"])
    assert files[2].read(MiB) == content[:MiB]
    assert not any(segment.flight for segment in files[2].raw._reading.segments)
    assert files[0].read() == content[300_000:]
    other.close()
    for file in files:
        file.close()
    assert reader.stats()["budget"]["held"] == 0
    assert not reader.stats()["budget"]["holders"]


def test_large_reads_go_straight(served: S3Server, reader: objectfs.Client, content: bytes) -> None:
    """What is larger than a part is fetched in parallel into the reader's memory."""
    sim, client = served, reader
    memory = bytearray(20 * MiB)
    with client.open("bucket", "k", prefetch=0) as file:
        file.seek(MiB)
        assert file.readinto(memory) == len(memory)
        assert memory == content[MiB : MiB + len(memory)]
        assert file.raw._reading.segments.most_bytes <= MiB
    assert len(ranges(sim)) >= 3


def test_what_a_read_needs_is_few_ranges(sim: S3Server, connect: Make) -> None:
    """Also below the size of a part."""
    client = connect()
    client.put("bucket", "k", ramp(6 * MiB))
    sim.clear_requests()
    with client.open("bucket", "k") as file:
        assert file.read() == ramp(6 * MiB)
    fetched = ranges(sim)
    assert len(fetched) <= 6
    assert sum(end - start for start, end in fetched) == 6 * MiB


def test_a_seek_ahead_cancels_what_is_of_no_use(sim: S3Server, connect: Make, content: bytes) -> None:
    client = connect()
    client.put("bucket", "k", content)
    gate = threading.Event()
    with client.open("bucket", "k") as file:
        fault = sim.faults.add(Fault("GetObject", hold=gate, times=3))
        file.read(100_000)  # reads ahead, and all of that is held
        until(lambda: fault.hits == 3)
        reading = file.raw._reading
        flights = [segment for segment in reading.segments if segment.flight is not None]
        file.seek(20 * MiB)
        assert file.read(10) == content[20 * MiB : 20 * MiB + 10]
        assert len(flights) == 3
        assert not any(segment in flights for segment in reading.segments)
        gate.set()
        # what is behind the position is still there
        before = len(sim.requests)
        file.seek(50_000)
        assert file.read(10) == content[50_000:50_010]
        assert len(sim.requests) == before


def test_several_threads(served: S3Server, reader: objectfs.Client, content: bytes) -> None:
    """As a BufferedReader, it may be used from several: each byte goes to one of them."""
    client = reader
    pieces: list[bytes] = []
    with client.open("bucket", "k") as file:

        def work() -> None:
            while block := file.read(70_001):
                pieces.append(block)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sum(map(len, pieces)) == SIZE
    assert sum(sum(piece) for piece in pieces) == sum(content)
