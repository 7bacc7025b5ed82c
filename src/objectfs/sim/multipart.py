"""Handlers for multipart uploads."""

from __future__ import annotations

import hashlib
import secrets
import time
from urllib.parse import quote
from xml.etree import ElementTree as ET

from objectfs.sim.blobs import Blob
from objectfs.sim.checksums import ALGORITHMS, combine_crc, composite, decode, encode, new_digest
from objectfs.sim.conditions import check_write, parse_range
from objectfs.sim.context import (
    Context,
    blob_bytes,
    escape_xml,
    etag_of,
    iso_date,
    parse_xml,
    text_element,
    xml_response,
)
from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.listing import OWNER
from objectfs.sim.objects import (
    MD5_LIMIT,
    checksum_elements,
    checksum_headers,
    copy_source,
    declared_checksums,
    parse_tag_header,
    sse_headers,
    stored_headers,
)
from objectfs.sim.store import Bucket, Part, PartInfo, Record, Upload

MIN_PART = 5 * 1024 * 1024
MAX_PART = 10000
_CRCS = ("CRC32", "CRC32C", "CRC64NVME")


def find_upload(context: Context) -> tuple[Bucket, Upload]:
    bucket = context.bucket
    upload = bucket.uploads.get(context.query.get("uploadId", ""))
    if upload is None or upload.key != context.key:
        raise S3Error("NoSuchUpload", extra={"UploadId": context.query.get("uploadId", "")})
    return bucket, upload


