"""Objects read one after the other, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, Unpack, overload

from objectfs import arguments as check
from objectfs.backends.drive import run
from objectfs.options import GetManyParams
from objectfs.types import Buffer, OnError
from objectfs.verbs.driving import Driver
from objectfs.verbs.manyjobs import Item, Reading, told

__all__ = ["ManyVerbs"]


class ManyVerbs(Driver):
    """Part of :class:`objectfs.Client`."""

    @overload
    def iter_many(
        self,
        bucket: str,
        keys: Iterable[Item],
        *,
        max_in_flight: int | None = None,
        max_memory: int | str | None = None,
        on_error: Literal["raise"] = "raise",
        ordered: bool = False,
        timeout: float | None = None,
        **options: Unpack[GetManyParams],
    ) -> Iterator[tuple[Item, Buffer]]: ...
    @overload
    def iter_many(
        self,
        bucket: str,
        keys: Iterable[Item],
        *,
        max_in_flight: int | None = None,
        max_memory: int | str | None = None,
        on_error: OnError = "raise",
        ordered: bool = False,
        timeout: float | None = None,
        **options: Unpack[GetManyParams],
    ) -> Iterator[tuple[Item, Buffer | Exception]]: ...
    def iter_many(
        self,
        bucket: str,
        keys: Iterable[Item],
        *,
        max_in_flight: int | None = None,
        max_memory: int | str | None = None,
        on_error: OnError = "raise",
        ordered: bool = False,
        timeout: float | None = None,
        **options: Unpack[GetManyParams],
    ) -> Iterator[tuple[Item, Buffer | Exception]]:
        """Many objects as they arrive (GetObject each, and HeadObject for empty ones), within a bounded memory: for
        more than :meth:`get_many` can hold at a time.

        Nothing is read ahead of the consumer but what is on its way, and closing the iterator, or dropping it, cancels
        that. The iterator is for one thread at a time.

        Args:
            keys: also a generator of any length, read as results are taken. In place of a key, ``(key, start, end)``
                is a half-open range of it in bytes, as :meth:`get` takes them (``end`` may be None).
            max_in_flight: objects on their way at a time; the client's ``max_connections`` if not given.
            max_memory: bytes, or text such as ``"1 GiB"``, of what is on its way and what has arrived but has not been
                taken; 128 MiB if not given, and no more than the client's ``memory_limit`` leaves. An object that is
                larger is read when nothing else runs.
            on_error: ``raise`` the first failure and cancel the rest, or ``return`` each in its object's place.
            ordered: in the order of ``keys``; else as they complete.
            timeout: seconds without any answer, after which TimeoutError is raised.

        Returns:
            An iterator over pairs: what ``keys`` gave, and a Buffer; with ``on_error="return"`` or the exception.

        Raises:
            NotFoundError and others of :meth:`get`: unless they are returned.
            TypeError, InvalidRequestError: ``keys`` gave something that is no key, after what came before it.
            ClosedError: the client was closed meanwhile.
        """
        check.check_call(bucket, check.MANY, timeout)
        asked = check.get_options("GetManyParams", options)
        self._core.check_options(asked, bucket)
        reading = Reading(bucket, asked, max_in_flight, max_memory, on_error, ordered)
        return self._iter_many(reading, iter(check.several(keys, "keys")), timeout)

    def _iter_many(
        self, reading: Reading, keys: Iterator[Item], timeout: float | None
    ) -> Iterator[tuple[Item, Buffer | Exception]]:
        several = reading.begin(self._core.backend(), keys)
        try:
            with told(reading.bucket):
                while True:
                    found = several.take()
                    if found is not None:
                        yield reading.outcome(*found)
                    elif not run(several.wait(), timeout):
                        return
        finally:
            several.close()
