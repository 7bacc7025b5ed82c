"""Presigned URLs and forms: no request is made, so the blocking client and the other have the same verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from objectfs import arguments as check
from objectfs.backends.presign import METHODS
from objectfs.clientbase import ClientBase
from objectfs.errors import InvalidRequestError
from objectfs.options import Options, check_options, checked_headers
from objectfs.types import PresignedPost, PresignedUrl

__all__ = ["Method", "PresignVerbs"]

Method = Literal["get", "put", "head", "delete", "upload_part"]

_GROUPS = {
    "get": "GetParams",
    "put": "PutParams",
    "head": "HeadParams",
    "delete": "DeleteParams",
    "upload_part": "UploadPartParams",
}

MAX_PARTS = 10_000

LARGEST = 5 * 1024**3
"""Bytes that one upload may have (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

Conditions = Sequence[Mapping[str, str] | Sequence[Any]]


class PresignVerbs(ClientBase):
    """Verbs of Client and AsyncClient."""

    def presign(
        self,
        method: Method,
        bucket: str,
        key: str,
        expires: int = 3600,
        params: Mapping[str, Any] | None = None,
        *,
        upload_id: str | None = None,
        part_number: int | None = None,
        **options: Any,
    ) -> PresignedUrl:
        """A URL that allows one request to whoever has it. No request is made.

        Args:
            method: ``get``, ``put``, ``head``, ``delete``, or ``upload_part``.
            expires: in seconds, at most 604,800 (7 days). With temporary credentials the URL ends with them.
            params: further parameters of the operation by botocore's names.
            upload_id, part_number: of the upload that the part belongs to (1 to 10,000).
            options: those of the verb of that name (``version_id``, ``response_content_disposition``,
                ``content_type``, ``metadata``, ``if_none_match`` …), and ``headers``. Those that are headers are
                signed: whoever uses the URL has to send them too, as ``url.headers`` has them.

        Returns:
            A string with ``method``, ``headers`` and ``expires_at``, for GetObject, PutObject, HeadObject, DeleteObject
            or UploadPart, signed in its query.

        Raises:
            InvalidRequestError: there is no such method or parameter, or ``expires`` is out of range.
            CredentialsError: there are no credentials to sign with.
        """
        check.check_call(bucket, key)
        if method not in METHODS:
            raise InvalidRequestError(
                f"method={method!r} cannot be presigned: one of {', '.join(METHODS)}",
                bucket=bucket,
                hint="Forms: presign_post()",
            )
        more = dict(params or {})
        if method == "upload_part":
            more.update(_part(upload_id, part_number, bucket, key))
        elif upload_id is not None:
            raise InvalidRequestError(
                f"upload_id= goes with 'upload_part', not with {method!r}", bucket=bucket, key=key
            )
        elif part_number is not None:
            options["part_number"] = part_number
        for name in ("checksum", "expected_checksum"):
            if options.get(name) is not None:
                raise InvalidRequestError(
                    f"{name}= is of content that is moved; a URL moves none",
                    bucket=bucket,
                    key=key,
                    hint="Give headers={'x-amz-checksum-…': …} to allow one content only",
                )
        headers = options.get("headers")
        asked = Options(
            given=check_options(_GROUPS[method], options),
            headers={} if headers is None else checked_headers("headers", headers),
        )
        self._core.check_options(asked, bucket)
        return self._core.backend().presign(method, bucket, key, expires, more, asked)

    def presign_post(
        self,
        bucket: str,
        key: str,
        expires: int = 3600,
        *,
        fields: Mapping[str, str] | None = None,
        conditions: Conditions | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
    ) -> PresignedPost:
        """A form that allows one upload to whoever has it (PostObject, a policy that is signed). No request is made.

        >>> form = client.presign_post("bucket", "uploads/${filename}", max_size=10_000_000)
        >>> requests.post(form.url, data=form.fields, files={"file": open("a.txt", "rb")})

        Args:
            key: of the object; or a prefix and ``${filename}``, for which the name of the uploaded file is put.
            expires: in seconds, at most 604,800 (7 days).
            fields: further fields of the form, each exactly so (``Content-Type``, ``acl``,
                ``success_action_status`` …).
            conditions: more that the policy allows: ``{"name": "value"}``, ``["eq", "$name", "value"]``,
                ``["starts-with", "$Content-Type", "image/"]``.
            min_size, max_size: of the content, in bytes.

        Raises:
            InvalidRequestError: ``expires`` is out of range, or the sizes are none.
            CredentialsError: there are no credentials to sign with.
        """
        check.check_call(bucket, key)
        given: list[Any] = list(conditions or ())
        for each in given:
            if isinstance(each, (str, bytes)) or not isinstance(each, (Mapping, Sequence)):
                raise TypeError(f"conditions must be mappings or sequences, not {type(each).__name__}")
        if fields is not None and not isinstance(fields, Mapping):
            raise TypeError(f"fields must map strings to strings, not {type(fields).__name__}")
        for name, value in (fields or {}).items():
            if not all(isinstance(text, str) for text in (name, value)):
                raise TypeError("fields must map strings to strings")
        for what, size in (("min_size", min_size), ("max_size", max_size)):
            if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
                raise TypeError(f"{what} must be a number of bytes or None, not {type(size).__name__}")
        if min_size is not None or max_size is not None:
            least, most = min_size or 0, LARGEST if max_size is None else max_size
            if not 0 <= least <= most:
                raise InvalidRequestError(f"min_size={min_size} and max_size={max_size} allow nothing", bucket=bucket)
            given.append(["content-length-range", least, most])
        return self._core.backend().presign_post(bucket, key, expires, fields or {}, given)


def _part(upload_id: str | None, part_number: int | None, bucket: str, key: str) -> dict[str, Any]:
    where: dict[str, Any] = {"operation": "UploadPart", "bucket": bucket, "key": key}
    for name, value, kind in (("upload_id", upload_id, str), ("part_number", part_number, int)):
        if value is None:
            raise InvalidRequestError(f"'upload_part' needs {name}=", **where)
        if isinstance(value, bool) or not isinstance(value, kind):
            raise TypeError(f"{name} must be of type {kind.__name__}, not {type(value).__name__}")
    if not upload_id:
        raise InvalidRequestError("upload_id is empty", **where)
    if not 1 <= (part_number or 0) <= MAX_PARTS:
        raise InvalidRequestError(f"part_number={part_number} must be from 1 to {MAX_PARTS}", **where)
    return {"UploadId": upload_id, "PartNumber": part_number}
