"""The store: buckets, objects and uploads in memory. The directory store adds persistence to it."""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass, field

from objectfs.sim.blobs import Blob, DiscardSink, DocumentSink, MemoryBlob, MemorySink, PatternBlob, Sink
from objectfs.sim.errors import S3Error
from objectfs.sim.http import FileSlice
from objectfs.sim.route import check_bucket_name

SCRATCH = 1024 * 1024
SINK_BUCKET = "sink"


@dataclass(slots=True)
class PartInfo:
    """Size and checksums of a part of a completed multipart upload."""

    number: int
    size: int
    checksums: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """An object. Records are replaced, never changed, so that a response may go on reading an old one."""

    key: str
    blob: Blob
    etag: str
    modified: float = field(default_factory=time.time)
    headers: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    checksum_type: str = "FULL_OBJECT"
    parts: tuple[PartInfo, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    listing: str = ""

    @property
    def size(self) -> int:
        return self.blob.size

    @property
    def storage_class(self) -> str:
        return self.headers.get("x-amz-storage-class", "STANDARD")


@dataclass(slots=True)
class Part:
    """A part of an upload in progress."""

    number: int
    blob: Blob
    etag: str
    modified: float
    checksums: dict[str, str]


@dataclass(slots=True)
class Upload:
    """A multipart upload in progress."""

    upload_id: str
    key: str
    headers: dict[str, str]
    tags: tuple[tuple[str, str], ...]
    algorithm: str | None
    checksum_type: str | None
    initiated: float
    parts: dict[int, Part] = field(default_factory=dict)


class Bucket:
    """Objects by key, with the keys kept sorted as UTF-8 (which is the order of Python's strings)."""

    def __init__(self, name: str, created: float) -> None:
        self.name = name
        self.created = created
        self.objects: dict[str, Record] = {}
        self.uploads: dict[str, Upload] = {}
        self.documents: dict[str, bytes] = {}
        self._keys: list[str] = []
        self._added: list[str] = []
        self._stale = 0

    def set(self, record: Record) -> None:
        if record.key not in self.objects:
            self._added.append(record.key)
        self.objects[record.key] = record

    def discard(self, key: str) -> Record | None:
        record = self.objects.pop(key, None)
        if record is not None:
            self._stale += 1
            self.documents.pop(f"acl:{key}", None)
        return record

    def keys_from(self, start: str) -> tuple[list[str], int]:
        """All keys in order, and the index of the first that is not below ``start``."""
        if self._stale:
            self._keys = sorted(self.objects)
        elif self._added:
            # Two sorted runs: the sort merges them in linear time.
            self._keys += sorted(self._added)
            self._keys.sort()
        self._added.clear()
        self._stale = 0
        return self._keys, bisect_left(self._keys, start)


class Store:
    """Everything in memory. Used by one thread, the server's, once the server runs."""

    def __init__(self, *, discard: bool = False) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.discard = discard
        self.scratch = memoryview(bytearray(SCRATCH))

    def close(self) -> None:
        """Free what is held outside the process's memory."""

    def bucket(self, name: str) -> Bucket:
        try:
            return self.buckets[name]
        except KeyError:
            check_bucket_name(name)
            raise S3Error("NoSuchBucket", extra={"BucketName": name}) from None

    def create_bucket(self, name: str) -> Bucket:
        return self.buckets.setdefault(name, Bucket(name, time.time()))

    def delete_bucket(self, name: str) -> None:
        del self.buckets[name]

    def set_document(self, bucket: Bucket, name: str, document: bytes | None) -> None:
        """Keep a bucket's sub-resource document; None deletes it."""
        if document is None:
            bucket.documents.pop(name, None)
        else:
            bucket.documents[name] = document

    def new_sink(self, bucket: str, size: int | None) -> Sink:
        """Where a body for ``bucket`` goes; ``size`` as announced, if it was."""
        if self.discard or bucket == SINK_BUCKET:
            return DiscardSink(self.scratch)
        return self._new_sink(bucket, size)

    def _new_sink(self, bucket: str, size: int | None) -> Sink:
        return MemorySink(size)

    def put(self, bucket: Bucket, record: Record) -> None:
        """Make an object visible, replacing one under the same key at once."""
        bucket.set(record)

    def remove(self, bucket: Bucket, key: str) -> None:
        bucket.discard(key)

    def drop(self, blob: Blob) -> None:
        """A blob of no object is not needed any more."""

    def share(self, bucket: Bucket, blob: Blob) -> Blob:
        """The same bytes for another object."""
        return blob

    def join(self, blobs: list[Blob]) -> Blob:
        """One blob of several, without copying."""
        if len(blobs) == 1:
            return blobs[0]
        if all(isinstance(blob, PatternBlob) for blob in blobs):
            return PatternBlob(sum(blob.size for blob in blobs))
        segments: list[memoryview] = []
        for blob in blobs:
            for chunk in blob.chunks(0, blob.size):
                assert not isinstance(chunk, FileSlice)
                segments.append(memoryview(chunk))
        return MemoryBlob(segments)

    def add_synthetic(self, bucket: str, key: str, size: int) -> Record:
        """An object of any size that takes no memory; its bytes are those of ``synthetic_bytes``."""
        record = Record(key, PatternBlob(size), f"5e{size:030x}", headers={"content-type": "binary/octet-stream"})
        self.create_bucket(bucket).set(record)
        return record


__all__ = ["Bucket", "DocumentSink", "Part", "PartInfo", "Record", "Store", "Upload"]
