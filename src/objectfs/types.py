"""Values that cross the public interface. They import nothing of the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import (
    Any,
    Generic,
    Literal,
    NoReturn,
    Protocol,
    SupportsBytes,
    SupportsIndex,
    TypeVar,
    overload,
    runtime_checkable,
)

__all__ = [
    "NOTHING",
    "BucketInfo",
    "Buffer",
    "ListPage",
    "ObjectInfo",
    "ObjectVersion",
    "Prefix",
    "PresignedPost",
    "PresignedUrl",
    "PutResult",
]

E = TypeVar("E")


class _Nothing(dict[str, str]):
    """An empty dict that stays empty, so that a million listed objects can have the same one."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("what an answer said cannot be changed")

    __setitem__ = __ior__ = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ()


NOTHING: Mapping[str, str] = _Nothing()
"""The metadata and headers of what was listed."""


@runtime_checkable
class Buffer(SupportsBytes, Protocol):
    """An owned block of memory that holds downloaded bytes.

    It has Python's buffer protocol: ``memoryview(b)``, ``numpy.frombuffer(b, "u1")`` and ``torch.frombuffer`` see the
    bytes without a copy. The memory is freed with the last view of it.
    """

    @property
    def info(self) -> ObjectInfo | None:
        """What the response said of the object; None where the backend had no reason to ask."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> memoryview | bytearray: ...
    def __iter__(self) -> Iterator[int]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """An object as HeadObject, GetObject or ListObjectsV2 describes it. Fields that the answer lacks are None."""

    bucket: str
    key: str
    size: int
    """In bytes, of the whole object (also in the answer to a range)."""
    etag: str | None = None
    """With its quotes, as HTTP has it."""
    last_modified: datetime | None = None
    """In UTC."""
    storage_class: str | None = None
    """None for STANDARD where S3 does not say that: it does so of listed objects only."""
    version_id: str | None = None
    """None too where the bucket has never kept versions."""
    content_type: str | None = None
    """None of listed objects."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata (``x-amz-meta-``), names in lower case."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """All headers of the answer, names in lower case; empty for listed objects."""
    checksum_validated: str | None = None
    """The algorithm of the checksum that the body was validated against (``CRC64NVME``), or None."""
    owner: str | None = None
    """The owner's canonical id; of listed objects, if ``fetch_owner=True`` asked for it."""
    restore_in_progress: bool | None = None
    """Of an archived object that is, or was, restored: whether that is still going on. Of listed objects, if
    ``optional_object_attributes=["RestoreStatus"]`` asked for it."""
    restored_until: datetime | None = None
    """Until when the restored copy can be read, in UTC."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """A common prefix of a listing with a delimiter: what looks like a folder."""

    prefix: str
    """With the delimiter at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """The answer to an upload."""

    etag: str | None
    """With its quotes."""
    version_id: str | None = None
    """Of the version that this upload is; None where the bucket keeps none."""
    checksum: tuple[str, str] | None = None
    """Algorithm and base64 value that the server confirmed, e.g. ``("CRC64NVME", "…")``; None where it confirmed none.
    ``"…-3"`` is made of the values of three parts: S3 has it so for SHA1 and SHA256. Of a file that the crt backend
    sends in parts, it is made here of the parts' values: S3 has held each part to its own, a server that takes no
    notice of checksums has not."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """All headers of the answer, names in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectVersion:
    """A version of an object, or a delete marker, as ListObjectVersions describes it."""

    bucket: str
    key: str
    version_id: str | None
    """``null`` for what was stored while the bucket kept no versions."""
    is_latest: bool = False
    """Whether it is what a request without a version finds. Of a delete marker: the object is deleted."""
    is_delete_marker: bool = False
    """Whether it is what a deletion left, and has no content."""
    size: int = 0
    """In bytes; 0 of a delete marker."""
    etag: str | None = None
    """With its quotes; None of a delete marker."""
    last_modified: datetime | None = None
    """In UTC."""
    storage_class: str | None = None
    """None of a delete marker."""
    owner: str | None = None
    """The owner's canonical id."""
    restore_in_progress: bool | None = None
    """As of ObjectInfo, if ``optional_object_attributes=["RestoreStatus"]`` asked for it."""
    restored_until: datetime | None = None
    """Until when the restored copy can be read, in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketInfo:
    """A bucket as ListBuckets describes it."""

    name: str
    created: datetime | None = None
    """With a time zone."""
    region: str | None = None
    """Where the answer says it (AWS does, if it was asked for pages)."""


class PresignedUrl(str):
    """A URL that allows one request to whoever has it; a string, with what else the request needs."""

    method: str
    """Of HTTP: ``GET``, ``PUT``, ``HEAD``, ``DELETE``."""
    headers: Mapping[str, str]
    """Which have to be sent along, exactly so: they are signed too. Names in lower case."""
    expires_at: datetime
    """In UTC. With temporary credentials it ends with them, if that is earlier."""

    def __new__(cls, url: str, method: str, headers: Mapping[str, str], expires_at: datetime) -> PresignedUrl:
        made = super().__new__(cls, url)
        made.method, made.headers, made.expires_at = method, headers, expires_at
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.method, self.headers, self.expires_at)


@dataclass(frozen=True, slots=True)
class PresignedPost:
    """A form that allows one upload (PostObject) to whoever has it."""

    url: str
    """Where the form is posted to, as ``multipart/form-data``."""
    fields: Mapping[str, str]
    """What it has to contain, before the field ``file``."""


@dataclass(frozen=True, slots=True)
class ListPage(Generic[E]):
    """One answer of a listing."""

    entries: list[E]
    """Objects and prefixes, merged in the order of their UTF-8 bytes."""
    next_token: Any
    """What to ask the next page with, or None on the last page."""


ChecksumMode = Literal["auto", "off", "CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256"]
OnError = Literal["raise", "return"]
