"""Preconditions and ranges: RFC 9110 as S3 applies it."""

from __future__ import annotations

import re

from objectfs.sim.errors import S3Error
from objectfs.sim.http import http_date, parse_http_date
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.store.records import Record, Watch

# Range units are compared without regard to case.
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE | re.ASCII)


def _tags(value: str, *, weak: bool = False) -> set[str]:
    """The entity tags of a condition. If-Match compares strongly: a weak one matches nothing."""
    tags = [tag.strip() for tag in value.split(",")]
    return {tag.removeprefix("W/").strip('"') for tag in tags if weak or not tag.startswith("W/")}


def check_read(headers: dict[str, str], record: Record, prefix: str = "") -> None:
    """If-Match and its kin on GET and HEAD; with a prefix, those on a copy's source."""
    match = headers.get(f"{prefix}if-match")
    none_match = headers.get(f"{prefix}if-none-match")
    modified = headers.get(f"{prefix}if-modified-since")
    unmodified = headers.get(f"{prefix}if-unmodified-since")
    if match is not None:
        tags = _tags(match)
        if record.etag not in tags and "*" not in tags:
            raise S3Error("PreconditionFailed", extra={"Condition": "If-Match"})
    elif unmodified is not None:
        since = parse_http_date(unmodified)
        if since is not None and int(record.modified) > since:
            raise S3Error("PreconditionFailed", extra={"Condition": "If-Unmodified-Since"})
    if none_match is not None:
        tags = _tags(none_match, weak=True)
        if record.etag in tags or "*" in tags:
            raise _not_modified(record, prefix, "If-None-Match")
    elif modified is not None:
        since = parse_http_date(modified)
        if since is not None and int(record.modified) <= since:
            raise _not_modified(record, prefix, "If-Modified-Since")


def _not_modified(record: Record, prefix: str, condition: str) -> S3Error:
    if prefix:
        return S3Error("PreconditionFailed", extra={"Condition": condition})
    return S3Error("NotModified", headers={"ETag": f'"{record.etag}"', "Last-Modified": http_date(record.modified)})


def check_write(headers: dict[str, str], bucket: Bucket, key: str, watch: Watch | None = None) -> None:
    """If-None-Match: * and If-Match on PutObject, CopyObject, CompleteMultipartUpload and RenameObject. They look at
    the current version; a delete marker is no object. ``watch`` saw what happened while the body arrived."""
    none_match = headers.get("if-none-match")
    match = headers.get("if-match")
    if none_match is None and match is None:
        return
    existing = bucket.objects.get(key)
    if none_match is not None:
        if none_match.strip() != "*" or match is not None:
            raise S3Error("NotImplemented", extra={"Header": "If-None-Match"})
        if existing is not None:
            raise S3Error("PreconditionFailed", extra={"Condition": "If-None-Match"})
        if watch is not None and watch.deleted:
            raise S3Error("ConditionalRequestConflict", extra={"Condition": "If-None-Match", "Key": key})
    if match is not None:
        if existing is None:
            raise S3Error("NoSuchKey", extra={"Key": key})
        tags = _tags(match)
        if existing.etag not in tags and "*" not in tags:
            raise S3Error("PreconditionFailed", extra={"Condition": "If-Match"})


def check_delete(match: str, bucket: Bucket, key: str) -> None:
    """If-Match on DeleteObject, or an ETag in DeleteObjects: about the current version, whatever is deleted."""
    latest = bucket.latest(key)
    if latest is None:
        raise S3Error("NoSuchKey", extra={"Key": key})
    tags = _tags(match)
    if latest.marker or (latest.etag not in tags and "*" not in tags):
        raise S3Error("PreconditionFailed", extra={"Condition": "If-Match"})


def check_dates(headers: dict[str, str], existing: Record | None) -> None:
    """If-Modified-Since and If-Unmodified-Since about the destination of a rename."""
    for name, wants_newer in (("if-modified-since", True), ("if-unmodified-since", False)):
        since = parse_http_date(headers[name]) if name in headers else None
        if since is None:
            continue
        newer = existing is not None and int(existing.modified) > since
        if newer != wants_newer:
            raise S3Error("PreconditionFailed", extra={"Condition": name.title()})


def parse_range(value: str | None, size: int) -> tuple[int, int] | None:
    """The half-open range that a Range header selects; None to send everything.

    A header that is no single byte range is ignored, as RFC 9110 and S3 do; one that selects nothing
    raises InvalidRange."""
    if value is None:
        return None
    match = _RANGE.fullmatch(value.strip())
    if match is None:
        return None
    first, last = match.groups()
    if first:
        start = int(first)
        stop = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    elif last:
        start = max(size - int(last), 0)
        stop = size
        if not int(last):
            start = size
    else:
        return None
    if start >= size:
        raise S3Error(
            "InvalidRange",
            headers={"Content-Range": f"bytes */{size}"},
            extra={"RangeRequested": value, "ActualObjectSize": str(size)},
        )
    return start, stop
