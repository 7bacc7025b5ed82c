"""What the reading verbs of the crt backend share: writing a GET, and believing its answer only when it adds up."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from objectfs import errors
from objectfs.backends.answers import object_info
from objectfs.backends.base import GetOptions
from objectfs.types import ObjectInfo

__all__ = [
    "check_length",
    "conditions",
    "make_info",
    "object_size",
    "pinned",
    "pinned_conditions",
    "query",
    "too_small",
]


def conditions(options: GetOptions) -> dict[str, str]:
    headers = dict(options.headers)
    if options.if_match is not None:
        headers["If-Match"] = options.if_match
    if options.if_none_match is not None:
        headers["If-None-Match"] = options.if_none_match
    return headers


def pinned_conditions(options: GetOptions, first: Any) -> dict[str, str]:
    """What the requests after the first one carry: the object must still be the one that ``first`` came from."""
    etag = first.headers.get("etag")
    return {**conditions(options), **({"If-Match": etag} if etag else {})}


def query(options: GetOptions) -> str:
    return "" if options.version_id is None else f"versionId={quote(options.version_id, safe='')}"


def object_size(response: Any) -> int:
    """The object's size, from Content-Range or Content-Length."""
    total: int = response.total
    return total if total >= 0 else int(response.header(b"content-length") or 0)


def make_info(bucket: str, key: str, response: Any, size: int) -> ObjectInfo:
    """The object that a GET's response speaks of; made when somebody asks for it."""
    return object_info(bucket, key, response.headers, size=size, validated=response.validated)


def check_length(response: Any, bucket: str, key: str, body: Any) -> None:
    """No short answer passes for a whole one, whatever the server's headers said."""
    if response.status != 206:
        return
    have = len(body) if body is not None else 0
    if response.total < 0:
        text = (response.header(b"content-range") or b"").decode("latin-1")
        raise errors.TruncatedError(
            f"the answer to a range does not say what it is a part of (Content-Range: {text})",
            operation="GetObject",
            bucket=bucket,
            key=key,
        )
    expected = response.end - response.first
    if have != expected:
        raise errors.TruncatedError(
            f"{have} of {expected} bytes arrived", operation="GetObject", bucket=bucket, key=key
        )


def pinned(error: errors.ObjectFSError, options: GetOptions) -> errors.ObjectFSError:
    """A 412 that the caller did not ask for comes from our own If-Match: the object was replaced under way."""
    if isinstance(error, errors.PreconditionFailedError) and options.if_match is None:
        fields = error.fields()
        fields.pop("message")
        return errors.ObjectChangedError("the object was replaced while it was read", **fields)
    return error


def too_small(bucket: str, key: str, content: int, room: int) -> errors.BufferTooSmallError:
    return errors.BufferTooSmallError(
        f"{content} bytes do not fit into the buffer of {room}", operation="GetObject", bucket=bucket, key=key
    )
