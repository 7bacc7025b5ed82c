"""Listing objects: versions 1 and 2 of the API, and the version listing with its null versions."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from objectfs.sim.context import (
    OWNER_ID,
    OWNER_NAME,
    Context,
    escape_xml,
    iso_date,
    text_element,
    xml_response,
)
from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.store import Bucket, Record

OWNER = f"<Owner><ID>{OWNER_ID}</ID><DisplayName>{OWNER_NAME}</DisplayName></Owner>"
MAX_KEYS = 1000


@dataclass(slots=True)
class Page:
    """One page: records and common prefixes, in the order they were met."""

    records: list[Record] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    truncated: bool = False


def collect(bucket: Bucket, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Up to ``limit`` keys and common prefixes that begin with ``prefix`` and sort above ``after``."""
    page = Page()
    keys, index = bucket.keys_from(max(prefix, after))
    objects = bucket.objects
    count = 0
    end = len(keys)
    while index < end:
        key = keys[index]
        if not key.startswith(prefix):
            break
        if key <= after:
            index += 1
            continue
        group = ""
        if delimiter:
            cut = key.find(delimiter, len(prefix))
            if cut >= 0:
                group = key[: cut + len(delimiter)]
                if group <= after and after.startswith(group):
                    index = _skip(bucket, group)
                    continue
        if count == limit:
            page.truncated = limit > 0
            break
        count += 1
        if group:
            page.prefixes.append(group)
            page.last = group
            index = _skip(bucket, group)
        else:
            page.records.append(objects[key])
            page.last = key
            index += 1
    return page


def _skip(bucket: Bucket, group: str) -> int:
    """The index of the first key behind all that begin with ``group``."""
    return bucket.keys_from(group + "\U0010ffff")[1]


def _encoder(context: Context) -> tuple[Callable[[str], str], str]:
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
    after = query.get("start-after", "")
    token = query.get("continuation-token")
    if token is not None:
        after = _decode_token(token)
    encode, encoding = _encoder(context)
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
    elif "start-after" in query:
        head += f"<StartAfter>{encode(after)}</StartAfter>"
    if page.truncated:
        head += text_element("NextContinuationToken", _encode_token(page.last))
    owner = OWNER if query.get("fetch-owner") == "true" else ""
    return xml_response("ListBucketResult", head + _contents(page, encode, owner))


def list_objects(context: Context) -> Response:
    bucket, query = context.bucket, context.query
    prefix, delimiter, marker = query.get("prefix", ""), query.get("delimiter", ""), query.get("marker", "")
    limit = context.integer("max-keys", MAX_KEYS, MAX_KEYS)
    encode, encoding = _encoder(context)
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
    """Each object as its null version: versions are not kept."""
    bucket, query = context.bucket, context.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    marker = query.get("key-marker", "")
    limit = context.integer("max-keys", MAX_KEYS, MAX_KEYS)
    encode, encoding = _encoder(context)
    page = collect(bucket, prefix, delimiter, marker, limit)
    content = (
        f"<Name>{bucket.name}</Name><Prefix>{encode(prefix)}</Prefix><KeyMarker>{encode(marker)}</KeyMarker>"
        f"<VersionIdMarker></VersionIdMarker><MaxKeys>{limit}</MaxKeys>{encoding}"
        f"<IsTruncated>{str(page.truncated).lower()}</IsTruncated>"
    )
    if page.truncated:
        content += f"<NextKeyMarker>{encode(page.last)}</NextKeyMarker>"
        content += "<NextVersionIdMarker>null</NextVersionIdMarker>"
    for record in page.records:
        content += (
            f"<Version><Key>{encode(record.key)}{_entry(record)}<VersionId>null</VersionId>"
            f"<IsLatest>true</IsLatest>{OWNER}</Version>"
        )
    for name in page.prefixes:
        content += f"<CommonPrefixes><Prefix>{encode(name)}</Prefix></CommonPrefixes>"
    return xml_response("ListVersionsResult", content)


def _encode_token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _decode_token(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise S3Error(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            extra={"ArgumentName": "continuation-token"},
        ) from None
