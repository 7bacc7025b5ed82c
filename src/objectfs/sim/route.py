"""From a request head to bucket, key and the name of the S3 operation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Head

MAX_KEY = 1024

_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

# Sub-resources that are documents: the operation is one of these verbs + this name.
BUCKET_DOCUMENTS = {
    "accelerate": "BucketAccelerateConfiguration",
    "acl": "BucketAcl",
    "cors": "BucketCors",
    "encryption": "BucketEncryption",
    "lifecycle": "BucketLifecycleConfiguration",
    "logging": "BucketLogging",
    "notification": "BucketNotificationConfiguration",
    "object-lock": "ObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "PublicAccessBlock",
    "replication": "BucketReplication",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
OBJECT_DOCUMENTS = {
    "acl": "ObjectAcl",
    "tagging": "ObjectTagging",
    "legal-hold": "ObjectLegalHold",
    "retention": "ObjectRetention",
}
_UNDELETABLE = frozenset(
    (
        "accelerate",
        "acl",
        "legal-hold",
        "logging",
        "notification",
        "object-lock",
        "requestPayment",
        "retention",
        "versioning",
    )
)
_UNSUPPORTED = frozenset(
    (
        "abac",
        "analytics",
        "annotation",
        "inventory",
        "intelligent-tiering",
        "metrics",
        "select",
        "torrent",
        "session",
        "metadataTable",
        "metadataConfiguration",
    )
)
_DOCUMENT_VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}


@dataclass(slots=True)
class Target:
    """What a request addresses. ``path`` and ``raw_query`` are as sent; ``query`` is decoded."""

    path: str
    raw_query: str
    query: dict[str, str]
    bucket: str
    key: str
    host: str


def parse_target(head: Head, domains: tuple[str, ...]) -> Target:
    """Split the request target, path style or virtual-host style. Raises S3Error(InvalidURI)."""
    target = head.target
    host = head.headers.get("host", "")
    if not target.startswith("/"):
        scheme, separator, rest = target.partition("://")
        if not separator or scheme.lower() not in ("http", "https"):
            raise S3Error("InvalidURI")
        host, _, rest = rest.partition("/")
        target = f"/{rest}"
    path, _, raw_query = target.partition("?")
    query = parse_query(raw_query) if raw_query else {}
    name = path[1:]
    bucket = bucket_of_host(host, domains)
    if bucket:
        key = name
    else:
        bucket, _, key = name.partition("/")
        bucket = _decode(bucket)
    return Target(path, raw_query, query, bucket, _decode(key), host)


def bucket_of_host(host: str, domains: tuple[str, ...]) -> str:
    """The bucket in a virtual-host style Host header; empty for path style."""
    name = host.rsplit(":", 1)[0].lower()
    for domain in domains:
        if name == domain:
            return ""
        if name.endswith(domain) and name[: -len(domain)].endswith("."):
            return name[: -len(domain) - 1]
    return ""


def parse_query(raw: str) -> dict[str, str]:
    query: dict[str, str] = {}
    for item in raw.split("&"):
        if item:
            name, _, value = item.partition("=")
            query[_decode(name.replace("+", " "))] = _decode(value.replace("+", " "))
    return query


def _decode(text: str) -> str:
    if "%" not in text and text.isascii():
        return text
    if _BAD_ESCAPE.search(text):
        raise S3Error("InvalidURI")
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise S3Error("InvalidURI") from None


def check_key(key: str) -> None:
    if len(key) > MAX_KEY // 4 and len(key.encode()) > MAX_KEY:
        raise S3Error("KeyTooLongError", extra={"MaxSizeAllowed": str(MAX_KEY)})
    if "\0" in key:
        raise S3Error("InvalidURI")


def check_bucket_name(name: str) -> None:
    if not _BUCKET.fullmatch(name):
        raise S3Error("InvalidBucketName", extra={"BucketName": name})


def operation_name(head: Head, target: Target) -> str:
    """The name of the operation in the S3 API reference. Raises S3Error for what there is none for."""
    method, query = head.method, target.query
    for name in query:
        if name in _UNSUPPORTED:
            raise S3Error("NotImplemented", f"The sub-resource {name} is not implemented")
    if target.key:
        return _object_operation(method, query, "x-amz-copy-source" in head.headers)
    if target.bucket:
        return _bucket_operation(method, query)
    if method == "GET":
        return "ListBuckets"
    raise S3Error("MethodNotAllowed", extra={"Method": method, "ResourceType": "SERVICE"})


def _document_operation(method: str, query: dict[str, str], documents: dict[str, str]) -> str | None:
    """The operation on a sub-resource document, if the request names one."""
    for name, document in documents.items():
        if name not in query:
            continue
        if method == "DELETE" and name == "lifecycle":
            return "DeleteBucketLifecycle"
        impossible = (method == "DELETE" and name in _UNDELETABLE) or (method != "GET" and name == "policyStatus")
        if method not in _DOCUMENT_VERBS or impossible:
            raise S3Error("MethodNotAllowed", extra={"Method": method, "ResourceType": name.upper()})
        return _DOCUMENT_VERBS[method] + document
    return None


def _object_operation(method: str, query: dict[str, str], copy: bool) -> str:
    document = _document_operation(method, query, OBJECT_DOCUMENTS)
    if document is not None:
        return document
    if method == "GET":
        if "uploadId" in query:
            return "ListParts"
        return "GetObjectAttributes" if "attributes" in query else "GetObject"
    if method == "HEAD":
        return "HeadObject"
    if method == "PUT":
        if "renameObject" in query:
            return "RenameObject"
        if "uploadId" in query or "partNumber" in query:
            return "UploadPartCopy" if copy else "UploadPart"
        return "CopyObject" if copy else "PutObject"
    if method == "DELETE":
        return "AbortMultipartUpload" if "uploadId" in query else "DeleteObject"
    if method == "POST":
        if "uploads" in query:
            return "CreateMultipartUpload"
        if "uploadId" in query:
            return "CompleteMultipartUpload"
        if "restore" in query:
            return "RestoreObject"
    raise S3Error("MethodNotAllowed", extra={"Method": method, "ResourceType": "OBJECT"})


def _bucket_operation(method: str, query: dict[str, str]) -> str:
    document = _document_operation(method, query, BUCKET_DOCUMENTS)
    if document is not None:
        return document
    if method == "GET":
        if "location" in query:
            return "GetBucketLocation"
        if "uploads" in query:
            return "ListMultipartUploads"
        if "versions" in query:
            return "ListObjectVersions"
        return "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"
    if method == "HEAD":
        return "HeadBucket"
    if method == "PUT":
        return "CreateBucket"
    if method == "DELETE":
        return "DeleteBucket"
    if method == "POST":
        if "delete" in query:
            return "DeleteObjects"
        return "PostObject"
    raise S3Error("MethodNotAllowed", extra={"Method": method, "ResourceType": "BUCKET"})
