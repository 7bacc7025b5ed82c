"""What both clients' ``iter_many`` have in common."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from objectfs import arguments as check
from objectfs.backends.base import Admission, Backend, Steps
from objectfs.backends.several import MEMORY, Job, Several
from objectfs.errors import InvalidRequestError, ObjectFSError
from objectfs.options import GetOptions
from objectfs.types import Buffer, OnError
from objectfs.units import parse_size

__all__ = ["LATER", "Item", "Reading", "told"]

Item = Any
"""A key, or ``(key, start, end)``."""

LATER: Any = object()
"""In place of an item: there is none yet."""


class Reading:
    """A call of ``iter_many``, its arguments checked.

    Raises:
        TypeError, InvalidRequestError: a limit is none.
    """

    def __init__(
        self,
        bucket: str,
        options: GetOptions,
        most: int | None,
        memory: int | str | None,
        on_error: OnError,
        ordered: bool,
    ) -> None:
        check.check_on_error(on_error)
        self.bucket = bucket
        self._options = options
        self._most = None if most is None else _positive("max_in_flight", most)
        self._memory = MEMORY if memory is None else _size("max_memory", memory)
        self._raises = on_error == "raise"
        self._ordered = ordered

    def begin(self, backend: Backend, items: Iterator[Item]) -> Several[Item, Buffer]:
        """The transfers; none of them has started."""
        return Several(
            (None if item is LATER else self._job(backend, item) for item in items),
            backend.bell,
            memory=self._memory,
            most=self._most or backend.connections,
            ordered=self._ordered,
            weigh=len,
        )

    def _job(self, backend: Backend, item: Item) -> Job[Item, Buffer]:
        key, options = item, self._options
        if isinstance(item, (tuple, list)):
            if len(item) != 3:
                raise TypeError(f"keys must be strings or (key, start, end), not {item!r}")
            key, start, end = item
            within = check.get_options("GetParams", {}, start, end)
            if start is not None and start < 0:
                raise InvalidRequestError(f"{item!r}: a range must begin at 0 or later", bucket=self.bucket)
            options = dataclasses.replace(options, start=within.start, end=within.end)
        check.check_key(key, self.bucket)

        def make(admission: Admission) -> Steps[Buffer]:
            return backend.get(self.bucket, key, dataclasses.replace(options, admission=admission))

        return Job(item, make)

    def outcome(self, item: Item, result: Buffer | Exception) -> tuple[Item, Buffer | Exception]:
        """What the iterator yields, or raises."""
        if isinstance(result, Exception):
            if isinstance(result, ObjectFSError):
                result.about("GetObject", self.bucket, item if isinstance(item, str) else item[0])
            if self._raises:
                raise result
        return item, result


@contextlib.contextmanager
def told(bucket: str) -> Iterator[None]:
    """Errors say where they come from."""
    try:
        yield
    except ObjectFSError as error:
        error.about("GetObject", bucket, None)
        raise


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number or None, not {type(value).__name__}")
    if value < 1:
        raise InvalidRequestError(f"{name}={value} must be 1 or more")
    return value


def _size(name: str, value: int | str) -> int:
    if isinstance(value, str):
        try:
            value = parse_size(value)
        except ValueError as error:
            raise InvalidRequestError(f"{name}={value!r}: {error}") from None
    return _positive(name, value)
