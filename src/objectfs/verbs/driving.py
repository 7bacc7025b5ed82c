"""How a verb's steps are driven: the one client waits, the other awaits."""

# ruff: noqa: ASYNC109 - ``timeout=`` is the blocking client's too, and ends the transfer before it raises

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

from objectfs import arguments as check
from objectfs.backends.drive import Progress, arun, run
from objectfs.clientbase import ClientBase
from objectfs.core import Verb
from objectfs.errors import ObjectFSError
from objectfs.listing import Listing
from objectfs.options import Options

__all__ = ["AsyncDriver", "Driver"]

T = TypeVar("T")
E = TypeVar("E")


class Driver(ClientBase):
    """Waits for what a backend's verbs are made of."""

    def _pages(self, listing: Listing[E], timeout: float | None) -> Iterator[E]:
        ahead = listing.first()
        try:
            while ahead is not None:
                page, ahead = ahead, None
                entries, ahead = listing.take(self._drive(listing.operation, listing.bucket, None, page, timeout))
                yield from entries
        finally:
            if ahead is not None:  # nobody wants it any more
                ahead.close()

    def _run(
        self,
        operation: str,
        bucket: str,
        key: str,
        verb: Verb[T],
        timeout: float | None = None,
        progress: Progress | None = None,
        *,
        options: Options | None = None,
    ) -> T:
        check.check_call(bucket, key, timeout, progress)
        if options is not None:
            self._core.check_options(options, bucket)
        result: T = self._drive(operation, bucket, key, verb(self._core.backend()), timeout, progress)
        return result

    @staticmethod
    def _drive(
        operation: str,
        bucket: str | None,
        key: str | None,
        steps: Any,
        timeout: float | None,
        progress: Any = None,
    ) -> Any:
        key = None if key is check.MANY else key
        try:
            return run(steps, timeout, progress)
        except ObjectFSError as error:
            error.about(operation, bucket, key)
            raise


class AsyncDriver(ClientBase):
    """Awaits what a backend's verbs are made of."""

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

    async def _run(
        self,
        operation: str,
        bucket: str,
        key: str,
        verb: Verb[T],
        timeout: float | None = None,
        progress: Progress | None = None,
        *,
        options: Options | None = None,
    ) -> T:
        check.check_call(bucket, key, timeout, progress)
        if options is not None:
            self._core.check_options(options, bucket)
        result: T = await self._drive(operation, bucket, key, verb(self._core.backend()), timeout, progress)
        return result

    @staticmethod
    async def _drive(
        operation: str,
        bucket: str | None,
        key: str | None,
        steps: Any,
        timeout: float | None,
        progress: Any = None,
    ) -> Any:
        key = None if key is check.MANY else key
        try:
            return await arun(steps, timeout, progress)
        except ObjectFSError as error:
            error.about(operation, bucket, key)
            raise
