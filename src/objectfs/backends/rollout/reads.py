"""Reads of a routed client: by the key's route, compared where the setting ``shadow`` asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from objectfs.backends.base import Backend, GetOptions, ListOptions, RangeRead, Steps
from objectfs.backends.memory import writable_view
from objectfs.backends.rollout import answers
from objectfs.backends.rollout.answers import Describe
from objectfs.backends.rollout.blame import blame
from objectfs.backends.rollout.routing import Router
from objectfs.backends.rollout.shadow import Read, Shadows
from objectfs.types import Buffer, ListPage, ObjectInfo, ObjectVersion, OnError, Prefix

__all__ = ["Reads"]

T = TypeVar("T")

Ask = Callable[[Backend], Steps[Any]]


class Reads:
    """Part of :class:`~objectfs.backends.rollout.RoutedBackend`."""

    trusted: Backend
    engine: Backend
    router: Router
    shadows: Shadows | None

    def get(self, bucket: str, key: str, options: GetOptions) -> Steps[Buffer]:
        def ask(backend: Backend) -> Steps[Buffer]:
            return backend.get(bucket, key, options)

        return (
            yield from self._read(
                "GetObject", bucket, key, ask, self._again(bucket, key, options), answers.of_buffer, len
            )
        )

    def _again(self, bucket: str, key: str, options: GetOptions) -> Ask:
        """The same content once more, for a comparison."""

        def again(backend: Backend) -> Steps[Buffer]:
            assert self.shadows is not None
            return backend.get(bucket, key, dataclasses.replace(options, admission=self.shadows.cap()))

        return again

    def get_into(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[int]:
        def ask(backend: Backend) -> Steps[int]:
            return backend.get_into(bucket, key, buffer, options)

        def into(size: int) -> Callable[[Backend], Steps[bytearray]]:
            def again(backend: Backend) -> Steps[bytearray]:
                memory = bytearray(size)
                length = yield from backend.get_into(bucket, key, memory, options)
                del memory[length:]
                return memory

            return again

        shadows, route = self.shadows, self.router.route("GetObject", bucket, key)
        if route.engine:
            return (yield from self.router.guarded(route, ask, self.engine, repeats=True))
        if shadows is None or not shadows.takes("GetObject", bucket, key):
            return (yield from ask(self.trusted))
        try:
            length = yield from ask(self.trusted)
        except Exception as error:
            if blame(error) == "request":
                with writable_view(buffer) as view:  # raises what the backend has raised, if that was it
                    size = view.nbytes
                if size <= shadows.rules.max_bytes:
                    shadows.after_error(Read("GetObject", bucket, key, into(size), answers.of_bytes), error)
            raise

        def make() -> answers.Answer:
            with writable_view(buffer) as view, view[:length] as content:
                return answers.of_bytes(content)

        read = Read("GetObject", bucket, key, into(length), answers.of_bytes)
        yield from shadows.after(read, None, length, make)
        return length

    def get_file(self, bucket: str, key: str, path: str, options: GetOptions) -> Steps[ObjectInfo]:
        def ask(backend: Backend) -> Steps[ObjectInfo]:
            return backend.get_file(bucket, key, path, options)

        shadows, route = self.shadows, self.router.route("GetObject", bucket, key)
        if route.engine:
            return (yield from self.router.guarded(route, ask, self.engine, repeats=True))
        if shadows is None or not shadows.takes("GetObject", bucket, key):
            return (yield from ask(self.trusted))
        read = Read("GetObject", bucket, key, self._again(bucket, key, options), answers.of_buffer)
        try:
            info = yield from ask(self.trusted)
        except Exception as error:
            shadows.after_error(read, error)
            raise
        # what arrived may be less than the object: a range; never more
        yield from shadows.after(read, info, info.size, lambda: answers.of_file(path, info))
        return info

    def get_many(self, bucket: str, keys: Sequence[str], on_error: OnError, options: GetOptions) -> Steps[list[Any]]:
        places: dict[bool, list[int]] = {True: [], False: []}
        for at, key in enumerate(keys):
            places[self.router.is_canary(bucket, key)].append(at)
        found: dict[int, Any] = {}
        for part in places.values():
            if part or not (found or keys):
                names = [keys[at] for at in part]
                results = yield from self._get_several(bucket, names, on_error, options)
                found.update(zip(part, results, strict=True))
        return [found[at] for at in range(len(keys))]

    def _get_several(self, bucket: str, names: list[str], on_error: OnError, options: GetOptions) -> Steps[list[Any]]:
        """Keys that are all canaries, or none of them: one decision."""

        def ask(backend: Backend) -> Steps[list[Any]]:
            return backend.get_many(bucket, names, on_error, options)

        route = self.router.route("GetObject", bucket, names[0] if names else None)
        if not route.engine:
            results = yield from ask(self.trusted)
            yield from self._compare_each(bucket, names, results, options)
            return results
        results = yield from self.router.guarded(route, ask, self.engine, repeats=True)
        if route.circuit is None:
            return results
        # failures that are returned have been raised by nobody
        wrong = [at for at, each in enumerate(results) if isinstance(each, Exception) and blame(each) == "engine"]
        if wrong:
            again = yield from self.trusted.get_many(bucket, [names[at] for at in wrong], on_error, options)
            for at, each in zip(wrong, again, strict=True):
                self.router.returned(route, names[at], results[at], each)
                results[at] = each
        return results

    def _compare_each(self, bucket: str, keys: list[str], results: list[Any], options: GetOptions) -> Steps[None]:
        shadows = self.shadows
        if shadows is None:
            return
        for key, result in zip(keys, results, strict=True):
            if not shadows.takes("GetObject", bucket, key):
                continue
            read = Read("GetObject", bucket, key, self._again(bucket, key, options), answers.of_buffer)
            if isinstance(result, Exception):
                shadows.after_error(read, result)
            else:
                yield from shadows.after(read, result, len(result))

    def get_ranges(
        self, bucket: str, key: str, ranges: Sequence[tuple[int, int]], options: GetOptions
    ) -> Steps[list[Buffer]]:
        def ask(backend: Backend) -> Steps[list[Buffer]]:
            return backend.get_ranges(bucket, key, ranges, options)

        def size(buffers: list[Buffer]) -> int:
            return sum(map(len, buffers))

        return (yield from self._read("GetObject", bucket, key, ask, ask, answers.of_buffers, size))

    def part_of(self, buffer: Any, start: int, end: int) -> Buffer:
        maker = self.trusted if isinstance(buffer, bytearray) else self.engine
        return maker.part_of(buffer, start, end)

    def read_range(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[RangeRead]:
        def ask(backend: Backend) -> Steps[RangeRead]:
            return backend.read_range(bucket, key, buffer, options)

        size = (options.end or 0) - (options.start or 0)

        def again(backend: Backend) -> Steps[tuple[RangeRead, bytearray]]:
            memory = bytearray(size)
            read = yield from backend.read_range(bucket, key, memory, options)
            return read, memory

        def describe(result: Any) -> answers.Answer:
            read, memory = result
            return answers.of_range(read, memory)

        return (
            yield from self._read(
                "GetObject",
                bucket,
                key,
                ask,
                again,
                describe,
                lambda read: size,
                lambda read: answers.of_range(read, buffer),
            )
        )

    def head(self, bucket: str, key: str, options: GetOptions) -> Steps[ObjectInfo]:
        def ask(backend: Backend) -> Steps[ObjectInfo]:
            return backend.head(bucket, key, options)

        return (yield from self._read("HeadObject", bucket, key, ask, ask, answers.of_info, lambda info: 0))

    def list_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
        max_keys: int | None = None,
        options: ListOptions,
    ) -> Steps[ListPage[ObjectInfo | Prefix]]:
        def ask(backend: Backend) -> Steps[ListPage[ObjectInfo | Prefix]]:
            return backend.list_page(
                bucket,
                prefix=prefix,
                delimiter=delimiter,
                start_after=start_after,
                token=token,
                max_keys=max_keys,
                options=options,
            )

        return (yield from self._read("ListObjectsV2", bucket, prefix, ask, ask, answers.of_page, lambda page: 0))

    def list_versions_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        token: tuple[str, str | None] | None = None,
        max_keys: int | None = None,
        options: ListOptions,
    ) -> Steps[ListPage[ObjectVersion | Prefix]]:
        def ask(backend: Backend) -> Steps[ListPage[ObjectVersion | Prefix]]:
            return backend.list_versions_page(
                bucket, prefix=prefix, delimiter=delimiter, token=token, max_keys=max_keys, options=options
            )

        return (yield from self._read("ListObjectVersions", bucket, prefix, ask, ask, answers.of_page, lambda page: 0))

    def _read(
        self,
        operation: str,
        bucket: str,
        key: str | None,
        ask: Callable[[Backend], Steps[T]],
        again: Ask,
        describe: Describe,
        size: Callable[[T], int],
        here: Callable[[T], answers.Answer] | None = None,
    ) -> Steps[T]:
        """One read.

        Args:
            ask, again: make it for the caller, and for a comparison.
            describe: what of the comparison's result is compared; and of the caller's, if not ``here`` does that.
            size: bytes of a result.
        """
        route, shadows = self.router.route(operation, bucket, key), self.shadows
        if route.engine:
            return (yield from self.router.guarded(route, ask, self.engine, repeats=True))
        if shadows is None or not shadows.takes(operation, bucket, key):
            return (yield from ask(self.trusted))
        read = Read(operation, bucket, key, again, describe)
        try:
            result = yield from ask(self.trusted)
        except Exception as error:
            shadows.after_error(read, error)
            raise
        make = None if here is None else lambda: here(result)
        yield from shadows.after(read, result, size(result), make)
        return result
