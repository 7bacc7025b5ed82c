"""Reading ahead: the next page of a listing is on its way while one is being consumed."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from objectfs.backends.base import Op, Steps
from objectfs.core import Core
from objectfs.types import ListPage, ObjectInfo, Prefix

__all__ = ["Listing", "started"]

T = TypeVar("T")

PAGE = 1000
"""Keys that S3 lists in one answer at most."""


class Listing:
    """What is still to be asked for, and how much of it is wanted.

    Args:
        limit: entries in all; None for every one.
    """

    def __init__(
        self,
        core: Core,
        bucket: str,
        prefix: str,
        delimiter: str | None,
        start_after: str | None,
        limit: int | None,
    ) -> None:
        self._core = core
        self._bucket = bucket
        self._question = {"prefix": prefix, "delimiter": delimiter or None, "start_after": start_after or None}
        self._left = limit

    def first(self) -> Steps[ListPage] | None:
        """The first page; None where nothing is wanted."""
        return self._page(None) if self._left != 0 else None

    def take(self, page: ListPage) -> tuple[list[ObjectInfo | Prefix], Steps[ListPage] | None]:
        """The entries of a page that are wanted, and the page behind it, already on its way; None for no more."""
        entries = page.entries
        if self._left is not None:
            entries = entries[: self._left]
            self._left -= len(entries)
        ahead = started(self._page(page.next_token)) if page.next_token and self._left != 0 else None
        return entries, ahead

    def _page(self, token: str | None) -> Steps[ListPage]:
        size = None if self._left is None else min(PAGE, self._left)
        question: dict[str, Any] = {**self._question, "token": token, "max_keys": size}
        return self._core.backend().list_page(self._bucket, **question)


def started(steps: Steps[T]) -> Steps[T]:
    """Start a verb's first operation now; the steps that remain."""
    try:
        first = next(steps)
    except StopIteration as stop:
        return _finished(stop.value)
    return _remaining(steps, first)


def _remaining(steps: Steps[T], op: Op[Any]) -> Generator[Op[Any], Any, T]:
    try:
        while True:
            try:
                value = yield op
            except Exception as error:
                op = steps.throw(error)
            else:
                op = steps.send(value)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except BaseException:
        op.cancel()
        steps.close()
        raise


def _finished(value: T) -> Generator[Op[Any], Any, T]:
    yield from ()
    return value
