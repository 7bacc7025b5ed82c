"""Handlers for multipart uploads: create, parts, complete, abort. ``uploads`` lists them."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import replace
from urllib.parse import quote

from objectfs.sim.checksums import ALGORITHMS, CRCS, HEADERS, combine_crc, composite, decode, encode
from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations.acl import header_acl
from objectfs.sim.operations.conditions import check_write, parse_range
from objectfs.sim.operations.context import Context, checksum_of, etag_of, iso_date, text_element, xml_response
from objectfs.sim.operations.copying import copy_source, source_headers
from objectfs.sim.operations.encryption import check_part_key, sse_headers
from objectfs.sim.operations.lock import lock_headers
from objectfs.sim.operations.metadata import write_headers
from objectfs.sim.operations.objects import MAX_PUT, MD5_LIMIT
from objectfs.sim.operations.reading import checksum_elements, checksum_headers
from objectfs.sim.operations.tags import parse_tag_header
from objectfs.sim.operations.versions import version_headers
from objectfs.sim.store.blobs import Blob, MemoryBlob
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.store.records import Completed, Part, PartInfo, Record, Upload
from objectfs.sim.xml import parse_xml

MIN_PART = 5 * 1024 * 1024
MAX_PART = 10000
MAX_OBJECT = 5 * 1024**4
# Completed uploads whose CompleteMultipartUpload can be repeated.
MAX_COMPLETED = 1000


def find_upload(context: Context) -> tuple[Bucket, Upload]:
    bucket = context.bucket
    upload = bucket.uploads.get(context.query.get("uploadId", ""))
    if upload is None or upload.key != context.key:
        raise _no_upload(context)
    return bucket, upload


def _no_upload(context: Context) -> S3Error:
    return S3Error("NoSuchUpload", extra={"UploadId": context.query.get("uploadId", "")})


def _requested_checksum(context: Context) -> tuple[str | None, str | None]:
    """Algorithm and type that CreateMultipartUpload asks for."""
    algorithm = context.header("x-amz-checksum-algorithm").upper() or None
    kind = context.header("x-amz-checksum-type").upper() or None
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise S3Error(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any "
            f"of the valid types: [{', '.join(ALGORITHMS)}]",
        )
    if kind is None:
        return algorithm, None if algorithm is None else "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE"
    if kind not in ("COMPOSITE", "FULL_OBJECT"):
        raise S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
    if algorithm is None:
        raise S3Error(
            "InvalidRequest",
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )
    if (kind == "FULL_OBJECT" and algorithm not in CRCS) or (kind == "COMPOSITE" and algorithm == "CRC64NVME"):
        raise S3Error(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
        )
    return algorithm, kind


def create(context: Context) -> Response:
    bucket = context.bucket
    algorithm, kind = _requested_checksum(context)
    headers = write_headers(context, bucket)
    upload = Upload(
        secrets.token_urlsafe(48),
        context.key,
        {**headers, **lock_headers(context, bucket)},
        parse_tag_header(context.header("x-amz-tagging")),
        algorithm,
        kind,
        time.time(),
        header_acl(context, bucket) or "",
    )
    bucket.uploads[upload.upload_id] = upload
    answer = sse_headers(upload.headers)
    if algorithm is not None and kind is not None:
        answer += [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)]
    return xml_response(
        "InitiateMultipartUploadResult",
        text_element("Bucket", bucket.name)
        + text_element("Key", context.key)
        + text_element("UploadId", upload.upload_id),
        headers=answer,
    )


def part_number(context: Context) -> int:
    value = context.query.get("partNumber", "")
    if not value.isascii() or not value.isdigit() or len(value) > 6 or not 1 <= int(value) <= MAX_PART:
        raise S3Error(
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive",
            extra={"ArgumentName": "partNumber", "ArgumentValue": value},
        )
    return int(value)


def _set_part(context: Context, upload: Upload, part: Part) -> None:
    old = upload.parts.get(part.number)
    upload.parts[part.number] = part
    if old is not None:
        context.store.drop(old.blob)


def _check_part_checksum(context: Context, upload: Upload) -> None:
    """A part's checksum is of the upload's algorithm, if that has one; with composite checksums each part has one."""
    if upload.algorithm is None:
        return
    given = next(iter(context.checksums), None) if context.given_checksum else None
    if given == upload.algorithm or (given is None and upload.checksum_type == "FULL_OBJECT"):
        return
    raise S3Error(
        "InvalidRequest",
        f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()}, "
        f"actual checksum Type: {(given or 'null').lower()}",
    )


def upload_part(context: Context) -> Response:
    number = part_number(context)
    _, upload = find_upload(context)
    assert context.blob is not None
    _check_part_checksum(context, upload)
    check_part_key(context, upload.headers)
    part = Part(number, context.blob, context.etag, time.time(), context.checksums)
    _set_part(context, upload, part)
    return Response(
        200,
        [
            ("ETag", f'"{part.etag}"'),
            *sse_headers(upload.headers),
            # One that the client gave comes first; the server's own is then its secret.
            *checksum_headers(part.checksums, "")[:1],
        ],
    )


def upload_part_copy(context: Context) -> Response:
    number = part_number(context)
    bucket, upload = find_upload(context)
    source_bucket, source, _ = copy_source(context)
    check_part_key(context, upload.headers)
    blob = source.blob
    value = context.header("x-amz-copy-source-range")
    if value:
        blob = blob.slice(*_source_range(value, blob.size))
    if blob.size > MAX_PUT:
        raise S3Error(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        )
    blob = context.store.share(bucket, blob)
    checksums = checksum_of(blob, upload.algorithm or "CRC64NVME")
    part = Part(number, blob, etag_of(blob, MD5_LIMIT), time.time(), checksums)
    _set_part(context, upload, part)
    return xml_response(
        "CopyPartResult",
        f"<LastModified>{iso_date(part.modified)}</LastModified>"
        f"<ETag>&quot;{part.etag}&quot;</ETag>{checksum_elements(checksums)}",
        headers=[*sse_headers(upload.headers), *source_headers(source_bucket, source)],
    )


def _source_range(value: str, size: int) -> tuple[int, int]:
    """x-amz-copy-source-range: stricter than Range, with both ends and inside of the source."""
    try:
        selected = parse_range(value, size)
    except S3Error:
        selected = None
    first, _, last = value.removeprefix("bytes=").partition("-")
    if selected is None or not first or not last:
        raise S3Error(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last "
            "where first and last are the zero-based offsets of the first and last bytes to copy",
            extra={"ArgumentName": "x-amz-copy-source-range", "ArgumentValue": value},
        )
    if int(last) >= size:
        raise S3Error(
            "InvalidArgument",
            f"Range specified is not valid for source object of size: {size}",
            extra={"ArgumentName": "x-amz-copy-source-range", "ArgumentValue": value},
        )
    return selected


def _listed(context: Context) -> list[tuple[int, str, dict[str, str]]]:
    """Number, ETag and checksums of the parts in the document, in its order."""
    root = parse_xml(context.document, "CompleteMultipartUpload")
    elements = root.findall("Part")
    if not elements or len(elements) > MAX_PART:
        raise S3Error("MalformedXML")
    listed = []
    for element in elements:
        number, etag = (element.findtext("PartNumber") or "").strip(), element.findtext("ETag")
        if not number.isascii() or not number.isdigit() or len(number) > 9 or etag is None:
            raise S3Error("MalformedXML")
        given = {name: (element.findtext(f"Checksum{name}") or "").strip() for name in ALGORITHMS}
        listed.append((int(number), etag.strip().strip('"'), {name: text for name, text in given.items() if text}))
    return listed


def _requested(listed: list[tuple[int, str, dict[str, str]]], upload: Upload) -> list[Part]:
    """The parts that the client lists, found and in order."""
    parts: list[Part] = []
    for number, etag, given in listed:
        if parts and number <= parts[-1].number:
            raise S3Error("InvalidPartOrder", extra={"UploadId": upload.upload_id})
        part = upload.parts.get(number)
        if part is None or part.etag != etag:
            raise _invalid_part(upload, number, etag)
        if upload.checksum_type == "COMPOSITE" and upload.algorithm not in given:
            raise S3Error(
                "InvalidRequest",
                f"The upload was created using a {(upload.algorithm or '').lower()} checksum. "
                f"The complete request must include the checksum for each part. "
                f"It was missing for part {number} in the request.",
            )
        for algorithm, value in given.items():
            if upload.algorithm not in (None, algorithm) or part.checksums.get(algorithm, value) != value:
                raise _invalid_part(upload, number, etag)
        parts.append(part)
    for part in parts[:-1]:
        if part.blob.size < MIN_PART:
            raise S3Error(
                "EntityTooSmall",
                extra={
                    "ProposedSize": str(part.blob.size),
                    "MinSizeAllowed": str(MIN_PART),
                    "PartNumber": str(part.number),
                    "ETag": part.etag,
                },
            )
    return parts


def _invalid_part(upload: Upload, number: int, etag: str) -> S3Error:
    return S3Error("InvalidPart", extra={"UploadId": upload.upload_id, "PartNumber": str(number), "ETag": etag})


def object_checksum(parts: list[Part], upload: Upload) -> dict[str, str]:
    """The object's checksum from its parts'; empty when a part lacks one."""
    algorithm = upload.algorithm or "CRC64NVME"
    digests = []
    for part in parts:
        value = decode(algorithm, part.checksums.get(algorithm, ""))
        if value is None:
            return {}
        digests.append(value)
    if upload.checksum_type == "COMPOSITE":
        return {algorithm: composite(algorithm, digests)}
    total = digests[0]
    for part, value in zip(parts[1:], digests[1:], strict=True):
        total = combine_crc(algorithm, total, value, part.blob.size)
    return {algorithm: encode(total)}


def _check_whole(context: Context, upload: Upload, checksums: dict[str, str], size: int) -> None:
    """What the request says of the whole object: size, checksum and its type."""
    expected = context.header("x-amz-mp-object-size")
    if expected and expected != str(size):
        raise S3Error("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match what was computed")
    if size > MAX_OBJECT:
        raise S3Error("EntityTooLarge", extra={"ProposedSize": str(size), "MaxSizeAllowed": str(MAX_OBJECT)})
    kind = context.header("x-amz-checksum-type").upper()
    if kind and kind != (upload.checksum_type or "FULL_OBJECT"):
        raise S3Error("BadDigest", f"The checksum type {kind} does not match that of the upload.")
    for name, algorithm in HEADERS.items():
        value = context.header(name)
        if not value:
            continue
        if decode(algorithm, value.partition("-")[0]) is None:
            raise S3Error("InvalidRequest", f"Value for {name} header is invalid.")
        # A composite value may be given with or without its number of parts.
        computed = checksums.get(algorithm)
        if computed is not None and value not in (computed, computed.partition("-")[0]):
            raise S3Error("BadDigest", f"The {algorithm.lower()} you specified did not match the calculated checksum.")
        if algorithm != (upload.algorithm or "CRC64NVME"):
            raise S3Error("BadDigest", f"The {algorithm.lower()} you specified is not the algorithm of the upload.")


def complete(context: Context) -> Response:
    bucket = context.bucket
    listed = _listed(context)
    done = bucket.completed.get(context.query.get("uploadId", ""))
    if done is not None and done.key == context.key:
        # Repeated, as clients do that did not see the answer.
        if done.parts != tuple((number, etag) for number, etag, _ in listed):
            raise _no_upload(context)
        return _completed(context, bucket, done.record)
    bucket, upload = find_upload(context)
    check_write(context.head.headers, bucket, context.key)
    parts = _requested(listed, upload)
    checksums = object_checksum(parts, upload)
    _check_whole(context, upload, checksums, sum(part.blob.size for part in parts))
    etag = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False).hexdigest()
    blobs: list[Blob] = [part.blob for part in parts]
    # Checksums of parts that the server computed by itself belong to the object, not to its parts.
    shown = upload.algorithm is not None
    record = Record(
        context.key,
        context.store.join(blobs),
        f"{etag}-{len(parts)}",
        headers=upload.headers,
        checksums=checksums,
        checksum_type=upload.checksum_type or "FULL_OBJECT",
        tags=upload.tags,
        parts=tuple(PartInfo(part.number, part.blob.size, part.checksums if shown else {}) for part in parts),
        acl=upload.acl,
    )
    context.store.put(bucket, record)
    del bucket.uploads[upload.upload_id]
    # Without the content, which may be deleted long before this is forgotten.
    bucket.completed[upload.upload_id] = Completed(
        context.key, tuple((part.number, part.etag) for part in parts), replace(record, blob=MemoryBlob([]))
    )
    while len(bucket.completed) > MAX_COMPLETED:
        del bucket.completed[next(iter(bucket.completed))]
    used = {part.number for part in parts}
    for part in upload.parts.values():
        if part.number not in used:
            context.store.drop(part.blob)
    return _completed(context, bucket, record)


def _completed(context: Context, bucket: Bucket, record: Record) -> Response:
    location = f"{context.base_url}/{bucket.name}/{quote(context.key)}"
    kind = text_element("ChecksumType", record.checksum_type) if record.checksums else ""
    return xml_response(
        "CompleteMultipartUploadResult",
        text_element("Location", location)
        + text_element("Bucket", bucket.name)
        + text_element("Key", context.key)
        + f"<ETag>&quot;{record.etag}&quot;</ETag>{checksum_elements(record.checksums)}{kind}",
        headers=[*sse_headers(record.headers), *version_headers(bucket, record)],
    )


def abort(context: Context) -> Response:
    bucket, upload = find_upload(context)
    del bucket.uploads[upload.upload_id]
    for part in upload.parts.values():
        context.store.drop(part.blob)
    return Response(204)
