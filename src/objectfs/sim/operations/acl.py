"""Access control lists: kept and returned, never asked. Buckets begin with ACLs enabled, as before April 2023;
with the ownership setting BucketOwnerEnforced they are refused as on buckets of today."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations.context import OWNER, OWNER_ID, OWNER_NAME, Context, text_element, xml_response
from objectfs.sim.operations.versions import find, version_headers
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.xml import parse_xml

_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_GROUPS = "http://acs.amazonaws.com/groups/"
_ALL = f"{_GROUPS}global/AllUsers"
_AUTHENTICATED = f"{_GROUPS}global/AuthenticatedUsers"
_DELIVERY = f"{_GROUPS}s3/LogDelivery"
# The canonical user of EC2 that fetches machine images.
_EC2 = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"

PERMISSIONS = ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP")
_GRANT_HEADERS = {f"x-amz-grant-{name.lower().replace('_', '-')}": name for name in PERMISSIONS}
_CANNED: dict[str, tuple[tuple[str, str], ...]] = {
    "private": (),
    "public-read": ((_ALL, "READ"),),
    "public-read-write": ((_ALL, "READ"), (_ALL, "WRITE")),
    "authenticated-read": ((_AUTHENTICATED, "READ"),),
    "aws-exec-read": ((_EC2, "READ"),),
    "bucket-owner-read": (),
    "bucket-owner-full-control": (),
    "log-delivery-write": ((_DELIVERY, "WRITE"), (_DELIVERY, "READ_ACP")),
}


def _grant(who: str, permission: str) -> str:
    if who.startswith("http"):
        grantee = f'<Grantee {_XSI} xsi:type="Group">{text_element("URI", who)}</Grantee>'
    else:
        name = text_element("DisplayName", OWNER_NAME) if who == OWNER_ID else ""
        grantee = f'<Grantee {_XSI} xsi:type="CanonicalUser">{text_element("ID", who)}{name}</Grantee>'
    return f"<Grant>{grantee}<Permission>{permission}</Permission></Grant>"


def _policy(grants: list[tuple[str, str]]) -> str:
    content = "".join(_grant(who, permission) for who, permission in grants)
    return f"{OWNER}<AccessControlList>{content}</AccessControlList>"


PRIVATE = _policy([(OWNER_ID, "FULL_CONTROL")])


def header_acl(context: Context, bucket: Bucket) -> str | None:
    """The ACL that ``x-amz-acl`` or ``x-amz-grant-*`` ask for: the content of an AccessControlPolicy, empty for the
    private one; None without such headers."""
    headers = context.head.headers
    canned = headers.get("x-amz-acl")
    granted = [name for name in _GRANT_HEADERS if name in headers]
    if canned is None and not granted:
        return None
    if canned is not None and granted:
        raise S3Error("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
    if canned is not None and (canned not in _CANNED or (context.key and canned == "log-delivery-write")):
        raise S3Error("InvalidArgument", extra={"ArgumentName": "x-amz-acl", "ArgumentValue": canned})
    if _enforced(bucket) and canned not in ("private", "bucket-owner-full-control"):
        raise S3Error("AccessControlListNotSupported")
    if canned is not None:
        grants = _CANNED[canned]
        return _policy([(OWNER_ID, "FULL_CONTROL"), *grants]) if grants else ""
    grants = tuple((who, _GRANT_HEADERS[name]) for name in granted for who in _grantees(name, headers[name]))
    return _policy(list(grants))


def _grantees(name: str, value: str) -> list[str]:
    found = []
    for item in value.split(","):
        kind, _, who = item.strip().partition("=")
        who = who.strip().strip('"')
        if kind not in ("id", "uri", "emailAddress") or not who:
            raise S3Error("InvalidArgument", extra={"ArgumentName": name, "ArgumentValue": value})
        if kind == "emailAddress":
            raise S3Error("UnresolvableGrantByEmailAddress", extra={"EmailAddress": who})
        if kind == "uri" and who not in (_ALL, _AUTHENTICATED, _DELIVERY):
            raise S3Error("InvalidArgument", "Invalid group uri", extra={"ArgumentName": "uri", "ArgumentValue": who})
        if kind == "id" and (len(who) != 64 or not set(who) <= set("0123456789abcdef")):
            raise S3Error("InvalidArgument", "Invalid id", extra={"ArgumentName": "CanonicalUser/ID"})
        found.append(who)
    return found


def _enforced(bucket: Bucket) -> bool:
    return b"BucketOwnerEnforced" in bucket.documents.get("ownershipControls", b"")


def _parse(document: bytes) -> str:
    """The grants of an AccessControlPolicy document, rendered."""
    try:
        root = parse_xml(document, "AccessControlPolicy")
    except S3Error:
        raise S3Error("MalformedACLError") from None
    owner, acl = root.find("Owner"), root.find("AccessControlList")
    if owner is None or acl is None:
        raise S3Error("MalformedACLError")
    if (owner.findtext("ID") or "") != OWNER_ID:
        raise S3Error("AccessDenied")
    grants = []
    for grant in acl:
        permission = (grant.findtext("Permission") or "").strip()
        grantee = grant.find("Grantee")
        if grant.tag != "Grant" or grantee is None or permission not in PERMISSIONS:
            raise S3Error("MalformedACLError")
        grants += [(who, permission) for who in _grantees("Grantee", _grantee(grantee))]
    return _policy(grants)


def _grantee(grantee: ET.Element) -> str:
    kind = grantee.get("type") or ""
    element, name = {
        "CanonicalUser": ("ID", "id"),
        "Group": ("URI", "uri"),
        "AmazonCustomerByEmail": ("EmailAddress", "emailAddress"),
    }.get(kind, ("", ""))
    value = (grantee.findtext(element) or "").strip() if element else ""
    if not value or "," in value:
        raise S3Error("MalformedACLError")
    return f"{name}={value}"


def _requested(context: Context, bucket: Bucket) -> str:
    """The ACL that a Put…Acl brings, in headers or as a document."""
    from_headers = header_acl(context, bucket)
    if from_headers is not None:
        if context.document:
            raise S3Error("UnexpectedContent")
        return from_headers
    if not context.document:
        raise S3Error(
            "MissingSecurityHeader",
            "Your request was missing a required header",
            extra={"MissingHeaderName": "x-amz-acl"},
        )
    acl = _parse(context.document)
    if _enforced(bucket) and acl != PRIVATE:
        raise S3Error("AccessControlListNotSupported")
    return "" if acl == PRIVATE else acl


def object_acl(context: Context) -> Response:
    bucket, record = find(context)
    headers = version_headers(bucket, record)
    if context.head.method == "GET":
        return xml_response("AccessControlPolicy", record.acl or PRIVATE, headers=headers)
    context.store.amend(bucket, record, replace(record, acl=_requested(context, bucket)))
    return Response(200, headers)


def bucket_acl(context: Context) -> Response:
    bucket = context.bucket
    if context.head.method == "GET":
        return xml_response("AccessControlPolicy", bucket.documents.get("acl", b"").decode() or PRIVATE)
    context.store.set_document(bucket, "acl", _requested(context, bucket).encode() or None)
    return Response(200)


__all__ = ["bucket_acl", "header_acl", "object_acl"]
