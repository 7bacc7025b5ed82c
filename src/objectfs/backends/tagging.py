"""Tags that a server has lost: Ceph takes none with CreateMultipartUpload, and says nothing of it.

Where the server is not AWS's own, an object that was made so is looked at (GetObjectTagging), and given its tags
(PutObjectTagging) if it has not got them. docs/design/0010-verbs.md
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

from objectfs import errors
from objectfs.backends.base import PutOptions, Steps
from objectfs.backends.copying import counted
from objectfs.types import PutResult

__all__ = ["see_to", "tagged", "tagged_all"]

log = logging.getLogger("objectfs.tagging")

_ASKED = (("expected_bucket_owner", "ExpectedBucketOwner"), ("request_payer", "RequestPayer"))


class Tagger(Protocol):
    """What a backend does for it."""

    @property
    def custom_endpoint(self) -> bool:
        """Whether the server is not AWS's own."""

    def call(self, operation: str, params: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """Any operation."""


def tagged(backend: Tagger, bucket: str, key: str, options: PutOptions, upload: Steps[PutResult]) -> Steps[PutResult]:
    """The upload; afterwards the object has the tags that were asked for.

    Raises:
        ObjectFSError: the object is there, and its tags could not be written; the hint says so.
    """
    result = yield from upload
    yield from see_to(backend, bucket, key, options, result)
    return result


def tagged_all(
    backend: Tagger, bucket: str, options: PutOptions, uploads: Steps[dict[str, PutResult]]
) -> Steps[dict[str, PutResult]]:
    """The same for many."""
    results = yield from uploads
    for key, result in results.items():
        yield from see_to(backend, bucket, key, options, result)
    return results


def see_to(backend: Tagger, bucket: str, key: str, options: PutOptions, result: PutResult) -> Steps[None]:
    """What :func:`tagged` does after the upload."""
    tags: str | None = options.given.get("tags")
    in_parts = result.etag is None or "-" in result.etag  # Ceph answers such an upload without an ETag
    if tags and in_parts and backend.custom_endpoint:
        given = {name: options.given[option] for option, name in _ASKED if option in options.given}
        try:
            # its documents are no progress of the upload
            yield from counted(_look(backend, bucket, key, result.version_id, tags, given), 0)
        except errors.ObjectFSError as error:
            error.hint = "The object was stored, but has not got its tags"
            raise


def _look(
    backend: Tagger, bucket: str, key: str, version_id: str | None, tags: str, given: Mapping[str, Any]
) -> Steps[None]:
    """Look whether the object has the tags (a query string), and give them to it if not."""
    params: dict[str, Any] = {"Bucket": bucket, "Key": key, **given}
    if version_id is not None:
        params["VersionId"] = version_id
    wanted = sorted(parse_qsl(tags, True))
    try:
        answer = yield from backend.call("GetObjectTagging", params)
    except errors.AccessDeniedError as error:
        # a server that takes the tags is the rule, a key that may not read them no reason to fail
        log.warning("s3://%s/%s: whether it has its tags cannot be seen: %s", bucket, key, error)
        return
    if sorted((tag["Key"], tag["Value"]) for tag in answer.get("TagSet", ())) != wanted:
        tagging = {"TagSet": [{"Key": name, "Value": value} for name, value in wanted]}
        yield from backend.call("PutObjectTagging", {**params, "Tagging": tagging})
