"""One listing, read by three: the engine's reader, the standard library's, and botocore's with the sdk backend."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from objectfs import _native
from objectfs.backends import sdk_listing
from objectfs.backends.answers import in_order
from objectfs.backends.base import ListOptions
from objectfs.types import NOTHING, ObjectInfo, ObjectVersion, Prefix

__all__ = ["botocores", "equal", "native", "reference"]

Page = tuple[list[tuple[Any, ...]], Any]
"""Entries as (key or prefix, size, ETag, storage class, version, whether it is a prefix, when), and what follows."""

_INFO = ObjectInfo(bucket="b", key="", size=0, metadata=NOTHING, headers=NOTHING)
_VERSION = ObjectVersion(bucket="b", key="", version_id=None)
_MARKER = ObjectVersion(bucket="b", key="", version_id=None, is_delete_marker=True)


def native(document: bytes, versions: bool) -> Page | None:
    """As the crt backend reads it; None if it does not."""
    try:
        found, prefixes, following = _native.parse_list(
            document, _VERSION if versions else _INFO, Prefix(""), _MARKER if versions else None
        )
    except ValueError:
        return None
    if following is not None:
        assert following[1 if versions else 0] is not None
        following = following[1:] if versions else following[0]
    return [_plain(entry) for entry in in_order(found, prefixes)], following


def botocores(answer: Mapping[str, Any], order: list[bytes], versions: bool) -> Page:
    """As the sdk backend makes a page of botocore's answer."""

    class Wire:
        def start(self, run: Any) -> Any:
            return run

    list_page: Any = sdk_listing.list_versions_page if versions else sdk_listing.list_page
    steps = list_page(Wire(), "b", {}, ListOptions())
    next(steps)
    try:
        steps.send({**answer, "order": order})
    except StopIteration as stop:
        page = stop.value
        return [_plain(entry) for entry in page.entries], page.next_token
    raise AssertionError("a page is one request")


def _plain(entry: Any) -> tuple[Any, ...]:
    if isinstance(entry, Prefix):
        return (entry.prefix, None, None, None, None, True, None)
    version = getattr(entry, "version_id", None)
    assert isinstance(entry.key, str)
    assert entry.size is None or type(entry.size) is int
    return (entry.key, entry.size, entry.etag, entry.storage_class, version, False, entry.last_modified)


def equal(one: Page, other: Page) -> bool:
    """Whether they say the same. A date that only one of them can read is none of a listing's bytes."""
    if one[1] != other[1] or len(one[0]) != len(other[0]):
        return False
    for first, second in zip(one[0], other[0], strict=True):
        if first[:-1] != second[:-1]:
            return False
        if first[-1] is not None and second[-1] is not None and first[-1] != second[-1]:
            return False
    return True


class _Odd(Exception):
    """Nothing that S3's grammar speaks of: whoever reads it may read it in his way."""


def reference(document: bytes, versions: bool) -> Page | None:
    """As a parser of XML reads it, in UTF-8 as S3's; None where it is none, or not of S3's grammar."""
    try:
        root = ET.fromstring(document, ET.XMLParser(encoding="utf-8"))
        return _page(root, versions)
    except (ET.ParseError, ValueError, LookupError, _Odd):
        return None


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _texts(element: ET.Element) -> dict[str, str]:
    """The values of the leaves below."""
    found: dict[str, str] = {}
    for child in element:
        name = _name(child)
        if name in found or (len(child) and name not in ("Owner", "RestoreStatus")):
            raise _Odd(name)
        if any(_name(inner) in ("Key", "Size", "ETag", "Prefix") for inner in child.iter() if inner is not child):
            raise _Odd(name)
        found[name] = child.text or ""
    return found


def _page(root: ET.Element, versions: bool) -> Page:
    if _name(root) != ("ListVersionsResult" if versions else "ListBucketResult"):
        raise _Odd(_name(root))
    kinds = ("Version", "DeleteMarker") if versions else ("Contents",)
    top: dict[str, str] = {}
    entries: list[Any] = []
    prefixes: list[Prefix] = []
    for child in root:
        name = _name(child)
        if name in (*kinds, "CommonPrefixes"):
            continue
        if name in top or len(child) or name in ("Contents", "Version", "DeleteMarker"):
            raise _Odd(name)
        top[name] = child.text or ""
    encoded = top.get("EncodingType") == "url"

    def text(value: str) -> str:
        return unquote_plus(value, errors="replace") if encoded else value

    for child in root:
        name = _name(child)
        if name == "CommonPrefixes":
            prefixes.append(Prefix(text(_texts(child)["Prefix"])))
        elif name in kinds:
            entries.append(_entry(_texts(child), text, versions, name == "DeleteMarker"))
    if top.get("IsTruncated") != "true":
        following: Any = None
    elif versions:
        marker = top.get("NextVersionIdMarker")
        following = (text(top["NextKeyMarker"]), marker)
    else:
        following = top["NextContinuationToken"]
    return [_plain(entry) for entry in in_order(entries, prefixes)], following


def _entry(values: Mapping[str, str], text: Any, versions: bool, marker: bool) -> Any:
    common: dict[str, Any] = {
        "bucket": "b",
        "key": text(values["Key"]),
        "size": 0 if marker else int(values["Size"]),
        "etag": None if marker else values.get("ETag"),
        "storage_class": None if marker else values.get("StorageClass"),
        "last_modified": _moment(values.get("LastModified", "")),
    }
    if versions:
        return ObjectVersion(version_id=values.get("VersionId"), is_delete_marker=marker, **common)
    return ObjectInfo(metadata=NOTHING, headers=NOTHING, version_id=values.get("VersionId"), **common)


def _moment(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
