"""The keyword arguments of the verbs, for type checkers: ``**options: Unpack[GetParams]``.

None stands for "not given" everywhere. The names are botocore's parameter names in snake case, short where a shorter
one is usual. The rows of :mod:`objectfs.options.table` are these same names: a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, TypedDict

__all__ = [
    "Acl",
    "ChecksumAlgorithm",
    "CopyParams",
    "DeleteManyParams",
    "DeleteParams",
    "ExpectedChecksum",
    "GetFileParams",
    "GetManyParams",
    "GetParams",
    "HeadParams",
    "ListParams",
    "ListVersionsParams",
    "PutFileParams",
    "PutManyParams",
    "PutParams",
    "RangesParams",
    "UploadPartParams",
]

ChecksumAlgorithm = Literal["CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256"]

ExpectedChecksum = str | tuple[str, str]
"""``("SHA256", "<base64>")``, or ``"sha256:<hex or base64>"``; of the bytes that the call moves."""

Acl = Literal[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
]


class _Common(TypedDict, total=False):
    """Of every verb."""

    request_payer: Literal["requester"] | None
    """Whoever asks agrees to pay for the request and the data, of a Requester Pays bucket."""
    expected_bucket_owner: str | None
    """The 12 digits of the AWS account that must own the bucket; AccessDeniedError if it does not."""
    headers: Mapping[str, str] | None
    """Further request headers, sent as they are with every request that describes the object."""


class GetManyParams(_Common, total=False):
    """Of ``get_many``, and of every verb that reads (GetObject)."""

    if_modified_since: datetime | None
    """With a time zone. PreconditionFailedError (304) if the object has not changed since."""
    if_unmodified_since: datetime | None
    """With a time zone. PreconditionFailedError (412) if it has."""
    response_cache_control: str | None
    """What the answer has as ``Cache-Control``, whatever the object has. Refused for anonymous requests."""
    response_content_disposition: str | None
    """Likewise ``Content-Disposition``."""
    response_content_encoding: str | None
    """Likewise ``Content-Encoding``."""
    response_content_language: str | None
    """Likewise ``Content-Language``."""
    response_content_type: str | None
    """Likewise ``Content-Type``."""
    response_expires: datetime | None
    """Likewise ``Expires``; with a time zone."""
    sse_customer_key: bytes | str | None
    """The 256-bit key that the object was stored with (SSE-C): 32 bytes, or their base64. Never sent in the clear to
    another machine: over http only to this one."""
    checksum: Literal["auto", "off"] | None
    """``off``: the content is not validated against the object's checksum."""


class RangesParams(GetManyParams, total=False):
    """Of ``get_ranges``, and of every verb that reads one object."""

    version_id: str | None
    """That version of the object, not the current one."""
    if_match: str | None
    """An ETag: PreconditionFailedError (412) unless it is the object's."""
    if_none_match: str | None
    """An ETag: PreconditionFailedError (304) if it is the object's."""


class GetParams(RangesParams, total=False):
    """Of ``get``, ``get_into`` and ``get_file``."""

    part_number: int | None
    """1 to 10,000: that part of an object that was uploaded in parts, with one request."""
    expected_checksum: ExpectedChecksum | None
    """Of the content that is fetched, be it a range. ChecksumError if it has another; a file then does not appear."""


class GetFileParams(GetParams, total=False):
    """Of ``get_file``."""

    resume: bool | None
    """True: what an earlier call has fetched of the object is not fetched again; failures keep it: docs/resume.md"""


class HeadParams(RangesParams, total=False):
    """Of ``head`` and ``exists`` (HeadObject)."""

    part_number: int | None
    """1 to 10,000: of that part of an object that was uploaded in parts."""
    checksum_mode: Literal["ENABLED"] | None
    """Ask for the object's checksum: it is then among ``ObjectInfo.headers``."""


