"""Versions and buckets listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Unpack, overload

from objectfs import arguments as check
from objectfs.backends.base import Steps
from objectfs.core import Core
from objectfs.errors import ServerError
from objectfs.listing import PAGE, Listing
from objectfs.options import ListVersionsParams
from objectfs.types import BucketInfo, ListPage, ObjectVersion, Prefix
from objectfs.verbs.driving import Driver

__all__ = ["VersionVerbs", "buckets"]


class VersionVerbs(Driver):
    """Part of :class:`objectfs.Client`."""

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
    ) -> Iterator[ObjectVersion]: ...
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
    ) -> Iterator[ObjectVersion | Prefix]: ...
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
    ) -> Iterator[ObjectVersion | Prefix]:
        """All versions and delete markers, by key in the order of the UTF-8 bytes, the newest of a key first
        (ListObjectVersions). Reads ahead as :meth:`list` does.

        Args:
            prefix: only keys that begin so.
            delimiter: keys that go on behind the prefix up to this text become one Prefix; mostly ``"/"``.
            limit: at most so many entries.
            key_marker: begin behind all versions of this key.
            version_id_marker: begin behind this version of the key that ``key_marker`` names.
            timeout: seconds for each page.

        Returns:
            An iterator; requests begin with the first entry asked of it, and end when it is closed or dropped.

        Raises:
            BucketNotFoundError: there is no such bucket; as all errors of requests, when entries are asked for.
            AccessDeniedError: the credentials may not list its versions.
        """
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
    ) -> Iterator[BucketInfo]:
        """The buckets of whoever asks, by name (ListBuckets). Reads ahead as :meth:`list` does.

        Args:
            prefix: of the names. A server that knows no prefix here lists all; those that do not match are left out.
            limit: at most so many.
            timeout: seconds for each page.

        Returns:
            An iterator of BucketInfo. The first request is made with its first step.

        Raises:
            AccessDeniedError: whoever asks may not list buckets (s3:ListAllMyBuckets).
        """
        check.check_limit(limit)
        check.check_name(prefix, "prefix")
        check.check_timeout(timeout)
        return self._pages(Listing("ListBuckets", None, buckets(self._core, prefix), limit), timeout)


def buckets(core: Core, prefix: str) -> Callable[[str | None, int | None], Steps[ListPage[BucketInfo]]]:
    """How a page of buckets is asked for."""

    def ask(token: str | None, size: int | None) -> Steps[ListPage[BucketInfo]]:
        given = {"Prefix": prefix or None, "ContinuationToken": token, "MaxBuckets": size or PAGE}
        answer = yield from core.backend().call(
            "ListBuckets", {name: value for name, value in given.items() if value is not None}
        )
        if not all("Name" in each for each in answer.get("Buckets", ())):
            raise ServerError("the server's answer cannot be read: a bucket without a name", operation="ListBuckets")
        found = [
            BucketInfo(name=each["Name"], created=each.get("CreationDate"), region=each.get("BucketRegion"))
            for each in answer.get("Buckets", ())
            if each["Name"].startswith(prefix)
        ]
        return ListPage(found, answer.get("ContinuationToken") or None)

    return ask
