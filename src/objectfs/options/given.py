"""What a backend is asked for: options that have been checked, and what each request of a verb carries of them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from objectfs.options.checks import Expected
from objectfs.options.table import OPTIONS

__all__ = ["CONDITIONS", "DeleteOptions", "GetOptions", "ListOptions", "Options", "PutOptions"]

CONDITIONS = ("if_match", "if_none_match", "if_modified_since", "if_unmodified_since")

DESCRIBED = frozenset(
    (
        "GetObject",
        "HeadObject",
        "PutObject",
        "CreateMultipartUpload",
        "DeleteObject",
        "DeleteObjects",
        "ListObjectsV2",
        "ListObjectVersions",
    )
)
"""The requests that carry the caller's own headers: not those that follow in an upload, where most would be refused."""

_CUSTOMER = "x-amz-server-side-encryption-customer-"


_TYPES: Mapping[str, Callable[[str], Any]] = {"part_number": int, "fetch_owner": lambda text: text == "true"}
"""What botocore wants in place of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of one call, as ``check_options`` has made them."""

    given: Mapping[str, Any] = field(default_factory=dict)
    """The text that is sent, by the option's name; for ``metadata`` a mapping."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The caller's own further headers, names in lower case."""
    checksum: str | None = None
    """The algorithm of this call, ``off``, or None for the client's."""

    def sent(self, operation: str) -> dict[str, str]:
        """The headers that a request of that operation carries, names in lower case."""
        found: dict[str, str] = dict(self.headers) if self.headers and operation in DESCRIBED else {}
        for name, value in self.given.items():
            row = OPTIONS[name]
            if operation not in row.operations or row.place == "query":
                continue
            if row.place == "headers":
                for key, each in value.items():
                    found[row.wire + key] = each
            else:
                found[row.wire] = value
                if name == "sse_customer_key":
                    digest = hashlib.md5(base64.b64decode(value), usedforsecurity=False).digest()
                    found[_CUSTOMER + "algorithm"] = "AES256"
                    found[_CUSTOMER + "key-md5"] = base64.b64encode(digest).decode("ascii")
        return found

    def asked(self, operation: str) -> list[tuple[str, str]]:
        """What such a request carries in its query: names and values as they are, not yet encoded."""
        return [
            (row.wire, value)
            for row, value in ((OPTIONS[name], value) for name, value in self.given.items())
            if row.place == "query" and operation in row.operations
        ]

    def parameters(self, operation: str) -> dict[str, Any]:
        """The query's parameters by botocore's names."""
        found: dict[str, Any] = {}
        for name, value in self.given.items():
            row = OPTIONS[name]
            if row.place == "query" and operation in row.operations:
                found[row.parameter] = _TYPES.get(name, str)(value)
        return found

    def without(self, names: Iterable[str]) -> Self:
        """The same but for these."""
        gone = set(names)
        return replace(self, given={name: value for name, value in self.given.items() if name not in gone})


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOptions(Options):
    """What GetObject and HeadObject are asked for."""

    start: int | None = None
    end: int | None = None
    expected: Expected | None = None
    """What the content's checksum must be."""
    admission: Any = None
    """What lends memory to ``get``, where many run side by side: an ``Admission`` of ``backends/base.py``."""
    resume: bool = False
    """Whether a file is gone on with: for the clients, which ask ``backends.resume_get`` then."""

    @property
    def version_id(self) -> str | None:
        return self.given.get("version_id")

    @property
    def if_match(self) -> str | None:
        return self.given.get("if_match")

    @property
    def part_number(self) -> int | None:
        found = self.given.get("part_number")
        return None if found is None else int(found)

    def pinned(self, etag: str | None, version_id: str | None = None) -> Self:
        """What the requests after the first one carry: the object must still be the one that has this ETag.

        The conditions have been met with the first answer, and the number of a part is no range's.
        """
        gone = (*CONDITIONS, "part_number") if etag else ("part_number",)
        given = {name: value for name, value in self.given.items() if name not in gone} if self.given else {}
        if etag:
            given["if_match"] = etag
        if version_id:
            given["version_id"] = version_id
        return replace(self, given=given)


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOptions(Options):
    """What PutObject and the requests of a multipart upload are asked for."""

    expected: Expected | None = None
    """What the content's checksum must be."""
    resume: bool = False
    """Likewise, of ``backends.resume_put``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions(Options):
    """What DeleteObject and DeleteObjects are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions(Options):
    """What ListObjectsV2 and ListObjectVersions are asked for, but for prefix and the like."""
