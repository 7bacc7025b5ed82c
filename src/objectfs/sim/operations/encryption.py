"""Server-side encryption as its headers show it. Nothing is encrypted: keys are checked, then forgotten."""

from __future__ import annotations

import base64
import binascii
import hashlib

from objectfs.sim.errors import S3Error
from objectfs.sim.operations.context import ACCOUNT_ID, Context
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.xml import parse_xml

SSE = "x-amz-server-side-encryption"
KMS_KEY = f"{SSE}-aws-kms-key-id"
KMS_CONTEXT = f"{SSE}-context"
BUCKET_KEY = f"{SSE}-bucket-key-enabled"
CUSTOMER = f"{SSE}-customer-"
CUSTOMER_ALGORITHM = f"{CUSTOMER}algorithm"
CUSTOMER_MD5 = f"{CUSTOMER}key-md5"

# Sent back with the object.
ECHOED = (SSE, KMS_KEY, BUCKET_KEY, CUSTOMER_ALGORITHM, CUSTOMER_MD5)
_KMS = ("aws:kms", "aws:kms:dsse")


def sse_headers(headers: dict[str, str]) -> list[tuple[str, str]]:
    """What an answer says of an object's encryption."""
    return [(name, headers[name]) for name in ECHOED if name in headers]


def uses_md5_etag(headers: dict[str, str]) -> bool:
    """ETags of objects under SSE-KMS and SSE-C are no MD5s."""
    return headers.get(SSE) == "AES256"


def request_encryption(context: Context, bucket: Bucket) -> dict[str, str]:
    """The encryption that a write asks for, or the bucket's default, as headers to keep with the object."""
    headers = context.head.headers
    customer = customer_key(context)
    method = headers.get(SSE)
    if customer is not None:
        if method is not None:
            raise S3Error(
                "InvalidArgument",
                "Server Side Encryption with Customer provided key is incompatible with the encryption method "
                "specified",
                extra={"ArgumentName": SSE, "ArgumentValue": method},
            )
        return {CUSTOMER_ALGORITHM: "AES256", CUSTOMER_MD5: customer}
    key = headers.get(KMS_KEY)
    if method is None:
        if key is not None:
            raise _kms_without(KMS_KEY, key)
        return _default(context, bucket)
    if method != "AES256" and method not in _KMS:
        raise S3Error(
            "InvalidArgument",
            "The encryption method specified is not supported",
            extra={"ArgumentName": SSE, "ArgumentValue": method},
        )
    if method == "AES256":
        if key is not None:
            raise _kms_without(KMS_KEY, key)
        return {SSE: method}
    kept = {SSE: method, KMS_KEY: _key_arn(context, key)}
    if headers.get(BUCKET_KEY, "").lower() == "true":
        kept[BUCKET_KEY] = "true"
    return kept


def _kms_without(name: str, value: str) -> S3Error:
    return S3Error(
        "InvalidArgument",
        f"Server Side Encryption with AWS KMS managed key requires HTTP header {SSE} : aws:kms",
        extra={"ArgumentName": name, "ArgumentValue": value},
    )


def _key_arn(context: Context, key: str | None) -> str:
    """S3 answers with the key's ARN; without a key it is the account's own one for S3."""
    if key is None:
        key = "5e5e5e5e-0000-4000-8000-000000000000"
    if key.startswith("arn:"):
        return key
    kind = "" if key.startswith("alias/") else "key/"
    return f"arn:aws:kms:{context.region}:{ACCOUNT_ID}:{kind}{key}"


def _default(context: Context, bucket: Bucket) -> dict[str, str]:
    document = bucket.documents.get("encryption")
    if document is None:
        return {SSE: "AES256"}
    root = parse_xml(document, "ServerSideEncryptionConfiguration")
    found = {node.tag: (node.text or "").strip() for node in root.iter()}
    method = found.get("SSEAlgorithm", "AES256")
    if method == "AES256":
        return {SSE: method}
    kept = {SSE: method, KMS_KEY: _key_arn(context, found.get("KMSMasterKeyID") or None)}
    if found.get("BucketKeyEnabled", "").lower() == "true":
        kept[BUCKET_KEY] = "true"
    return kept


