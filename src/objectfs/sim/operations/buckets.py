"""Handlers for buckets themselves: list, create, head, delete, location."""

from __future__ import annotations

import base64
import binascii

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations.acl import header_acl
from objectfs.sim.operations.context import OWNER, Context, iso_date, text_element, xml_response
from objectfs.sim.operations.lock import DOCUMENT as LOCK
from objectfs.sim.operations.lock import ENABLED
from objectfs.sim.route import check_bucket_name
from objectfs.sim.xml import parse_xml

MAX_BUCKETS = 10_000
_OWNERSHIPS = ("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")


def list_buckets(context: Context) -> Response:
    query = context.query
    prefix, region = query.get("prefix", ""), query.get("bucket-region", "")
    paged = "max-buckets" in query
    limit = context.integer("max-buckets", MAX_BUCKETS, 2**31)
    if paged and not 1 <= limit <= MAX_BUCKETS:
        raise S3Error(
            "InvalidArgument",
            "Argument max-buckets must be an integer between 1 and 10000",
            extra={"ArgumentName": "max-buckets", "ArgumentValue": query["max-buckets"]},
        )
    after = _decode_token(query.get("continuation-token", ""))
    found = [
        bucket
        for name, bucket in sorted(context.store.buckets.items())
        if name.startswith(prefix) and name > after and region in ("", bucket.region or context.region)
    ]
    shown = found[:limit]
    content = "".join(
        f"<Bucket><Name>{bucket.name}</Name><CreationDate>{iso_date(bucket.created)}</CreationDate>"
        f"<BucketRegion>{bucket.region or context.region}</BucketRegion></Bucket>"
        for bucket in shown
    )
    content = f"{OWNER}<Buckets>{content}</Buckets>"
    if len(shown) < len(found):
        token = base64.urlsafe_b64encode(shown[-1].name.encode()).decode()
        content += text_element("ContinuationToken", token)
    if "prefix" in query:
        content += text_element("Prefix", prefix)
    return xml_response("ListAllMyBucketsResult", content)


def _decode_token(token: str) -> str:
    try:
        return base64.b64decode(token, b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise S3Error(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            extra={"ArgumentName": "continuation-token", "ArgumentValue": token},
        ) from None


def create_bucket(context: Context) -> Response:
    """As the endpoint of the server's region does it: that of us-east-1 makes buckets in any region."""
    name, headers = context.bucket_name, context.head.headers
    check_bucket_name(name)
    region = _location(context)
    ownership = headers.get("x-amz-object-ownership")
    if ownership is not None and ownership not in _OWNERSHIPS:
        raise S3Error("InvalidArgument", extra={"ArgumentName": "x-amz-object-ownership", "ArgumentValue": ownership})
    known = context.store.buckets.get(name)
    if known is not None and (context.region != "us-east-1" or region != known.region):
        raise S3Error("BucketAlreadyOwnedByYou", extra={"BucketName": name})
    bucket = context.store.create_bucket(name, region)
    acl = header_acl(context, bucket)
    # Making a bucket of us-east-1 again is no error there; it resets the ACL.
    if acl or "acl" in bucket.documents:
        context.store.set_document(bucket, "acl", acl.encode() if acl else None)
    if known is None and ownership is not None:
        document = f"<OwnershipControls><Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule></OwnershipControls>"
        context.store.set_document(bucket, "ownershipControls", document.encode())
    if known is None and headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true":
        context.store.set_versioning(bucket, "Enabled")
        context.store.set_document(bucket, LOCK, ENABLED)
    return Response(200, [("Location", f"/{name}")])


def _location(context: Context) -> str:
    """The region of the new bucket, empty for the server's own."""
    constraint = ""
    if context.document:
        root = parse_xml(context.document, "CreateBucketConfiguration")
        element = root.find("LocationConstraint")
        constraint = (element.text or "").strip() if element is not None else ""
    if context.region == "us-east-1":
        if constraint == "us-east-1" or (constraint and not _is_region(constraint)):
            raise S3Error("InvalidLocationConstraint", extra={"LocationConstraint": constraint})
        return constraint
    if constraint == "EU" and context.region == "eu-west-1":
        return ""
    if constraint != context.region:
        raise S3Error(
            "IllegalLocationConstraintException",
            f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint "
            "this request was sent to.",
        )
    return ""


def _is_region(name: str) -> bool:
    parts = name.split("-")
    return name == "EU" or (len(parts) >= 3 and parts[-1].isdigit() and all(part.isalpha() for part in parts[:-1]))


def head_bucket(context: Context) -> Response:
    bucket = context.bucket
    return Response(
        200,
        [
            ("x-amz-bucket-arn", f"arn:aws:s3:::{bucket.name}"),
            ("x-amz-access-point-alias", "false"),
            ("Content-Type", "application/xml"),
        ],
    )


def delete_bucket(context: Context) -> Response:
    bucket = context.bucket
    if not bucket.empty:
        hint = "The bucket you tried to delete is not empty."
        if bucket.versioning:
            hint += " You must delete all versions in the bucket."
        raise S3Error("BucketNotEmpty", hint, extra={"BucketName": context.bucket_name})
    context.store.delete_bucket(context.bucket_name)
    return Response(204)


def get_location(context: Context) -> Response:
    region = context.bucket.region or context.region
    return xml_response("LocationConstraint", "" if region == "us-east-1" else region)
