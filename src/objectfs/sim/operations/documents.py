"""Sub-resource documents of buckets: checked when they are put, kept, and returned."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations.context import Context, text_element, xml_response
from objectfs.sim.operations.lock import DOCUMENT as LOCK
from objectfs.sim.operations.lock import check_configuration, require_digest
from objectfs.sim.operations.metadata import STORAGE_CLASSES
from objectfs.sim.operations.tags import MAX_BUCKET_TAGS, parse_tagging
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.xml import parse_xml

MAX_POLICY = 20 * 1024
_CORS_METHODS = frozenset(("GET", "PUT", "HEAD", "POST", "DELETE"))
_OWNERSHIPS = frozenset(("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced"))

Check = Callable[[Bucket, ET.Element], None]


def _text(element: ET.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _one_of(element: ET.Element, path: str, allowed: tuple[str, ...] | frozenset[str]) -> str:
    value = _text(element, path)
    if value not in allowed:
        raise S3Error("MalformedXML")
    return value


def _whole_number(element: ET.Element, path: str, least: int = 0) -> None:
    value = _text(element, path)
    if not value.isascii() or not value.isdigit() or int(value[:12]) < least:
        raise S3Error("MalformedXML")


def _accelerate(_: Bucket, root: ET.Element) -> None:
    _one_of(root, "Status", ("Enabled", "Suspended"))


def _cors(_: Bucket, root: ET.Element) -> None:
    rules = root.findall("CORSRule")
    if not rules or len(rules) > 100:
        raise S3Error("MalformedXML")
    for rule in rules:
        methods = [(method.text or "").strip() for method in rule.findall("AllowedMethod")]
        origins = [(origin.text or "").strip() for origin in rule.findall("AllowedOrigin")]
        if not methods or not origins:
            raise S3Error("MalformedXML")
        for method in methods:
            if method not in _CORS_METHODS:
                raise S3Error(
                    "InvalidRequest",
                    f"Found unsupported HTTP method in CORS config. Unsupported method is {method}",
                )
        for origin in origins:
            if origin.count("*") > 1:
                raise S3Error("InvalidRequest", f'AllowedOrigin "{origin}" can not have more than one wildcard.')
        if rule.find("MaxAgeSeconds") is not None:
            _whole_number(rule, "MaxAgeSeconds")


def _encryption(_: Bucket, root: ET.Element) -> None:
    rules = root.findall("Rule")
    if len(rules) != 1:
        raise S3Error("MalformedXML")
    method = _one_of(rules[0], "ApplyServerSideEncryptionByDefault/SSEAlgorithm", ("AES256", "aws:kms", "aws:kms:dsse"))
    if method == "AES256" and _text(rules[0], "ApplyServerSideEncryptionByDefault/KMSMasterKeyID"):
        raise S3Error(
            "InvalidArgument", "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms"
        )


_ACTIONS = (
    "Expiration",
    "Transition",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionTransition",
    "AbortIncompleteMultipartUpload",
)


def _lifecycle(_: Bucket, root: ET.Element) -> None:
    rules = root.findall("Rule")
    if not rules or len(rules) > 1000:
        raise S3Error("MalformedXML")
    names = [name for name in (_text(rule, "ID") for rule in rules) if name]
    if len(set(names)) != len(names):
        raise S3Error("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    if any(len(name) > 255 for name in names):
        raise S3Error("InvalidArgument", "ID length should not exceed allowed limit of 255")
    for rule in rules:
        _one_of(rule, "Status", ("Enabled", "Disabled"))
        if (rule.find("Filter") is None) == (rule.find("Prefix") is None):
            raise S3Error("MalformedXML")
        if not any(rule.find(action) is not None for action in _ACTIONS):
            raise S3Error("InvalidRequest", "At least one action needs to be specified in a rule.")
        for path in ("Expiration/Days", "NoncurrentVersionExpiration/NoncurrentDays"):
            if rule.find(path) is not None:
                _whole_number(rule, path)
                if not int(_text(rule, path)):
                    raise S3Error(
                        "InvalidArgument",
                        f"'{path.rpartition('/')[2]}' for Expiration action must be a positive integer",
                    )
        for transition in (*rule.findall("Transition"), *rule.findall("NoncurrentVersionTransition")):
            _one_of(transition, "StorageClass", STORAGE_CLASSES - {"STANDARD", "REDUCED_REDUNDANCY"})


def _logging(_: Bucket, root: ET.Element) -> None:
    enabled = root.find("LoggingEnabled")
    if enabled is not None and (not _text(enabled, "TargetBucket") or enabled.find("TargetPrefix") is None):
        raise S3Error("MalformedXML")


def _notification(_: Bucket, root: ET.Element) -> None:
    for entry in root:
        if entry.tag not in (
            "TopicConfiguration",
            "QueueConfiguration",
            "CloudFunctionConfiguration",
            "EventBridgeConfiguration",
        ):
            raise S3Error("MalformedXML")


def _ownership(_: Bucket, root: ET.Element) -> None:
    rules = root.findall("Rule")
    if len(rules) != 1:
        raise S3Error("MalformedXML")
    _one_of(rules[0], "ObjectOwnership", _OWNERSHIPS)


def _public_access(_: Bucket, root: ET.Element) -> None:
    allowed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    for entry in root:
        if entry.tag not in allowed or (entry.text or "").strip().lower() not in ("true", "false"):
            raise S3Error("MalformedXML")


def _replication(bucket: Bucket, root: ET.Element) -> None:
    rules = root.findall("Rule")
    if not rules or not _text(root, "Role"):
        raise S3Error("MalformedXML")
    for rule in rules:
        _one_of(rule, "Status", ("Enabled", "Disabled"))
        if not _text(rule, "Destination/Bucket"):
            raise S3Error("MalformedXML")
    if bucket.versioning != "Enabled":
        raise S3Error(
            "InvalidRequest", "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
        )


def _payment(_: Bucket, root: ET.Element) -> None:
    _one_of(root, "Payer", ("Requester", "BucketOwner"))


def _tagging(_: Bucket, root: ET.Element) -> None:
    parse_tagging(root, MAX_BUCKET_TAGS, "Bucket")


def _website(_: Bucket, root: ET.Element) -> None:
    redirect = root.find("RedirectAllRequestsTo")
    if redirect is not None:
        if not _text(redirect, "HostName") or len(root) != 1:
            raise S3Error("MalformedXML")
    elif not _text(root, "IndexDocument/Suffix"):
        raise S3Error(
            "InvalidArgument", "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty"
        )
    elif "/" in _text(root, "IndexDocument/Suffix"):
        raise S3Error("InvalidArgument", "The IndexDocument Suffix is not well formed")


@dataclass(frozen=True, slots=True)
class Document:
    """A kind of document: its root element, its check, what a GET says when there is none (an error code, or the
    content of an empty document), and whether a PUT must bring a digest."""

    root: str
    check: Check
    absent: str
    content: str | None = None
    digest: bool = False


DOCUMENTS = {
    "accelerate": Document("AccelerateConfiguration", _accelerate, "", ""),
    "cors": Document("CORSConfiguration", _cors, "NoSuchCORSConfiguration"),
    "encryption": Document(
        "ServerSideEncryptionConfiguration",
        _encryption,
        "",
        "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
        "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>",
    ),
    "lifecycle": Document("LifecycleConfiguration", _lifecycle, "NoSuchLifecycleConfiguration", digest=True),
    "logging": Document("BucketLoggingStatus", _logging, "", ""),
    "notification": Document("NotificationConfiguration", _notification, "", ""),
    LOCK: Document("ObjectLockConfiguration", check_configuration, "ObjectLockConfigurationNotFoundError", digest=True),
    "ownershipControls": Document("OwnershipControls", _ownership, "OwnershipControlsNotFoundError"),
    "publicAccessBlock": Document(
        "PublicAccessBlockConfiguration", _public_access, "NoSuchPublicAccessBlockConfiguration"
    ),
    "replication": Document("ReplicationConfiguration", _replication, "ReplicationConfigurationNotFoundError"),
    "requestPayment": Document("RequestPaymentConfiguration", _payment, "", "<Payer>BucketOwner</Payer>"),
    "tagging": Document("Tagging", _tagging, "NoSuchTagSet"),
    "website": Document("WebsiteConfiguration", _website, "NoSuchWebsiteConfiguration"),
}


def document(context: Context) -> Response:
    """Get, put or delete one of ``DOCUMENTS``."""
    bucket = context.bucket
    name = next(name for name in DOCUMENTS if name in context.query)
    kind = DOCUMENTS[name]
    method = context.head.method
    if method == "DELETE":
        context.store.set_document(bucket, name, None)
        return Response(204)
    if method == "PUT":
        if kind.digest:
            require_digest(context)
        if not context.document:
            raise S3Error("MissingRequestBodyError")
        kind.check(bucket, parse_xml(context.document, kind.root))
        context.store.set_document(bucket, name, context.document)
        return Response(204 if name == "tagging" else 200)
    kept = bucket.documents.get(name)
    if kept is not None:
        return Response(200, [("Content-Type", "application/xml")], kept)
    if kind.content is None:
        raise S3Error(kind.absent, extra={"BucketName": bucket.name})
    return xml_response(kind.root, kind.content)


def versioning(context: Context) -> Response:
    bucket = context.bucket
    if context.head.method == "GET":
        status = text_element("Status", bucket.versioning) if bucket.versioning else ""
        return xml_response("VersioningConfiguration", status)
    root = parse_xml(context.document, "VersioningConfiguration")
    if _text(root, "MfaDelete") == "Enabled":
        raise S3Error("NotImplemented", "MFA delete is not implemented")
    status = _text(root, "Status")
    if status not in ("Enabled", "Suspended"):
        raise S3Error("IllegalVersioningConfigurationException")
    if status == "Suspended" and LOCK in bucket.documents:
        raise S3Error(
            "InvalidBucketState",
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
        )
    context.store.set_versioning(bucket, status)
    return Response(200)


def policy(context: Context) -> Response:
    """The bucket policy: JSON that is kept, and never applied."""
    bucket = context.bucket
    method = context.head.method
    if method == "PUT":
        _check_policy(context.document, bucket.name)
        context.store.set_document(bucket, "policy", context.document)
        return Response(204)
    if method == "DELETE":
        context.store.set_document(bucket, "policy", None)
        return Response(204)
    return Response(200, [("Content-Type", "application/json")], _kept_policy(bucket))


def policy_status(context: Context) -> Response:
    """GetBucketPolicyStatus: public if a statement allows something to everybody without a condition."""
    statements = json.loads(_kept_policy(context.bucket))["Statement"]
    public = any(
        statement["Effect"] == "Allow"
        and not statement.get("Condition")
        and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        for statement in (statements if isinstance(statements, list) else [statements])
    )
    return xml_response("PolicyStatus", f"<IsPublic>{str(public).lower()}</IsPublic>")


def _kept_policy(bucket: Bucket) -> bytes:
    kept = bucket.documents.get("policy")
    if kept is None:
        raise S3Error("NoSuchBucketPolicy", extra={"BucketName": bucket.name})
    return kept


def _check_policy(document: bytes, bucket: str) -> None:
    """Refuse what is no policy, or is one about something else than this bucket."""
    if len(document) > MAX_POLICY:
        raise S3Error("MalformedPolicy", "Policies must not exceed 20 KB")
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        raise S3Error("MalformedPolicy", "This policy contains invalid Json") from None
    if not isinstance(found, dict):
        raise S3Error("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'")
    if found.get("Version", "2008-10-17") not in ("2008-10-17", "2012-10-17"):
        raise S3Error("MalformedPolicy", "The policy must contain a valid version string")
    statements = found.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise S3Error("MalformedPolicy", "Missing required field Statement")
    for statement in statements:
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise S3Error("MalformedPolicy", "Missing required field Effect")
        for one, other in (("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")):
            if (one in statement) == (other in statement):
                raise S3Error("MalformedPolicy", f"Missing required field {one}")
        resources = statement.get("Resource", statement.get("NotResource"))
        for resource in resources if isinstance(resources, list) else [resources]:
            name = str(resource).removeprefix("arn:aws:s3:::").partition("/")[0]
            if not str(resource).startswith("arn:aws:s3:::") or (
                name != bucket and "*" not in name and "?" not in name
            ):
                raise S3Error("MalformedPolicy", "Policy has invalid resource")
        actions = statement.get("Action", statement.get("NotAction"))
        for action in actions if isinstance(actions, list) else [actions]:
            if action != "*" and not str(action).lower().startswith("s3:"):
                raise S3Error("MalformedPolicy", "Policy has invalid action")