def create(context: Context) -> Response:
    bucket = context.bucket
    algorithm = context.header("x-amz-checksum-algorithm").upper() or None
    kind = context.header("x-amz-checksum-type").upper() or None
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise S3Error(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any "
            f"of the valid types: [{', '.join(ALGORITHMS)}]",
        )
    if kind is not None and kind not in ("COMPOSITE", "FULL_OBJECT"):
        raise S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
    if algorithm is not None:
        kind = kind or ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")
        if (kind == "FULL_OBJECT") != (algorithm in _CRCS) and (kind == "FULL_OBJECT" or algorithm == "CRC64NVME"):
            raise S3Error(
                "InvalidRequest",
                f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
            )
        if kind == "COMPOSITE" and algorithm == "CRC64NVME":
            raise S3Error(
                "InvalidRequest",
                "The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.",
            )
    upload = Upload(
        secrets.token_urlsafe(48),
        context.key,
        stored_headers(context.head.headers),
        parse_tag_header(context.header("x-amz-tagging")),
        algorithm,
        kind,
        time.time(),
    )
    bucket.uploads[upload.upload_id] = upload
    headers = sse_headers(upload.headers)
    if algorithm is not None and kind is not None:
        headers += [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)]
    return xml_response(
        "InitiateMultipartUploadResult",
        text_element("Bucket", bucket.name)
        + text_element("Key", context.key)
        + text_element("UploadId", upload.upload_id),
        headers=headers,
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


def upload_part(context: Context) -> Response:
    number = part_number(context)
    _, upload = find_upload(context)
    assert context.blob is not None
    given = set(context.checksums)
    if upload.algorithm not in given and (given or upload.checksum_type == "COMPOSITE") and upload.algorithm:
        raise S3Error(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: "
            f"{upload.algorithm.lower()}, actual checksum Type: {min(given, default='null').lower()}",
        )
    part = Part(number, context.blob, context.etag, time.time(), context.checksums)
    _set_part(context, upload, part)
    return Response(
        200,
        [
            ("ETag", f'"{part.etag}"'),
            *sse_headers(upload.headers),
            *checksum_headers(part.checksums, "FULL_OBJECT")[:-1],
        ],
    )


def upload_part_copy(context: Context) -> Response:
    number = part_number(context)
    bucket, upload = find_upload(context)
    source = copy_source(context)
    blob = source.blob
    value = context.header("x-amz-copy-source-range")
    if value:
        selected = parse_range(value, blob.size)
        if selected is None or value.endswith("-") or int(value.rpartition("-")[2]) >= blob.size:
            raise S3Error(
                "InvalidArgument",
                "The x-amz-copy-source-range value must be of the form bytes=first-last "
                "where first and last are the zero-based offsets of the first and last bytes to copy",
                extra={"ArgumentName": "x-amz-copy-source-range", "ArgumentValue": value},
            )
        blob = blob.slice(*selected)
    blob = context.store.share(bucket, blob)
    checksums = {}
    if upload.algorithm is not None:
        digest = new_digest(upload.algorithm)
        for piece in blob_bytes(blob):
            digest.update(piece)
        computed = digest.digest()
        if computed is not None:
            checksums = {upload.algorithm: encode(computed)}
    part = Part(number, blob, etag_of(blob, MD5_LIMIT), time.time(), checksums)
    _set_part(context, upload, part)
    return xml_response(
        "CopyPartResult",
        f"<LastModified>{iso_date(part.modified)}</LastModified>"
        f"<ETag>&quot;{part.etag}&quot;</ETag>{checksum_elements(checksums)}",
    )


def _requested(root: ET.Element, upload: Upload) -> list[Part]:
    """The parts that the client lists, found and in order."""
    listed = root.findall("Part")
    if not listed or len(listed) > MAX_PART:
        raise S3Error("MalformedXML")
    parts: list[Part] = []
    for element in listed:
        number = (element.findtext("PartNumber") or "").strip()
        etag = (element.findtext("ETag") or "").strip().strip('"')
        if not number.isdecimal() or len(number) > 9:
            raise S3Error("MalformedXML")
        part = upload.parts.get(int(number))
        if parts and int(number) <= parts[-1].number:
            raise S3Error("InvalidPartOrder", extra={"UploadId": upload.upload_id})
        if part is None or part.etag != etag:
            raise S3Error("InvalidPart", extra={"UploadId": upload.upload_id, "PartNumber": number, "ETag": etag})
        if upload.checksum_type == "COMPOSITE" and not element.findtext(f"Checksum{upload.algorithm}"):
            raise S3Error(
                "InvalidRequest",
                f"The upload was created using a {(upload.algorithm or '').lower()} checksum. "
                f"The complete request must include the checksum for each part. "
                f"It was missing for part {number} in the request.",
            )
        for algorithm in ALGORITHMS:
            value = element.findtext(f"Checksum{algorithm}")
            if value and part.checksums.get(algorithm) not in (None, value.strip()):
                raise S3Error("InvalidPart", extra={"UploadId": upload.upload_id, "PartNumber": number})
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


def object_checksum(parts: list[Part], upload: Upload) -> dict[str, str]:
    """The object's checksum from its parts'; empty when a part lacks one."""
    algorithm, kind = upload.algorithm, upload.checksum_type
    if algorithm is None:
        return {}
    digests = []
    for part in parts:
        value = decode(algorithm, part.checksums.get(algorithm, ""))
        if value is None:
            return {}
        digests.append(value)
    if kind == "COMPOSITE":
        return {algorithm: composite(algorithm, digests)}
    total = digests[0]
    for part, value in zip(parts[1:], digests[1:], strict=True):
        total = combine_crc(algorithm, total, value, part.blob.size)
    return {algorithm: encode(total)}


def complete(context: Context) -> Response:
    bucket, upload = find_upload(context)
    check_write(context.head.headers, bucket.objects.get(context.key))
    root = parse_xml(context.document, "CompleteMultipartUpload")
    parts = _requested(root, upload)
    size = sum(part.blob.size for part in parts)
    expected = context.header("x-amz-mp-object-size")
    if expected and expected != str(size):
        raise S3Error("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match what was computed")
    checksums = object_checksum(parts, upload)
    for algorithm, value in declared_checksums(context.head.headers).items():
        if checksums.get(algorithm, value).partition("-")[0] != value.partition("-")[0]:
            raise S3Error("BadDigest", f"The {algorithm.lower()} you specified did not match the calculated checksum.")
    etag = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False).hexdigest()
    blobs: list[Blob] = [part.blob for part in parts]
    record = Record(
        context.key,
        context.store.join(blobs),
        f"{etag}-{len(parts)}",
        headers=upload.headers,
        checksums=checksums,
        checksum_type=upload.checksum_type or "FULL_OBJECT",
        tags=upload.tags,
        parts=tuple(PartInfo(part.number, part.blob.size, part.checksums) for part in parts),
    )
    del bucket.uploads[upload.upload_id]
    context.store.put(bucket, record)
    used = {part.number for part in parts}
    for part in upload.parts.values():
        if part.number not in used:
            context.store.drop(part.blob)
    location = f"{context.base_url}/{bucket.name}/{quote(context.key)}"
    kind = text_element("ChecksumType", record.checksum_type) if checksums else ""
    return xml_response(
        "CompleteMultipartUploadResult",
        text_element("Location", location)
        + text_element("Bucket", bucket.name)
        + text_element("Key", context.key)
        + f"<ETag>&quot;{record.etag}&quot;</ETag>{checksum_elements(checksums)}{kind}",
        headers=sse_headers(record.headers),
    )


