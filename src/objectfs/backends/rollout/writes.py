"""Writes of a routed client, by the key's route. What may not be made twice is not repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from objectfs.backends.base import Backend, DeleteOptions, PutOptions, ReadableBuffer, SentPart, Steps, StreamUpload
from objectfs.backends.copying import CopyPlan
from objectfs.backends.deleting import Item
from objectfs.backends.leftovers import Pending
from objectfs.backends.memory import PartMemory
from objectfs.backends.rollout.routing import Route, Router
from objectfs.options import CONDITIONS, Options
from objectfs.types import PutResult

__all__ = ["Writes"]

AT_A_TIME = 4000
"""Keys that are divided among the backends at a time: the requests that a backend has under way (``deleting.py``)."""


class Writes:
    """Part of :class:`~objectfs.backends.rollout.RoutedBackend`."""

    trusted: Backend
    engine: Backend
    router: Router

    def _write(
        self,
        operation: str,
        bucket: str,
        key: str | None,
        ask: Callable[[Backend], Steps[Any]],
        *,
        repeats: bool,
        calls_back: bool = False,
    ) -> Steps[Any]:
        route = self.router.route(operation, bucket, key)
        if not route.engine:
            return (yield from ask(self.trusted))
        return (yield from self.router.guarded(route, ask, self.engine, repeats=repeats, calls_back=calls_back))

    def put(self, bucket: str, key: str, data: ReadableBuffer, options: PutOptions) -> Steps[PutResult]:
        return self._write(
            "PutObject",
            bucket,
            key,
            lambda backend: backend.put(bucket, key, data, options),
            repeats=_unconditional(options),
        )

    def put_file(self, bucket: str, key: str, path: str, options: PutOptions) -> Steps[PutResult]:
        return self._write(
            "PutObject",
            bucket,
            key,
            lambda backend: backend.put_file(bucket, key, path, options),
            repeats=_unconditional(options),
        )

    def put_stream(
        self, bucket: str, key: str, read: Callable[[int], ReadableBuffer], options: PutOptions
    ) -> Steps[PutResult]:
        return self._write(
            "PutObject",
            bucket,
            key,
            lambda backend: backend.put_stream(bucket, key, read, options),
            repeats=False,  # what has been read is gone
            calls_back=True,
        )

    def upload(self, bucket: str, key: str, options: PutOptions) -> StreamUpload:
        route = self.router.route("PutObject", bucket, key)
        if not route.engine:
            return self.trusted.upload(bucket, key, options)
        made = self.engine.upload(bucket, key, options)
        return made if route.circuit is None else _WatchedUpload(made, self.router, route)

    def put_many(
        self, bucket: str, items: Mapping[str, ReadableBuffer], options: PutOptions
    ) -> Steps[dict[str, PutResult]]:
        parts: dict[bool, dict[str, ReadableBuffer]] = {True: {}, False: {}}
        for key, data in items.items():
            parts[self.router.is_canary(bucket, key)][key] = data
        results: dict[str, PutResult] = {}
        for part in parts.values():
            if part:
                results.update((yield from self._put_several(bucket, part, options)))
        return {key: results[key] for key in items}

    def _put_several(
        self, bucket: str, items: Mapping[str, ReadableBuffer], options: PutOptions
    ) -> Steps[dict[str, PutResult]]:
        return self._write(
            "PutObject",
            bucket,
            next(iter(items)),
            lambda backend: backend.put_many(bucket, items, options),
            repeats=_unconditional(options),
        )

    def copy(self, bucket: str, key: str, plan: CopyPlan) -> Steps[PutResult]:
        return self._write(
            "CopyObject",
            bucket,
            key,
            lambda backend: backend.copy(bucket, key, plan),
            repeats=_unconditional(plan.options),
        )

    def delete(self, bucket: str, key: str, options: DeleteOptions) -> Steps[None]:
        return self._write(
            "DeleteObject",
            bucket,
            key,
            lambda backend: backend.delete(bucket, key, options),
            repeats=_unconditional(options),
        )

    def delete_many(self, bucket: str, items: Iterable[Item], options: DeleteOptions) -> Steps[dict[Item, Exception]]:
        failures: dict[Item, Exception] = {}
        left = iter(items)
        while chunk := list(islice(left, AT_A_TIME)):
            parts: dict[bool, list[Item]] = {True: [], False: []}
            for item in chunk:
                parts[self.router.is_canary(bucket, item if isinstance(item, str) else item[0])].append(item)
            for part in parts.values():
                if part:
                    failures.update((yield from self._delete_several(bucket, part, options)))
        return failures

    def _delete_several(self, bucket: str, items: list[Item], options: DeleteOptions) -> Steps[dict[Item, Exception]]:
        first = items[0]
        return self._write(
            "DeleteObjects",
            bucket,
            first if isinstance(first, str) else first[0],
            lambda backend: backend.delete_many(bucket, items, options),
            repeats=True,
        )

    def call(self, operation: str, params: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        bucket, key = params.get("Bucket"), params.get("Key")
        return self._write(
            operation,
            bucket if isinstance(bucket, str) else "",
            key if isinstance(key, str) else None,
            lambda backend: backend.call(operation, params),
            repeats=operation.startswith(("Get", "Head", "List")),
            calls_back=True,
        )


def _unconditional(options: Options) -> bool:
    """Whether a request may be made once more: of a conditional one that did succeed, the condition no longer holds."""
    return not any(name in options.given for name in CONDITIONS)


class _WatchedUpload:
    """An upload on the engine, for the circuit."""

    def __init__(self, made: StreamUpload, router: Router, route: Route) -> None:
        self._made, self._router, self._route = made, router, route
        self.lease = made.lease

    @property
    def part_size(self) -> int:
        return self._made.part_size

    @property
    def created(self) -> Callable[[str, str | None], None] | None:
        return self._made.created

    @created.setter
    def created(self, call: Callable[[str, str | None], None] | None) -> None:
        self._made.created = call

    @property
    def pending(self) -> Pending | None:
        return self._made.pending

    @pending.setter
    def pending(self, value: Pending | None) -> None:
        self._made.pending = value

    def of_size(self, size: int) -> None:
        self._made.of_size(size)

    def adopt(self, upload_id: str, algorithm: str | None) -> Steps[None]:
        return self._watched(self._made.adopt(upload_id, algorithm))

    def have(self, part: SentPart, content: memoryview, memory: PartMemory) -> None:
        self._made.have(part, content, memory)

    def new_memory(self, size: int) -> PartMemory:
        return self._made.new_memory(size)

    def memory(self) -> Steps[PartMemory]:
        return self._made.memory()

    def send(self, part: memoryview, memory: PartMemory | None) -> Steps[None]:
        return self._watched(self._made.send(part, memory))

    def settle(self) -> Steps[None]:
        return self._watched(self._made.settle())

    def complete(self, last: memoryview) -> Steps[PutResult]:
        result: PutResult = yield from self._watched(self._made.complete(last))
        self._router.went_well(self._route)
        return result

    def give_up(self, error: BaseException) -> Steps[None]:
        return self._made.give_up(error)

    def _watched(self, steps: Steps[Any]) -> Steps[Any]:
        try:
            return (yield from steps)
        except Exception as error:
            failure = error
        yield from self._router.failed(self._route, failure)
        try:
            raise failure
        finally:
            del failure
