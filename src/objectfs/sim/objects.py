"""Handlers for objects: put, get, head, delete, copy, tags, attributes."""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import parse_qsl, unquote

from objectfs.sim.checksums import ALGORITHMS, HEADERS, encode, new_digest
from objectfs.sim.conditions import check_read, check_write, parse_range
from objectfs.sim.context import (
    Context,
    blob_bytes,
    etag_of,
    iso_date,
    parse_xml,
    text_element,
    xml_response,
)
from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response, http_date
from objectfs.sim.store import Bucket, Record

MAX_METADATA = 2048
MAX_PUT = 5 * 1024**3
MD5_LIMIT = 1024 * 1024

# Kept with the object and sent back as they came.
_STORED = frozenset(
    (
        "content-type",
        "cache-control",
        "content-disposition",
        "content-language",
        "expires",
        "x-amz-storage-class",
        "x-amz-website-redirect-location",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-retain-until-date",
        "x-amz-object-lock-legal-hold",
    )
)
_SSE = (
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key-md5",
)
_OVERRIDES = (
    "content-type",
    "content-language",
    "expires",
    "cache-control",
    "content-disposition",
    "content-encoding",
)


def stored_headers(headers: dict[str, str]) -> dict[str, str]:
    """The request headers that belong to the object. aws-chunked is a coding of the request, not of it."""
    kept: dict[str, str] = {}
    metadata = 0
    for name, value in headers.items():
        if name.startswith("x-amz-meta-"):
            metadata += len(name) - len("x-amz-meta-") + len(value)
            kept[name] = value
        elif name in _STORED or name in _SSE:
            kept[name] = value
        elif name == "content-encoding":
            codings = [c.strip() for c in value.split(",") if c.strip() and c.strip() != "aws-chunked"]
            if codings:
                kept[name] = ",".join(codings)
    if metadata > MAX_METADATA:
        raise S3Error("MetadataTooLarge", extra={"MaxSizeAllowed": str(MAX_METADATA), "Size": str(metadata)})
    if kept.get("x-amz-storage-class") == "STANDARD":
        del kept["x-amz-storage-class"]
    kept.setdefault("content-type", "binary/octet-stream")
    return kept


def sse_headers(headers: dict[str, str]) -> list[tuple[str, str]]:
    found = [(name, headers[name]) for name in _SSE if name in headers]
    return found or [("x-amz-server-side-encryption", "AES256")]


def checksum_headers(checksums: dict[str, str], kind: str) -> list[tuple[str, str]]:
    if not checksums:
        return []
    headers = [(f"x-amz-checksum-{name.lower()}", value) for name, value in checksums.items()]
    return [*headers, ("x-amz-checksum-type", kind)]


def checksum_elements(checksums: dict[str, str]) -> str:
    return "".join(f"<Checksum{name}>{value}</Checksum{name}>" for name, value in checksums.items())


def parse_tag_header(value: str) -> tuple[tuple[str, str], ...]:
    return check_tags(tuple(parse_qsl(value, keep_blank_values=True))) if value else ()


