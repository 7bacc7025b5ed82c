"""What the reading verbs of the crt backend share: writing a GET, and believing its answer only when it adds up."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any
from urllib.parse import quote, urlencode

from objectfs import errors
from objectfs.backends.answers import check_range, number, object_info
from objectfs.backends.base import GetOptions
from objectfs.options import Options
from objectfs.types import ObjectInfo

__all__ = [
    "answered",
    "document",
    "make_info",
    "name_of",
    "object_size",
    "pinned",
    "query",
    "refused",
    "too_small",
]


def query(options: Options, operation: str) -> str:
    """What the options put into the query of such a request, encoded."""
    given = options.asked(operation) if options.given else None
    return urlencode(given, quote_via=quote, safe="-_.~") if given else ""


def object_size(response: Any) -> int:
    """The object's size, from Content-Range or Content-Length, or from what came of a body of unknown length."""
    total: int = response.total
    if total >= 0:
        return total
    text = response.header(b"content-length")
    if text is None:
        return len(response.body) if response.body is not None else 0
    return number(text) or 0


def make_info(bucket: str, key: str, response: Any, size: int, validated: str | None = None) -> ObjectInfo:
    """The object that a GET's response speaks of; made when somebody asks for it. ``validated``: with what, if it was
    not the engine that did it."""
    return object_info(bucket, key, response.headers, size=size, validated=validated or response.validated)


def answered(
    response: Any, bucket: str, key: str, start: int, end: int | None, have: int, whole: bool = False
) -> tuple[int, int, int]:
    """``(start, end, size)`` of what an answer brought, which must be what was asked for, and all of it.

    Args:
        start, end: the range that was asked for, as for ``check_range``.
        have: bytes of content that arrived.
        whole: no range of the object was wanted, so that all of it is an answer too.
    """
    if response.total >= 0:  # read natively: most answers end here
        size = response.total
        wanted = (max(0, size + start), size) if start < 0 else (start, size if end is None else min(end, size))
        if (response.first, response.end) == wanted and have == response.end - response.first:
            return response.first, response.end, size
    where: dict[str, Any] = {"operation": "GetObject", "bucket": bucket, "key": key}
    length = response.header(b"content-length")
    if response.status not in (200, 206):
        raise errors.ServerError(f"the server answered a GET with the status {response.status}", **where)
    if response.header(b"content-range") is None:
        if length == b"0":  # an empty object, by a server that does not answer 416 for it
            if start > 0:
                raise errors.InvalidRangeError("the object is empty", status=response.status, **where)
            return 0, 0, 0
        if whole and response.status == 200:
            chunked = (response.header(b"transfer-encoding") or b"").lower().endswith(b"chunked")
            if length is None and not chunked:
                raise errors.TruncatedError("the answer does not say how long the content is", **where)
            return 0, have, have
    try:
        found = check_range(response.headers, start, end)
    except errors.ObjectFSError as error:
        error.operation, error.bucket, error.key = "GetObject", bucket, key
        raise
    if have != found[1] - found[0]:
        raise errors.TruncatedError(f"{have} of {found[1] - found[0]} bytes arrived", **where)
    return found


def refused(response: Any) -> bool:
    """Whether the answer to a request that stores or deletes is a failure. S3 may find out after its status line has
    gone out, and then answers 200 with an error document; and what is no document at all comes from somebody else."""
    if response.error_code or response.status >= 300:
        return True
    if not response.body:
        return False
    found = document(bytes(response.body))
    return found is None or name_of(found) in ("Error", "html")


def document(body: bytes) -> ET.Element | None:
    """A document's first element; None if it is none. In UTF-8, as S3's are, whatever it says of itself."""
    try:
        return ET.fromstring(body, ET.XMLParser(encoding="utf-8"))
    except ET.ParseError:
        return None


def name_of(element: ET.Element) -> str:
    """An element's name, without its namespace."""
    return element.tag.rpartition("}")[2]


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
