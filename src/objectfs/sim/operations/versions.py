"""Which version a request means, and what an answer says of it."""

from __future__ import annotations

import re

from objectfs.sim.errors import S3Error
from objectfs.sim.operations.context import Context
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.store.records import NULL_VERSION, Record

_VERSION_ID = re.compile(r"null|[A-Za-z0-9._-]{32}")


def check_version_id(value: str) -> str:
    """A version id as S3 makes them, or InvalidArgument."""
    if not value:
        raise S3Error(
            "InvalidArgument",
            "Version id cannot be the empty string",
            extra={"ArgumentName": "versionId", "ArgumentValue": value},
        )
    if not _VERSION_ID.fullmatch(value):
        raise S3Error(
            "InvalidArgument",
            "Invalid version id specified",
            extra={"ArgumentName": "versionId", "ArgumentValue": value},
        )
    return value


def wanted_version(context: Context) -> str | None:
    """The request's ``versionId``; None for the current version."""
    value = context.query.get("versionId")
    return None if value is None else check_version_id(value)


def version_headers(bucket: Bucket, record: Record) -> list[tuple[str, str]]:
    """``x-amz-version-id``, where the bucket keeps versions or once did."""
    return [("x-amz-version-id", record.version_id)] if bucket.versioning else []


def marker_headers(record: Record) -> dict[str, str]:
    return {"x-amz-delete-marker": "true", "x-amz-version-id": record.version_id}


def find_version(bucket: Bucket, key: str, version_id: str | None) -> Record:
    """The version of that id, or the current one. Raises NoSuchKey, NoSuchVersion, and MethodNotAllowed for a delete
    marker that is asked for by its id."""
    if version_id is None:
        current = bucket.objects.get(key)
        if current is not None:
            return current
        latest = bucket.latest(key)
        raise S3Error("NoSuchKey", headers=marker_headers(latest) if latest is not None else None, extra={"Key": key})
    record = bucket.version(key, version_id)
    if record is None:
        raise S3Error("NoSuchVersion", extra={"Key": key, "VersionId": version_id})
    if record.marker:
        raise S3Error(
            "MethodNotAllowed",
            headers={**marker_headers(record), "Allow": "DELETE"},
            extra={"Method": "GET", "ResourceType": "DeleteMarker"},
        )
    return record


def find(context: Context) -> tuple[Bucket, Record]:
    """The bucket and the version that the request addresses."""
    bucket = context.bucket
    return bucket, find_version(bucket, context.key, wanted_version(context) if "versionId" in context.query else None)


__all__ = ["NULL_VERSION", "check_version_id", "find", "find_version", "marker_headers", "version_headers"]