def check_tags(tags: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    if len(tags) > 10:
        raise S3Error("BadRequest", "Object tags cannot be greater than 10")
    names = [name for name, _ in tags]
    if len(set(names)) != len(names):
        raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
    if any(not name or len(name) > 128 or len(value) > 256 for name, value in tags):
        raise S3Error("InvalidTag")
    return tags


def find(context: Context) -> tuple[Bucket, Record]:
    """The addressed object; only the null version exists."""
    bucket = context.bucket
    version = context.query.get("versionId")
    if version is not None and version != "null":
        raise S3Error("NotImplemented", "Object versions are not implemented")
    record = bucket.objects.get(context.key)
    if record is None:
        raise S3Error("NoSuchKey", extra={"Key": context.key})
    return bucket, record


def put_object(context: Context) -> Response:
    bucket = context.bucket
    assert context.blob is not None
    check_write(context.head.headers, bucket.objects.get(context.key))
    record = Record(
        context.key,
        context.blob,
        context.etag,
        headers=stored_headers(context.head.headers),
        checksums=context.checksums,
        tags=parse_tag_header(context.header("x-amz-tagging")),
    )
    context.store.put(bucket, record)
    return Response(
        200,
        [
            ("ETag", f'"{record.etag}"'),
            *sse_headers(record.headers),
            *checksum_headers(record.checksums, "FULL_OBJECT"),
        ],
    )


def get_object(context: Context) -> Response:
    return _read(context, context.head.method == "GET")


def _read(context: Context, with_body: bool) -> Response:
    _, record = find(context)
    headers = context.head.headers
    if (
        "if-match" in headers
        or "if-none-match" in headers
        or "if-modified-since" in headers
        or "if-unmodified-since" in headers
    ):
        check_read(headers, record)
    start, stop, status = 0, record.size, 200
    answer = [
        ("Last-Modified", http_date(record.modified)),
        ("ETag", f'"{record.etag}"'),
        ("Accept-Ranges", "bytes"),
    ]
    checksums, kind = record.checksums, record.checksum_type
    number = context.query.get("partNumber")
    value = headers.get("range")
    if number is not None:
        if value is not None:
            raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
        start, stop, part = part_range(record, number)
        if record.parts:
            answer.append(("x-amz-mp-parts-count", str(len(record.parts))))
            checksums, kind = part, kind
        if stop > start:
            status = 206
    elif value is not None:
        selected = parse_range(value, record.size)
        if selected is not None:
            (start, stop), status = selected, 206
            if (start, stop) != (0, record.size):
                checksums = {}
    if status == 206:
        answer.append(("Content-Range", f"bytes {start}-{stop - 1}/{record.size}"))
    names = record.headers
    if any(name.startswith("response-") for name in context.query):
        names = dict(names)
        for name in _OVERRIDES:
            if f"response-{name}" in context.query:
                names[name] = context.query[f"response-{name}"]
    answer += [(_title(name), text) for name, text in names.items()]
    if "x-amz-server-side-encryption" not in names and _SSE[3] not in names:
        answer.append(("x-amz-server-side-encryption", "AES256"))
    if headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        answer += checksum_headers(checksums, kind)
    if record.tags:
        answer.append(("x-amz-tagging-count", str(len(record.tags))))
    body = record.blob.chunks(start, stop) if with_body and stop > start else b""
    return Response(status, answer, body, length=stop - start)


_TITLES = {
    name: name.title()
    for name in (
        "content-type",
        "cache-control",
        "content-disposition",
        "content-language",
        "content-encoding",
        "expires",
    )
}


def _title(name: str) -> str:
    return _TITLES.get(name, name)


def part_range(record: Record, value: str) -> tuple[int, int, dict[str, str]]:
    """Where a part lies, and its checksums. An object that was put whole is its own part 1."""
    if not value.isdecimal() or len(value) > 9 or not 1 <= int(value) <= 10000:
        raise S3Error(
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive",
            extra={"ArgumentName": "partNumber", "ArgumentValue": value},
        )
    number = int(value)
    parts = record.parts
    if not parts and number == 1:
        return 0, record.size, record.checksums
    if number > len(parts):
        raise S3Error(
            "InvalidPartNumber", extra={"ActualPartCount": str(len(parts) or 1), "PartNumberRequested": value}
        )
    start = sum(part.size for part in parts[: number - 1])
    return start, start + parts[number - 1].size, parts[number - 1].checksums


def delete_object(context: Context) -> Response:
    bucket = context.bucket
    if context.query.get("versionId", "null") != "null":
        raise S3Error("NotImplemented", "Object versions are not implemented")
    existing = bucket.objects.get(context.key)
    if "if-match" in context.head.headers:
        check_write({"if-match": context.head.headers["if-match"]}, existing)
    if existing is not None:
        context.store.remove(bucket, context.key)
    return Response(204)


def copy_source(context: Context) -> Record:
    """The object that x-amz-copy-source names, its conditions checked."""
    source, _, version = context.header("x-amz-copy-source").partition("?versionId=")
    if version and version != "null":
        raise S3Error("NotImplemented", "Object versions are not implemented")
    try:
        name, _, key = unquote(source.removeprefix("/"), errors="strict").partition("/")
    except UnicodeDecodeError:
        raise S3Error("InvalidArgument", "Invalid copy source encoding.") from None
    if not name or not key:
        raise S3Error(
            "InvalidArgument",
            "Invalid copy source object key",
            extra={"ArgumentName": "x-amz-copy-source", "ArgumentValue": source},
        )
    record = context.store.bucket(name).objects.get(key)
    if record is None:
        raise S3Error("NoSuchKey", extra={"Key": key})
    check_read(context.head.headers, record, "x-amz-copy-source-")
    return record


def copy_object(context: Context) -> Response:
    bucket = context.bucket
    source = copy_source(context)
    if source.size > MAX_PUT:
        raise S3Error(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        )
    check_write(context.head.headers, bucket.objects.get(context.key))
    given = stored_headers(context.head.headers)
    directive = context.header("x-amz-metadata-directive", "COPY").upper()
    if directive not in ("COPY", "REPLACE"):
        raise S3Error("InvalidArgument", "Unknown metadata directive.")
    if directive == "COPY":
        same = source is bucket.objects.get(context.key)
        if same and not any(name.startswith("x-amz-s") for name in given):
            raise S3Error(
                "InvalidRequest",
                "This copy request is illegal because it is trying to copy an object "
                "to itself without changing the object's metadata, storage class, website redirect "
                "location or encryption attributes.",
            )
        headers = {name: value for name, value in source.headers.items() if name != "x-amz-storage-class"}
        headers.update({name: value for name, value in given.items() if name == "x-amz-storage-class" or name in _SSE})
    else:
        headers = given
    tags = source.tags
    if context.header("x-amz-tagging-directive").upper() == "REPLACE":
        tags = parse_tag_header(context.header("x-amz-tagging"))
    blob = context.store.share(bucket, source.blob)
    checksums = source.checksums if source.checksum_type == "FULL_OBJECT" else {}
    wanted = context.header("x-amz-checksum-algorithm").upper()
    if wanted in ALGORITHMS and wanted not in checksums:
        digest = new_digest(wanted)
        for piece in blob_bytes(blob):
            digest.update(piece)
        value = digest.digest()
        checksums = {wanted: encode(value)} if value is not None else {}
    record = Record(context.key, blob, etag_of(blob, MD5_LIMIT), time.time(), headers, checksums, tags=tags)
    context.store.put(bucket, record)
    return xml_response(
        "CopyObjectResult",
        f"<LastModified>{iso_date(record.modified)}</LastModified>"
        f"<ETag>&quot;{record.etag}&quot;</ETag>{checksum_elements(checksums)}",
    )


def get_attributes(context: Context) -> Response:
    _, record = find(context)
    check_read(context.head.headers, record)
    wanted = {name.strip() for name in context.header("x-amz-object-attributes").split(",")}
    if not wanted - {""}:
        raise S3Error("InvalidRequest", "The x-amz-object-attributes header is required")
    content = ""
    if "ETag" in wanted:
        content += text_element("ETag", record.etag)
    if "Checksum" in wanted and record.checksums:
        content += (
            f"<Checksum>{checksum_elements(record.checksums)}"
            f"<ChecksumType>{record.checksum_type}</ChecksumType></Checksum>"
        )
    if "ObjectParts" in wanted and record.parts:
        marker = _number(context, "x-amz-part-number-marker", 0)
        maximum = min(_number(context, "x-amz-max-parts", 1000), 1000)
        shown = [part for part in record.parts if part.number > marker][:maximum]
        last = shown[-1].number if shown else marker
        truncated = bool(record.parts) and last < record.parts[-1].number
        content += (
            f"<ObjectParts><PartsCount>{len(record.parts)}</PartsCount>"
            f"<PartNumberMarker>{marker}</PartNumberMarker><NextPartNumberMarker>{last}"
            f"</NextPartNumberMarker><MaxParts>{maximum}</MaxParts>"
            f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"
        )
        if any(part.checksums for part in record.parts):
            content += "".join(
                f"<Part><PartNumber>{part.number}</PartNumber><Size>{part.size}</Size>"
                f"{checksum_elements(part.checksums)}</Part>"
                for part in shown
            )
        content += "</ObjectParts>"
    if "StorageClass" in wanted:
        content += text_element("StorageClass", record.storage_class)
    if "ObjectSize" in wanted:
        content += text_element("ObjectSize", str(record.size))
    return xml_response("GetObjectAttributesResponse", content, headers=[("Last-Modified", http_date(record.modified))])


def _number(context: Context, name: str, default: int) -> int:
    value = context.header(name)
    if not value:
        return default
    if not value.isdecimal() or len(value) > 9:
        raise S3Error("InvalidArgument", extra={"ArgumentName": name, "ArgumentValue": value})
    return int(value)


def tagging(context: Context) -> Response:
    bucket, record = find(context)
    method = context.head.method
    if method == "GET":
        content = "".join(
            f"<Tag>{text_element('Key', name)}{text_element('Value', value)}</Tag>" for name, value in record.tags
        )
        return xml_response("Tagging", f"<TagSet>{content}</TagSet>")
    tags: tuple[tuple[str, str], ...] = ()
    if method == "PUT":
        root = parse_xml(context.document, "Tagging")
        tags = check_tags(tuple((tag.findtext("Key") or "", tag.findtext("Value") or "") for tag in root.iter("Tag")))
    context.store.put(bucket, replace(record, tags=tags, listing=""))
    return Response(204 if method == "DELETE" else 200)


def declared_checksums(headers: dict[str, str]) -> dict[str, str]:
    """Checksums of the body that are given as headers, by algorithm."""
    return {HEADERS[name]: value for name, value in headers.items() if name in HEADERS}
