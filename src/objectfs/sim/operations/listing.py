"""Listing objects: versions 1 and 2 of the API, and the listing of versions."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations.context import (
    OWNER,
    Context,
    escape_xml,
    iso_date,
    text_element,
    xml_response,
)
from objectfs.sim.operations.versions import check_version_id
from objectfs.sim.store.bucket import Bucket, behind_group, first_not_below
from objectfs.sim.store.records import Record

MAX_KEYS = 1000


@dataclass(slots=True)
class Page:
    """One page: records and common prefixes, in the order they were met."""

    records: list[Record] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    last_version: str = ""
    truncated: bool = False


def collect(
    bucket: Bucket, prefix: str, delimiter: str, after: str, limit: int, after_version: str | None = None
) -> Page:
    """Up to ``limit`` keys and common prefixes that begin with ``prefix`` and sort above ``after``.

    With ``after_version`` versions instead of keys, newest first; those of the key ``after`` that are older than
    that version belong to them, if it is not empty. A common prefix that ``after`` lies in has been seen."""
    page = Page()
    versions = after_version is not None
    keys = bucket.keys(versions)
    index = first_not_below(keys, max(prefix, after))
    objects = bucket.objects
    count = 0
    end = len(keys)
    while index < end:
        key = keys[index]
        if not key.startswith(prefix):
            break
        if key <= after and not after_version:
            index += 1
            continue
        group = ""
        if delimiter:
            cut = key.find(delimiter, len(prefix))
            if cut >= 0:
                group = key[: cut + len(delimiter)]
                if after.startswith(group):
                    index = behind_group(keys, index, group)
                    continue
        if group:
            if count == limit:
                page.truncated = limit > 0
                break
            count += 1
            page.prefixes.append(group)
            page.last, page.last_version = group, ""
            index = behind_group(keys, index, group)
            continue
        if not versions:
            if count == limit:
                page.truncated = limit > 0
                break
            count += 1
            page.records.append(objects[key])
            page.last = key
            index += 1
            continue
        for record in _older(bucket, key, after_version or "") if key == after else reversed(bucket.history(key)):
            if count == limit:
                page.truncated = limit > 0
                return page
            count += 1
            page.records.append(record)
            page.last, page.last_version = key, record.version_id
        index += 1
    return page


def _older(bucket: Bucket, key: str, version_id: str) -> list[Record]:
    """The versions of a key that are older than one of them, newest first. One that is gone is as old as any."""
    history = bucket.history(key)[::-1]
    for index, record in enumerate(history):
        if record.version_id == version_id:
            return history[index + 1 :]
    return []


def encoder(context: Context) -> tuple[Callable[[str], str], str]:
    encoding = context.query.get("encoding-type", "")
    if encoding and encoding != "url":
        raise S3Error(
            "InvalidArgument",
            "Invalid Encoding Method specified in Request",
            extra={"ArgumentName": "encoding-type", "ArgumentValue": encoding},
        )
    if encoding:
        return (lambda text: quote(text, safe="/-_.~*", errors="surrogatepass")), text_element("EncodingType", "url")
    return escape_xml, ""


def _entry(record: Record) -> str:
    """The part of an entry behind the key: made once per record."""
    if not record.listing:
        checksum = "".join(f"<ChecksumAlgorithm>{name}</ChecksumAlgorithm>" for name in record.checksums)
        if checksum:
            checksum += f"<ChecksumType>{record.checksum_type}</ChecksumType>"
        record.listing = (
            f"</Key><LastModified>{iso_date(record.modified)}</LastModified>"
            f"<ETag>&quot;{record.etag}&quot;</ETag>{checksum}<Size>{record.size}</Size>"
            f"<StorageClass>{record.storage_class}</StorageClass>"
        )
    return record.listing


def _contents(page: Page, encode: Callable[[str], str], owner: str) -> str:
    tail = f"{owner}</Contents>"
    parts = [f"<Contents><Key>{encode(record.key)}{record.listing or _entry(record)}{tail}" for record in page.records]
    parts += [f"<CommonPrefixes><Prefix>{encode(prefix)}</Prefix></CommonPrefixes>" for prefix in page.prefixes]
    return "".join(parts)


def list_objects_v2(context: Context) -> Response:
    bucket, query = context.bucket, context.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    limit = context.integer("max-keys", MAX_KEYS, MAX_KEYS)
    start_after = after = query.get("start-after", "")
    token = query.get("continuation-token")
    if token is not None:
        after = _decode_token(token)
    encode, encoding = encoder(context)
    page = collect(bucket, prefix, delimiter, after, limit)
    head = (
        f"<Name>{bucket.name}</Name><Prefix>{encode(prefix)}</Prefix>"
        f"<KeyCount>{len(page.records) + len(page.prefixes)}</KeyCount><MaxKeys>{limit}</MaxKeys>{encoding}"
        f"<IsTruncated>{str(page.truncated).lower()}</IsTruncated>"
    )
    if delimiter:
        head += f"<Delimiter>{encode(delimiter)}</Delimiter>"
    if token is not None:
        head += text_element("ContinuationToken", token)
    if start_after:
        head += f"<StartAfter>{encode(start_after)}</StartAfter>"
    if page.truncated:
        head += text_element("NextContinuationToken", _encode_token(page.last))
    owner = OWNER if query.get("fetch-owner") == "true" else ""
    return xml_response("ListBucketResult", head + _contents(page, encode, owner))


def list_objects(context: Context) -> Response:
    bucket, query = context.bucket, context.query
    prefix, delimiter, marker = query.get("prefix", ""), query.get("delimiter", ""), query.get("marker", "")
    limit = context.integer("max-keys", MAX_KEYS, MAX_KEYS)
    encode, encoding = encoder(context)
    page = collect(bucket, prefix, delimiter, marker, limit)
    head = (
        f"<Name>{bucket.name}</Name><Prefix>{encode(prefix)}</Prefix><Marker>{encode(marker)}</Marker>"
        f"<MaxKeys>{limit}</MaxKeys>{encoding}<IsTruncated>{str(page.truncated).lower()}</IsTruncated>"
    )
    if delimiter:
        head += f"<Delimiter>{encode(delimiter)}</Delimiter>"
        if page.truncated:
            head += f"<NextMarker>{encode(page.last)}</NextMarker>"
    return xml_response("ListBucketResult", head + _contents(page, encode, OWNER))


def list_object_versions(context: Context) -> Response:
    """Versions and delete markers, mixed: by key, then from the newest to the oldest."""
    bucket, query = context.bucket, context.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    marker, version = query.get("key-marker", ""), query.get("version-id-marker", "")
    if version and not marker:
        raise S3Error(
            "InvalidArgument",
            "A version-id marker cannot be specified without a key marker.",
            extra={"ArgumentName": "version-id-marker", "ArgumentValue": version},
        )
    if version:
        check_version_id(version)
    limit = context.integer("max-keys", MAX_KEYS, MAX_KEYS)
    encode, encoding = encoder(context)
    page = collect(bucket, prefix, delimiter, marker, limit, version)
    content = [
        f"<Name>{bucket.name}</Name><Prefix>{encode(prefix)}</Prefix><KeyMarker>{encode(marker)}</KeyMarker>"
        f"{text_element('VersionIdMarker', version)}<MaxKeys>{limit}</MaxKeys>{encoding}"
        f"<IsTruncated>{str(page.truncated).lower()}</IsTruncated>"
    ]
    if delimiter:
        content.append(f"<Delimiter>{encode(delimiter)}</Delimiter>")
    if page.truncated:
        content.append(f"<NextKeyMarker>{encode(page.last)}</NextKeyMarker>")
        if page.last_version:
            content.append(f"<NextVersionIdMarker>{page.last_version}</NextVersionIdMarker>")
    for record in page.records:
        latest = str(record is bucket.latest(record.key)).lower()
        tail = f"<VersionId>{record.version_id}</VersionId><IsLatest>{latest}</IsLatest>{OWNER}"
        if record.marker:
            content.append(
                f"<DeleteMarker><Key>{encode(record.key)}</Key>"
                f"<LastModified>{iso_date(record.modified)}</LastModified>{tail}</DeleteMarker>"
            )
        else:
            content.append(f"<Version><Key>{encode(record.key)}{_entry(record)}{tail}</Version>")
    content += [f"<CommonPrefixes><Prefix>{encode(name)}</Prefix></CommonPrefixes>" for name in page.prefixes]
    return xml_response("ListVersionsResult", "".join(content))


def _encode_token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _decode_token(token: str) -> str:
    try:
        key = base64.b64decode(token.encode(), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        key = ""
    if not key:
        raise S3Error(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            extra={"ArgumentName": "continuation-token"},
        )
    return key
