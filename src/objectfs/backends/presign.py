"""URLs and forms that allow one request to whoever has them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from objectfs.backends.refusals import parameter_error
from objectfs.backends.session import Session
from objectfs.errors import CredentialsError, InvalidRequestError
from objectfs.options import Options
from objectfs.types import PresignedPost, PresignedUrl

__all__ = ["METHODS", "Presigner"]

MAX_EXPIRES = 604_800
"""Seconds: S3 allows seven days (Signature Version 4, authentication in the query string)."""

METHODS = {
    "get": ("GET", "get_object", "GetObject"),
    "put": ("PUT", "put_object", "PutObject"),
    "head": ("HEAD", "head_object", "HeadObject"),
    "delete": ("DELETE", "delete_object", "DeleteObject"),
    "upload_part": ("PUT", "upload_part", "UploadPart"),
}
"""HTTP's method, botocore's and S3's operation."""


class _Signing(threading.local):
    """What the URL that this thread is making is for."""

    headers: Mapping[str, str] | None = None
    request: Any = None


class Presigner:
    """Presigns for one session, which decides who signs and for where. May be used from any thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._made: dict[str | None, Any] = {}
        self._signing = _Signing()

    def presign(
        self, method: str, bucket: str, key: str, expires: int, params: Mapping[str, Any], options: Options
    ) -> PresignedUrl:
        """A presigned URL; ``method`` is one of METHODS, ``expires`` in seconds.

        Raises:
            InvalidRequestError: no such method or parameter, or a time that S3 does not allow.
            CredentialsError: there is nobody to sign for.
        """
        verb, name, operation = METHODS[method]
        _check_expires(expires, operation, bucket, key)
        client = self._client(self._session.learned_region(bucket))
        self._session.frozen_credentials()  # our error, not botocore's
        signing = self._signing
        headers = {**options.headers, **options.sent(operation)}
        # .encode(): a customer's key shows itself as nothing but stars
        sent = {header: value.encode().decode() for header, value in headers.items()}
        signing.headers, signing.request = sent, None
        until = datetime.now(UTC) + timedelta(seconds=expires)
        try:
            url: str = client.generate_presigned_url(
                name,
                Params={"Bucket": bucket, "Key": key, **options.parameters(operation), **params},
                ExpiresIn=expires,
            )
            signed = signing.request
        except Exception as error:
            raise parameter_error(error, operation, bucket, key) from None
        finally:
            signing.headers = signing.request = None
        needed = sent if signed is None else _signed_headers(url, signed.headers)
        return PresignedUrl(url, verb, needed, until)

    def presign_post(
        self, bucket: str, key: str, expires: int, fields: Mapping[str, str], conditions: Sequence[Any]
    ) -> PresignedPost:
        """A form for PostObject. Each of ``fields`` is also a condition.

        Raises: as :meth:`presign`.
        """
        _check_expires(expires, "PostObject", bucket, key)
        client = self._client(self._session.learned_region(bucket))
        if self._session.frozen_credentials() is None:
            raise CredentialsError(
                "a form is signed, and this client is anonymous", operation="PostObject", bucket=bucket, key=key
            )
        try:
            form = client.generate_presigned_post(
                bucket,
                key,
                Fields=dict(fields),
                Conditions=[*({name: value} for name, value in fields.items()), *conditions],
                ExpiresIn=expires,
            )
        except Exception as error:
            raise parameter_error(error, "PostObject", bucket, key) from None
        return PresignedPost(form["url"], form["fields"])

    def _before_sign(self, request: Any, **_: Any) -> None:
        signing = self._signing
        if signing.headers is not None:
            for name, value in signing.headers.items():
                del request.headers[name]  # what botocore has made of a parameter
                request.headers[name] = value
            signing.request = request

    def _client(self, region: str | None) -> Any:
        with self._lock:
            made = self._made.get(region)
            if made is None:
                # a checksum that is asked for in the URL would have to be of content that is not known
                more: dict[str, Any] = {"signature_version": "s3v4", "request_checksum_calculation": "when_required"}
                if self._session.config.anonymous:
                    import botocore

                    more["signature_version"] = botocore.UNSIGNED
                made = self._made[region] = self._session.create_client(region=region, **more)
                made.meta.events.register_last("before-sign.s3", self._before_sign)
            return made


def _check_expires(expires: Any, operation: str, bucket: str, key: str) -> None:
    if isinstance(expires, bool) or not isinstance(expires, int):
        raise TypeError(f"expires must be a whole number of seconds, not {type(expires).__name__}")
    if not 1 <= expires <= MAX_EXPIRES:
        raise InvalidRequestError(
            f"expires={expires!r} must be from 1 to {MAX_EXPIRES} seconds (7 days)",
            operation=operation,
            bucket=bucket,
            key=key,
        )


def _signed_headers(url: str, headers: Any) -> dict[str, str]:
    """What has to be sent along, names in lower case."""
    names = parse_qs(urlsplit(url).query).get("X-Amz-SignedHeaders", [""])[0].split(";")
    found = {}
    for name in names:
        value = headers.get(name)
        if value is not None and name != "host":
            found[name] = value.decode("utf-8") if isinstance(value, bytes) else str(value)
    return found
