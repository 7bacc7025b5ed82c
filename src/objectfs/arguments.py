"""The checks that a client makes before a backend is asked, so that a mistake is told in the caller's own
terms."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from objectfs.errors import InvalidRequestError
from objectfs.options import DeleteOptions, GetOptions, ListOptions, PutOptions
from objectfs.options.checks import DIGESTS, checked_headers, expected_checksum, flag, one_of, text
from objectfs.options.table import check_options

__all__ = [
    "MANY",
    "check_bucket",
    "check_call",
    "check_coalesce",
    "check_items",
    "check_key",
    "check_limit",
    "check_listing",
    "check_name",
    "check_on_error",
    "check_progress",
    "check_timeout",
    "check_version_item",
    "delete_options",
    "get_options",
    "list_options",
    "put_options",
    "ranges",
    "several",
    "text_path",
    "version_markers",
]

T = TypeVar("T")

MAX_KEY_BYTES = 1024
"""S3's limit for a key, in UTF-8."""

MAX_OFFSET = 2**53
"""Beyond it no object has a byte: S3's largest are below 2**46. Larger numbers overflow in some servers, which then
take the range for none and send the whole object."""

# What S3 has ever allowed, or an ARN; the rules for new buckets are stricter, and the server's to enforce.
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}|arn:aws[a-z-]*:[A-Za-z0-9:/._-]{1,2000}")

MANY: Any = object()
"""In place of a key: the verb has many, checked on their own."""


def check_call(bucket: str, key: str, timeout: float | None = None, progress: Any = None) -> None:
    """What all verbs have in common."""
    check_bucket(bucket)
    if key is not MANY:
        check_key(key, bucket)
    check_timeout(timeout)
    check_progress(progress)


def check_bucket(bucket: str) -> str:
    if not isinstance(bucket, str):
        raise TypeError(f"bucket must be a string, not {type(bucket).__name__}")
    if not _BUCKET.fullmatch(bucket):
        what = "empty" if not bucket else f"{bucket!r}"
        raise InvalidRequestError(
            f"the bucket's name is {what}: it must be letters, digits, '.', '-' and '_', or an ARN"
        )
    return bucket


def check_key(key: str, bucket: str | None = None) -> str:
    if not isinstance(key, str):
        raise TypeError(f"key must be a string, not {type(key).__name__}")
    if not key:
        raise InvalidRequestError("the key is empty", bucket=bucket)
    return check_name(key, "key", bucket)


def check_name(name: str, what: str, bucket: str | None = None) -> str:
    """A key, or the part of one (a prefix): UTF-8 and within S3's length."""
    if not isinstance(name, str):
        raise TypeError(f"{what} must be a string, not {type(name).__name__}")
    if len(name) * 3 > MAX_KEY_BYTES or not name.isascii():
        try:
            size = len(name.encode("utf-8"))
        except UnicodeEncodeError:
            # what os.listdir() makes of file names that are not UTF-8
            raise InvalidRequestError(
                f"the {what} {name!r} has no UTF-8 form (lone surrogates)", bucket=bucket
            ) from None
        if size > MAX_KEY_BYTES:
            raise InvalidRequestError(
                f"the {what} is {size} bytes long in UTF-8, more than {MAX_KEY_BYTES}", bucket=bucket
            )
    return name


def check_listing(
    bucket: str,
    prefix: str,
    delimiter: str | None,
    start_after: str | None,
    limit: int | None,
    timeout: float | None,
) -> None:
    check_bucket(bucket)
    check_name(prefix, "prefix", bucket)
    for name, value in (("delimiter", delimiter), ("start_after", start_after)):
        if value is not None:
            check_name(value, name, bucket)
    check_limit(limit, bucket)
    check_timeout(timeout)


def version_markers(bucket: str, key: str | None, version: str | None) -> tuple[str, str | None] | None:
    """Where a listing of versions begins; None for at the beginning."""
    if key is not None:
        check_name(key, "key_marker", bucket)
    if version is not None:
        text("version_id_marker", version)
        if not key:
            raise InvalidRequestError(
                "version_id_marker is a version of the object that key_marker names: give both", bucket=bucket
            )
    return (key, version) if key else None


def check_limit(limit: int | None, bucket: str | None = None) -> None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
        raise TypeError(f"limit must be a whole number or None, not {type(limit).__name__}")
    if limit is not None and limit < 0:
        raise InvalidRequestError(f"limit={limit} must be 0 or more", bucket=bucket)


def check_items(items: Mapping[str, Any], bucket: str) -> None:
    if not isinstance(items, Mapping):
        raise TypeError(f"items must map keys to bytes-like, not {type(items).__name__}")
    for key in items:
        check_key(key, bucket)


def check_on_error(on_error: str) -> None:
    if on_error not in ("raise", "return"):
        raise InvalidRequestError(f"on_error={on_error!r} must be 'raise' or 'return'")


