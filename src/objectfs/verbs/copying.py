"""Copies at the server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Unpack

from objectfs import arguments as check
from objectfs.backends.copying import LARGEST_COPY, PART_SIZE, THRESHOLD, CopyPlan, CopySource
from objectfs.backends.drive import Progress
from objectfs.errors import InvalidRequestError
from objectfs.options import CopyParams
from objectfs.types import PutResult
from objectfs.units import parse_size
from objectfs.verbs.driving import Driver

__all__ = ["CopyVerbs", "copy_plan"]

LEAST_PART = 5 * 1024 * 1024
"""Bytes of every part but the last (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

# Options that replace what would be kept otherwise.
_DESCRIBES = {
    "metadata": "metadata",
    "tags": "tags",
    "cache_control": "cache-control",
    "content_disposition": "content-disposition",
    "content_encoding": "content-encoding",
    "content_language": "content-language",
    "content_type": "content-type",
    "expires": "expires",
}


class CopyVerbs(Driver):
    """Verbs of Client."""

    def copy(
        self,
        src_bucket: str,
        src_key: str,
        bucket: str,
        key: str,
        *,
        src_version_id: str | None = None,
        src_if_match: str | None = None,
        src_if_none_match: str | None = None,
        src_if_modified_since: datetime | None = None,
        src_if_unmodified_since: datetime | None = None,
        src_sse_customer_key: bytes | str | None = None,
        src_expected_bucket_owner: str | None = None,
        multipart_threshold: int | str | None = None,
        part_size: int | str | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[CopyParams],
    ) -> PutResult:
        """Copy an object at the server, within or between buckets: its bytes do not come by here.

        HeadObject of the source, then one CopyObject; larger ones are copied in parallel parts (CreateMultipartUpload,
        UploadPartCopy, CompleteMultipartUpload), all of the source as HeadObject found it. Content headers, metadata
        and tags (GetObjectTagging) are kept, each unless given anew: ``content_type=`` alone leaves the metadata as it
        is, and ``tags={}`` or ``metadata={}`` means none. Storage class, ACL, encryption, lock and website redirect are
        the destination's own, as S3 has it: what is not given is the bucket's default.

        Args:
            src_version_id: of the source; its current version if not given.
            src_if_match, src_if_none_match: ETags, of the source.
            src_if_modified_since, src_if_unmodified_since: with a time zone.
            src_sse_customer_key: what the source was encrypted with (SSE-C), as ``sse_customer_key`` is what the
                destination is to be encrypted with.
            src_expected_bucket_owner: the account that must own the source's bucket.
            multipart_threshold: bytes (or text, ``"1 GiB"``) above which a copy is made in parts; 256 MiB, at most
                5 GiB. The ETag of what was copied in parts is not that of the source.
            part_size: bytes of these parts; 64 MiB, at least 5 MiB.
            if_match, if_none_match: conditions on the destination.
            progress: called with the number of bytes copied so far.

        Returns:
            ETag and version of the copy.

        Raises:
            NotFoundError: there is no such source.
            ObjectChangedError: the source was replaced while it was copied; nothing was stored (AbortMultipartUpload).
            PreconditionFailedError: a condition does not hold.
            AccessDeniedError: also where the tags of a large object may not be read, which is needed to keep them.
        """
        asked = check.put_options("CopyParams", options)
        source = {
            "version_id": src_version_id,
            "if_match": src_if_match,
            "if_none_match": src_if_none_match,
            "if_modified_since": src_if_modified_since,
            "if_unmodified_since": src_if_unmodified_since,
            "sse_customer_key": src_sse_customer_key,
            "expected_bucket_owner": src_expected_bucket_owner,
            "request_payer": options.get("request_payer"),
        }
        plan = copy_plan(src_bucket, src_key, source, options, asked, multipart_threshold, part_size)
        self._core.check_options(plan.source.options, src_bucket)
        return self._run(
            "CopyObject",
            bucket,
            key,
            lambda backend: backend.copy(bucket, key, plan),
            timeout,
            progress,
            options=asked,
        )


def copy_plan(
    src_bucket: str,
    src_key: str,
    source: Mapping[str, Any],
    options: Mapping[str, Any],
    asked: Any,
    threshold: int | str | None,
    part_size: int | str | None,
) -> CopyPlan:
    """What the backend is asked for.

    Args:
        source: the source's options by their names without ``src_``.
        options: the destination's as they were given, and ``asked``: as they were checked.
    """
    check.check_bucket(src_bucket)
    check.check_key(src_key, src_bucket)
    return CopyPlan(
        CopySource(src_bucket, src_key, check.get_options("HeadParams", source)),
        asked,
        frozenset(kept for name, kept in _DESCRIBES.items() if options.get(name) is not None),
        _size("multipart_threshold", threshold, 1, THRESHOLD),
        _size("part_size", part_size, LEAST_PART, PART_SIZE),
    )


def _size(name: str, value: int | str | None, least: int, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError(f"{name} must be a number of bytes, text such as '1 GiB', or None, not {type(value).__name__}")
    try:
        size = parse_size(value)
    except ValueError as error:
        raise InvalidRequestError(f"{name}={value!r}: {error}") from None
    if not least <= size <= LARGEST_COPY:
        raise InvalidRequestError(f"{name}={value!r} must be from {least} bytes to 5 GiB, which S3 copies at once")
    return size
