"""ListObjectsV2 and DeleteObjects of the sdk backend."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from objectfs import errors
from objectfs.backends.answers import DELETE_BATCH, NOT_XML, delete_failure, in_order
from objectfs.backends.base import DeleteOptions, ListOptions, Steps
from objectfs.backends.sdk_ops import Task
from objectfs.backends.sdk_wire import Wire
from objectfs.types import NOTHING, ListPage, ObjectInfo, ObjectVersion, Prefix

__all__ = ["delete_many", "list_page", "list_versions_page"]


def list_page(
    wire: Wire, bucket: str, params: Mapping[str, Any], options: ListOptions
) -> Steps[ListPage[ObjectInfo | Prefix]]:
    answer = yield from _list(wire, "list_objects_v2", bucket, params, ("Contents",), options)
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
        )
        for item in answer.get("Contents", ())
    ]
    token = _following(answer, "ListObjectsV2", bucket, "NextContinuationToken")
    return ListPage(in_order(objects, _prefixes(answer)), token)


def list_versions_page(wire: Wire, bucket: str, params: Mapping[str, Any]) -> Steps[ListPage[ObjectVersion | Prefix]]:
    answer = yield from _list(wire, "list_object_versions", bucket, params, ("Versions",))
    # botocore puts versions and delete markers apart; in the document they stand mixed, the newest of a key first
    apart = {b"Version": iter(answer.get("Versions", ())), b"DeleteMarker": iter(answer.get("DeleteMarkers", ()))}
    versions = [
        _version(bucket, item, kind == b"DeleteMarker") for kind in answer["order"] for item in _one(apart[kind])
    ]
    token = _following(answer, "ListObjectVersions", bucket, "NextKeyMarker")
    following = None if token is None else (token, answer.get("NextVersionIdMarker"))
    return ListPage(in_order(versions, _prefixes(answer)), following)


def _one(items: Iterator[Any]) -> Iterator[Any]:
    return itertools.islice(items, 1)


def _version(bucket: str, item: Mapping[str, Any], marker: bool) -> ObjectVersion:
    owner = item.get("Owner", {})
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
        owner=owner.get("ID") or owner.get("DisplayName"),
    )


def _list(
    wire: Wire,
    method: str,
    bucket: str,
    params: Mapping[str, Any],
    sized: tuple[str, ...],
    options: ListOptions | None = None,
) -> Steps[Mapping[str, Any]]:
    given = {name: value for name, value in params.items() if value is not None}

    def run(task: Task) -> Mapping[str, Any]:
        answer = wire.call(task, method, {"Bucket": bucket, **given}, options=options)
        return {**answer, "order": task.order}

    answer: Mapping[str, Any] = yield wire.start(run)
    if not all("Key" in item and "Size" in item for kind in sized for item in answer.get(kind, ())):
        raise _unreadable("an entry without key or size", bucket, _MODEL[method])
    return answer


_MODEL = {"list_objects_v2": "ListObjectsV2", "list_object_versions": "ListObjectVersions"}


def _prefixes(answer: Mapping[str, Any]) -> list[Prefix]:
    return [Prefix(item["Prefix"]) for item in answer.get("CommonPrefixes", ())]


def _following(answer: Mapping[str, Any], operation: str, bucket: str, name: str) -> str | None:
    if not answer.get("IsTruncated"):
        return None
    found: str | None = answer.get(name)
    if found is None:
        raise _unreadable("there is more, but the answer does not say where to go on", bucket, operation)
    return found


def _unreadable(what: str, bucket: str, operation: str) -> errors.ServerError:
    return errors.ServerError(
        f"the server's answer cannot be read: {what}", operation=operation, bucket=bucket, status=200
    )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def delete_many(wire: Wire, bucket: str, keys: Iterable[str], options: DeleteOptions) -> Steps[dict[str, Exception]]:
    failures: dict[str, Exception] = {}
    iterator = iter(keys)
    while batch := list(itertools.islice(iterator, DELETE_BATCH)):
        awkward = [key for key in batch if NOT_XML.search(key)]
        plain = [key for key in batch if not NOT_XML.search(key)]
        if plain:
            answer = yield wire.start(_delete(wire, bucket, plain, options))
            for item in answer.get("Errors", ()):
                failures[item.get("Key", "")] = delete_failure(bucket, item)
        if awkward:
            results = yield wire.start_many(
                [_delete_one(wire, bucket, key, options) for key in awkward], keep_going=True
            )
            failures.update(
                {key: result for key, result in zip(awkward, results, strict=True) if isinstance(result, Exception)}
            )
    return failures


def _delete(wire: Wire, bucket: str, keys: list[str], options: DeleteOptions) -> Callable[[Task], Any]:
    document = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
    return lambda task: wire.call(task, "delete_objects", {"Bucket": bucket, "Delete": document}, options=options)


def _delete_one(wire: Wire, bucket: str, key: str, options: DeleteOptions) -> Callable[[Task], Any]:
    return lambda task: wire.call(task, "delete_object", {"Bucket": bucket, "Key": key}, options=options)