def several(values: Iterable[T], name: str) -> Iterable[T]:
    """An iterable of strings that is not itself one."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be an iterable of strings, not {type(values).__name__}")
    return values


def check_version_item(item: Any, bucket: str) -> Any:
    """A key, or a pair of key and version id (None for the current version)."""
    if isinstance(item, str):
        return check_key(item, bucket)
    if not isinstance(item, tuple) or len(item) != 2:
        raise TypeError(f"keys must be strings or pairs (key, version_id), not {item!r}")
    key, version = item
    check_key(key, bucket)
    if version is not None:
        text("version_id", version)
    return item


def check_timeout(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
    if not timeout >= 0 or math.isinf(timeout):
        raise InvalidRequestError(f"timeout={timeout!r} must be a number of seconds from 0 on, or None")
    return float(timeout)


def check_progress(progress: Any) -> Any:
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be callable, not {type(progress).__name__}")
    return progress


def get_options(group: str, options: Mapping[str, Any], start: int | None = None, end: int | None = None) -> GetOptions:
    """The options of a verb that reads; ``group`` is the name of the TypedDict of its signature."""
    given = check_options(group, options)
    for name, value in (("start", start), ("end", end)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"{name} must be a whole number or None, not {type(value).__name__}")
    if start is not None and start < 0 and end is not None:
        raise InvalidRequestError(f"start={start} counts from the end of the object; end={end} cannot go with it")
    if end is not None and (end < 0 or end < (start or 0)):
        raise InvalidRequestError(f"the range from {start or 0} to {end} is none")
    if "part_number" in given and not (start is None and end is None):
        raise InvalidRequestError(f"part_number={given['part_number']} is a range already: give no start and no end")
    start, end = _within(start, end)
    expected = options.get("expected_checksum")
    return GetOptions(
        start=start,
        end=end,
        given=given,
        headers=_headers(options),
        checksum=_checksum(options, "auto", "off"),
        expected=None if expected is None else expected_checksum("expected_checksum", expected),
        resume=_resume(options),
    )


def put_options(group: str, options: Mapping[str, Any]) -> PutOptions:
    given = check_options(group, options)
    if given.get("if_none_match", "*") != "*":
        raise InvalidRequestError(f"if_none_match={given['if_none_match']!r}: an upload can only have '*'")
    checksum = _checksum(options, "auto", "off", *DIGESTS)
    expected = options.get("expected_checksum")
    wanted = None if expected is None else expected_checksum("expected_checksum", expected)
    if wanted is not None and checksum not in (None, "auto", wanted.algorithm):
        raise InvalidRequestError(
            f"checksum={checksum!r} and an expected_checksum of {wanted.algorithm} contradict each other"
        )
    resume = _resume(options)
    return PutOptions(given=given, headers=_headers(options), checksum=checksum, expected=wanted, resume=resume)


def delete_options(group: str, options: Mapping[str, Any]) -> DeleteOptions:
    return DeleteOptions(given=check_options(group, options), headers=_headers(options))


def list_options(group: str, options: Mapping[str, Any]) -> ListOptions:
    return ListOptions(given=check_options(group, options), headers=_headers(options))


def _headers(options: Mapping[str, Any]) -> Mapping[str, str]:
    headers = options.get("headers")
    return {} if headers is None else checked_headers("headers", headers)


def _resume(options: Mapping[str, Any]) -> bool:
    value = options.get("resume")
    return value is not None and flag("resume", value) == "true"


def _checksum(options: Mapping[str, Any], *allowed: str) -> str | None:
    value = options.get("checksum")
    return None if value is None else one_of(*allowed)("checksum", value)


def check_coalesce(coalesce: int) -> int:
    if isinstance(coalesce, bool) or not isinstance(coalesce, int):
        raise TypeError(f"coalesce must be a whole number of bytes or None, not {type(coalesce).__name__}")
    if coalesce < 0:
        raise InvalidRequestError(f"coalesce={coalesce} must be a number of bytes from 0 on")
    return coalesce


def ranges(given: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    checked = []
    for index, pair in enumerate(given):
        try:
            start, end = pair
        except (TypeError, ValueError):
            raise TypeError(f"ranges[{index}] must be a pair (start, end), not {pair!r}") from None
        for bound in (start, end):
            if isinstance(bound, bool) or not isinstance(bound, int):
                raise TypeError(f"ranges[{index}]={pair!r} must be two whole numbers")
        if start < 0 or end < start:
            raise InvalidRequestError(f"ranges[{index}]: the range from {start} to {end} is none")
        within = _within(start, end)
        checked.append((within[0] or 0, within[1] or 0))
    return checked


def _within(start: int | None, end: int | None) -> tuple[int | None, int | None]:
    """The same range with its bounds no larger than any server can read."""
    if end is not None:
        end = min(end, MAX_OFFSET if end == (start or 0) else MAX_OFFSET + 1)
    if start is not None:
        start = max(-MAX_OFFSET, min(start, MAX_OFFSET))
    return start, end


def text_path(path: str | bytes | os.PathLike[Any]) -> str:
    """A local path as text."""
    name = os.fsdecode(path)
    if "\0" in name:
        raise InvalidRequestError("the path has a NUL character in it")
    return name
