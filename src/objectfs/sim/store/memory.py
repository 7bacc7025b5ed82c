"""The store: buckets, objects and uploads in memory. The directory store adds persistence to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from objectfs.sim.errors import S3Error
from objectfs.sim.route import check_bucket_name
from objectfs.sim.store.blobs import Blob, DiscardSink, DocumentSink, MemorySink, PatternBlob, Sink, join_blobs
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.store.records import NULL_VERSION, Part, PartInfo, Record, Upload, delete_marker, new_version_id

SCRATCH = 1024 * 1024
SINK_BUCKET = "sink"


class Store:
    """Everything in memory. Used by one thread, the server's, once the server runs: an operation that has begun to
    change something has changed it before another one looks."""

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

    def create_bucket(self, name: str, region: str = "") -> Bucket:
        """The bucket of that name, made if it is not there. ``region`` is empty for the server's own."""
        return self.buckets.setdefault(name, Bucket(name, time.time(), region))

    def delete_bucket(self, name: str) -> None:
        del self.buckets[name]

    def set_document(self, bucket: Bucket, name: str, document: bytes | None) -> None:
        """Keep a bucket's sub-resource document; None deletes it."""
        if document is None:
            bucket.documents.pop(name, None)
        else:
            bucket.documents[name] = document
        self._save_bucket(bucket)

    def set_versioning(self, bucket: Bucket, status: str) -> None:
        """``status`` is Enabled or Suspended."""
        bucket.versioning = status
        self._save_bucket(bucket)

    def new_sink(self, bucket: str, size: int | None) -> Sink:
        """Where a body for ``bucket`` goes; ``size`` as announced, if it was."""
        if self.discard or bucket == SINK_BUCKET:
            return DiscardSink(self.scratch)
        return self._new_sink(bucket, size)

    def _new_sink(self, bucket: str, size: int | None) -> Sink:
        return MemorySink(size)

    def put(self, bucket: Bucket, record: Record) -> None:
        """Make an object visible: a new version where versions are kept, else in place of the null version."""
        if bucket.versioning == "Enabled":
            record.version_id = new_version_id()
            self._change(bucket, record.key, [*bucket.history(record.key), record], ())
        else:
            record.version_id = NULL_VERSION
            self._replace_null(bucket, record)

    def amend(self, bucket: Bucket, old: Record, new: Record) -> None:
        """Replace one version by a changed copy of it that has the same body: other tags, another ACL."""
        history = [new if record is old else record for record in bucket.history(old.key)]
        self._change(bucket, old.key, history, ())

    def remove(self, bucket: Bucket, key: str) -> Record | None:
        """A delete that names no version. The delete marker that it left, if versions are kept."""
        bucket.note_delete(key)
        if not bucket.versioning:
            self._change(bucket, key, (), bucket.history(key))
            return None
        if bucket.versioning == "Enabled":
            marker = delete_marker(key, new_version_id())
            self._change(bucket, key, [*bucket.history(key), marker], ())
        else:
            marker = delete_marker(key, NULL_VERSION)
            self._replace_null(bucket, marker)
        return marker

    def remove_version(self, bucket: Bucket, record: Record) -> None:
        """Delete one version, or a delete marker, for good."""
        if record is bucket.latest(record.key):
            bucket.note_delete(record.key)
        history = [other for other in bucket.history(record.key) if other is not record]
        self._change(bucket, record.key, history, (record,))

    def rename(self, bucket: Bucket, record: Record, key: str) -> None:
        """Give an object of a bucket without versions another key, replacing what is there."""
        shared = replace(record, key=key, blob=self.share(bucket, record.blob), listing="")
        self._change(bucket, key, (shared,), bucket.history(key))
        bucket.note_delete(record.key)
        self._change(bucket, record.key, (), (record,))

    def _replace_null(self, bucket: Bucket, record: Record) -> None:
        history = bucket.history(record.key)
        kept = [other for other in history if other.version_id != NULL_VERSION]
        gone = [other for other in history if other.version_id == NULL_VERSION]
        self._change(bucket, record.key, [*kept, record], gone)

    def _change(self, bucket: Bucket, key: str, history: Sequence[Record], gone: Sequence[Record]) -> None:
        """Replace a key's history, first where it must survive, and drop the bodies of what is gone."""
        self._save_history(bucket, key, history)
        bucket.set_history(key, history)
        for record in gone:
            self.drop(record.blob)

    def _save_history(self, bucket: Bucket, key: str, history: Sequence[Record]) -> None:
        """Make a key's history survive, if the store does."""

    def _save_bucket(self, bucket: Bucket) -> None:
        """Make the bucket's own settings survive, if the store does."""

    def drop(self, blob: Blob) -> None:
        """A blob of no object is not needed any more."""

    def share(self, bucket: Bucket, blob: Blob) -> Blob:
        """The same bytes for another object."""
        return blob

    def join(self, blobs: list[Blob]) -> Blob:
        """One blob of several, without copying."""
        return join_blobs(blobs)

    def add_synthetic(self, bucket: str, key: str, size: int) -> Record:
        """An object of any size that takes no memory; its bytes are those of ``synthetic_bytes``."""
        record = Record(key, PatternBlob(size), f"5e{size:030x}", headers={"content-type": "binary/octet-stream"})
        self.create_bucket(bucket).set(record)
        return record


__all__ = ["Bucket", "DocumentSink", "Part", "PartInfo", "Record", "Store", "Upload"]
