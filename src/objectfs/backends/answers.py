"""What a server's answer says of an object: headers to values, for both backends."""

from __future__ import annotations

import email.errors
import email.header
import re
from collections.abc import Mapping, Sized
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from objectfs import errors
from objectfs.types import ObjectInfo, Prefix, PutResult

__all__ = [
    "DELETE_BATCH",
    "NOT_XML",
    "check_range",
    "content_range",
    "delete_failure",
    "in_order",
    "number",
    "object_info",
    "put_result",
    "require_one",
    "require_size",
    "total_size",
]

DELETE_BATCH = 1000
"""Keys in one DeleteObjects (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html)."""

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot carry, not even escaped. S3 takes them in keys all the same."""

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})\Z")
_RESTORE = re.compile(r'([a-z-]+)="([^"]*)"')
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_FIXDATE = re.compile(
    rf"[A-Z][a-z]{{2}}, ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) GMT\Z"
)
"""IMF-fixdate (RFC 9110, 5.6.7)."""

_CHECKSUMS = ("CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1")


def content_range(headers: Mapping[str, str]) -> tuple[int, int, int] | None:
    """``(start, end, size)`` of Content-Range, half-open; None if there is none that can be read."""
    match = _CONTENT_RANGE.match(headers.get("content-range", ""))
    if match is None:
        return None
    start, end, size = int(match[1]), int(match[2]) + 1, int(match[3])
    return (start, end, size) if start < end <= size else None


def check_range(headers: Mapping[str, str], start: int, end: int | None) -> tuple[int, int, int]:
    """``(start, end, size)`` of the answer to a range, which must be the one that was asked for.

    Args:
        headers: of the answer, names in lower case.
        start: what was asked for; negative for a suffix.
        end: half-open; None for all that follows.

    Raises:
        UnsupportedError: it is no answer to a range at all.
        ServerError: it answers something else. Its bytes would be the wrong ones.
    """
    if "content-range" not in headers:
        raise errors.UnsupportedError("the endpoint does not answer ranges: it sent the whole object")
    found = content_range(headers)
    if found is not None:
        size = found[2]
        wanted = (max(0, size + start), size) if start < 0 else (start, size if end is None else min(end, size))
        if found[:2] == wanted:
            return found
    asked = f"bytes={start}" if start < 0 else f"bytes={start}-{'' if end is None else end - 1}"
    raise errors.ServerError(f"asked for {asked}, the server answered with {headers['content-range']!r}")


def total_size(headers: Mapping[str, str]) -> int | None:
    """The size of the whole object, also in the answer to a range; None if the answer does not say."""
    found = content_range(headers)
    if found is not None:
        return found[2]
    return number(headers.get("content-length"))


def number(text: str | bytes | None) -> int | None:
    """What a header says in digits, and in no more of them than a size can have; None if it does not."""
    if isinstance(text, str):
        text = text.encode("latin-1", "replace")  # digits are more than ten, and not all of them numbers, in str
    return int(text) if text is not None and text.isdigit() and len(text) < 19 else None


def object_info(
    bucket: str,
    key: str,
    headers: Mapping[str, str],
    *,
    validated: str | None = None,
    size: int | None = None,
) -> ObjectInfo:
    """The object that GetObject or HeadObject answered for. ``headers`` have names in lower case."""
    if size is None:
        size = total_size(headers) or 0
    return ObjectInfo(
        bucket=bucket,
        key=key,
        size=size,
        etag=headers.get("etag"),
        last_modified=_date(headers.get("last-modified")),
        storage_class=headers.get("x-amz-storage-class"),
        version_id=_version(headers),
        content_type=headers.get("content-type"),
        metadata={
            name.removeprefix("x-amz-meta-"): _words(value)
            for name, value in headers.items()
            if name.startswith("x-amz-meta-")
        },
        headers=headers,
        checksum_validated=validated,
        **(_restore(headers["x-amz-restore"]) if "x-amz-restore" in headers else {}),
    )


def _restore(text: str) -> dict[str, Any]:
    """``ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"``."""
    found = dict(_RESTORE.findall(text))
    return {
        "restore_in_progress": found.get("ongoing-request") == "true",
        "restored_until": _date(found.get("expiry-date")),
    }


def put_result(headers: Mapping[str, str], etag: str | None = None) -> PutResult:
    """The answer to PutObject or CompleteMultipartUpload (whose ETag stands in the document)."""
    checksum = None
    for name in _CHECKSUMS:
        value = headers.get(f"x-amz-checksum-{name.lower()}")
        if value:
            checksum = (name, value)
            break
    return PutResult(etag=etag or headers.get("etag"), version_id=_version(headers), checksum=checksum, headers=headers)


def require_one(etags: Sized, bucket: str, key: str) -> None:
    """The ranges of one object come from one object.

    Raises:
        ObjectChangedError: there is more than one ETag in the set.
    """
    if len(etags) > 1:
        raise errors.ObjectChangedError(
            "the object was replaced while its ranges were read", operation="GetObject", bucket=bucket, key=key
        )


def require_size(headers: Mapping[str, str], bucket: str, key: str) -> None:
    """An object of which HeadObject does not say how long it is would be taken for an empty one.

    Raises:
        ServerError: the answer does not say it.
    """
    if total_size(headers) is None:
        raise errors.ServerError(
            "the server's answer does not say how long the object is",
            operation="HeadObject",
            bucket=bucket,
            key=key,
            status=200,
        )


def in_order(entries: list[Any], prefixes: list[Prefix]) -> list[Any]:
    """The entries of a page and its prefixes in the order of their UTF-8 bytes. Servers list the two apart, each in
    that order. The entries' list is used up."""
    if prefixes:
        entries += prefixes
        entries.sort(key=_bytes)  # stable: versions of a key stay from the newest to the oldest
    return entries


def _bytes(entry: Any) -> bytes:
    name: str = entry.prefix if isinstance(entry, Prefix) else entry.key
    return name.encode("utf-8", "surrogatepass")


def _version(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-amz-version-id") or None


def _date(text: str | None) -> datetime | None:
    if not text:
        return None
    found = _FIXDATE.match(text)
    try:
        if found is not None:  # what S3 sends: four times as fast
            day, month, *rest = found.groups()
            year, hour, minute, second = map(int, rest)
            return datetime(year, _MONTHS[month], int(day), hour, minute, second, tzinfo=UTC)
        return parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None


def _words(value: str) -> str:
    """User metadata as text: S3 answers what is not ASCII as RFC 2047 words, Ceph as the UTF-8 that it was
    sent."""
    if value.startswith("=?") and value.endswith("?="):
        try:
            return str(email.header.make_header(email.header.decode_header(value)))
        except (LookupError, ValueError, email.errors.HeaderParseError):
            return value
    if not value.isascii():
        try:
            return value.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return value
    return value


# DeleteObjects answers 200 and puts codes into the document: the status that each would have had alone
_DELETE_STATUS = {
    "AccessDenied": 403,
    "NoSuchVersion": 404,
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "NotImplemented": 501,
    "InternalError": 500,
}


def delete_failure(bucket: str, item: Mapping[str, Any]) -> errors.ObjectFSError:
    """One ``Error`` of a DeleteObjects answer."""
    code = item.get("Code")
    return errors.from_response(
        "DeleteObjects",
        status=_DELETE_STATUS.get(code or "", 400),
        code=code,
        message=item.get("Message"),
        bucket=bucket,
        key=item.get("Key"),
    )
