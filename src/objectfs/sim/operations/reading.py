"""GetObject, HeadObject and GetObjectAttributes."""

from __future__ import annotations

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response, http_date
from objectfs.sim.operations.archive import check_readable, restore_header
from objectfs.sim.operations.conditions import check_read, parse_range
from objectfs.sim.operations.context import Context, text_element, xml_response
from objectfs.sim.operations.encryption import CUSTOMER_MD5, check_no_sse, check_read_key
from objectfs.sim.operations.versions import find, version_headers
from objectfs.sim.store.records import Record

_OVERRIDES = (
    "content-type",
    "content-language",
    "expires",
    "cache-control",
    "content-disposition",
    "content-encoding",
)
_TITLES = {name: name.title() for name in _OVERRIDES}
_ATTRIBUTES = frozenset(("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"))


def checksum_headers(checksums: dict[str, str], kind: str) -> list[tuple[str, str]]:
    if not checksums:
        return []
    headers = [(f"x-amz-checksum-{name.lower()}", value) for name, value in checksums.items()]
    return [*headers, ("x-amz-checksum-type", kind)]


def checksum_elements(checksums: dict[str, str]) -> str:
    return "".join(f"<Checksum{name}>{value}</Checksum{name}>" for name, value in checksums.items())


def get_object(context: Context) -> Response:
    """GetObject and HeadObject: the same answer, with and without its body."""
    bucket, record = find(context)
    headers, query = context.head.headers, context.query
    with_body = context.head.method == "GET"
    if (
        "if-match" in headers
        or "if-none-match" in headers
        or "if-modified-since" in headers
        or "if-unmodified-since" in headers
    ):
        check_read(headers, record)
    _check_encryption(context, record)
    names = record.headers
    if "x-amz-storage-class" in names and with_body:
        check_readable(record)
    start, stop, status = 0, record.size, 200
    answer = [
        ("Last-Modified", http_date(record.modified)),
        ("ETag", f'"{record.etag}"'),
        ("Accept-Ranges", "bytes"),
    ]
    checksums = record.checksums
    kind = record.checksum_type
    value = headers.get("range")
    if "partNumber" in query:
        if value is not None:
            raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
        start, stop, part = part_range(record, query["partNumber"])
        if record.parts:
            answer.append(("x-amz-mp-parts-count", str(len(record.parts))))
            checksums = part
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
    if any(name.startswith("response-") for name in query):
        names = _overridden(context, names)
    answer += [(_TITLES.get(name, name), text) for name, text in names.items()]
    if bucket.versioning:
        answer.append(("x-amz-version-id", record.version_id))
    if record.restored:
        answer.append(("x-amz-restore", restore_header(record)))
    if headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        answer += checksum_headers(checksums, kind)
    if record.tags:
        answer.append(("x-amz-tagging-count", str(len(record.tags))))
    body = record.blob.chunks(start, stop) if with_body and stop > start else b""
    return Response(status, answer, body, length=stop - start)


def _check_encryption(context: Context, record: Record) -> None:
    """Cheap for the usual request, which says nothing of encryption about an object that has no key of its own."""
    if CUSTOMER_MD5 in record.headers or any(
        name.startswith("x-amz-server-side-encryption") for name in context.head.headers
    ):
        check_no_sse(context.head.headers)
        check_read_key(context, record.headers)


def _overridden(context: Context, names: dict[str, str]) -> dict[str, str]:
    """The object's headers with those that the ``response-*`` parameters replace."""
    wanted = {name: context.query[f"response-{name}"] for name in _OVERRIDES if f"response-{name}" in context.query}
    if wanted and context.anonymous:
        raise S3Error("InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests.")
    return {**names, **wanted}


def part_range(record: Record, value: str) -> tuple[int, int, dict[str, str]]:
    """Where a part lies, and its checksums. An object that was put whole is its own part 1."""
    if not value.isascii() or not value.isdigit() or len(value) > 9 or not 1 <= int(value) <= 10000:
        raise S3Error(
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive",
            extra={"ArgumentName": "partNumber", "ArgumentValue": value},
        )
    number = int(value)
    parts = record.parts
    if not parts and number == 1:
        return 0, record.size, record.checksums
    # Parts count from 1 here, whatever numbers they were uploaded under.
    if number > len(parts):
        raise S3Error(
            "InvalidPartNumber", extra={"ActualPartCount": str(len(parts) or 1), "PartNumberRequested": value}
        )
    start = sum(part.size for part in parts[: number - 1])
    return start, start + parts[number - 1].size, parts[number - 1].checksums


def get_attributes(context: Context) -> Response:
    bucket, record = find(context)
    check_read(context.head.headers, record)
    _check_encryption(context, record)
    wanted = {name.strip() for name in context.header("x-amz-object-attributes").split(",")} - {""}
    if not wanted:
        raise S3Error(
            "InvalidRequest",
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        )
    if not wanted <= _ATTRIBUTES:
        raise S3Error(
            "InvalidArgument",
            "Invalid attribute name specified.",
            extra={"ArgumentName": "x-amz-object-attributes", "ArgumentValue": ",".join(sorted(wanted - _ATTRIBUTES))},
        )
    content = ""
    if "ETag" in wanted:
        content += text_element("ETag", record.etag)
    if "Checksum" in wanted and record.checksums:
        content += (
            f"<Checksum>{checksum_elements(record.checksums)}"
            f"<ChecksumType>{record.checksum_type}</ChecksumType></Checksum>"
        )
    if "ObjectParts" in wanted and record.parts:
        content += _object_parts(context, record)
    if "StorageClass" in wanted:
        content += text_element("StorageClass", record.storage_class)
    if "ObjectSize" in wanted:
        content += text_element("ObjectSize", str(record.size))
    headers = [("Last-Modified", http_date(record.modified)), *version_headers(bucket, record)]
    return xml_response("GetObjectAttributesResponse", content, headers=headers)


def _object_parts(context: Context, record: Record) -> str:
    """Parts are shown one by one only where they have checksums that the client gave."""
    marker = _number(context, "x-amz-part-number-marker", 0)
    maximum = min(_number(context, "x-amz-max-parts", 1000), 1000)
    shown = [part for part in record.parts if part.number > marker][:maximum]
    last = shown[-1].number if shown else marker
    truncated = bool(shown) and last < record.parts[-1].number
    content = (
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
    return f"{content}</ObjectParts>"


def _number(context: Context, name: str, default: int) -> int:
    value = context.header(name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise S3Error("InvalidArgument", extra={"ArgumentName": name, "ArgumentValue": value})
    return int(value)
