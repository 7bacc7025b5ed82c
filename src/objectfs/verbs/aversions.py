"""The twin of ``versions.py`` for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Unpack, overload

from objectfs import arguments as check
from objectfs.backends.base import Steps
from objectfs.listing import Listing
from objectfs.options import ListVersionsParams
from objectfs.types import BucketInfo, ListPage, ObjectVersion, Prefix
from objectfs.verbs.driving import AsyncDriver
from objectfs.verbs.versions import buckets

__all__ = ["AsyncVersionVerbs"]


class AsyncVersionVerbs(AsyncDriver):
    """Part of :class:`objectfs.AsyncClient`."""

    @overload
    def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: None = None,
        limit: int | None = None,
        *,
        key_marker: str | None = None,
        version_id_marker: str | None = None,
        timeout: float | None = None,
        **options: Unpack[ListVersionsParams],
    ) -> AsyncIterator[ObjectVersion]: ...
    @overload
    def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str | None = None,
        limit: int | None = None,
        *,
        key_marker: str | None = None,
        version_id_marker: str | None = None,
        timeout: float | None = None,
        **options: Unpack[ListVersionsParams],
    ) -> AsyncIterator[ObjectVersion | Prefix]: ...
    def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str | None = None,
        limit: int | None = None,
        *,
        key_marker: str | None = None,
        version_id_marker: str | None = None,
        timeout: float | None = None,
        **options: Unpack[ListVersionsParams],
    ) -> AsyncIterator[ObjectVersion | Prefix]:
        """See :meth:`objectfs.Client.list_versions`."""
        check.check_listing(bucket, prefix, delimiter, None, limit, timeout)
        first = check.version_markers(bucket, key_marker, version_id_marker)
        asked = check.list_options("ListVersionsParams", options)

        def ask(token: Any, size: int | None) -> Steps[ListPage[ObjectVersion | Prefix]]:
            return self._core.backend().list_versions_page(
                bucket,
                prefix=prefix,
                delimiter=delimiter or None,
                token=token or first,
                max_keys=size,
                options=asked,
            )

        return self._pages(Listing("ListObjectVersions", bucket, ask, limit), timeout)

    def list_buckets(
        self, prefix: str = "", limit: int | None = None, *, timeout: float | None = None
    ) -> AsyncIterator[BucketInfo]:
        """See :meth:`objectfs.Client.list_buckets`."""
        check.check_limit(limit)
        check.check_name(prefix, "prefix")
        check.check_timeout(timeout)
        return self._pages(Listing("ListBuckets", None, buckets(self._core, prefix), limit), timeout)
