"""The two drivers of a verb's steps: one blocks, one awaits. See ``backends/base.py`` for what steps are."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

from objectfs import errors
from objectfs.backends.base import Op, Steps

__all__ = ["arun", "run"]

T = TypeVar("T")
Progress = Callable[[int], None]

PROGRESS_INTERVAL = 0.1
"""Seconds between two calls of a progress callback: often enough for a bar, too seldom to cost anything."""

STOP_GRACE = 0.1
"""Seconds that an interrupted call waits for the engine to let go, and for what it then has to clean up. Then the
operation ends in the background; its memory stays pinned until it has. Ctrl-C must be answered within 200 ms, and is
noticed after 50."""

CLEANUP_GRACE = 1.0
"""Seconds that a call whose ``timeout=`` has run out waits for its clean-up (AbortMultipartUpload). Then that ends in
the background."""


def run(steps: Steps[T], timeout: float | None = None, progress: Progress | None = None) -> T:
    """Run a verb to its end on the calling thread.

    Args:
        timeout: seconds for the whole verb; TimeoutError after it, when what ran has been cancelled.
        progress: called on this thread with the bytes moved so far, at most each 100 ms and once at the end.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    moved = 0
    ending = False  # the deadline is that of the clean-up
    try:
        op = next(steps)
        while True:
            try:
                _wait(op, deadline, progress, moved)
                value = op.result()
            except BaseException as error:
                until = time.monotonic() + STOP_GRACE
                if ending and deadline is not None:
                    until = min(until, deadline)
                if not op.done():
                    _stop(op, until)
                if not isinstance(error, Exception):  # Ctrl-C: the clean-up gets what is left of the time
                    deadline, progress, ending = until, None, True
                elif not ending and deadline is not None and time.monotonic() >= deadline:
                    deadline, progress, ending = time.monotonic() + CLEANUP_GRACE, None, True
                op = steps.throw(error)
            else:
                moved += op.transferred
                op = steps.send(value)
    except StopIteration as stop:
        if progress is not None:
            progress(moved)
        result: T = stop.value
        return result
    except Exception:
        raise
    except BaseException as error:
        # Ctrl-C may strike here, outside of the steps: they must hear of it, or nobody would clean up after them
        if getattr(steps, "gi_frame", None) is not None:
            _interrupt(steps, error)
        raise


def _interrupt(steps: Steps[Any], error: BaseException) -> None:
    """Throw Ctrl-C into steps that are not running, and let them clean up for what is left of the 200 ms."""
    deadline = time.monotonic() + STOP_GRACE
    with contextlib.suppress(BaseException):
        op = steps.throw(error)
        while True:
            try:
                _wait(op, deadline, None, 0)
                value = op.result()
            except BaseException as more:
                if not op.done():
                    _stop(op, deadline)
                op = steps.throw(more)
            else:
                op = steps.send(value)


def _wait(op: Op[Any], deadline: float | None, progress: Progress | None, moved: int) -> None:
    if deadline is None and progress is None:
        op.wait()
        return
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        step = left if progress is None else PROGRESS_INTERVAL if left is None else min(left, PROGRESS_INTERVAL)
        if op.wait(step):
            return
        if progress is not None:
            progress(moved + op.transferred)
        if deadline is not None and time.monotonic() >= deadline:
            raise errors.TimeoutError("timeout= ran out before the operation was done")


def _stop(op: Op[Any], deadline: float) -> None:
    op.cancel()
    op.wait(max(0.0, deadline - time.monotonic()))


async def arun(steps: Steps[T], timeout: float | None = None, progress: Progress | None = None) -> T:  # noqa: ASYNC109 - also cleans up
    """Run a verb to its end on the running asyncio loop. Cancelling the task cancels the transfer.

    Args: as for :func:`run`; ``progress`` is called on the loop.
    """
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    moved = 0
    ending = False  # as in run()
    try:
        op = next(steps)
        while True:
            try:
                await _await(loop, op, deadline, progress, moved)
                value = op.result()
            except GeneratorExit:  # the coroutine was dropped: no awaiting here any more
                op.cancel()
                steps.close()
                raise
            except BaseException as error:
                if not op.done():
                    op.cancel()
                    # not awaited by task: a second cancel must not cut the clean-up short
                    await asyncio.wait({op.future(loop)}, timeout=STOP_GRACE)
                late = deadline is not None and loop.time() >= deadline
                if not ending and (late or not isinstance(error, Exception)):
                    deadline, progress, ending = loop.time() + CLEANUP_GRACE, None, True
                op = steps.throw(error)
            else:
                moved += op.transferred
                op = steps.send(value)
    except StopIteration as stop:
        if progress is not None:
            progress(moved)
        result: T = stop.value
        return result


async def _await(
    loop: asyncio.AbstractEventLoop,
    op: Op[Any],
    deadline: float | None,
    progress: Progress | None,
    moved: int,
) -> None:
    if op.done():
        return
    future = op.future(loop)
    if deadline is None and progress is None:
        await future
        return
    while True:
        left = None if deadline is None else max(0.0, deadline - loop.time())
        step = left if progress is None else PROGRESS_INTERVAL if left is None else min(left, PROGRESS_INTERVAL)
        done, _ = await asyncio.wait({future}, timeout=step)
        if done:
            return
        if progress is not None:
            progress(moved + op.transferred)
        if deadline is not None and loop.time() >= deadline:
            raise errors.TimeoutError("timeout= ran out before the operation was done")