def customer_key(context: Context, prefix: str = "x-amz-") -> str | None:
    """The MD5 of the SSE-C key that the request brings; None without one. Raises what S3 raises for half a key, a
    key of the wrong length, a wrong MD5, and a key sent in the clear."""
    headers = context.head.headers
    start = f"{prefix}server-side-encryption-customer-"
    algorithm, key, md5 = (headers.get(start + name) for name in ("algorithm", "key", "key-md5"))
    if algorithm is None and key is None and md5 is None:
        return None
    if not context.secure:
        raise S3Error(
            "InvalidRequest",
            "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure "
            "connection.",
        )
    if algorithm is None:
        raise _incomplete("a valid encryption algorithm", f"{start}algorithm")
    if algorithm != "AES256":
        raise S3Error(
            "InvalidEncryptionAlgorithmError", extra={"ArgumentName": f"{start}algorithm", "ArgumentValue": algorithm}
        )
    if key is None:
        raise _incomplete("an appropriate secret key", f"{start}key")
    if md5 is None:
        raise _incomplete("the client calculated MD5 of the secret key", f"{start}key-MD5")
    try:
        secret = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != 32:
        raise S3Error(
            "InvalidArgument",
            "The secret key was invalid for the specified algorithm.",
            extra={"ArgumentName": f"{start}key"},
        )
    if base64.b64encode(hashlib.md5(secret, usedforsecurity=False).digest()).decode() != md5:
        raise S3Error(
            "InvalidArgument",
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            extra={"ArgumentName": f"{start}key-MD5", "ArgumentValue": md5},
        )
    return md5


def _incomplete(what: str, name: str) -> S3Error:
    return S3Error(
        "InvalidArgument",
        f"Requests specifying Server Side Encryption with Customer provided keys must provide {what}.",
        extra={"ArgumentName": name, "ArgumentValue": "null"},
    )


def check_read_key(context: Context, kept: dict[str, str], prefix: str = "x-amz-") -> None:
    """A read of an object under SSE-C must bring its key, and any other must bring none."""
    needed = kept.get(CUSTOMER_MD5)
    given = customer_key(context, prefix)
    if needed == given:
        return
    if given is None:
        raise S3Error(
            "InvalidRequest",
            "The object was stored using a form of Server Side Encryption. "
            "The correct parameters must be provided to retrieve the object.",
        )
    if needed is None:
        raise S3Error("InvalidRequest", "The encryption parameters are not applicable to this object.")
    raise S3Error("AccessDenied")


def check_no_sse(headers: dict[str, str]) -> None:
    """GET and HEAD take no SSE-S3 and SSE-KMS headers."""
    for name in (SSE, KMS_KEY):
        if name in headers:
            raise S3Error(
                "InvalidArgument",
                f"{name} header is not supported for this operation.",
                extra={"ArgumentName": name, "ArgumentValue": headers[name]},
            )


def check_part_key(context: Context, kept: dict[str, str]) -> None:
    """Each part of an upload under SSE-C must bring the upload's key."""
    needed = kept.get(CUSTOMER_MD5)
    given = customer_key(context)
    if needed == given:
        return
    if given is None:
        raise S3Error(
            "InvalidRequest",
            "The multipart upload initiate requested encryption. "
            "Subsequent part requests must include the appropriate encryption parameters.",
        )
    if needed is None:
        raise S3Error(
            "InvalidRequest",
            "The multipart upload initiate did not request encryption. "
            "Please resend the request without sending encryption parameters.",
        )
    raise S3Error("InvalidRequest", "The provided encryption parameters did not match the ones used originally.")
