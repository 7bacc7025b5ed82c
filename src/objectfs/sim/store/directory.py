"""The directory store: objects in files, which survive a restart.

    ROOT/BUCKET/.bucket.json            creation date, region, versioning and sub-resource documents
    ROOT/BUCKET/objects/NAME.json       one key's versions: headers, checksums, and the data files they consist of
    ROOT/BUCKET/data/ID                 bodies; an object of a multipart upload keeps its parts as files

NAME is the key percent-encoded, cut and hashed when long, so no key can name a path. A body is written under
a fresh ID and becomes visible when its JSON file is renamed into place: there is no state between the old
object and the new, whenever the process is killed. (Nothing is flushed to the disk: a power failure may lose what
was written last.) Data files are shared by hard links, never copied. Uploads in progress do not survive.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectfs.sim.http import Chunk, FileSlice, OpenFile
from objectfs.sim.route import check_bucket_name
from objectfs.sim.store.blobs import Blob, JoinedBlob, MemoryBlob, PatternBlob, Sink, join_blobs
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.store.memory import Store
from objectfs.sim.store.records import PartInfo, Record

MAX_NAME = 180
_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789-_"
_SAFE = [chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in range(256)]


def safe_name(key: str) -> str:
    """A file name for any key: distinct keys get distinct names, also where the file system ignores case."""
    encoded = key.encode("utf-8", "surrogatepass")
    name = "".join(map(_SAFE.__getitem__, encoded))
    if len(name) <= MAX_NAME:
        return name
    return f"{name[:100]}~{hashlib.sha256(encoded).hexdigest()}"


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

    def create_bucket(self, name: str, region: str = "") -> Bucket:
        if name in self.buckets:
            return self.buckets[name]
        check_bucket_name(name)
        bucket = super().create_bucket(name, region)
        for part in ("objects", "data"):
            (self._root / name / part).mkdir(parents=True, exist_ok=True)
        self._save_bucket(bucket)
        return bucket

    def delete_bucket(self, name: str) -> None:
        super().delete_bucket(name)
        shutil.rmtree(self._root / name)

    def _new_sink(self, bucket: str, size: int | None) -> Sink:
        return FileSink(self._new_path(bucket), self.scratch)

    def _save_history(self, bucket: Bucket, key: str, history: Sequence[Record]) -> None:
        path = self._root / bucket.name / "objects" / f"{safe_name(key)}.json"
        if history:
            described = {
                "key": key.encode("utf-8", "surrogatepass").decode("latin-1"),
                "versions": [_to_json(record) for record in history],
            }
            self._write(path, bucket.name, described)
        else:
            path.unlink(missing_ok=True)

    def _save_bucket(self, bucket: Bucket) -> None:
        described = {
            "created": bucket.created,
            "region": bucket.region,
            "versioning": bucket.versioning,
            "documents": {name: base64.b64encode(data).decode() for name, data in bucket.documents.items()},
        }
        self._write(self._root / bucket.name / ".bucket.json", bucket.name, described)

    def _write(self, path: Path, bucket: str, value: dict[str, Any]) -> None:
        temporary = self._new_path(bucket)
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(json.dumps(value))
        os.replace(temporary, path)

    def drop(self, blob: Blob) -> None:
        for part in _flat(blob):
            if isinstance(part, FileBlob):
                part.doomed = True

    def share(self, bucket: Bucket, blob: Blob) -> Blob:
        links: dict[str, str] = {}
        shared: list[Blob] = []
        for part in _flat(blob):
            if not isinstance(part, FileBlob):
                shared.append(part)
                continue
            for piece in part.pieces:
                if piece.path not in links:
                    links[piece.path] = self._new_path(bucket.name)
                    os.link(piece.path, links[piece.path])
            shared.append(FileBlob([Piece(links[piece.path], piece.offset, piece.length) for piece in part.pieces]))
        return self.join(shared)

    def join(self, blobs: list[Blob]) -> Blob:
        files = [blob for blob in blobs if isinstance(blob, FileBlob)]
        if len(blobs) > 1 and len(files) == len(blobs):
            return FileBlob([piece for blob in files for piece in blob.pieces])
        return join_blobs(blobs)

    def _new_path(self, bucket: str) -> str:
        return str(self._root / bucket / "data" / f"{next(self._ids):x}")

    def _load(self, path: Path) -> None:
        described = json.loads((path / ".bucket.json").read_text(encoding="utf-8"))
        bucket = Bucket(path.name, described["created"], described["region"])
        bucket.versioning = described["versioning"]
        bucket.documents = {name: base64.b64decode(data) for name, data in described["documents"].items()}
        self.buckets[path.name] = bucket
        data = path / "data"
        used: set[str] = set()
        for file in (path / "objects").iterdir():
            value = json.loads(file.read_text(encoding="utf-8"))
            key = value["key"].encode("latin-1").decode("utf-8", "surrogatepass")
            history = [_from_json(key, version, data) for version in value["versions"]]
            bucket.set_history(key, history)
            for part in (part for record in history for part in _flat(record.blob) if isinstance(part, FileBlob)):
                used.update(piece.path for piece in part.pieces)
        # What no object names is left from a crash or an upload that was never completed.
        for file in data.iterdir():
            if str(file) not in used:
                file.unlink()


def _flat(blob: Blob) -> Iterator[Blob]:
    """The blobs that one is joined of."""
    if isinstance(blob, JoinedBlob):
        for part in blob.blobs:
            yield from _flat(part)
    else:
        yield blob


def _pieces(blob: Blob) -> list[list[Any]]:
    """A blob as JSON: file name, offset, length; without a name a range of the synthetic bytes."""
    pieces: list[list[Any]] = []
    for part in _flat(blob):
        if isinstance(part, FileBlob):
            pieces += [[os.path.basename(piece.path), piece.offset, piece.length] for piece in part.pieces]
        elif isinstance(part, PatternBlob):
            pieces.append(["", part.base, part.size])
        else:
            assert not part.size, "a body in memory cannot be kept in a directory"
    return pieces


def _blob(pieces: list[list[Any]], data: Path) -> Blob:
    blobs: list[Blob] = []
    for name, group in itertools.groupby(pieces, lambda piece: bool(piece[0])):
        if name:
            blobs.append(FileBlob([Piece(str(data / os.path.basename(n)), start, size) for n, start, size in group]))
        else:
            blobs += [PatternBlob(size, start) for _, start, size in group]
    return join_blobs(blobs) if blobs else MemoryBlob([])


def _to_json(record: Record) -> dict[str, Any]:
    return {
        "version_id": record.version_id,
        "marker": record.marker,
        "etag": record.etag,
        "modified": record.modified,
        "headers": record.headers,
        "checksums": record.checksums,
        "checksum_type": record.checksum_type,
        "tags": record.tags,
        "acl": record.acl,
        "restored": record.restored,
        "parts": [[part.number, part.size, part.checksums] for part in record.parts],
        "pieces": _pieces(record.blob),
    }


def _from_json(key: str, value: dict[str, Any], data: Path) -> Record:
    return Record(
        key,
        _blob(value["pieces"], data),
        value["etag"],
        value["modified"],
        value["headers"],
        value["checksums"],
        value["checksum_type"],
        tuple(PartInfo(number, size, checksums) for number, size, checksums in value["parts"]),
        tuple((name, text) for name, text in value["tags"]),
        version_id=value["version_id"],
        marker=value["marker"],
        acl=value["acl"],
        restored=value["restored"],
    )
