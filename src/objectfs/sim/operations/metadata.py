"""The headers of an object: which are kept, and what they may say."""

from __future__ import annotations

import re

from objectfs.sim.errors import S3Error
from objectfs.sim.operations.context import Context
from objectfs.sim.operations.encryption import request_encryption
from objectfs.sim.store.bucket import Bucket

MAX_METADATA = 2048
_META = "x-amz-meta-"

# Kept with the object and sent back as they came.
_STORED = frozenset(
    ("content-type", "cache-control", "content-disposition", "content-language", "expires", "x-amz-storage-class")
)
_REDIRECT = "x-amz-website-redirect-location"

STORAGE_CLASSES = frozenset(
    (
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
    )
)
ARCHIVED = frozenset(("GLACIER", "DEEP_ARCHIVE"))


def check_storage_class(name: str | None) -> None:
    """Those of a general purpose bucket in a region; others are for places that are not simulated."""
    if name is not None and name not in STORAGE_CLASSES:
        raise S3Error("InvalidStorageClass", extra={"StorageClassRequested": name})


def stored_headers(headers: dict[str, str]) -> dict[str, str]:
    """The request headers that belong to the object. aws-chunked is a coding of the request, not of it."""
    kept: dict[str, str] = {}
    metadata = 0
    for name, value in headers.items():
        if name.startswith(_META):
            metadata += len(name) - len(_META) + len(value)
            kept[name] = value
        elif name in _STORED:
            kept[name] = value
        elif name == "content-encoding":
            codings = [c.strip() for c in value.split(",") if c.strip() and c.strip() != "aws-chunked"]
            if codings:
                kept[name] = ",".join(codings)
        elif name == _REDIRECT:
            if not re.match(r"/|https?://", value):
                raise S3Error("InvalidRedirectLocation", extra={"RedirectLocation": value})
            kept[name] = value
    if metadata > MAX_METADATA:
        raise S3Error("MetadataTooLarge", extra={"MaxSizeAllowed": str(MAX_METADATA), "Size": str(metadata)})
    check_storage_class(kept.get("x-amz-storage-class"))
    if kept.get("x-amz-storage-class") == "STANDARD":
        del kept["x-amz-storage-class"]
    if not kept.get("content-type"):
        kept["content-type"] = "binary/octet-stream"
    return kept


def write_headers(context: Context, bucket: Bucket) -> dict[str, str]:
    """What a write keeps with its object: headers, metadata, encryption."""
    return {**stored_headers(context.head.headers), **request_encryption(context, bucket)}
