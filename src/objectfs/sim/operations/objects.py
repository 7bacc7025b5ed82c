"""PutObject, DeleteObject and DeleteObjects."""

from __future__ import annotations

from dataclasses import dataclass

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations.acl import header_acl
from objectfs.sim.operations.conditions import check_delete, check_write
from objectfs.sim.operations.context import Context, new_etag, text_element, xml_response
from objectfs.sim.operations.encryption import sse_headers, uses_md5_etag
from objectfs.sim.operations.lock import check_deletable, lock_headers
from objectfs.sim.operations.metadata import write_headers
from objectfs.sim.operations.reading import checksum_headers
from objectfs.sim.operations.tags import parse_tag_header
from objectfs.sim.operations.versions import check_version_id, version_headers, wanted_version
from objectfs.sim.route import check_key
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.store.records import Record
from objectfs.sim.xml import parse_xml

MAX_PUT = 5 * 1024**3
MD5_LIMIT = 1024 * 1024
MAX_DELETE = 1000


def put_object(context: Context) -> Response:
    bucket = context.bucket
    assert context.blob is not None
    if "x-amz-write-offset-bytes" in context.head.headers:
        raise S3Error("NotImplemented", extra={"Header": "x-amz-write-offset-bytes"})
    check_write(context.head.headers, bucket, context.key, context.watch)
    headers = write_headers(context, bucket)
    record = Record(
        context.key,
        context.blob,
        context.etag if uses_md5_etag(headers) else new_etag(),
        headers={**headers, **lock_headers(context, bucket)},
        checksums=context.checksums,
        tags=parse_tag_header(context.header("x-amz-tagging")),
        acl=header_acl(context, bucket) or "",
    )
    context.store.put(bucket, record)
    return Response(
        200,
        [
            ("ETag", f'"{record.etag}"'),
            *sse_headers(headers),
            *checksum_headers(record.checksums, "FULL_OBJECT"),
            *version_headers(bucket, record),
        ],
    )


@dataclass(slots=True)
class Deleted:
    """What a delete did: the version that it removed or the delete marker that it made, if any."""

    version_id: str | None = None
    marker: bool = False


def delete(context: Context, bucket: Bucket, key: str, version_id: str | None) -> Deleted:
    """Delete a version, or without an id the object. Deleting what is not there is no error."""
    if version_id is None:
        left = context.store.remove(bucket, key) if bucket.versioning or key in bucket.objects else None
        return Deleted(left.version_id, True) if left is not None else Deleted()
    record = bucket.version(key, version_id)
    if record is None:
        return Deleted(version_id)
    check_deletable(context, record)
    context.store.remove_version(bucket, record)
    return Deleted(version_id if bucket.versioning else None, record.marker)


def delete_object(context: Context) -> Response:
    bucket = context.bucket
    headers = context.head.headers
    if "x-amz-mfa" in headers:
        raise S3Error("NotImplemented", "MFA delete is not implemented")
    version_id = wanted_version(context)
    if "if-match" in headers:
        check_delete(headers["if-match"], bucket, context.key)
    for name in ("x-amz-if-match-last-modified-time", "x-amz-if-match-size"):
        if name in headers:
            raise S3Error("NotImplemented", extra={"Header": name})
    done = delete(context, bucket, context.key, version_id)
    answer = []
    if done.version_id is not None:
        answer.append(("x-amz-version-id", done.version_id))
    if done.marker:
        answer.append(("x-amz-delete-marker", "true"))
    return Response(204, answer)


def delete_objects(context: Context) -> Response:
    bucket = context.bucket
    headers = context.head.headers
    if "content-md5" not in headers and not any(
        name.startswith("x-amz-checksum-") or name == "x-amz-trailer" for name in headers
    ):
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5")
    root = parse_xml(context.document, "Delete")
    quiet = (root.findtext("Quiet") or "").strip().lower() == "true"
    entries = root.findall("Object")
    if not entries or len(entries) > MAX_DELETE or any(not entry.findtext("Key") for entry in entries):
        raise S3Error("MalformedXML")
    content = []
    for entry in entries:
        key, version = entry.findtext("Key") or "", entry.findtext("VersionId")
        shown = text_element("Key", key) + (text_element("VersionId", version) if version else "")
        try:
            check_key(key)
            version_id = check_version_id(version) if version else None
            etag = entry.findtext("ETag")
            if etag is not None:
                check_delete(etag, bucket, key)
            for name in ("LastModifiedTime", "Size"):
                if entry.find(name) is not None:
                    raise S3Error("NotImplemented", f"{name} is a condition of directory buckets only")
            done = delete(context, bucket, key, version_id)
        except S3Error as error:
            # A version id that cannot be is one that is not there.
            code, message = error.code, error.message
            if code == "InvalidArgument":
                code, message = "NoSuchVersion", S3Error("NoSuchVersion").message
            content.append(f"<Error>{shown}<Code>{code}</Code>{text_element('Message', message)}</Error>")
            continue
        if quiet:
            continue
        if done.marker:
            shown += "<DeleteMarker>true</DeleteMarker>"
            shown += text_element("DeleteMarkerVersionId", done.version_id or "")
        content.append(f"<Deleted>{shown}</Deleted>")
    return xml_response("DeleteResult", "".join(content))
