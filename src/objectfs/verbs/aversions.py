"""The twin of ``versions.py`` for asyncio."""

# ruff: noqa: ASYNC109 - ``timeout=`` is the blocking client's too, and ends the transfer before it raises

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from objectfs import arguments as check
from objectfs.backends.base import Steps
from objectfs.listing import Listing
from objectfs.types import ListPage, ObjectVersion, Prefix
from objectfs.verbs.driving import AsyncDriver

__all__ = ["AsyncVersionVerbs"]

E = TypeVar("E")


class AsyncVersionVerbs(AsyncDriver):
    """Part of :class:`objectfs.AsyncClient`."""

    def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str | None = None,
        limit: int | None = None,
        *,
        timeout: float | None = None,
    ) -> AsyncIterator[ObjectVersion | Prefix]:
        """See :meth:`objectfs.Client.list_versions`."""
        check.check_listing(bucket, prefix, delimiter, None, limit, timeout)

        def ask(token: Any, size: int | None) -> Steps[ListPage[ObjectVersion | Prefix]]:
            return self._core.backend().list_versions_page(
                bucket, prefix=prefix, delimiter=delimiter or None, token=token, max_keys=size
            )

        return self._pages(Listing("ListObjectVersions", bucket, ask, limit), timeout)

    # -- how ------------------------------------------------------------------------------------------------------
    async def _pages(self, listing: Listing[E], timeout: float | None) -> AsyncIterator[E]:
        ahead = listing.first()
        try:
            while ahead is not None:
                page, ahead = ahead, None
                entries, ahead = listing.take(await self._drive(listing.operation, listing.bucket, None, page, timeout))
                for entry in entries:
                    yield entry
        finally:
            if ahead is not None:  # nobody wants it any more
                ahead.close()