def abort(context: Context) -> Response:
    bucket, upload = find_upload(context)
    del bucket.uploads[upload.upload_id]
    for part in upload.parts.values():
        context.store.drop(part.blob)
    return Response(204)


def list_parts(context: Context) -> Response:
    bucket, upload = find_upload(context)
    maximum = context.integer("max-parts", 1000, 1000)
    marker = context.integer("part-number-marker", 0, MAX_PART)
    numbers = sorted(number for number in upload.parts if number > marker)
    shown = [upload.parts[number] for number in numbers[:maximum]]
    content = (
        text_element("Bucket", bucket.name)
        + text_element("Key", upload.key)
        + text_element("UploadId", upload.upload_id)
        + f"<Initiator><ID>{OWNER.partition('<ID>')[2].partition('</ID>')[0]}</ID></Initiator>{OWNER}"
        f"<StorageClass>{upload.headers.get('x-amz-storage-class', 'STANDARD')}</StorageClass>"
        f"<PartNumberMarker>{marker}</PartNumberMarker>"
        f"<NextPartNumberMarker>{shown[-1].number if shown else 0}</NextPartNumberMarker>"
        f"<MaxParts>{maximum}</MaxParts><IsTruncated>{str(len(numbers) > maximum).lower()}</IsTruncated>"
    )
    if upload.algorithm is not None:
        content += text_element("ChecksumAlgorithm", upload.algorithm)
        content += text_element("ChecksumType", upload.checksum_type or "")
    content += "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><LastModified>{iso_date(part.modified)}</LastModified>"
        f"<ETag>&quot;{part.etag}&quot;</ETag>{checksum_elements(part.checksums)}"
        f"<Size>{part.blob.size}</Size></Part>"
        for part in shown
    )
    return xml_response("ListPartsResult", content)


def list_uploads(context: Context) -> Response:
    bucket, query = context.bucket, context.query
    prefix, key_marker = query.get("prefix", ""), query.get("key-marker", "")
    id_marker = query.get("upload-id-marker", "")
    maximum = context.integer("max-uploads", 1000, 1000)
    encoded = query.get("encoding-type") == "url"
    matching = sorted(
        (upload.key, upload.initiated, upload.upload_id, upload)
        for upload in bucket.uploads.values()
        if upload.key.startswith(prefix)
    )
    if key_marker:
        marked = next((entry[:3] for entry in matching if entry[2] == id_marker), None)
        matching = [e for e in matching if e[0] > key_marker or (marked is not None and e[:3] > marked)]

    def show(text: str) -> str:
        return quote(text) if encoded else escape_xml(text)

    shown = matching[:maximum]
    content = (
        text_element("Bucket", bucket.name) + f"<KeyMarker>{show(key_marker)}</KeyMarker>"
        f"<UploadIdMarker>{escape_xml(id_marker)}</UploadIdMarker><Prefix>{show(prefix)}</Prefix>"
        f"<MaxUploads>{maximum}</MaxUploads><IsTruncated>{str(len(matching) > maximum).lower()}</IsTruncated>"
    )
    if encoded:
        content += text_element("EncodingType", "url")
    if len(matching) > maximum and shown:
        content += (
            f"<NextKeyMarker>{show(shown[-1][0])}</NextKeyMarker>"
            f"<NextUploadIdMarker>{shown[-1][2]}</NextUploadIdMarker>"
        )
    content += "".join(
        f"<Upload><Key>{show(key)}</Key><UploadId>{upload_id}</UploadId>{OWNER}"
        f"<StorageClass>{upload.headers.get('x-amz-storage-class', 'STANDARD')}</StorageClass>"
        f"<Initiated>{iso_date(initiated)}</Initiated></Upload>"
        for key, initiated, upload_id, upload in shown
    )
    return xml_response("ListMultipartUploadsResult", content)
