"""What two answers to the same question have in common, or not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any

from objectfs import errors
from objectfs.backends.base import RangeRead
from objectfs.types import Buffer, ListPage, ObjectInfo

__all__ = ["Answer", "differing", "of_buffer", "of_buffers", "of_error", "of_file", "of_info", "of_page", "of_range"]

Answer = dict[str, Any]
"""What is compared, by name. Contents as their SHA-256: a caller may change his memory before it comes to that."""

_FIELDS = ("size", "etag", "last_modified", "storage_class", "version_id", "content_type", "metadata")

_BLOCK = 1024 * 1024


def of_info(info: ObjectInfo | None) -> Answer:
    """What an answer says of the object; nothing where the backend had no reason to ask. Not the other headers: dates
    and request ids are each answer's own."""
    return {} if info is None else {name: getattr(info, name) for name in _FIELDS}


def of_bytes(*contents: Any) -> Answer:
    digest = hashlib.sha256()
    lengths = []
    for content in contents:
        with memoryview(content) as view:
            lengths.append(view.nbytes)
            digest.update(view)
    return {"lengths": lengths, "content": digest.hexdigest()}


def of_buffer(buffer: Buffer) -> Answer:
    return {**of_bytes(buffer), **of_info(buffer.info)}


def of_buffers(buffers: Sequence[Buffer]) -> Answer:
    return of_bytes(*buffers)


def of_range(read: RangeRead, view: Any) -> Answer:
    with memoryview(view) as whole, whole.cast("B") as flat, flat[: read.length] as content:
        return {**of_bytes(content), "size": read.size, "etag": read.etag}


def of_file(path: str, info: ObjectInfo) -> Answer:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        length = os.fstat(file.fileno()).st_size
        while block := file.read(_BLOCK):
            digest.update(block)
    return {"lengths": [length], "content": digest.hexdigest(), **of_info(info)}


def of_page(page: ListPage[Any]) -> Answer:
    """Tokens are the server's own and may differ from one answer to the next; whether there is one must not."""
    return {"entries": tuple(page.entries), "more": page.next_token is not None}


def of_error(error: Exception) -> Answer:
    found: Answer = {"error": type(error).__name__}
    if isinstance(error, errors.ObjectFSError):
        found.update(code=error.code, status=error.status)
    return found


def differing(one: Answer, other: Answer) -> list[str]:
    """Names of what differs. Of two answers, what only one of them tells is none; an error and a result differ."""
    if ("error" in one) != ("error" in other):
        return ["error"]
    return [name for name in one if name in other and one[name] != other[name]]


Describe = Callable[[Any], Answer]
