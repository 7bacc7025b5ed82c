"""Deleting many objects, on both backends: 1,000 a request, several requests at a time, whatever the keys are."""

from __future__ import annotations

import dataclasses
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

from objectfs import errors
from objectfs.backends.answers import DELETE_BATCH, NOT_XML, delete_failure
from objectfs.backends.base import DeleteOptions, Op, Steps
from objectfs.backends.sdk_errors import worth_another_attempt

__all__ = ["Deleter", "Item", "Pair", "delete_many"]

Item = str | tuple[str, str | None]
"""A key, or a key and the version of it."""

Pair = tuple[str, str | None]

BACKOFF_CAP = 20.0
"""Seconds, as in botocore's standard mode: the n-th wait is a random part of min(2**n, 20)."""

AT_A_TIME = 4
"""Requests: S3 takes 3,500 deletes a second and prefix, which is what four of 1,000 that take a second each come to."""


class Deleter(Protocol):
    """What a backend does for it."""

    @property
    def max_attempts(self) -> int:
        """The first one included."""

    def pause(self, seconds: float) -> Op[Any]:
        """Start something that ends after that time."""

    def region_of(self, bucket: str) -> str | None:
        """Where requests to that bucket go now, if that was found out."""

    def follow(self, bucket: str, error: errors.ObjectFSError, region: str | None) -> bool:
        """Whether a request that was sent to that region should be sent again, for its bucket is in another."""

    def start_delete(self, bucket: str, pairs: Sequence[Pair], options: DeleteOptions) -> Op[Any]:
        """Start DeleteObjects."""

    def refusals(self, bucket: str, answer: Any) -> list[Mapping[str, Any]]:
        """The ``Error`` elements of its answer. Raises what the request as a whole failed with."""

    def start_each(self, bucket: str, pairs: Sequence[Pair], options: DeleteOptions) -> Op[Any]:
        """Start a DeleteObject for each: of keys that no XML document can name."""

    def failures(self, bucket: str, pairs: Sequence[Pair], answer: Any) -> list[errors.ObjectFSError | None]:
        """What each of them failed with."""


@dataclasses.dataclass(slots=True)
class _Request:
    """One operation of a batch."""

    start: Callable[[], Op[Any]]
    read: Callable[[Any], Mapping[Pair, Item]]
    """Takes the answer; what of it S3 was too busy for."""
    region: str | None
    op: Op[Any]
    attempt: int = 1
    pausing: bool = False
    """Whether ``op`` is the pause before the request."""


def delete_many(
    backend: Deleter, bucket: str, items: Iterable[Item], options: DeleteOptions
) -> Steps[dict[Item, Exception]]:
    """The failures by item. Of the items there are never more than a few requests' in memory.

    S3 answers 200 also where it was too busy for some of the keys. Those are asked for again, as a request that fails
    as a whole is.
    """
    failures: dict[Item, Exception] = {}
    running: deque[_Request] = deque()
    remaining = iter(items)
    try:
        while True:
            while len(running) < AT_A_TIME and (batch := list(islice(remaining, DELETE_BATCH))):
                running.extend(_start(backend, bucket, batch, options, failures))
            if not running:
                return failures
            request = running[0]
            answer = yield request.op
            if request.pausing:
                request.pausing, request.region = False, backend.region_of(bucket)
                request.op = request.start()
                continue
            try:
                busy = request.read(answer)
            except errors.ObjectFSError as error:
                if not backend.follow(bucket, error, request.region):
                    raise
                request.op = request.start()
                busy = request.read((yield request.op))
            if busy:
                start, read = _plain(backend, bucket, busy, options, failures, request.attempt + 1)
                pause = backend.pause(backoff(request.attempt))
                running[0] = _Request(start, read, None, pause, request.attempt + 1, pausing=True)
            else:
                running.popleft()
    except BaseException:
        for request in running:
            request.op.cancel()
        raise


def backoff(attempt: int) -> float:
    """Seconds to wait after that attempt, as AWS's SDKs do."""
    return random.random() * min(2.0 ** (attempt - 1), BACKOFF_CAP)


def _start(
    backend: Deleter, bucket: str, batch: Sequence[Item], options: DeleteOptions, failures: dict[Item, Exception]
) -> Iterable[_Request]:
    pairs: dict[Pair, Item] = {(item, None) if isinstance(item, str) else item: item for item in batch}
    plain = {pair: item for pair, item in pairs.items() if not NOT_XML.search(pair[0])}
    awkward = [pair for pair in pairs if NOT_XML.search(pair[0])]

    def start_awkward() -> Op[Any]:
        return backend.start_each(bucket, awkward, options)

    def read_awkward(answer: Any) -> Mapping[Pair, Item]:
        found = backend.failures(bucket, awkward, answer)
        for error in found:
            if isinstance(error, errors.RedirectError):  # so is the whole bucket
                raise error
        failures.update({pairs[pair]: error for pair, error in zip(awkward, found, strict=True) if error is not None})
        return {}  # each has been tried again already

    for wanted, (start, read) in (
        (plain, _plain(backend, bucket, plain, options, failures, 1)),
        (awkward, (start_awkward, read_awkward)),
    ):
        if wanted:
            region = backend.region_of(bucket)
            yield _Request(start, read, region, start())


def _plain(
    backend: Deleter,
    bucket: str,
    pairs: Mapping[Pair, Item],
    options: DeleteOptions,
    failures: dict[Item, Exception],
    attempt: int,
) -> tuple[Callable[[], Op[Any]], Callable[[Any], dict[Pair, Item]]]:
    """How one DeleteObjects is started, and how its answer is read."""

    def start() -> Op[Any]:
        return backend.start_delete(bucket, list(pairs), options)

    def read(answer: Any) -> dict[Pair, Item]:
        busy: dict[Pair, Item] = {}
        for element in backend.refusals(bucket, answer):
            named, error = _named(pairs, element), delete_failure(bucket, element)
            if named in pairs and attempt < backend.max_attempts and worth_another_attempt(error):
                busy[named] = pairs[named]
            else:
                failures[pairs.get(named) or named[0]] = error
        return busy

    return start, read


def _named(pairs: Mapping[Pair, Item], element: Mapping[str, Any]) -> Pair:
    """Which of them an error is about."""
    key, version = element.get("Key") or "", element.get("VersionId") or None
    for pair in ((key, version), (key, None)):
        if pair in pairs:
            return pair
    for pair in pairs:  # XML readers turn a carriage return into a newline
        if pair[0].replace("\r\n", "\n").replace("\r", "\n") == key and pair[1] in (version, None):
            return pair
    return key, version
