"""One row for each option: its name, what it may be, how botocore and HTTP call it, and which requests carry it.

``tests/unit/test_options.py`` compares the rows with botocore's model of S3 and with the TypedDicts.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from objectfs.errors import InvalidRequestError
from objectfs.options import checks
from objectfs.options.checks import Check, http_date, one_of, text
from objectfs.options.params import (
    CopyParams,
    DeleteManyParams,
    DeleteParams,
    GetFileParams,
    GetManyParams,
    GetParams,
    HeadParams,
    ListParams,
    ListVersionsParams,
    PutFileParams,
    PutManyParams,
    PutParams,
    RangesParams,
    UploadPartParams,
)

__all__ = ["GROUPS", "OPTIONS", "OWN", "Option", "check_options"]

_READ = frozenset(("GetObject", "HeadObject"))
_CREATE = frozenset(("PutObject", "CreateMultipartUpload"))
_APPEAR = frozenset(("PutObject", "CompleteMultipartUpload"))
_DELETE = frozenset(("DeleteObject", "DeleteObjects"))
_LIST = frozenset(("ListObjectsV2", "ListObjectVersions"))
_SSE_C = _READ | _CREATE | {"UploadPart", "CompleteMultipartUpload"}
_ALL = _SSE_C | {"AbortMultipartUpload"} | _DELETE | _LIST
"""What the verbs send."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of S3."""

    name: str
    """As the verbs have it."""
    parameter: str
    """As botocore's model has it."""
    place: Literal["header", "query", "headers"]
    """Where it stands in a request; ``headers``: a prefix, and one header for each entry."""
    wire: str
    """The header's name, in lower case, or the query parameter's."""
    check: Check
    """Makes the text that is sent of the caller's value."""
    operations: frozenset[str]
    """The requests that carry it."""


def _header(name: str, parameter: str, wire: str, check: Check, operations: frozenset[str]) -> Option:
    return Option(name, parameter, "header", wire, check, operations)


def _response(what: str, check: Check = text) -> Option:
    parameter = "Response" + "".join(word.capitalize() for word in what.split("-"))
    return Option("response_" + what.replace("-", "_"), parameter, "query", f"response-{what}", check, _READ)


_ACL = one_of(
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)
_SSE = "x-amz-server-side-encryption"

_ROWS = (
    # which object, and whether
    Option("version_id", "VersionId", "query", "versionId", text, _READ | {"DeleteObject"}),
    Option("part_number", "PartNumber", "query", "partNumber", checks.whole(1, 10_000), _READ),
    _header("if_match", "IfMatch", "if-match", text, _READ | _APPEAR | {"DeleteObject"}),
    _header("if_none_match", "IfNoneMatch", "if-none-match", text, _READ | _APPEAR),
    _header("if_modified_since", "IfModifiedSince", "if-modified-since", http_date, _READ),
    _header("if_unmodified_since", "IfUnmodifiedSince", "if-unmodified-since", http_date, _READ),
    _header(
        "if_match_last_modified_time",
        "IfMatchLastModifiedTime",
        "x-amz-if-match-last-modified-time",
        http_date,
        frozenset(("DeleteObject",)),
    ),
    _header(
        "if_match_size", "IfMatchSize", "x-amz-if-match-size", checks.whole(0, 2**53), frozenset(("DeleteObject",))
    ),
    # what the answer looks like
    _response("cache-control"),
    _response("content-disposition"),
    _response("content-encoding"),
    _response("content-language"),
    _response("content-type"),
    _response("expires", http_date),
    # GetObject's is the validation's own
    _header("checksum_mode", "ChecksumMode", "x-amz-checksum-mode", one_of("ENABLED"), frozenset(("HeadObject",))),
    # what describes the object
    _header("cache_control", "CacheControl", "cache-control", text, _CREATE),
    _header("content_disposition", "ContentDisposition", "content-disposition", text, _CREATE),
    _header("content_encoding", "ContentEncoding", "content-encoding", text, _CREATE),
    _header("content_language", "ContentLanguage", "content-language", text, _CREATE),
    _header("content_type", "ContentType", "content-type", text, _CREATE),
    _header("expires", "Expires", "expires", http_date, _CREATE),
    Option("metadata", "Metadata", "headers", "x-amz-meta-", checks.checked_metadata, _CREATE),
    _header("tags", "Tagging", "x-amz-tagging", checks.tagging, _CREATE),
    _header("storage_class", "StorageClass", "x-amz-storage-class", text, _CREATE),
    _header(
        "website_redirect_location",
        "WebsiteRedirectLocation",
        "x-amz-website-redirect-location",
        checks.redirect,
        _CREATE,
    ),
    # who may do what with it
    _header("acl", "ACL", "x-amz-acl", _ACL, _CREATE),
    _header("grant_full_control", "GrantFullControl", "x-amz-grant-full-control", text, _CREATE),
    _header("grant_read", "GrantRead", "x-amz-grant-read", text, _CREATE),
    _header("grant_read_acp", "GrantReadACP", "x-amz-grant-read-acp", text, _CREATE),
    _header("grant_write_acp", "GrantWriteACP", "x-amz-grant-write-acp", text, _CREATE),
    _header(
        "object_lock_mode",
        "ObjectLockMode",
        "x-amz-object-lock-mode",
        one_of("GOVERNANCE", "COMPLIANCE"),
        _CREATE,
    ),
    _header(
        "object_lock_retain_until",
        "ObjectLockRetainUntilDate",
        "x-amz-object-lock-retain-until-date",
        checks.iso_date,
        _CREATE,
    ),
    _header(
        "object_lock_legal_hold",
        "ObjectLockLegalHoldStatus",
        "x-amz-object-lock-legal-hold",
        one_of("ON", "OFF"),
        _CREATE,
    ),
    _header(
        "bypass_governance_retention",
        "BypassGovernanceRetention",
        "x-amz-bypass-governance-retention",
        checks.flag,
        _DELETE,
    ),
    _header("mfa", "MFA", "x-amz-mfa", text, _DELETE),
    # encryption
    _header(
        "server_side_encryption", "ServerSideEncryption", _SSE, one_of("AES256", "aws:kms", "aws:kms:dsse"), _CREATE
    ),
    _header("sse_kms_key_id", "SSEKMSKeyId", f"{_SSE}-aws-kms-key-id", text, _CREATE),
    _header("sse_kms_encryption_context", "SSEKMSEncryptionContext", f"{_SSE}-context", checks.context, _CREATE),
    _header("bucket_key_enabled", "BucketKeyEnabled", f"{_SSE}-bucket-key-enabled", checks.flag, _CREATE),
    # its algorithm and its MD5 follow from it: given.py
    _header("sse_customer_key", "SSECustomerKey", f"{_SSE}-customer-key", checks.customer_key, _SSE_C),
    # of listings
    Option("fetch_owner", "FetchOwner", "query", "fetch-owner", checks.flag, frozenset(("ListObjectsV2",))),
    _header(
        "optional_object_attributes",
        "OptionalObjectAttributes",
        "x-amz-optional-object-attributes",
        checks.attributes,
        _LIST,
    ),
    # of every request
    _header("request_payer", "RequestPayer", "x-amz-request-payer", one_of("requester"), _ALL),
    _header("expected_bucket_owner", "ExpectedBucketOwner", "x-amz-expected-bucket-owner", checks.owner, _ALL),
)

