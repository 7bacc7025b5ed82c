"""Reading ahead: the next page of a listing is on its way while one is being consumed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from objectfs.backends.base import Op, Steps
from objectfs.errors import ServerError
from objectfs.types import ListPage

__all__ = ["Listing", "started"]

T = TypeVar("T")
E = TypeVar("E")

PAGE = 1000
"""Entries that S3 lists in one answer at most."""


class Listing(Generic[E]):
    """What is still to be asked for, and how much of it is wanted.

    Args:
        operation, bucket: for errors.
        ask: makes the steps of one page, from what the page before said was next (None for the first page) and the
            number of entries that are wanted at most (None: as many as the server gives).
        limit: entries in all; None for every one.
    """

    def __init__(
        self,
        operation: str,
        bucket: str | None,
        ask: Callable[[Any, int | None], Steps[ListPage[E]]],
        limit: int | None,
    ) -> None:
        self.operation, self.bucket = operation, bucket
        self._ask = ask
        self._left = limit
        self._token: Any = None
        self._pages = 0
        self._seen: Any = None

    def first(self) -> Steps[ListPage[E]] | None:
        """The first page; None where nothing is wanted."""
        return self._page(None) if self._left != 0 else None

    def take(self, page: ListPage[E]) -> tuple[list[E], Steps[ListPage[E]] | None]:
        """The entries of a page that are wanted, and the page behind it, already on its way; None for no more."""
        entries = page.entries
        if self._left is not None:
            entries = entries[: self._left]
            self._left -= len(entries)
        if page.next_token is None or self._left == 0:
            return entries, None
        self._pages += 1
        if page.next_token in (self._token, self._seen):
            raise ServerError(
                "the server says that the next page is one that it has answered with before: there would be no end",
                operation=self.operation,
                bucket=self.bucket,
            )
        if (
            self._pages & (self._pages - 1) == 0
        ):  # at powers of two: it finds a circle of any length, and keeps one token
            self._seen = page.next_token
        return entries, started(self._page(page.next_token))

    def _page(self, token: Any) -> Steps[ListPage[E]]:
        self._token = token
        return self._ask(token, None if self._left is None else min(PAGE, self._left))


def started(steps: Steps[T]) -> Steps[T]:
    """Start a verb's first operation now; the steps that remain. Closing them before they are driven cancels it."""
    try:
        first = next(steps)
    except StopIteration as stop:
        return _finished(stop.value)
    return _Started(steps, first)


class _Started(Generator[Op[Any], Any, T]):
    """Steps whose first operation runs already. Not a generator function: closing one that nobody has begun to drive
    would be unknown to its body."""

    def __init__(self, steps: Steps[T], first: Op[Any]) -> None:
        self._steps = steps
        self._first: Op[Any] | None = first

    def send(self, value: Any) -> Op[Any]:
        first, self._first = self._first, None
        return self._steps.send(value) if first is None else first

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Op[Any]:
        first, self._first = self._first, None
        if first is not None:
            first.cancel()
        error = kind if value is None else value
        return self._steps.throw(error)


def _finished(value: T) -> Generator[Op[Any], Any, T]:
    yield from ()
    return value
