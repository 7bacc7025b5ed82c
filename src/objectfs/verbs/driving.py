"""How a verb's steps are driven: the one client waits, the other awaits."""

# ruff: noqa: ASYNC109 - ``timeout=`` is the blocking client's too, and ends the transfer before it raises

from __future__ import annotations

from typing import Any, TypeVar

from objectfs import arguments as check
from objectfs.backends.drive import Progress, arun, run
from objectfs.clientbase import ClientBase
from objectfs.core import Verb
from objectfs.errors import ObjectFSError

__all__ = ["AsyncDriver", "Driver"]

T = TypeVar("T")


class Driver(ClientBase):
    """Waits for what a backend's verbs are made of."""

    def _run(
        self,
        operation: str,
        bucket: str,
        key: str,
        verb: Verb[T],
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> T:
        check.check_call(bucket, key, timeout, progress)
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

    async def _run(
        self,
        operation: str,
        bucket: str,
        key: str,
        verb: Verb[T],
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> T:
        check.check_call(bucket, key, timeout, progress)
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
