"""``s3://bucket/key`` addresses."""

from __future__ import annotations

from typing import NamedTuple

from objectfs.errors import InvalidRequestError

__all__ = ["S3Uri", "parse"]


class S3Uri(NamedTuple):
    """A bucket and a key; the key is empty where only the bucket is named."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def parse(text: str) -> S3Uri:
    """Split an address. The key is taken as it stands: nothing is decoded, and ``//``, ``.`` and ``..`` stay.

    Raises:
        InvalidRequestError: says what is wrong with it.
    """
    if not isinstance(text, str):
        raise TypeError(f"an address is text such as s3://bucket/key, not {type(text).__name__}")
    scheme, separator, rest = text.partition("://")
    if not separator or not scheme:
        raise InvalidRequestError(f"{text!r} is no S3 address: it must begin with s3://")
    if scheme.lower() != "s3":
        raise InvalidRequestError(f"{text!r} is no S3 address: its scheme is {scheme!r}, not 's3'")
    bucket, _, key = rest.partition("/")
    if bucket.startswith("arn:"):
        # an access point's ARN has one slash of its own: arn:aws:s3:region:account:accesspoint/name
        name, _, key = key.partition("/")
        bucket = f"{bucket}/{name}"
    if not bucket:
        raise InvalidRequestError(f"{text!r} names no bucket: it must be s3://bucket or s3://bucket/key")
    return S3Uri(bucket, key)
