"""ListObjectsV2 and DeleteObjects of the sdk backend."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from objectfs import errors
from objectfs.backends.answers import DELETE_BATCH, NOT_XML, delete_failure, in_order
from objectfs.backends.base import Steps
from objectfs.backends.sdk_ops import Task
from objectfs.backends.sdk_wire import Wire
from objectfs.types import ListPage, ObjectInfo, Prefix

__all__ = ["delete_many", "list_page"]


def list_page(wire: Wire, bucket: str, params: Mapping[str, Any]) -> Steps[ListPage]:
    given = {name: value for name, value in params.items() if value is not None}
    answer = yield wire.start(lambda task: wire.call(task, "list_objects_v2", {"Bucket": bucket, **given}))
    if not all("Key" in item and "Size" in item for item in answer.get("Contents", ())):
        raise errors.ServerError(
            "the server's answer cannot be read: an entry without key or size",
            operation="ListObjectsV2",
            bucket=bucket,
            status=200,
        )
    objects = (
        ObjectInfo(
            bucket=bucket,
            key=item["Key"],
            size=item["Size"],
            etag=item.get("ETag"),
            last_modified=_utc(item.get("LastModified")),
            storage_class=item.get("StorageClass"),
        )
        for item in answer.get("Contents", ())
    )
    prefixes = (Prefix(item["Prefix"]) for item in answer.get("CommonPrefixes", ()))
    token = answer.get("NextContinuationToken") if answer.get("IsTruncated") else None
    return ListPage(in_order(objects, prefixes), token)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def delete_many(wire: Wire, bucket: str, keys: Iterable[str]) -> Steps[dict[str, Exception]]:
    failures: dict[str, Exception] = {}
    iterator = iter(keys)
    while batch := list(itertools.islice(iterator, DELETE_BATCH)):
        awkward = [key for key in batch if NOT_XML.search(key)]
        plain = [key for key in batch if not NOT_XML.search(key)]
        if plain:
            answer = yield wire.start(_delete(wire, bucket, plain))
            for item in answer.get("Errors", ()):
                failures[item.get("Key", "")] = delete_failure(bucket, item)
        if awkward:
            results = yield wire.start_many([_delete_one(wire, bucket, key) for key in awkward], keep_going=True)
            failures.update(
                {key: result for key, result in zip(awkward, results, strict=True) if isinstance(result, Exception)}
            )
    return failures


def _delete(wire: Wire, bucket: str, keys: list[str]) -> Callable[[Task], Any]:
    document = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
    return lambda task: wire.call(task, "delete_objects", {"Bucket": bucket, "Delete": document})


def _delete_one(wire: Wire, bucket: str, key: str) -> Callable[[Task], Any]:
    return lambda task: wire.call(task, "delete_object", {"Bucket": bucket, "Key": key})
