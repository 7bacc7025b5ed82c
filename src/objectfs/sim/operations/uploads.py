"""ListParts and ListMultipartUploads."""

from __future__ import annotations

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations.context import OWNER, OWNER_ID, OWNER_NAME, Context, iso_date, text_element, xml_response
from objectfs.sim.operations.listing import encoder
from objectfs.sim.operations.multipart import MAX_PART, find_upload
from objectfs.sim.operations.reading import checksum_elements
from objectfs.sim.store.records import Upload

MAX_UPLOADS = 1000
_INITIATOR = f"<Initiator><ID>{OWNER_ID}</ID><DisplayName>{OWNER_NAME}</DisplayName></Initiator>"


def _checksum(upload: Upload) -> str:
    if upload.algorithm is None:
        return ""
    return text_element("ChecksumAlgorithm", upload.algorithm) + text_element(
        "ChecksumType", upload.checksum_type or ""
    )


def _storage_class(upload: Upload) -> str:
    return text_element("StorageClass", upload.headers.get("x-amz-storage-class", "STANDARD"))


def list_parts(context: Context) -> Response:
    bucket, upload = find_upload(context)
    maximum = context.integer("max-parts", 1000, 1000)
    marker = context.integer("part-number-marker", 0, MAX_PART)
    numbers = sorted(number for number in upload.parts if number > marker)
    shown = [upload.parts[number] for number in numbers[:maximum]]
    truncated = maximum > 0 and len(numbers) > maximum
    own = upload.algorithm is not None
    content = (
        text_element("Bucket", bucket.name)
        + text_element("Key", upload.key)
        + text_element("UploadId", upload.upload_id)
        + f"{_INITIATOR}{OWNER}{_storage_class(upload)}"
        f"<PartNumberMarker>{marker}</PartNumberMarker>"
        f"<NextPartNumberMarker>{shown[-1].number if shown else 0}</NextPartNumberMarker>"
        f"<MaxParts>{maximum}</MaxParts><IsTruncated>{str(truncated).lower()}</IsTruncated>"
        + _checksum(upload)
        + "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><LastModified>{iso_date(part.modified)}</LastModified>"
            f"<ETag>&quot;{part.etag}&quot;</ETag>{checksum_elements(part.checksums) if own else ''}"
            f"<Size>{part.blob.size}</Size></Part>"
            for part in shown
        )
    )
    return xml_response("ListPartsResult", content)


def list_uploads(context: Context) -> Response:
    """Uploads by key, then by the time they began. Keys with the delimiter behind the prefix become common prefixes,
    which count like uploads."""
    bucket, query = context.bucket, context.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    key_marker, id_marker = query.get("key-marker", ""), query.get("upload-id-marker", "")
    maximum = context.integer("max-uploads", MAX_UPLOADS, MAX_UPLOADS)
    encode, encoding = encoder(context)
    matching = sorted(
        (upload.key, upload.initiated, upload.upload_id)
        for upload in bucket.uploads.values()
        if upload.key.startswith(prefix)
    )
    # Without a key marker the id marker is ignored.
    if key_marker:
        marked = next((entry for entry in matching if entry[2] == id_marker), None)
        if id_marker and marked is None and id_marker not in bucket.completed:
            raise S3Error(
                "InvalidArgument",
                "Invalid uploadId marker",
                extra={"ArgumentName": "upload-id-marker", "ArgumentValue": id_marker},
            )
        matching = [e for e in matching if e[0] > key_marker or (marked is not None and e > marked)]
    uploads: list[Upload] = []
    prefixes: list[str] = []
    last = ("", "")
    truncated = False
    for key, _, upload_id in matching:
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        group = key[: cut + len(delimiter)] if cut >= 0 else ""
        if group and (key_marker.startswith(group) or group in prefixes[-1:]):
            continue
        if len(uploads) + len(prefixes) == maximum:
            truncated = maximum > 0
            break
        if group:
            prefixes.append(group)
            last = (group, "")
        else:
            uploads.append(bucket.uploads[upload_id])
            last = (key, upload_id)
    content = (
        text_element("Bucket", bucket.name) + f"<KeyMarker>{encode(key_marker)}</KeyMarker>"
        f"{text_element('UploadIdMarker', id_marker)}<Prefix>{encode(prefix)}</Prefix>"
        f"<MaxUploads>{maximum}</MaxUploads>{encoding}<IsTruncated>{str(truncated).lower()}</IsTruncated>"
    )
    if delimiter:
        content += f"<Delimiter>{encode(delimiter)}</Delimiter>"
    if truncated:
        content += f"<NextKeyMarker>{encode(last[0])}</NextKeyMarker>"
        content += text_element("NextUploadIdMarker", last[1])
    content += "".join(
        f"<Upload><Key>{encode(upload.key)}</Key><UploadId>{upload.upload_id}</UploadId>{_INITIATOR}{OWNER}"
        f"{_storage_class(upload)}<Initiated>{iso_date(upload.initiated)}</Initiated>{_checksum(upload)}</Upload>"
        for upload in uploads
    )
    content += "".join(f"<CommonPrefixes><Prefix>{encode(group)}</Prefix></CommonPrefixes>" for group in prefixes)
    return xml_response("ListMultipartUploadsResult", content)
