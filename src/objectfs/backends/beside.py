"""Verbs side by side whose results are all wanted, in one driver's hands: each one's operation is under way while
another's is waited for. What does not keep everything goes by :class:`objectfs.backends.several.Several`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from objectfs import errors
from objectfs.backends.base import Steps

__all__ = ["side_by_side"]

T = TypeVar("T")


def side_by_side(
    verbs: Sequence[Steps[T]], most: int, keep: Callable[[errors.ObjectFSError], bool]
) -> Steps[list[T | errors.ObjectFSError]]:
    """Run them, ``most`` at a time: their results, in their order, and in place of some a failure that ``keep`` wants.

    The first other failure ends all, as do a timeout and Ctrl-C: whoever drives these steps cancels what they have
    started. The verbs only read: they have nothing to clean up that would have to be waited for.
    """
    results: list[Any] = [None] * len(verbs)
    waiting = iter(enumerate(verbs))
    running: deque[tuple[int, Steps[T], Any]] = deque()  # each with the operation that it waits for

    def go(index: int, verb: Steps[T], step: Callable[[], Any], told: bool = False) -> None:
        """``told``: by the driver to stop."""
        try:
            running.append((index, verb, step()))
        except StopIteration as stop:
            results[index] = stop.value
        except errors.ObjectFSError as error:
            if told or not keep(error):
                raise
            results[index] = error

    try:
        while True:
            while len(running) < most and (following := next(waiting, None)) is not None:
                go(*following, partial(next, following[1]))
            if not running:
                return results
            index, verb, op = running.popleft()
            try:
                value = yield op
            except BaseException as error:
                told = not isinstance(error, Exception) or isinstance(error, (errors.TimeoutError, errors.ClosedError))
                go(index, verb, partial(verb.throw, error), told)
            else:
                go(index, verb, partial(verb.send, value))
    finally:
        for _, verb, _ in running:
            verb.close()
