"""What both clients' ``iter_many`` and ``put_many`` have in common."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from objectfs import arguments as check
from objectfs.backends.base import Admission, Backend, ReadableBuffer, Steps
from objectfs.backends.memory import readable_view
from objectfs.backends.several import MEMORY, Job, Several
from objectfs.backends.tagging import tagged, tagged_all
from objectfs.core import Verb
from objectfs.errors import InvalidRequestError, ObjectFSError
from objectfs.options import GetOptions, PutOptions
from objectfs.types import Buffer, OnError, PutResult
from objectfs.units import parse_size

__all__ = ["LATER", "Item", "Reading", "put_each", "put_many", "told"]

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
            budget=backend.budget,
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


def put_many(bucket: str, items: Any, on_error: OnError, options: PutOptions) -> Verb[dict[str, Any]]:
    """The verb, its arguments checked as far as they can be beforehand."""
    check.check_on_error(on_error)
    if isinstance(items, Mapping):
        check.check_items(items, bucket)
        if on_error == "raise":
            return lambda backend: tagged_all(backend, bucket, options, backend.put_many(bucket, items, options))
        pairs = iter(items.items())
    else:
        pairs = iter(check.several(items, "items"))
    return lambda backend: put_each(backend, bucket, pairs, on_error, options)


def put_each(
    backend: Backend, bucket: str, items: Iterator[tuple[str, ReadableBuffer]], on_error: OnError, options: PutOptions
) -> Steps[dict[str, Any]]:
    """Uploads side by side, of what an iterator gives as there is room for it; the answers by key, or the errors.

    Raises:
        TypeError, InvalidRequestError: a pair is none, or a key comes twice.
    """
    seen: set[str] = set()

    def job(pair: Any) -> Job[str, PutResult]:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"items must be pairs (key, bytes-like), not {type(pair).__name__}")
        key, data = pair
        check.check_key(key, bucket)
        if key in seen:
            raise InvalidRequestError("the key comes twice", bucket=bucket, key=key, operation="PutObject")
        seen.add(key)
        with readable_view(data) as view:
            size = len(view)
        upload = partial(backend.put, bucket, key, data, options)
        return Job(key, lambda admission: tagged(backend, bucket, key, options, upload()), size)

    several = Several(
        (job(pair) for pair in items),
        backend.bell,
        budget=backend.budget,
        memory=MEMORY,
        most=backend.connections,
        ordered=False,
        weigh=lambda result: 0,
        counts=True,
    )
    results: dict[str, Any] = {}
    try:
        while True:
            found = several.take()
            if found is not None:
                key, result = found
                if isinstance(result, ObjectFSError):
                    result.about("PutObject", bucket, key)
                if isinstance(result, Exception) and on_error == "raise":
                    raise result
                results[key] = result
            elif not (yield from several.wait()):
                several.abandon()
                return results
    except GeneratorExit:
        several.abandon()
        raise
    except BaseException:
        yield from several.drain()
        raise


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
