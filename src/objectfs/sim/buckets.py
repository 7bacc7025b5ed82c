"""Handlers for buckets and their sub-resource documents, and the bulk delete."""

from __future__ import annotations

from objectfs.sim.context import (
    OWNER_ID,
    OWNER_NAME,
    Context,
    iso_date,
    parse_xml,
    text_element,
    xml_response,
)
from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.listing import OWNER
from objectfs.sim.route import BUCKET_DOCUMENTS, OBJECT_DOCUMENTS, check_bucket_name, check_key

MAX_DELETE = 1000

# What a GET says of a document that was never put.
_ABSENT_CODES = {
    "tagging": "NoSuchTagSet",
    "policy": "NoSuchBucketPolicy",
    "cors": "NoSuchCORSConfiguration",
    "lifecycle": "NoSuchLifecycleConfiguration",
}
_ABSENT = {
    "BucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
    "BucketWebsite": "NoSuchWebsiteConfiguration",
    "BucketReplication": "ReplicationConfigurationNotFoundError",
    "ObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
    "PublicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
    "BucketOwnershipControls": "OwnershipControlsNotFoundError",
}
_EMPTY = {
    "versioning": "VersioningConfiguration",
    "logging": "BucketLoggingStatus",
    "notification": "NotificationConfiguration",
    "accelerate": "AccelerateConfiguration",
}
_ACL = (
    f'{OWNER}<AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    f'xsi:type="CanonicalUser"><ID>{OWNER_ID}</ID><DisplayName>{OWNER_NAME}</DisplayName></Grantee>'
    "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList>"
)


def list_buckets(context: Context) -> Response:
    prefix = context.query.get("prefix", "")
    content = "".join(
        f"<Bucket><Name>{name}</Name><CreationDate>{iso_date(bucket.created)}</CreationDate></Bucket>"
        for name, bucket in sorted(context.store.buckets.items())
        if name.startswith(prefix)
    )
    return xml_response("ListAllMyBucketsResult", f"{OWNER}<Buckets>{content}</Buckets>")


def create_bucket(context: Context) -> Response:
    name = context.bucket_name
    check_bucket_name(name)
    if context.document:
        parse_xml(context.document, "CreateBucketConfiguration")
    if name in context.store.buckets and context.region != "us-east-1":
        raise S3Error("BucketAlreadyOwnedByYou", extra={"BucketName": name})
    context.store.create_bucket(name)
    return Response(200, [("Location", f"/{name}")])


def head_bucket(context: Context) -> Response:
    assert context.bucket is not None
    return Response(200, [("x-amz-access-point-alias", "false")])


def delete_bucket(context: Context) -> Response:
    if context.bucket.objects:
        raise S3Error("BucketNotEmpty", extra={"BucketName": context.bucket_name})
    context.store.delete_bucket(context.bucket_name)
    return Response(204)


def get_location(context: Context) -> Response:
    assert context.bucket is not None
    region = "" if context.region == "us-east-1" else context.region
    return xml_response("LocationConstraint", region)


def document(context: Context) -> Response:
    """Get, put or delete a sub-resource: the document is kept and returned as it came."""
    bucket = context.bucket
    names = OBJECT_DOCUMENTS if context.key else BUCKET_DOCUMENTS
    name = next(name for name in names if name in context.query)
    slot = name
    if context.key:
        if context.key not in bucket.objects:
            raise S3Error("NoSuchKey", extra={"Key": context.key})
        slot = f"{name}:{context.key}"
    method = context.head.method
    if method == "PUT":
        if name == "acl" and not context.document:
            return Response(200)
        context.store.set_document(bucket, slot, context.document)
        return Response(204 if name == "policy" else 200)
    if method == "DELETE":
        context.store.set_document(bucket, slot, None)
        return Response(204)
    kept = bucket.documents.get(slot)
    if kept is not None:
        kind = "application/json" if name == "policy" else "application/xml"
        return Response(200, [("Content-Type", kind)], kept)
    if name == "acl":
        return xml_response("AccessControlPolicy", _ACL)
    if name == "requestPayment":
        return xml_response("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>")
    if name in _EMPTY:
        return xml_response(_EMPTY[name], "")
    code = _ABSENT_CODES.get(name) or _ABSENT[BUCKET_DOCUMENTS[name]]
    raise S3Error(code, status=404, extra={"BucketName": bucket.name})


def delete_objects(context: Context) -> Response:
    bucket = context.bucket
    headers = context.head.headers
    if "content-md5" not in headers and not any(
        n.startswith("x-amz-checksum-") or n == "x-amz-trailer" for n in headers
    ):
        raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5")
    root = parse_xml(context.document, "Delete")
    quiet = (root.findtext("Quiet") or "").strip().lower() == "true"
    entries = root.findall("Object")
    if not entries or len(entries) > MAX_DELETE:
        raise S3Error("MalformedXML")
    content = []
    for entry in entries:
        key = entry.findtext("Key") or ""
        try:
            if not key:
                raise S3Error("MalformedXML")
            check_key(key)
            if (entry.findtext("VersionId") or "null") != "null":
                raise S3Error("NotImplemented", "Object versions are not implemented")
            existing = bucket.objects.get(key)
            etag = entry.findtext("ETag")
            if etag is not None and (existing is None or etag.strip('"') not in ("*", existing.etag)):
                raise S3Error("PreconditionFailed")
        except S3Error as error:
            content.append(
                f"<Error>{text_element('Key', key)}<Code>{error.code}</Code>"
                f"{text_element('Message', error.message)}</Error>"
            )
            continue
        if existing is not None:
            context.store.remove(bucket, key)
        if not quiet:
            content.append(f"<Deleted>{text_element('Key', key)}</Deleted>")
    return xml_response("DeleteResult", "".join(content))
