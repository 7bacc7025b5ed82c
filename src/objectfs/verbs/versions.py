"""Versions listed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from objectfs import arguments as check
from objectfs.backends.base import Steps
from objectfs.listing import Listing
from objectfs.types import ListPage, ObjectVersion, Prefix
from objectfs.verbs.driving import Driver

__all__ = ["VersionVerbs"]


class VersionVerbs(Driver):
    """Part of :class:`objectfs.Client`."""

    def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str | None = None,
        limit: int | None = None,
        *,
        timeout: float | None = None,
    ) -> Iterator[ObjectVersion | Prefix]:
        """All versions and delete markers, by key in the order of the UTF-8 bytes, the newest of a key first
        (ListObjectVersions). Reads ahead as :meth:`list` does.

        Args:
            prefix: only keys that begin so.
            delimiter: keys that go on behind the prefix up to this text become one Prefix; mostly ``"/"``.
            limit: at most so many entries.
            timeout: seconds for each page.

        Returns:
            An iterator; requests begin with the first entry asked of it, and end when it is closed or dropped.

        Raises:
            BucketNotFoundError: there is no such bucket; as all errors of requests, when entries are asked for.
            AccessDeniedError: the credentials may not list its versions.
        """
        check.check_listing(bucket, prefix, delimiter, None, limit, timeout)

        def ask(token: Any, size: int | None) -> Steps[ListPage[ObjectVersion | Prefix]]:
            return self._core.backend().list_versions_page(
                bucket, prefix=prefix, delimiter=delimiter or None, token=token, max_keys=size
            )

        return self._pages(Listing("ListObjectVersions", bucket, ask, limit), timeout)
