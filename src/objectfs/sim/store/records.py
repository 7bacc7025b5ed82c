"""What a store keeps: objects and their versions, parts, uploads in progress."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from objectfs.sim.store.blobs import Blob, MemoryBlob

NULL_VERSION = "null"


def new_version_id() -> str:
    """32 URL-safe characters."""
    return secrets.token_urlsafe(24)


@dataclass(slots=True)
class PartInfo:
    """Size and checksums of a part of a completed multipart upload."""

    number: int
    size: int
    checksums: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """A version of an object, or a delete marker.

    Records are replaced, never changed, so that a response may go on reading an old one. ``version_id`` is set by
    the store when the record is put. ``acl`` is the content of an AccessControlPolicy; empty for the private one.
    ``restored`` is the time until which a copy of an archived object can be read.
    """

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
    version_id: str = NULL_VERSION
    marker: bool = False
    acl: str = ""
    restored: float = 0.0

    @property
    def size(self) -> int:
        return self.blob.size

    @property
    def storage_class(self) -> str:
        return self.headers.get("x-amz-storage-class", "STANDARD")


def delete_marker(key: str, version_id: str) -> Record:
    """A version that says: deleted."""
    return Record(key, MemoryBlob([]), "", version_id=version_id, marker=True)


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
    acl: str = ""
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Completed:
    """An upload that was completed: of which parts (number and ETag each), and into what."""

    key: str
    parts: tuple[tuple[int, str], ...]
    record: Record


@dataclass(slots=True, weakref_slot=True, eq=False)
class Watch:
    """Notices whether a key is deleted while a conditional write to it is under way."""

    key: str
    deleted: bool = False
