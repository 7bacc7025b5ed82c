"""Copies at the server, on both backends: which requests make up one. docs/design/0010-verbs.md has the reasons.

A small object is one CopyObject, which keeps metadata and tags by itself. A large one is copied in parts, side by side,
and nothing is kept by itself then: what describes the source is read (HeadObject, GetObjectTagging) and sent again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, urlencode

from objectfs import errors
from objectfs.backends.base import GetOptions, Op, PutOptions, Steps
from objectfs.backends.parts import whole_part_size
from objectfs.types import ObjectInfo, PutResult

__all__ = ["LARGEST_COPY", "PART_SIZE", "THRESHOLD", "Copier", "CopyPlan", "CopySource", "Counted", "copy"]

MiB = 1024 * 1024

LARGEST_COPY = 5 * 1024 * MiB
"""Bytes that one CopyObject, or one UploadPartCopy, takes
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html)."""

THRESHOLD = 256 * MiB
"""Larger objects are copied in parts: 0010."""

PART_SIZE = 64 * MiB
"""Of those parts, unless 10,000 of them would be too few."""

WINDOW = 32
"""Parts of one copy that are under way at a time. Their bytes do not come by here: 32 requests cost nothing."""

# What describes an object, and is its own again after CopyObject.
_KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")
_META = "x-amz-meta-"

_SOURCE_NAMES = {
    "if-match": "x-amz-copy-source-if-match",
    "if-none-match": "x-amz-copy-source-if-none-match",
    "if-modified-since": "x-amz-copy-source-if-modified-since",
    "if-unmodified-since": "x-amz-copy-source-if-unmodified-since",
    "x-amz-expected-bucket-owner": "x-amz-source-expected-bucket-owner",
    "x-amz-request-payer": "x-amz-request-payer",
}
_CUSTOMER = "x-amz-server-side-encryption-customer-"
_CONDITIONS = frozenset(name for name in _SOURCE_NAMES.values() if "-if-" in name)


@dataclasses.dataclass(frozen=True, slots=True)
class CopySource:
    """What is copied."""

    bucket: str
    key: str
    options: GetOptions
    """Version, conditions, the key of SSE-C."""

    @property
    def version_id(self) -> str | None:
        return self.options.version_id

    def header(self) -> str:
        """The value of ``x-amz-copy-source``. Only what RFC 3986 calls unreserved, and the slash, stays as it is."""
        between = "/object/" if self.bucket.startswith("arn:") else "/"
        named = quote(f"{self.bucket}{between}{self.key}", safe="/-_.~")
        return named if self.version_id is None else f"{named}?versionId={quote(self.version_id, safe='')}"

    def headers(self, etag: str | None = None) -> dict[str, str]:
        """What a copying request says of its source; with ``etag``, it must still be the object that has it."""
        found = {}
        for name, value in self.options.sent("HeadObject").items():
            if name.startswith(_CUSTOMER):
                found[name.replace("x-amz-", "x-amz-copy-source-", 1)] = value
            elif name in _SOURCE_NAMES:
                found[_SOURCE_NAMES[name]] = value
        if etag is not None:
            found = {name: value for name, value in found.items() if name not in _CONDITIONS}
            found["x-amz-copy-source-if-match"] = etag
        return found

    @property
    def conditional(self) -> bool:
        return any(name in _CONDITIONS for name in self.headers())

    def __str__(self) -> str:
        version = "" if self.version_id is None else f" (version {self.version_id})"
        return f"s3://{self.bucket}/{self.key}{version}"


@dataclasses.dataclass(frozen=True, slots=True)
class CopyPlan:
    """How a copy is made."""

    source: CopySource
    options: PutOptions
    """Of the destination."""
    replaced: frozenset[str] = frozenset()
    """What of the source is not kept, for it is given anew: ``metadata``, ``tags``, and names of headers."""
    threshold: int = THRESHOLD
    part_size: int = PART_SIZE

    def kept(self, found: ObjectInfo) -> dict[str, str]:
        """The headers that describe the source, but for those that are given anew.

        Raises:
            InvalidRequestError: the server does not tell all of them.
        """
        missing = found.headers.get("x-amz-missing-meta", "0")
        if missing != "0" and "metadata" not in self.replaced:
            raise errors.InvalidRequestError(
                f"the server does not tell {missing} entries of the metadata of {self.source}, so they cannot be kept",
                hint="Give metadata=, which replaces it",
            )
        return {
            name: value
            for name, value in found.headers.items()
            if (name in _KEPT and name not in self.replaced)
            or (name.startswith(_META) and "metadata" not in self.replaced)
        }

    def described(self, headers: Mapping[str, str]) -> PutOptions:
        """The destination's options with further headers, over which those go that were given."""
        return dataclasses.replace(self.options, headers={**headers, **self.options.headers})


