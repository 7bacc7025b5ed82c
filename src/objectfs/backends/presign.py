"""URLs that allow one request to whoever has them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from objectfs.backends.refusals import parameter_error
from objectfs.backends.session import Session
from objectfs.errors import InvalidRequestError

__all__ = ["Presigner"]

MAX_EXPIRES = 604_800
"""Seconds: S3 allows seven days (Signature Version 4, authentication in the query string)."""

_METHODS = {"get": "get_object", "put": "put_object", "head": "head_object", "delete": "delete_object"}


class Presigner:
    """Presigns for one session, which decides who signs and for where. May be used from any thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._made: dict[str | None, Any] = {}

    def presign(self, method: str, bucket: str, key: str, expires: int, params: Mapping[str, Any]) -> str:
        """A presigned URL; ``method`` is get, put, head or delete, ``expires`` in seconds.

        Raises:
            InvalidRequestError: no such method or parameter, or a time that S3 does not allow.
            CredentialsError: there is nobody to sign for.
        """
        name = _METHODS.get(str(method).lower())
        if name is None:
            raise InvalidRequestError(f"cannot presign {method!r}: one of {', '.join(_METHODS)}", bucket=bucket)
        if not 1 <= expires <= MAX_EXPIRES:
            raise InvalidRequestError(
                f"expires={expires!r} must be from 1 to {MAX_EXPIRES} seconds (7 days)", bucket=bucket
            )
        client = self._client(self._session.learned_region(bucket))
        self._session.frozen_credentials()  # our error, not botocore's
        try:
            url: str = client.generate_presigned_url(
                name, Params={"Bucket": bucket, "Key": key, **params}, ExpiresIn=expires
            )
        except Exception as error:
            raise parameter_error(error, name, bucket, key) from None
        return url

    def _client(self, region: str | None) -> Any:
        with self._lock:
            made = self._made.get(region)
            if made is None:
                more: dict[str, Any] = {"signature_version": "s3v4"}
                if self._session.config.anonymous:
                    import botocore

                    more["signature_version"] = botocore.UNSIGNED
                made = self._made[region] = self._session.create_client(region=region, **more)
            return made
