"""What came of an operation, in a form that can be compared: plain values, without what is each answer's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from objectfs.errors import ObjectFSError
from objectfs.types import ObjectInfo, ObjectVersion, Prefix, PutResult

__all__ = ["Plain", "error_outcome"]

VOLATILE = frozenset(
    (
        "connection",
        "date",
        "keep-alive",
        "server",
        "x-amz-id-2",
        "x-amz-request-id",
        "x-trans-id",
        "x-openstack-request-id",
    )
)
"""Headers that differ from one answer to the next."""

LARGE = 1024 * 1024
"""Bytes from which ETags are not compared: the embedded server draws those of large bodies, as S3 does with KMS."""

OF_A_REQUEST = frozenset(("accept-ranges", "content-length", "content-range"))
"""Headers that say how content was asked for, in ranges or at once: each backend's own affair."""


class Plain:
    """Brings results into plain values.

    Args:
        prefix: of the side's keys, taken off wherever it stands at the beginning of one.
        exact: both clients have read the same objects, so that times and all headers have to agree.
    """

    def __init__(self, prefix: str, *, exact: bool) -> None:
        self._prefix = prefix
        self._exact = exact

    def key(self, text: str | None) -> str | None:
        return text if text is None else text.removeprefix(self._prefix)

    def etag(self, etag: str | None, size: int = 0) -> str | None:
        """Of what each client has stored on its own, the ETag of something large or in parts need not be the same: a
        server may draw it. How many parts there were is in it."""
        if etag is None or self._exact or ("-" not in etag and size < LARGE):
            return etag
        return "…-" + etag.rpartition("-")[2] if "-" in etag else "…"

    def info(self, info: ObjectInfo | None, *, moved: bool = False) -> Any:
        """``moved``: of an answer that came with content."""
        if info is None:
            return None
        found = {
            "key": self.key(info.key),
            "size": info.size,
            "etag": self.etag(info.etag, info.size),
            "storage_class": info.storage_class,
            "content_type": info.content_type,
            "metadata": dict(info.metadata),
            "owner": info.owner,
        }
        if self._exact:
            found["last_modified"] = self.time(info.last_modified)
            found["version_id"] = info.version_id
            # an empty object, and what is asked for in ranges, have no checksum of the whole in every answer
            left = {
                name for name in info.headers if moved and (name in OF_A_REQUEST or name.startswith("x-amz-checksum-"))
            }
            headers = info.headers.items()
            found["headers"] = {name: value for name, value in headers if name not in VOLATILE and name not in left}
        return found

    def time(self, value: datetime | None) -> str | None:
        return None if value is None else value.isoformat()

    def content(self, content: Any) -> str:
        """Length and digest: what is printed of a difference in content."""
        with memoryview(content) as view:
            return f"{view.nbytes} bytes {hashlib.sha256(view).hexdigest()[:16]}"

    def put(self, result: PutResult, size: int = 0) -> Any:
        """``size``: of the object, where the ETag alone does not tell that it is large."""
        found: dict[str, Any] = {"etag": self.etag(result.etag, size), "versioned": result.version_id is not None}
        if result.etag is not None and "-" not in result.etag and size < LARGE:
            # of parts it is made here, or comes from the server for all of it, or not at all: see PutResult
            found["checksum"] = result.checksum
        return found

    def entries(self, entries: Sequence[Any]) -> Any:
        found: list[Any] = []
        for entry in entries:
            if isinstance(entry, Prefix):
                found.append({"prefix": self.key(entry.prefix)})
            elif isinstance(entry, ObjectVersion):
                version = {
                    "key": self.key(entry.key),
                    "latest": entry.is_latest,
                    "marker": entry.is_delete_marker,
                    "size": entry.size,
                    "etag": self.etag(entry.etag),
                    "storage_class": entry.storage_class,
                    "owner": entry.owner,
                }
                if self._exact:
                    version["version_id"] = entry.version_id
                    version["last_modified"] = self.time(entry.last_modified)
                found.append(version)
            else:
                found.append(self.info(entry))
        return found

    def answer(self, answer: Mapping[str, Any]) -> Any:
        """Of ``client.call``."""
        return {name: self._value(name, value) for name, value in answer.items()}

    def _value(self, name: str, value: Any) -> Any:
        if name == "ResponseMetadata":
            headers = value.get("HTTPHeaders", {})
            found = {"HTTPStatusCode": value.get("HTTPStatusCode")}
            if self._exact:
                found["HTTPHeaders"] = {name: text for name, text in headers.items() if name not in VOLATILE}
            return found
        if name == "LastModified" and not self._exact:
            return "…"
        if name == "UploadId":
            return "…"
        if name == "ETag":
            return self.etag(value)
        if hasattr(value, "read"):
            return self.content(value.read())
        if isinstance(value, Mapping):
            return {inner: self._value(inner, each) for inner, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._value("", each) for each in value]
        if isinstance(value, datetime):
            return value.isoformat()
        return self.key(value) if isinstance(value, str) else value

    def error(self, error: BaseException) -> Any:
        return error_outcome(error, self._prefix)


def error_outcome(error: BaseException, prefix: str = "") -> Any:
    """Class, code and status of an error, and what it says it is about. Not its words: a server's may hold ids."""
    found: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, ObjectFSError):
        key = error.key
        found.update(
            code=error.code,
            status=error.status,
            operation=error.operation,
            bucket=error.bucket,
            key=None if key is None else key.removeprefix(prefix),
        )
    return found
