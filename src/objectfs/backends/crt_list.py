"""Listing with the crt backend: ListObjectsV2 and ListObjectVersions, read natively."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from objectfs import _native, errors
from objectfs.backends.answers import in_order
from objectfs.backends.base import ListOptions, Steps
from objectfs.backends.crt_base import CrtBase
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_steps import followed, one
from objectfs.types import NOTHING, ListPage, ObjectInfo, ObjectVersion, Prefix

__all__ = ["ListVerbs"]

_PREFIX = Prefix("")


class ListVerbs(CrtBase):
    """Verbs of CrtBackend."""

    def list_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
        max_keys: int | None = None,
        options: ListOptions,
    ) -> Steps[ListPage[ObjectInfo | Prefix]]:
        answer = yield from self._list(
            bucket,
            "ListObjectsV2",
            {
                "continuation-token": token,
                "delimiter": delimiter,
                "encoding-type": "url",
                "list-type": "2",
                "max-keys": max_keys,
                "prefix": prefix,
                "start-after": start_after,
                **dict(options.asked("ListObjectsV2")),
            },
            ObjectInfo(bucket=bucket, key="", size=0, metadata=NOTHING, headers=NOTHING),
            sent=options.sent("ListObjectsV2"),
        )
        objects, prefixes, following = answer
        return ListPage(in_order(objects, prefixes), None if following is None else following[0])

    def list_versions_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        token: tuple[str, str | None] | None = None,
        max_keys: int | None = None,
        options: ListOptions,
    ) -> Steps[ListPage[ObjectVersion | Prefix]]:
        key_marker, version_marker = token or (None, None)
        answer = yield from self._list(
            bucket,
            "ListObjectVersions",
            {
                "delimiter": delimiter,
                "encoding-type": "url",
                "key-marker": key_marker,
                "max-keys": max_keys,
                "prefix": prefix,
                "version-id-marker": version_marker,
                "versions": "",
            },
            ObjectVersion(bucket=bucket, key="", version_id=None),
            ObjectVersion(bucket=bucket, key="", version_id=None, is_delete_marker=True),
            sent=options.sent("ListObjectVersions"),
        )
        versions, prefixes, following = answer
        return ListPage(in_order(versions, prefixes), None if following is None else following[1:])

    @followed
    def _list(
        self,
        bucket: str,
        operation: str,
        query: Mapping[str, Any],
        template: Any,
        marker: Any = None,
        *,
        sent: Mapping[str, str],
    ) -> Steps[tuple[list[Any], list[Prefix], tuple[str | None, str | None, str | None] | None]]:
        target = self.target(bucket)
        given = [(name, value) for name, value in query.items() if value or name == "versions"]
        path = target.path(None, urlencode(given, quote_via=quote, safe="-_.~"))
        request = _native.Request(operation.encode(), b"GET", path, target.native, target.headers(sent))
        response = yield from one(target.engine.start([request]))
        if response.error_code or response.status >= 300:
            raise failure(response, operation, bucket, None)
        try:
            return _native.parse_list(response.body or b"", template, _PREFIX, marker)
        except ValueError as error:
            raise errors.from_response(
                operation,
                status=response.status,
                message=f"the server's answer cannot be read: {error}",
                bucket=bucket,
                headers=response.headers,
            ) from None