OPTIONS: Mapping[str, Option] = {row.name: row for row in _ROWS}

OWN = frozenset(("headers", "checksum", "expected_checksum", "resume"))
"""Options that are not S3's: what becomes of them is the verb's to say."""

GROUPS: Mapping[str, frozenset[str]] = {
    kind.__name__: frozenset(kind.__annotations__)
    for kind in (
        GetManyParams,
        RangesParams,
        GetParams,
        GetFileParams,
        HeadParams,
        PutManyParams,
        PutParams,
        PutFileParams,
        CopyParams,
        UploadPartParams,
        DeleteManyParams,
        DeleteParams,
        ListParams,
        ListVersionsParams,
    )
}
"""The names that a verb takes, by the TypedDict of its signature."""


def check_options(group: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The S3 options among a verb's keyword arguments, checked, each as the text that is sent.

    Raises:
        TypeError: the verb has no such option, or its value is of a wrong type.
        InvalidRequestError: a value that S3 does not take.
    """
    allowed = GROUPS[group]
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name not in allowed:
            raise _unknown(name, allowed)
        if value is None or name in OWN:
            continue
        found = OPTIONS[name].check(name, value)
        if not found or (found == "false" and name == "bypass_governance_retention"):
            continue  # nothing to say: no metadata, no tags
        checked[name] = found
    if checked:
        _check_together(checked)
    return checked


def _unknown(name: str, allowed: frozenset[str]) -> TypeError:
    near = difflib.get_close_matches(name.lower().replace("-", "_"), sorted(allowed), 1)
    if not near:
        # by botocore's name, or by the header's
        near = [row.name for row in _ROWS if name in (row.parameter, row.wire) and row.name in allowed]
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(allowed))}"
    if name in OPTIONS or name in OWN:
        return TypeError(f"{name} is an option of S3, but not of this verb; {hint}")
    return TypeError(f"there is no option {name!r}; {hint}")


_KMS = ("sse_kms_key_id", "sse_kms_encryption_context")


def _check_together(given: Mapping[str, Any]) -> None:
    encryption = given.get("server_side_encryption")
    for name in _KMS:
        if name in given and encryption not in ("aws:kms", "aws:kms:dsse"):
            raise InvalidRequestError(
                f"{name} goes with server_side_encryption='aws:kms' or 'aws:kms:dsse', not {encryption!r}"
            )
    if "sse_customer_key" in given and encryption is not None:
        raise InvalidRequestError(
            f"sse_customer_key and server_side_encryption={encryption!r} exclude each other: S3 encrypts with one key"
        )
    if ("object_lock_mode" in given) != ("object_lock_retain_until" in given):
        raise InvalidRequestError("object_lock_mode and object_lock_retain_until go together")
    if "acl" in given and any(name.startswith("grant_") for name in given):
        raise InvalidRequestError("acl and grant_… exclude each other")