class Copier(Protocol):
    """What a backend does for a copy."""

    @property
    def custom_endpoint(self) -> bool:
        """Whether the server is not AWS's own."""

    def head(self, bucket: str, key: str, options: GetOptions) -> Steps[ObjectInfo]:
        """HeadObject."""

    def call(self, operation: str, params: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """Any operation."""

    def copy_object(
        self, bucket: str, key: str, source: CopySource, headers: Mapping[str, str], options: PutOptions, size: int
    ) -> Steps[PutResult]:
        """CopyObject; ``headers`` beside those of the options. An error under status 200 is an error."""

    def copy_parts(
        self,
        bucket: str,
        key: str,
        source: CopySource,
        etag: str | None,
        options: PutOptions,
        ranges: list[tuple[int, int]],
        window: int,
    ) -> Steps[PutResult]:
        """A multipart upload of the half-open ranges of the source, which is pinned to its ETag. Aborted if it
        fails."""


def copy(backend: Copier, plan: CopyPlan, bucket: str, key: str) -> Steps[PutResult]:
    """Copy ``plan.source``. What went wrong with the source says so.

    Raises:
        ObjectChangedError: the source was replaced meanwhile.
    """
    source = plan.source
    found = yield from _quietly(backend.head(source.bucket, source.key, source.options))
    try:
        if found.size <= min(plan.threshold, LARGEST_COPY):
            return (yield from _copy_whole(backend, plan, found, bucket, key))
        return (yield from _copy_parts(backend, plan, found, bucket, key))
    except errors.ObjectFSError as error:
        if error.hint is None:
            error.hint = f"The source is {source}"
        raise


def _copy_whole(backend: Copier, plan: CopyPlan, found: ObjectInfo, bucket: str, key: str) -> Steps[PutResult]:
    headers: dict[str, str] = {}
    options = plan.options
    pinned = bool(plan.replaced - {"tags"})
    care = bool(plan.replaced) and backend.custom_endpoint
    tags = (yield from _wanted_tags(backend, plan)) if care else ""
    if pinned:  # S3 keeps all of it or nothing: what was not given anew is sent again, as HeadObject found it
        headers["x-amz-metadata-directive"] = "REPLACE"
        options = plan.described(plan.kept(found))
    if "tags" in plan.replaced:
        headers["x-amz-tagging-directive"] = "REPLACE"
    headers.update(plan.source.headers(found.etag if pinned else None))
    try:
        result = yield from backend.copy_object(bucket, key, plan.source, headers, options, found.size)
    except errors.PreconditionFailedError as error:
        conditional = plan.source.conditional or "if_match" in options.given or "if_none_match" in options.given
        raise _changed(error, plan.source) if pinned and not conditional else error from None
    if care:
        yield from _see_to_tags(backend, bucket, key, result, tags)
    return result


def _copy_parts(backend: Copier, plan: CopyPlan, found: ObjectInfo, bucket: str, key: str) -> Steps[PutResult]:
    headers = plan.kept(found)
    tags = yield from _wanted_tags(backend, plan)
    if tags:
        headers["x-amz-tagging"] = tags
    size = whole_part_size(found.size, plan.part_size)
    ranges = [(start, min(start + size, found.size)) for start in range(0, found.size, size)]
    options = plan.described(headers)
    result = yield from backend.copy_parts(bucket, key, plan.source, found.etag, options, ranges, WINDOW)
    if tags and backend.custom_endpoint:
        yield from _see_to_tags(backend, bucket, key, result, tags)
    return result


def _wanted_tags(backend: Copier, plan: CopyPlan) -> Steps[str]:
    """The tags of the copy as a query string."""
    if "tags" in plan.replaced:
        given: str = plan.options.given.get("tags", "")
        return given
    found: str = yield from _quietly(_tags(backend, plan.source))
    return found


def _see_to_tags(backend: Copier, bucket: str, key: str, result: PutResult, tags: str) -> Steps[None]:
    """Look whether the copy has its tags, and give them to it if not. Ceph takes none with CreateMultipartUpload, and
    drops them where metadata is replaced."""
    made = CopySource(
        bucket, key, GetOptions(given={} if result.version_id is None else {"version_id": result.version_id})
    )
    if sorted(parse_qsl((yield from _quietly(_tags(backend, made))), True)) == sorted(parse_qsl(tags, True)):
        return
    params: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if result.version_id is not None:
        params["VersionId"] = result.version_id
    params["Tagging"] = {"TagSet": [{"Key": name, "Value": value} for name, value in parse_qsl(tags, True)]}
    try:
        yield from _quietly(backend.call("PutObjectTagging", params))
    except errors.UnsupportedError:
        if tags:
            raise
    except errors.ObjectFSError as error:
        error.hint = "The object was copied, but has not got its tags"
        raise


def _tags(backend: Copier, source: CopySource) -> Steps[str]:
    """The source's tags as a query string."""
    params = {"Bucket": source.bucket, "Key": source.key, "VersionId": source.version_id}
    for option, name in (("expected_bucket_owner", "ExpectedBucketOwner"), ("request_payer", "RequestPayer")):
        params[name] = source.options.given.get(option)
    try:
        answer = yield from backend.call(
            "GetObjectTagging", {name: value for name, value in params.items() if value is not None}
        )
    except errors.UnsupportedError:  # a server without tags
        return ""
    except errors.ObjectFSError as error:
        error.about("GetObjectTagging", source.bucket, source.key)
        if isinstance(error, errors.AccessDeniedError):
            error.hint = (
                "A large object's tags are copied by reading them: allow s3:GetObjectTagging on the source, "
                "or give tags= (tags={} for none)"
            )
        raise
    return urlencode([(tag["Key"], tag["Value"]) for tag in answer.get("TagSet", ())], quote_via=quote, safe="-_.~")


def changed_part(error: errors.ObjectFSError, source: CopySource) -> errors.ObjectFSError:
    """A part's 412 comes from the ETag that it is pinned to."""
    return _changed(error, source) if isinstance(error, errors.PreconditionFailedError) else error


def _changed(error: errors.ObjectFSError, source: CopySource) -> errors.ObjectChangedError:
    fields = error.fields()
    fields.pop("message")
    return errors.ObjectChangedError(f"{source} was replaced while it was copied; nothing was stored", **fields)


class Counted:
    """An operation whose progress is what the server has copied when it is done: its own bytes are only documents."""

    def __init__(self, op: Op[Any], size: int, failed: Callable[[Any], bool] = lambda result: False) -> None:
        self._op, self._size, self._failed = op, size, failed

    @property
    def transferred(self) -> int:
        if not self._size or not self._op.done():
            return 0
        try:
            return 0 if self._failed(self._op.result()) else self._size
        except errors.ObjectFSError:
            return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._op, name)


def _quietly(steps: Steps[Any]) -> Steps[Any]:
    """Steps whose bytes are no progress of the copy."""
    return (yield from counted(steps, 0))


def counted(steps: Steps[Any], size: int) -> Steps[Any]:
    """Steps whose operations count as so many bytes each, whatever they moved."""
    try:
        op = next(steps)
        while True:
            try:
                value = yield Counted(op, size)
            except BaseException as error:
                op = steps.throw(error)
            else:
                op = steps.send(value)
    except StopIteration as stop:
        return stop.value
