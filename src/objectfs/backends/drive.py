"""The two drivers of a verb's steps: one blocks, one awaits. See ``backends/base.py`` for what steps are."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

from objectfs import errors
from objectfs.backends import started
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

OUT_OF_TIME = "timeout= ran out before the operation was done"
"""What is said then: no backend's failure."""


def run(steps: Steps[T], timeout: float | None = None, progress: Progress | None = None) -> T:
    """Run a verb to its end on the calling thread.

    Args:
        timeout: seconds for the whole verb; TimeoutError after it, when what ran has been cancelled.
        progress: called on this thread with the bytes moved so far, at most each 100 ms and once at the end.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    moved = 0
    ending = False  # the deadline is that of the clean-up
    ops: list[Op[Any]] = []  # that the steps have started
    try:
        op = started.resume(ops, next, steps)
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
                op = started.resume(ops, steps.throw, error)
            else:
                moved += op.transferred
                started.forget_ended(ops)
                op = started.resume(ops, steps.send, value)
    except StopIteration as stop:
        if progress is not None:
            progress(moved)
        result: T = stop.value
        return result
    except Exception:
        started.stop(ops)  # a signal's handler may raise these too
        raise
    except BaseException as error:
        # Ctrl-C may strike here, outside of the steps, or before they have handed over what they had started
        _interrupt(steps, ops, error, deadline if ending else None)
        raise
    finally:
        started.leave(ops)  # the exception's traceback refers to it


def _interrupt(steps: Steps[Any], ops: list[Op[Any]], error: BaseException, deadline: float | None) -> None:
    """End what steps have started that were interrupted, and, if they have not ended, throw the error into them and let
    them clean up for what is left of the 200 ms."""
    if deadline is None:
        deadline = time.monotonic() + STOP_GRACE
    with contextlib.suppress(BaseException):
        started.stop(ops)
        started.wait(ops, deadline)
        if getattr(steps, "gi_frame", None) is not None:
            _clean_up(steps, ops, error, deadline)


def _clean_up(steps: Steps[Any], ops: list[Op[Any]], error: BaseException, deadline: float) -> None:
    op = started.resume(ops, steps.throw, error)
    while True:
        try:
            _wait(op, deadline, None, 0)
            value = op.result()
        except BaseException as more:
            if not op.done():
                _stop(op, deadline)
            op = started.resume(ops, steps.throw, more)
        else:
            op = started.resume(ops, steps.send, value)


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
            raise errors.TimeoutError(OUT_OF_TIME)


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
    ops: list[Op[Any]] = []
    try:
        op = started.resume(ops, next, steps)
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
                op = started.resume(ops, steps.throw, error)
            else:
                moved += op.transferred
                started.forget_ended(ops)
                op = started.resume(ops, steps.send, value)
    except StopIteration as stop:
        if progress is not None:
            progress(moved)
        result: T = stop.value
        return result
    except (Exception, GeneratorExit):
        started.stop(ops)
        raise
    except BaseException as error:
        await _ainterrupt(loop, steps, ops, error)
        raise
    finally:
        started.leave(ops)


async def _ainterrupt(
    loop: asyncio.AbstractEventLoop, steps: Steps[Any], ops: list[Op[Any]], error: BaseException
) -> None:
    """As :func:`_interrupt`. A cancelled task comes here too, when its steps have ended."""
    started.stop(ops)
    with contextlib.suppress(Exception):  # a forked child's are its parent's
        running = {op.future(loop) for op in ops if not op.done()}
        if running:
            await asyncio.wait(running, timeout=STOP_GRACE)
    if getattr(steps, "gi_frame", None) is not None:  # Ctrl-C in the loop's thread, outside of the steps
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await _aclean_up(loop, steps, ops, error)


async def _aclean_up(
    loop: asyncio.AbstractEventLoop, steps: Steps[Any], ops: list[Op[Any]], error: BaseException
) -> None:
    deadline = loop.time() + CLEANUP_GRACE
    with contextlib.suppress(type(error)):
        op = started.resume(ops, steps.throw, error)
        while True:
            try:
                await _await(loop, op, deadline, None, 0)
                value = op.result()
            except GeneratorExit:
                op.cancel()
                steps.close()
                raise
            except BaseException as more:
                op.cancel()
                op = started.resume(ops, steps.throw, more)
            else:
                op = started.resume(ops, steps.send, value)


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
            raise errors.TimeoutError(OUT_OF_TIME)
