"""CopyObject, RenameObject, and the source that a copy names."""

from __future__ import annotations

import time
from urllib.parse import unquote

from objectfs.sim.checksums import ALGORITHMS
from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations.acl import header_acl
from objectfs.sim.operations.archive import check_copyable
from objectfs.sim.operations.conditions import check_dates, check_read, check_write
from objectfs.sim.operations.context import Context, checksum_of, etag_of, iso_date, new_etag, xml_response
from objectfs.sim.operations.encryption import CUSTOMER, SSE, check_read_key, sse_headers, uses_md5_etag
from objectfs.sim.operations.lock import lock_headers
from objectfs.sim.operations.metadata import write_headers
from objectfs.sim.operations.objects import MAX_PUT, MD5_LIMIT
from objectfs.sim.operations.reading import checksum_elements
from objectfs.sim.operations.tags import parse_tag_header
from objectfs.sim.operations.versions import check_version_id, find_version, version_headers
from objectfs.sim.route import check_key
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.store.records import Record

SOURCE = "x-amz-copy-source"
_REDIRECT = "x-amz-website-redirect-location"
_STORAGE_CLASS = "x-amz-storage-class"


def _split(value: str, name: str) -> tuple[str, str]:
    """Bucket and key of a ``/bucket/key`` that is percent-encoded."""
    try:
        bucket, _, key = unquote(value, errors="strict").removeprefix("/").partition("/")
    except UnicodeDecodeError:
        raise S3Error("InvalidArgument", "Invalid copy source encoding.", extra={"ArgumentName": name}) from None
    if not bucket or not key:
        raise S3Error(
            "InvalidArgument", "Invalid copy source object key", extra={"ArgumentName": name, "ArgumentValue": value}
        )
    return bucket, key


def copy_source(context: Context) -> tuple[Bucket, Record, bool]:
    """The bucket and the version that x-amz-copy-source names, its conditions, its key and its storage class
    checked, and whether the version was named."""
    value, separator, version = context.header(SOURCE).partition("?versionId=")
    name, key = _split(value, SOURCE)
    bucket = context.store.bucket(name)
    if separator:
        check_version_id(version)
        found = bucket.version(key, version)
        if found is not None and found.marker:
            raise S3Error(
                "InvalidRequest",
                "The source of a copy request may not specifically refer to a delete marker by version id.",
            )
    try:
        record = find_version(bucket, key, version if separator else None)
    except S3Error as error:
        # The marker that hides the source is no marker at the destination.
        raise S3Error(error.code, extra=error.extra) from None
    check_read(context.head.headers, record, f"{SOURCE}-")
    check_read_key(context, record.headers, f"{SOURCE}-")
    check_copyable(record)
    return bucket, record, bool(separator)


def source_headers(bucket: Bucket, record: Record) -> list[tuple[str, str]]:
    return [("x-amz-copy-source-version-id", record.version_id)] if bucket.versioning else []


def _directive(context: Context, name: str, what: str) -> str:
    value = context.header(name, "COPY").upper()
    if value not in ("COPY", "REPLACE"):
        raise S3Error(
            "InvalidArgument", f"Unknown {what} directive.", extra={"ArgumentName": name, "ArgumentValue": value}
        )
    return value


