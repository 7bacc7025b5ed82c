"""The directory store: objects in files, which survive a restart.

    ROOT/BUCKET/.bucket.json            creation date and sub-resource documents
    ROOT/BUCKET/objects/NAME.json       one object: key, headers, checksums, and the data files it consists of
    ROOT/BUCKET/data/ID                 bodies; an object of a multipart upload keeps its parts as files

NAME is the key percent-encoded, cut and hashed when long, so no key can name a path. A body is written under
a fresh ID and becomes visible when its JSON file is renamed into place: there is no state between the old
object and the new. Data files are shared by hard links, never copied. Uploads in progress do not survive.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from objectfs.sim.blobs import Blob, PatternBlob, Sink
from objectfs.sim.http import Chunk, FileSlice, OpenFile
from objectfs.sim.route import check_bucket_name
from objectfs.sim.store import Bucket, PartInfo, Record, Store

MAX_NAME = 180


def safe_name(key: str) -> str:
    """A file name for any key: distinct keys get distinct names."""
    name = quote(key, safe="", errors="surrogatepass").replace(".", "%2E").replace("~", "%7E")
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[:100]}~{digest}"


@dataclass(slots=True, frozen=True)
class Piece:
    """A range of a data file."""

    path: str
    offset: int
    length: int


class FileBlob:
    """Ranges of files, opened when they are sent."""

    __slots__ = ("doomed", "pieces", "size")

    def __init__(self, pieces: list[Piece]) -> None:
        self.pieces = pieces
        self.size = sum(piece.length for piece in pieces)
        # Set when no object has the blob any more: its files go when the last response that reads it ends.
        self.doomed = False

    def __del__(self) -> None:
        if self.doomed:
            for path in {piece.path for piece in self.pieces}:
                Path(path).unlink(missing_ok=True)

    def chunks(self, start: int, stop: int) -> Iterator[Chunk]:
        # One descriptor at a time: an object may consist of 10,000 parts.
        for piece in self._cut(start, stop):
            yield FileSlice(OpenFile(piece.path), piece.offset, piece.length)

    def slice(self, start: int, stop: int) -> Blob:
        return FileBlob(self._cut(start, stop))

    def _cut(self, start: int, stop: int) -> list[Piece]:
        cut = []
        offset = 0
        for piece in self.pieces:
            low, high = max(start - offset, 0), min(stop - offset, piece.length)
            if low < high:
                cut.append(Piece(piece.path, piece.offset + low, high - low))
            offset += piece.length
        return cut


class FileSink:
    """Writes a body to a data file through one buffer that all bodies share."""

    def __init__(self, path: str, scratch: memoryview) -> None:
        self._path = path
        self._scratch = scratch
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o644)
        self._total = 0

    def reserve(self, limit: int) -> memoryview:
        return self._scratch[:limit]

    def commit(self, count: int) -> None:
        view = self._scratch[:count]
        while len(view):
            view = view[os.write(self._fd, view) :]
        self._total += count

    def finish(self) -> Blob:
        self._close()
        return FileBlob([Piece(self._path, 0, self._total)])

    def abort(self) -> None:
        if self._fd >= 0:
            self._close()
            Path(self._path).unlink(missing_ok=True)

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1


class DirectoryStore(Store):
    """A store whose index is in memory and whose objects are in files."""

    def __init__(self, root: Path, *, discard: bool = False) -> None:
        super().__init__(discard=discard)
        self._root = root
        self._ids = itertools.count(time.time_ns())
        root.mkdir(parents=True, exist_ok=True)
        for path in sorted(root.iterdir()):
            if (path / ".bucket.json").is_file():
                self._load(path)

    def create_bucket(self, name: str) -> Bucket:
        if name in self.buckets:
            return self.buckets[name]
        check_bucket_name(name)
        bucket = super().create_bucket(name)
        for part in ("objects", "data"):
            (self._root / name / part).mkdir(parents=True, exist_ok=True)
        self._save_bucket(bucket)
        return bucket

    def delete_bucket(self, name: str) -> None:
        super().delete_bucket(name)
        shutil.rmtree(self._root / name)

    def set_document(self, bucket: Bucket, name: str, document: bytes | None) -> None:
        super().set_document(bucket, name, document)
        self._save_bucket(bucket)

    def _new_sink(self, bucket: str, size: int | None) -> Sink:
        return FileSink(self._new_path(bucket), self.scratch)

    def put(self, bucket: Bucket, record: Record) -> None:
        old = bucket.objects.get(record.key)
        if isinstance(record.blob, FileBlob):
            self._write(self._object_path(bucket, record.key), _to_json(record, record.blob))
        super().put(bucket, record)
        if old is not None and old.blob is not record.blob:
            self.drop(old.blob)

    def remove(self, bucket: Bucket, key: str) -> None:
        record = bucket.discard(key)
        if record is not None:
            self._object_path(bucket, key).unlink(missing_ok=True)
            self.drop(record.blob)

    def drop(self, blob: Blob) -> None:
        if isinstance(blob, FileBlob):
            blob.doomed = True

    def share(self, bucket: Bucket, blob: Blob) -> Blob:
        if not isinstance(blob, FileBlob):
            return blob
        links: dict[str, str] = {}
        for piece in blob.pieces:
            if piece.path not in links:
                links[piece.path] = self._new_path(bucket.name)
                os.link(piece.path, links[piece.path])
        return FileBlob([Piece(links[piece.path], piece.offset, piece.length) for piece in blob.pieces])

    def join(self, blobs: list[Blob]) -> Blob:
        if all(isinstance(blob, FileBlob) for blob in blobs):
            return FileBlob([piece for blob in blobs if isinstance(blob, FileBlob) for piece in blob.pieces])
        return PatternBlob(sum(blob.size for blob in blobs))

    def _new_path(self, bucket: str) -> str:
        return str(self._root / bucket / "data" / f"{next(self._ids):x}")

    def _object_path(self, bucket: Bucket, key: str) -> Path:
        return self._root / bucket.name / "objects" / f"{safe_name(key)}.json"

    def _save_bucket(self, bucket: Bucket) -> None:
        documents = {name: base64.b64encode(data).decode() for name, data in bucket.documents.items()}
        self._write(self._root / bucket.name / ".bucket.json", {"created": bucket.created, "documents": documents})

    def _write(self, path: Path, value: dict[str, Any]) -> None:
        temporary = Path(self._new_path(path.parent.name if path.name == ".bucket.json" else path.parent.parent.name))
        temporary.write_text(json.dumps(value), encoding="utf-8")
        os.replace(temporary, path)

    def _load(self, path: Path) -> None:
        described = json.loads((path / ".bucket.json").read_text(encoding="utf-8"))
        bucket = Bucket(path.name, described["created"])
        bucket.documents = {name: base64.b64decode(data) for name, data in described["documents"].items()}
        self.buckets[path.name] = bucket
        data = path / "data"
        used: set[str] = set()
        for file in (path / "objects").iterdir():
            record = _from_json(json.loads(file.read_text(encoding="utf-8")), data)
            bucket.set(record)
            assert isinstance(record.blob, FileBlob)
            used.update(piece.path for piece in record.blob.pieces)
        # What no object names is left from a crash or an upload that was never completed.
        for file in data.iterdir():
            if str(file) not in used:
                file.unlink()


def _to_json(record: Record, blob: FileBlob) -> dict[str, Any]:
    return {
        "key": record.key.encode("utf-8", "surrogatepass").decode("latin-1"),
        "etag": record.etag,
        "modified": record.modified,
        "headers": record.headers,
        "checksums": record.checksums,
        "checksum_type": record.checksum_type,
        "tags": record.tags,
        "parts": [[part.number, part.size, part.checksums] for part in record.parts],
        "pieces": [[os.path.basename(piece.path), piece.offset, piece.length] for piece in blob.pieces],
    }


def _from_json(value: dict[str, Any], data: Path) -> Record:
    pieces = [Piece(str(data / os.path.basename(name)), offset, length) for name, offset, length in value["pieces"]]
    return Record(
        value["key"].encode("latin-1").decode("utf-8", "surrogatepass"),
        FileBlob(pieces),
        value["etag"],
        value["modified"],
        value["headers"],
        value["checksums"],
        value["checksum_type"],
        tuple(PartInfo(number, size, checksums) for number, size, checksums in value["parts"]),
        tuple((name, text) for name, text in value["tags"]),
    )
