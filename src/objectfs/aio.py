"""The client for asyncio."""

# ruff: noqa: ASYNC109 - ``timeout=`` is the blocking client's too, and ends the transfer before it raises

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from objectfs import arguments as check
from objectfs.backends.call_params import read_body
from objectfs.transfer.opening import AsyncOpenVerbs
from objectfs.verbs.acopying import AsyncCopyVerbs
from objectfs.verbs.amany import AsyncManyVerbs
from objectfs.verbs.areading import AsyncReadVerbs
from objectfs.verbs.aversions import AsyncVersionVerbs
from objectfs.verbs.awriting import AsyncWriteVerbs
from objectfs.verbs.presigning import PresignVerbs

__all__ = ["AsyncClient"]


class AsyncClient(
    AsyncReadVerbs, AsyncManyVerbs, AsyncWriteVerbs, AsyncCopyVerbs, AsyncOpenVerbs, AsyncVersionVerbs, PresignVerbs
):
    """:class:`objectfs.Client` with awaitable verbs: the same settings, arguments, results and errors.

    It belongs to no loop and starts no thread for what the engine does; cancelling a task cancels its
    transfer. ``progress`` is called on the loop. Streams (file objects, iterables, async iterables) given to
    :meth:`put` are read on a thread beside the loop, one part at a time.
    """

    async def call(self, operation: str, /, *, timeout: float | None = None, **params: Any) -> dict[str, Any]:
        """See :meth:`objectfs.Client.call`. File objects are read into memory first, on a thread."""
        if not isinstance(operation, str):
            raise TypeError(f"operation must be a string, not {type(operation).__name__}")
        for name, value in params.items():
            if hasattr(value, "read"):
                params[name] = await asyncio.to_thread(read_body, value)
        bucket, key = params.get("Bucket"), params.get("Key")
        answer: dict[str, Any] = await self._drive(
            operation, bucket, key, self._core.backend().call(operation, params), check.check_timeout(timeout)
        )
        return answer

    async def health(self, *, timeout: float = 10.0) -> dict[str, Any]:
        """See :meth:`objectfs.Client.health`."""
        with self._core.examination() as report:
            await self.call("ListBuckets", timeout=timeout)
        return report

    async def aclose(self) -> None:
        """:meth:`close`, without holding up the loop while what runs comes to its end."""
        try:
            await asyncio.to_thread(self._core.close)
        except RuntimeError:  # at exit no thread can be had any more, and there is nothing left to wait for
            self._core.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