def copy_object(context: Context) -> Response:
    bucket = context.bucket
    metadata = _directive(context, "x-amz-metadata-directive", "metadata")
    tagging = _directive(context, "x-amz-tagging-directive", "tagging")
    wanted = context.header("x-amz-checksum-algorithm").upper()
    if wanted and wanted not in ALGORITHMS:
        raise S3Error("InvalidRequest", "Checksum algorithm provided is unsupported.")
    source_bucket, source, named = copy_source(context)
    if source.size > MAX_PUT:
        raise S3Error(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        )
    check_write(context.head.headers, bucket, context.key)
    given = write_headers(context, bucket)
    changes = metadata == "REPLACE" or any(
        name in context.head.headers for name in (_STORAGE_CLASS, _REDIRECT, SSE, f"{CUSTOMER}algorithm")
    )
    if source is bucket.objects.get(context.key) and not named and not changes:
        raise S3Error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object "
            "to itself without changing the object's metadata, storage class, website redirect "
            "location or encryption attributes.",
        )
    headers = given
    if metadata == "COPY":
        # Storage class, redirect, encryption and lock are the request's, never the source's.
        own = (_STORAGE_CLASS, _REDIRECT, SSE, "x-amz-object-lock-")
        headers = {name: value for name, value in source.headers.items() if not name.startswith(own)}
        headers |= {name: value for name, value in given.items() if name.startswith(own)}
    tags = source.tags if tagging == "COPY" else parse_tag_header(context.header("x-amz-tagging"))
    acl = header_acl(context, bucket) or ""
    lock = lock_headers(context, bucket)
    blob = context.store.share(bucket, source.blob)
    record = Record(
        context.key,
        blob,
        etag_of(blob, MD5_LIMIT) if uses_md5_etag(headers) else new_etag(),
        time.time(),
        {**headers, **lock},
        _checksums(source, wanted),
        tags=tags,
        acl=acl,
    )
    context.store.put(bucket, record)
    kind = f"<ChecksumType>{record.checksum_type}</ChecksumType>" if record.checksums else ""
    return xml_response(
        "CopyObjectResult",
        f"<LastModified>{iso_date(record.modified)}</LastModified>"
        f"<ETag>&quot;{record.etag}&quot;</ETag>{checksum_elements(record.checksums)}{kind}",
        headers=[
            *sse_headers(headers),
            *source_headers(source_bucket, source),
            *version_headers(bucket, record),
        ],
    )


def _checksums(source: Record, wanted: str) -> dict[str, str]:
    """The copy is one piece: its checksum is of the whole object, by the algorithm asked for or the source's."""
    if source.checksum_type == "FULL_OBJECT" and source.checksums and wanted in ("", *source.checksums):
        return source.checksums
    algorithm = wanted or next(iter(source.checksums), "CRC64NVME")
    return checksum_of(source.blob, algorithm)


def rename_object(context: Context) -> Response:
    """RenameObject, which S3 has for directory buckets. Such buckets keep no versions."""
    bucket = context.bucket
    headers = context.head.headers
    if bucket.versioning:
        raise S3Error("InvalidRequest", "Objects cannot be renamed in a bucket that keeps versions")
    source = headers.get("x-amz-rename-source", "")
    try:
        key = unquote(source, errors="strict").removeprefix("/")
    except UnicodeDecodeError:
        key = ""
    # The source is named with or without its bucket, which is the destination's.
    if key.startswith(f"{bucket.name}/") and key not in bucket.objects:
        key = key.removeprefix(f"{bucket.name}/")
    if not key:
        raise S3Error(
            "InvalidArgument",
            "Invalid rename source object key",
            extra={"ArgumentName": "x-amz-rename-source", "ArgumentValue": source},
        )
    check_key(key)
    token = headers.get("x-amz-client-token", "")
    done = bucket.renamed.get(token) if token else None
    if done is not None:
        if done != (key, context.key):
            raise S3Error("IdempotencyParameterMismatch")
        return Response(200)
    if key.endswith("/") or context.key.endswith("/"):
        raise S3Error("InvalidRequest", "Objects whose names end with the delimiter cannot be renamed")
    record = find_version(bucket, key, None)
    if any(name.startswith("x-amz-rename-source-if-") for name in headers):
        check_read(headers, record, "x-amz-rename-source-")
    check_write(headers, bucket, context.key)
    check_dates(headers, bucket.objects.get(context.key))
    if key == context.key:
        raise S3Error("InvalidRequest", "The source and the destination of a rename are the same object")
    context.store.rename(bucket, record, context.key)
    if token:
        bucket.renamed[token] = (key, context.key)
        while len(bucket.renamed) > 1000:
            del bucket.renamed[next(iter(bucket.renamed))]
    return Response(200)
