"""Who reads and writes objects as files: archives, formats, other libraries.

The libraries are imported by the tests that use them: together they take the better part of a second.
"""

from __future__ import annotations

import csv
import gc
import gzip
import importlib
import io
import json
import lzma
import pickle
import re
import tarfile
import zipfile
from typing import Any

import numpy as np
import pytest

import objectfs
from objectfs.sim import S3Server
from objectfs.transfer.reader import ObjectReader

from .conftest import Make
from .support import MiB, ramp

# from its import on: of its handlers at a fork, too, a report is made when another test starts a process
pytestmark = pytest.mark.not_under("thread", "Arrow's threads and locks wait where the tool does not see it")


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    """Their thousands of objects are not looked at after each test that follows."""
    for name in ("h5py", "pandas", "PIL.Image", "pyarrow.parquet"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def test_archives(client: objectfs.Client, bucket: str, key: str) -> None:
    big = ramp(3 * MiB)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", big)
        archive.writestr("b/c", b"small")
    client.put(bucket, key, memory.getvalue())
    with client.open(bucket, key) as file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.read("b/c") == b"small"
        assert archive.read("a") == big
    with client.open(bucket, key, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", big)
        with archive.open("b/c", "w") as entry:
            entry.write(b"small")
    with client.open(bucket, key) as file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert (archive.read("a"), archive.read("b/c")) == (big, b"small")
    for mode in ("w", "w:gz", "w:xz"):
        memory = io.BytesIO()
        with tarfile.open(fileobj=memory, mode=mode) as tar:  # type: ignore[call-overload]
            for name, data in (("one", big), ("two", b"second")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        client.put(bucket, key, memory.getvalue())
        with client.open(bucket, key) as file, tarfile.open(fileobj=file) as tar:
            found = tar.extractfile("two")
            assert found is not None
            assert found.read() == b"second"
            found = tar.extractfile("one")
            assert found is not None
            assert found.read() == big
    for mode in ("w", "w|", "w:gz", "w|bz2"):
        with client.open(bucket, key, "wb") as file, tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
            member = tarfile.TarInfo("one")
            member.size = len(big)
            tar.addfile(member, io.BytesIO(big))
        with client.open(bucket, key) as file, tarfile.open(fileobj=file, mode="r|*") as tar:
            for member in tar:
                found = tar.extractfile(member)
                assert found is not None
                assert (member.name, found.read() == big) == ("one", True)


def test_formats(client: objectfs.Client, bucket: str, key: str) -> None:
    value = {"a": [1, 2, 3], "b": "x" * 100_000}
    client.put(bucket, key, gzip.compress(pickle.dumps(value)))
    with client.open(bucket, key) as file, gzip.open(file) as unpacked:
        assert pickle.load(unpacked) == value
    client.put(bucket, key, lzma.compress(json.dumps(value).encode()))
    with client.open(bucket, key) as file, lzma.open(file, "rt") as text:
        assert json.load(text) == value
    client.put(bucket, key, b"a,b\r\n1,2\r\n3,4\r\n" * 10_000)
    with client.open(bucket, key, "r", newline="") as lines:
        assert sum(1 for row in csv.reader(lines) if row[0] != "a") == 20_000
    memory = io.BytesIO()
    array = np.arange(1_000_000, dtype="f8")
    np.save(memory, array)
    client.put(bucket, key, memory.getvalue())
    with client.open(bucket, key) as file:
        assert (np.load(file) == array).all()
    with client.open(bucket, key, "wb") as file:
        np.savez_compressed(file, array=array, small=array[:3])
    with client.open(bucket, key) as file, np.load(file) as arrays:
        assert (arrays["array"] == array).all()
        assert (arrays["small"] == array[:3]).all()
    with client.open(bucket, key, "w", newline="") as lines:
        csv.writer(lines).writerows([["a", "b"], [1, "ä"]])
    with client.open(bucket, key, "r", newline="") as lines:
        assert list(csv.reader(lines)) == [["a", "b"], ["1", "ä"]]
    with client.open(bucket, key, "w") as text:
        json.dump(value, text)
    with client.open(bucket, key, "r") as text:
        assert json.load(text) == value


def test_pandas(client: objectfs.Client, bucket: str, key: str) -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": range(1000), "b": [f"ä{n}" for n in range(1000)], "c": np.arange(1000) / 7})
    same = pd.testing.assert_frame_equal
    for writing in ("w", "wb"):
        with client.open(bucket, key, writing) as file:
            frame.to_csv(file, index=False)
        for reading in ("r", "rb"):
            with client.open(bucket, key, reading) as file:
                same(pd.read_csv(file), frame)
    with client.open(bucket, key) as file, pd.read_csv(file, chunksize=300) as chunks:
        assert [len(chunk) for chunk in chunks] == [300, 300, 300, 100]
    with client.open(bucket, key, "wb") as file:
        frame.to_csv(file, index=False, compression="gzip")
    with client.open(bucket, key) as file:
        same(pd.read_csv(file, compression="gzip"), frame)
    with client.open(bucket, key, "wb") as file:
        frame.to_parquet(file)
    with client.open(bucket, key) as file:
        same(pd.read_parquet(file, columns=["c"]), frame[["c"]])
    with client.open(bucket, key, "w") as file:
        frame.to_json(file, orient="records", lines=True)
    with client.open(bucket, key, "r") as file:
        same(pd.read_json(file, orient="records", lines=True), frame)


def test_pyarrow(client: objectfs.Client, bucket: str, key: str) -> None:
    import pyarrow as pa
    from pyarrow import csv as tables
    from pyarrow import ipc, parquet

    table = pa.table({"a": list(range(100_000)), "b": [str(n) for n in range(100_000)]})
    with client.open(bucket, key, "wb") as sink:
        parquet.write_table(table, sink, row_group_size=30_000)
    with client.open(bucket, key) as file:
        assert parquet.read_table(file).equals(table)
    with client.open(bucket, key) as file:
        assert parquet.read_table(file, columns=["a"]).equals(table.select(["a"]))
    with client.open(bucket, key, "wb") as sink, ipc.new_file(sink, table.schema) as stream:
        stream.write(table)
    with client.open(bucket, key) as file:
        assert ipc.open_file(file).read_all().equals(table)
    with client.open(bucket, key, "wb") as sink:
        tables.write_csv(table.slice(0, 1000), sink)
    with client.open(bucket, key) as file:
        assert tables.read_csv(file).num_rows == 1000


def test_columns_alone_are_fetched(sim: S3Server, connect: Make) -> None:
    """Of a table of 9 MiB: what is said of it at its end, and the chunks of the column that is asked for."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(1)
    table = pa.table({name: rng.random(150_000) for name in "abcdefgh"})
    client = connect()
    with client.open("bucket", "k", "wb") as sink:
        parquet.write_table(table, sink, row_group_size=50_000)
    size = client.head("bucket", "k").size
    sim.clear_requests()
    with client.open("bucket", "k") as file:
        assert parquet.read_table(file, columns=["c"]).equals(table.select(["c"]))
    assert {request.operation for request in sim.requests} == {"GetObject"}
    assert len(sim.requests) <= 5  # the first, the end, and three chunks
    fetched = 0
    for request in sim.requests:
        first, _, last = (request.range or "").removeprefix("bytes=").partition("-")
        fetched += int(last) + 1 - int(first)
    assert fetched < size / 8 + 512 * 1024


def test_h5py(client: objectfs.Client, bucket: str, key: str) -> None:
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w") as made:
        made["x"] = np.arange(1_000_000)
        made.create_dataset("group/y", data=np.arange(100_000), chunks=(1000,), compression="gzip")
    client.put(bucket, key, memory.getvalue())
    with client.open(bucket, key) as file, h5py.File(file, "r") as found:
        assert list(found) == ["group", "x"]
        assert (found["x"][500_000:500_100] == np.arange(500_000, 500_100)).all()
        assert (found["group/y"][:] == np.arange(100_000)).all()
        assert (found["x"][:] == np.arange(1_000_000)).all()


def test_h5py_seeks_when_it_writes(
    client: objectfs.Client, bucket: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which an upload cannot: the error says what can be done, and leaves no object. Nor can an object be changed."""
    import h5py

    where = re.escape(f"s3://{bucket}/{key}")
    for buffering in (-1, 0):
        with (
            pytest.raises(io.UnsupportedOperation, match=rf"PutObject {where}: .*without a seek.*put_file"),
            client.open(bucket, key, "wb", buffering=buffering) as sink,
            h5py.File(sink, "w") as made,
        ):
            made["x"] = np.arange(10)
        assert not client.exists(bucket, key)
    memory = io.BytesIO()
    with h5py.File(memory, "w") as made:
        made["x"] = np.arange(10)
    client.put(bucket, key, memory.getvalue())
    refuse = ObjectReader.write

    def write(file: ObjectReader, *data: Any) -> None:
        try:
            refuse(file, *data)
        finally:  # h5py calls truncate() with this exception pending: no lookup may need it to be found in a cache
            monkeypatch.setattr(ObjectReader, "nothing", None, raising=False)

    monkeypatch.setattr(ObjectReader, "write", write)
    with (
        pytest.raises(io.UnsupportedOperation, match=rf"GetObject {where}: .*replaces objects.*put_file"),
        client.open(bucket, key) as file,
        h5py.File(file, "r+") as found,
    ):
        found["y"] = np.arange(10)
    assert bytes(client.get(bucket, key)) == memory.getvalue()


def test_pillow(client: objectfs.Client, bucket: str, key: str) -> None:
    from PIL import Image

    pixels = np.random.default_rng(1).integers(0, 256, (1000, 1200, 3), dtype=np.uint8)
    for kind in ("PNG", "BMP", "JPEG"):
        with client.open(bucket, key, "wb") as file:
            Image.fromarray(pixels).save(file, kind)
        with client.open(bucket, key) as file:
            found = Image.open(file)
            assert (found.format, found.size) == (kind, (1200, 1000))
            assert file.tell() < 64 * 1024  # the head alone has been looked at
            found.load()
            if kind != "JPEG":
                assert (np.asarray(found) == pixels).all()
    with client.open(bucket, key, "wb") as file:
        with pytest.raises(io.UnsupportedOperation, match=r"without a seek.*TIFF.*put_file"):
            Image.fromarray(pixels).save(file, "TIFF")
        file.abort()
