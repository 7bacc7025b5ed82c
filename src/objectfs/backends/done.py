"""An operation that had ended before it began."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

__all__ = ["Done"]

T = TypeVar("T")


class Done(Generic[T]):
    """An :class:`~objectfs.backends.base.Op` for what need not be done: its result, and the bytes that it counts as."""

    def __init__(self, result: T, transferred: int = 0) -> None:
        self._result = result
        self.transferred = transferred

    def wait(self, timeout: float | None = None) -> bool:
        return True

    def done(self) -> bool:
        return True

    def result(self) -> T:
        return self._result

    def cancel(self, force: bool = False) -> None:
        """There is nothing to stop."""

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        future = loop.create_future()
        future.set_result(None)
        return future
