"""Operations on a pool of threads, which can be cancelled from outside."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from objectfs.backends.sdk_task import Task, set_current_task
from objectfs.backends.started import note
from objectfs.backends.workers import Workers
from objectfs.errors import CancelledError, ObjectFSError

__all__ = ["Operation"]

T = TypeVar("T")

POLL = 0.05
"""Seconds between two looks while waiting: on Windows a lock cannot be interrupted by Ctrl-C."""


class _Ended:
    """Stands for the tasks of an operation when all have ended: what they moved."""

    __slots__ = ("moved",)

    def __init__(self, moved: int) -> None:
        self.moved = moved

    def cut(self) -> None:
        """Nothing runs any more."""


class Operation(Generic[T]):
    """Functions on the pool as one operation: an :class:`~objectfs.backends.base.Op`.

    Args:
        functions: each is given its Task and returns its result.
        single: the result is that of the only function, not a list.
        keep_going: a failure is put in its place in the results, instead of cancelling the rest.
        cancellable: False for what must have its answer: only ``cancel(force=True)`` ends it.
    """

    def __init__(
        self,
        functions: Sequence[Callable[[Task], Any]],
        *,
        single: bool = False,
        keep_going: bool = False,
        cancellable: bool = True,
    ) -> None:
        self.cancel_event = threading.Event()
        self._cancellable = cancellable
        self._single = single
        self._keep_going = keep_going
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._error: BaseException | None = None
        self._results: list[Any] = [None] * len(functions)
        self._left = len(functions)
        tasks = [Task(self) for _ in functions]
        self._tasks: Sequence[Task | _Ended] = tasks
        self._jobs = [_Job(self, *each) for each in zip(range(len(functions)), tasks, functions, strict=True)]
        if not functions:
            self._finished.set()

    def start(self, workers: Workers) -> None:
        """Give the functions to the pool; once."""
        note(self)
        try:
            for job in self._jobs:
                workers.submit(job)
        except BaseException:  # ClosedError, no thread, or Ctrl-C: somebody may wait for them
            self.refuse()
            raise
        self._jobs = []

    def refuse(self) -> bool:
        """End what :meth:`start` was kept from giving to a thread, or no thread has begun with; whether that is all
        of it."""
        jobs, self._jobs = self._jobs, []
        refused = [job for job in jobs if job.refuse()]
        return len(refused) == len(jobs) > 0

    @property
    def cancelled(self) -> bool:
        return self.cancel_event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = POLL if deadline is None else min(POLL, deadline - time.monotonic())
            if self._finished.wait(max(0.0, left)):
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False

    def done(self) -> bool:
        return self._finished.is_set()

    def result(self) -> T:
        if not self._finished.is_set():
            raise RuntimeError("the operation is not done")
        if self._error is not None:
            raise self._error
        result: T = self._results[0] if self._single else self._results  # type: ignore[assignment]
        return result

    def cancel(self, force: bool = False) -> None:
        if (self._cancellable or force) and not self._finished.is_set():
            self._stop()

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        future: asyncio.Future[None] = loop.create_future()

        def resolve() -> None:
            if not future.done():
                future.set_result(None)

        def callback() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(resolve)

        if not self.when_done(callback):
            resolve()
        return future

    def when_done(self, callback: Callable[[], None]) -> bool:
        """Have ``callback``, which must not raise, called by the thread that ends the last function. False if all have
        ended already."""
        with self._lock:
            if self._finished.is_set():
                return False
            self._callbacks.append(callback)
            return True

    @property
    def transferred(self) -> int:
        return sum(task.moved for task in self._tasks)

    def _stop(self) -> None:
        self.cancel_event.set()
        for task in self._tasks:
            task.cut()

    def _run(self, index: int, job: _Job) -> None:
        function = job.take()
        task = job.task
        error: BaseException | None = None
        result: Any = None
        set_current_task(task)
        try:
            task.check()
            result = function(task)
        except BaseException as caught:
            error = caught
            if self.cancelled and not isinstance(caught, CancelledError):
                error = CancelledError("the operation was cancelled")
        finally:
            set_current_task(None)
            task.finish()
        del function  # what it refers to may be gone before this thread is
        if isinstance(error, ObjectFSError):
            # the frames that it went through hold the caller's buffers; what is no error of ours is a bug:
            # keep it all
            error.__context__ = error.__traceback__ = None
        failed = False
        with self._lock:
            if error is None:
                self._results[index] = result
            elif self._keep_going and isinstance(error, Exception) and not self.cancelled:
                self._results[index] = error
            elif self._error is None:
                self._error, failed = error, True
            result = None
            self._left -= 1
            last = self._left == 0
        if last:
            with self._lock:
                # tasks refer to their operation: results would stay until a garbage collection
                self._tasks = [_Ended(self.transferred)]
                self._finished.set()
                callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()
        elif failed:
            self._stop()


class _Job:
    """A function of an operation, in the queue of the workers."""

    __slots__ = ("_operation", "function", "index", "task")

    def __init__(self, operation: Operation[Any], index: int, task: Task, function: Callable[[Task], Any]) -> None:
        self.task, self.index, self.function = task, index, function
        self._operation = [operation]  # until somebody runs it

    def take(self) -> Callable[[Task], Any]:
        """The function, which the job forgets."""
        function = self.function
        del self.function
        return function

    def refuse(self) -> bool:
        """It is not to run; False if a thread has begun with it."""
        return self._run(_refuse)

    def __call__(self) -> None:
        self._run(None)

    def _run(self, instead: Callable[[Task], Any] | None) -> bool:
        try:
            operation = self._operation.pop()
        except IndexError:
            return False
        if instead is not None:
            self.function = instead
        operation._run(self.index, self)
        return True


def _refuse(task: Task) -> None:
    raise CancelledError("the operation was not begun")
