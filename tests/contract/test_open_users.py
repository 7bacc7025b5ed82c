"""Who reads objects as files: archives, formats, other libraries."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

import objectfs

from .support import MiB, ramp


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


def test_pandas(client: objectfs.Client, bucket: str, key: str) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed here")
    client.put(bucket, key, b"a,b\n1,2\n3,4\n")
    with client.open(bucket, key) as file:
        assert pandas.read_csv(file)["b"].tolist() == [2, 4]


def test_pyarrow(client: objectfs.Client, bucket: str, key: str) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed here")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed here")
    table = arrow.table({"a": list(range(100_000)), "b": [str(n) for n in range(100_000)]})
    with client.open(bucket, key, "wb") as sink:
        parquet.write_table(table, sink)
    with client.open(bucket, key) as file:
        assert parquet.read_table(file).equals(table)


def test_h5py(client: objectfs.Client, bucket: str, key: str) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed here")
    memory = io.BytesIO()
    with h5py.File(memory, "w") as made:
        made["x"] = np.arange(100_000)
    client.put(bucket, key, memory.getvalue())
    with client.open(bucket, key) as file, h5py.File(file, "r") as found:
        assert (found["x"][:] == np.arange(100_000)).all()


def test_pillow(client: objectfs.Client, bucket: str, key: str) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed here")
    with client.open(bucket, key, "wb") as file:
        image.new("RGB", (300, 200), "red").save(file, "PNG")
    with client.open(bucket, key) as file:
        found = image.open(file)
        assert (found.size, found.getpixel((1, 1))) == ((300, 200), (255, 0, 0))
