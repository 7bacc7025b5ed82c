"""S3 as a few dictionaries: what AWS's documentation says of one bucket, written without a look at the server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Version:
    """One version of an object, or a delete marker (``body`` is None)."""

    key: str
    version_id: str
    body: bytes | None
    etag: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    parts: int = 0


@dataclass
class Upload:
    """A multipart upload: parts by number."""

    key: str
    metadata: tuple[tuple[str, str], ...] = ()
    parts: dict[int, bytes] = field(default_factory=dict)


def etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


def etag_of_parts(parts: Iterable[bytes]) -> str:
    digests = [hashlib.md5(part).digest() for part in parts]
    return f'"{hashlib.md5(b"".join(digests)).hexdigest()}-{len(digests)}"'


@dataclass
class Bucket:
    """Versions by key, the newest first; ``status`` is None until versioning has been switched on."""

    status: str | None = None
    versions: dict[str, list[Version]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def current(self, key: str) -> Version | None:
        """What a GET without a version id gets."""
        found = self.versions.get(key, [])
        return found[0] if found and found[0].body is not None else None

    def add(self, version: Version) -> None:
        """Becomes the newest. The null version is replaced, wherever it is."""
        others = self.versions.get(version.key, [])
        if version.version_id == "null":
            others = [other for other in others if other.version_id != "null"]
        self.versions[version.key] = [version, *others]

    def remove(self, key: str, version_id: str) -> None:
        left = [version for version in self.versions.get(key, []) if version.version_id != version_id]
        if left:
            self.versions[key] = left
        else:
            self.versions.pop(key, None)

    def replace(self, old: Version, new: Version) -> None:
        """The same version with other tags."""
        self.versions[old.key] = [new if version is old else version for version in self.versions[old.key]]

    def keys(self) -> list[str]:
        return sorted((key for key in self.versions if self.current(key)), key=lambda key: key.encode())

    def all_versions(self) -> list[Version]:
        return [version for key in sorted(self.versions, key=str.encode) for version in self.versions[key]]

    def listing(self, prefix: str, delimiter: str, after: str) -> list[tuple[str, bool]]:
        """Keys, and common prefixes (True), in the order of a listing that begins behind ``after``."""
        found: list[tuple[str, bool]] = []
        for key in self.keys():
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            cut = rest.find(delimiter) if delimiter else -1
            entry = (key, False) if cut < 0 else (prefix + rest[: cut + len(delimiter)], True)
            if entry[0].encode() > after.encode() and entry not in found[-1:]:
                found.append(entry)
        return found