class PutManyParams(_Common, total=False):
    """Of ``put_many``, and of every verb that stores (PutObject, CreateMultipartUpload)."""

    if_none_match: Literal["*"] | None
    """``"*"``: only where there is no such object yet, else PreconditionFailedError (412)."""
    cache_control: str | None
    """The ``Cache-Control`` that a GET of the object answers."""
    content_disposition: str | None
    """Likewise ``Content-Disposition``."""
    content_encoding: str | None
    """Likewise ``Content-Encoding``; the bytes are stored as they are given."""
    content_language: str | None
    """Likewise ``Content-Language``."""
    content_type: str | None
    """Likewise ``Content-Type``; S3's own default is ``binary/octet-stream``."""
    expires: datetime | None
    """With a time zone: the ``Expires`` that a GET of the object answers."""
    metadata: Mapping[str, str] | None
    """The user's own (``x-amz-meta-``): ASCII, at most 2,048 bytes."""
    tags: Mapping[str, str] | None
    """At most 10; keys of up to 128 characters, values of up to 256."""
    storage_class: str | None
    """``STANDARD_IA``, ``GLACIER_IR``, or whatever the server calls its classes."""
    website_redirect_location: str | None
    """``/key`` or a URL."""
    acl: Acl | None
    """A canned ACL; excludes ``grant_…``."""
    grant_full_control: str | None
    """Who may do everything: ``id="…"``, ``uri="…"`` or ``emailAddress="…"``, separated by commas."""
    grant_read: str | None
    """Likewise who may read the object."""
    grant_read_acp: str | None
    """Likewise who may read its ACL."""
    grant_write_acp: str | None
    """Likewise who may change its ACL."""
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None
    """With S3's own keys (SSE-S3), or with a KMS key, once or in two layers; the bucket's default where it is not
    given."""
    sse_kms_key_id: str | None
    """The id, ARN or alias of the KMS key; S3's own key for the account where it is not given."""
    sse_kms_encryption_context: Mapping[str, str] | str | None
    """A mapping, or the base64 of its JSON."""
    bucket_key_enabled: bool | None
    """One KMS data key for many objects of the bucket, with SSE-KMS."""
    sse_customer_key: bytes | str | None
    """A 256-bit key to encrypt with (SSE-C), which S3 forgets: 32 bytes, or their base64. Over http only to this
    machine."""
    object_lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] | None
    """How this version is kept from being deleted; goes together with ``object_lock_retain_until``."""
    object_lock_retain_until: datetime | None
    """Until when; with a time zone."""
    object_lock_legal_hold: Literal["ON", "OFF"] | None
    """``ON``: this version cannot be deleted until it is ``OFF``."""
    checksum: Literal["auto", "off"] | ChecksumAlgorithm | None
    """Instead of the client's: the algorithm that the upload carries, or ``off``."""


class PutParams(PutManyParams, total=False):
    """Of ``put`` and ``put_file``."""

    if_match: str | None
    """Only where the object has this ETag, else PreconditionFailedError (412)."""
    expected_checksum: ExpectedChecksum | None
    """Of the whole content. ChecksumError, and nothing is stored, if it has another."""


class PutFileParams(PutParams, total=False):
    """Of ``put_file``."""

    resume: bool | None
    """True: parts that an earlier call has sent are not sent again; failures keep the upload: docs/resume.md"""


class CopyParams(PutManyParams, total=False):
    """Of ``copy`` (CopyObject, UploadPartCopy): of the destination."""

    if_match: str | None
    """Only where the destination has this ETag, else PreconditionFailedError (412)."""


class UploadPartParams(_Common, total=False):
    """Of a presigned ``upload_part``."""

    sse_customer_key: bytes | str | None
    """What the upload was created with."""


class DeleteManyParams(_Common, total=False):
    """Of ``delete_many`` (DeleteObjects), and of ``delete``."""

    bypass_governance_retention: bool | None
    """Delete although a GOVERNANCE lock holds the version; needs the permission to."""
    mfa: str | None
    """The device's serial number, a space, and its code, for buckets with MFA Delete."""


class DeleteParams(DeleteManyParams, total=False):
    """Of ``delete`` (DeleteObject)."""

    version_id: str | None
    """That version, for good; without it, a bucket that keeps versions gets a delete marker."""
    if_match: str | None
    """Only where the object has this ETag, else PreconditionFailedError (412)."""
    if_match_last_modified_time: datetime | None
    """Only where it was last modified then; with a time zone. Of directory buckets."""
    if_match_size: int | None
    """Only where it has this size, in bytes. Of directory buckets."""


class ListVersionsParams(_Common, total=False):
    """Of ``list_versions`` (ListObjectVersions)."""

    optional_object_attributes: Sequence[Literal["RestoreStatus"]] | None
    """What else S3 is to say of each object, or version of one."""


class ListParams(ListVersionsParams, total=False):
    """Of ``list`` (ListObjectsV2)."""

    fetch_owner: bool | None
    """Have S3 name each object's owner: ``ObjectInfo.owner``."""
