"""ListObjectsV2 and DeleteObjects of the sdk backend."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from objectfs import errors
from objectfs.backends.answers import in_order
from objectfs.backends.base import DeleteOptions, ListOptions, Op, Steps
from objectfs.backends.deleting import Pair
from objectfs.backends.sdk_task import Task
from objectfs.backends.sdk_wire import Wire
from objectfs.types import NOTHING, ListPage, ObjectInfo, ObjectVersion, Prefix

__all__ = ["Deleter", "list_page", "list_versions_page"]


def list_page(
    wire: Wire, bucket: str, params: Mapping[str, Any], options: ListOptions
) -> Steps[ListPage[ObjectInfo | Prefix]]:
    answer = yield from _list(wire, "list_objects_v2", bucket, params, options)
    objects = [
        ObjectInfo(
            bucket=bucket,
            key=item["Key"],
            size=item["Size"],
            etag=item.get("ETag"),
            last_modified=_utc(item.get("LastModified")),
            storage_class=item.get("StorageClass"),
            metadata=NOTHING,
            headers=NOTHING,
            owner=_owner(item),
            restore_in_progress=item.get("RestoreStatus", {}).get("IsRestoreInProgress"),
            restored_until=_utc(item.get("RestoreStatus", {}).get("RestoreExpiryDate")),
        )
        for item in answer.get("Contents", ())
    ]
    token = _following(answer, "ListObjectsV2", bucket, "NextContinuationToken")
    return ListPage(in_order(objects, _prefixes(answer)), token)


def list_versions_page(
    wire: Wire, bucket: str, params: Mapping[str, Any], options: ListOptions
) -> Steps[ListPage[ObjectVersion | Prefix]]:
    answer = yield from _list(wire, "list_object_versions", bucket, params, options)
    # botocore puts versions and delete markers apart; in the document they stand mixed, the newest of a key first
    apart = {b"Version": iter(answer.get("Versions", ())), b"DeleteMarker": iter(answer.get("DeleteMarkers", ()))}
    if len(answer["order"]) != sum(len(answer.get(kind, ())) for kind in ("Versions", "DeleteMarkers")):
        raise _unreadable("versions in no order", bucket, "ListObjectVersions")  # some stand in a comment, say
    versions = [
        _version(bucket, item, kind == b"DeleteMarker") for kind in answer["order"] for item in _one(apart[kind])
    ]
    token = _following(answer, "ListObjectVersions", bucket, "NextKeyMarker")
    following = None if token is None else (token, answer.get("NextVersionIdMarker"))
    return ListPage(in_order(versions, _prefixes(answer)), following)


def _one(items: Iterator[Any]) -> Iterator[Any]:
    return itertools.islice(items, 1)


def _version(bucket: str, item: Mapping[str, Any], marker: bool) -> ObjectVersion:
    return ObjectVersion(
        bucket=bucket,
        key=item["Key"],
        version_id=item.get("VersionId"),
        is_latest=item.get("IsLatest", False),
        is_delete_marker=marker,
        size=item.get("Size", 0),
        etag=item.get("ETag"),
        last_modified=_utc(item.get("LastModified")),
        storage_class=item.get("StorageClass"),
        owner=_owner(item),
        restore_in_progress=item.get("RestoreStatus", {}).get("IsRestoreInProgress"),
        restored_until=_utc(item.get("RestoreStatus", {}).get("RestoreExpiryDate")),
    )


def _owner(item: Mapping[str, Any]) -> str | None:
    owner = item.get("Owner", {})
    found: str | None = owner.get("ID") or owner.get("DisplayName")
    return found


def _list(
    wire: Wire,
    method: str,
    bucket: str,
    params: Mapping[str, Any],
    options: ListOptions,
) -> Steps[Mapping[str, Any]]:
    given = {name: value for name, value in params.items() if value is not None}

    def run(task: Task) -> Mapping[str, Any]:
        answer = wire.call(task, method, {"Bucket": bucket, **given}, options=options)
        return {**answer, "order": task.order}

    answer: Mapping[str, Any] = yield wire.start(run)
    for kind, texts in _TEXTS.items():
        for item in answer.get(kind, ()):
            if not all(name in item for name in _NEEDED[kind]):
                raise _unreadable("an entry without key or size", bucket, _MODEL[method])
            if not all(isinstance(item.get(name, ""), str) for name in texts):
                raise _unreadable("an entry with two keys, or two of something else", bucket, _MODEL[method])
    return answer


_ENTRY = ("Key", "ETag", "StorageClass", "VersionId")
# botocore gives a list of what an element has two of
_TEXTS = {"Contents": _ENTRY, "Versions": _ENTRY, "DeleteMarkers": _ENTRY, "CommonPrefixes": ("Prefix",)}
_NEEDED = {
    "Contents": ("Key", "Size"),
    "Versions": ("Key", "Size"),
    "DeleteMarkers": ("Key",),
    "CommonPrefixes": ("Prefix",),
}
_MODEL = {"list_objects_v2": "ListObjectsV2", "list_object_versions": "ListObjectVersions"}


def _prefixes(answer: Mapping[str, Any]) -> list[Prefix]:
    return [Prefix(item["Prefix"]) for item in answer.get("CommonPrefixes", ())]


def _following(answer: Mapping[str, Any], operation: str, bucket: str, name: str) -> str | None:
    if not answer.get("IsTruncated"):
        return None
    found: str | None = answer.get(name)
    if not isinstance(found, str):
        raise _unreadable("there is more, but the answer does not say where to go on", bucket, operation)
    return found


def _unreadable(what: str, bucket: str, operation: str) -> errors.ServerError:
    return errors.ServerError(
        f"the server's answer cannot be read: {what}", operation=operation, bucket=bucket, status=200
    )


def _utc(moment: datetime | None) -> datetime | None:
    try:
        return None if moment is None else moment.astimezone(UTC)
    except OverflowError:  # before the year 1, or behind 9999
        return None


class Deleter:
    """:class:`objectfs.backends.deleting.Deleter` of the sdk backend."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def max_attempts(self) -> int:
        return self._wire.config.max_attempts

    def pause(self, seconds: float) -> Op[Any]:
        return self._wire.start(lambda task: task.sleep(seconds))

    def region_of(self, bucket: str) -> str | None:
        return None

    def follow(self, bucket: str, error: errors.ObjectFSError, region: str | None) -> bool:
        return False  # each request has done it

    def start_delete(self, bucket: str, pairs: Sequence[Pair], options: DeleteOptions) -> Op[Any]:
        objects = [{"Key": key} if version is None else {"Key": key, "VersionId": version} for key, version in pairs]
        params = {"Bucket": bucket, "Delete": {"Objects": objects, "Quiet": True}}
        return self._wire.start(lambda task: self._wire.call(task, "delete_objects", params, options=options))

    def refusals(self, bucket: str, answer: Any) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = answer.get("Errors", [])
        return found

    def start_each(self, bucket: str, pairs: Sequence[Pair], options: DeleteOptions) -> Op[Any]:
        return self._wire.start_many([self._delete_one(bucket, pair, options) for pair in pairs], keep_going=True)

    def failures(self, bucket: str, pairs: Sequence[Pair], answer: Any) -> list[errors.ObjectFSError | None]:
        return [result if isinstance(result, errors.ObjectFSError) else None for result in answer]

    def _delete_one(self, bucket: str, pair: Pair, options: DeleteOptions) -> Callable[[Task], Any]:
        key, version = pair
        params = {"Bucket": bucket, "Key": key, **({} if version is None else {"VersionId": version})}
        return lambda task: self._wire.call(task, "delete_object", params, options=options)
