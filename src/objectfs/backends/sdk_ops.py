"""Operations on a pool of threads, and connections that can be cut from outside.

A blocked ``recv`` cannot be interrupted from Python, and a client that answers Ctrl-C within 200 ms cannot
wait for a read timeout of a minute. So each connection knows the task that uses it, and cancelling the task
shuts the socket
down: the blocked call returns at once, on every platform.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.errors
import http
import http.client
import os
import queue
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from objectfs.backends.started import note
from objectfs.backends.workers import Workers
from objectfs.errors import CancelledError, ObjectFSError

__all__ = ["Operation", "Task", "current_task", "install_connections"]

T = TypeVar("T")

POLL = 0.05
"""Seconds between two looks while waiting: on Windows a lock cannot be interrupted by Ctrl-C."""

SEND_BLOCK = 256 * 1024
"""Bytes that go to the socket in one call while uploading. urllib3 takes 16 KiB, and spends four times the
CPU."""

_running = threading.local()


def current_task() -> Task | None:
    """The task that runs on this thread."""
    return getattr(_running, "task", None)


class Times:
    """Of the request that a task is making: nanoseconds of ``time.perf_counter_ns``; 0 for what has not been."""

    __slots__ = ("attempt", "began", "connected", "connection", "first", "operation", "retry_delay", "sending", "sent")

    def __init__(self) -> None:
        self.operation, self.attempt, self.retry_delay = "other", 1, 0
        self.clear()

    def clear(self) -> None:
        self.began = self.sending = self.sent = self.first = 0
        self.connected = 0
        """How long a new connection took."""
        self.connection: Any = None
        """A weak reference to the one in use."""


class Task:
    """One function of an operation, running on one thread, on at most one connection at a time."""

    __slots__ = (
        "__weakref__",
        "_connection",
        "answer",
        "headers",
        "moved",
        "operation",
        "order",
        "status",
        "target",
        "times",
        "wrapping",
    )

    def __init__(self, operation: Operation[Any]) -> None:
        self.operation = operation
        self.moved = 0
        self.headers: Mapping[str, str] = {}
        """Further headers for the request that this task is making."""
        self.status: int | None = None
        """Of the last answer, as it came."""
        self.answer: Mapping[str, str] = {}
        """The headers of that answer, names in lower case."""
        self.target: str | None = None
        """What the request that this task is making asks for, as it was signed."""
        self.order: list[bytes] = []
        """Of a listing of versions: which entries are versions and which delete markers, one after the other."""
        self.times = Times()
        self.wrapping: Any = None
        """The socket of the TLS handshake that is under way: the connection has only the one that it was made from."""
        self._connection: Any = None

    def at(self, position: int) -> None:
        """Note that ``position`` bytes of content have been moved; a retry that starts over counts nothing
        twice."""
        if position > self.moved:
            self.moved = position

    def check(self) -> None:
        """Raise CancelledError if the operation has been cancelled."""
        if self.operation.cancelled:
            raise CancelledError("the operation was cancelled")

    def sleep(self, seconds: float) -> None:
        """Sleep, but not after a cancel."""
        self.operation.cancel_event.wait(seconds)
        self.check()

    def adopt(self, connection: Any) -> None:
        with _connections_lock:
            self._connection = connection
            connection.objectfs_task = weakref.ref(self)
        self.times.connection = weakref.ref(connection)
        self.check()

    def cut(self) -> None:
        """Shut down the socket that this task waits for."""
        with _connections_lock:
            connection = self._connection
            # the connection went back to the pool and to another task: not ours to cut
            if connection is None or connection.objectfs_task() is not self:
                return
            for sock in (self.wrapping, getattr(connection, "sock", None)):
                if sock is not None:
                    with contextlib.suppress(OSError):
                        # the plain socket's: of a TLS socket, shutdown() would wait for the peer's answer
                        socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def finish(self) -> None:
        with _connections_lock:
            self._connection = None


class _Ended:
    """Stands for the tasks of an operation when all have ended: what they moved."""

    __slots__ = ("moved",)

    def __init__(self, moved: int) -> None:
        self.moved = moved

    def cut(self) -> None:
        """Nothing runs any more."""


_connections_lock = threading.Lock()


class _Queue(queue.LifoQueue[Any]):
    """The idle connections of one of urllib3's pools, which a forked child empties when it exits."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        _queues.add(self)

    def renew(self) -> None:
        self.mutex = threading.Lock()
        self.not_empty, self.not_full = threading.Condition(self.mutex), threading.Condition(self.mutex)


_queues: weakref.WeakSet[_Queue] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    """Threads of the parent may have held these."""
    global _connections_lock
    _connections_lock = threading.Lock()
    for each in tuple(_queues):
        each.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class _Watched:
    """A response's stream while its head is read: remembers the last line, counts the complete ones."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.last = b"?"
        self.lines = 0

    def readline(self, *arguments: Any) -> bytes:
        self.last = self._stream.readline(*arguments)
        self.lines += self.last.endswith(b"\n")
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Response(http.client.HTTPResponse):
    """Refuses a head that ends before its empty line, or that leaves open where the body ends. http.client takes what
    came of it for the whole: an answer cut before Content-Length would be an empty object."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                raise http.client.HTTPException("the server wants to speak another protocol")
            task = current_task()
            if task is not None:
                task.times.first = time.perf_counter_ns()
            if not 100 <= status < 200:
                return version, status, reason
            # 100, 102, 103: of these http.client knows only the first, and takes the others for the answer
            while self.fp.readline(65537).strip():
                pass

    def begin(self) -> None:
        stream: Any = self.fp
        watched: Any = _Watched(stream)
        self.fp = watched
        try:
            super().begin()
        finally:
            if self.fp is watched:
                self.fp = stream
        if watched.last == b"":
            self.close()
            if watched.lines > 1:  # a status and a header: the answer had begun
                raise http.client.IncompleteRead(b"")
            raise http.client.RemoteDisconnected("the connection ended within the answer's head")
        lengths = set(self.headers.get_all("content-length", ()))
        if (
            len(lengths) > 1
            or not all(length.isascii() and length.isdigit() for length in lengths)
            or (lengths and "transfer-encoding" in self.headers)
            # other defects are those of a multipart body, which is not read here
            or any(isinstance(defect, _BROKEN_HEAD) for defect in self.headers.defects)
        ):
            self.close()
            raise http.client.HTTPException("the answer's head is malformed")


_BROKEN_HEAD = (email.errors.MissingHeaderBodySeparatorDefect, email.errors.FirstHeaderLineIsContinuationDefect)


class _TlsSocket(ssl.SSLSocket):
    """Known to the running task from the first moment: until the handshake is over nobody else has it, neither to cut
    it nor to close it where Python leaves it open (before 3.13: of a server that resets the connection first)."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _TlsSocket:
        made = super().__new__(cls, *args, **kwargs)
        task = current_task()
        if task is not None:
            task.wrapping = made
        return made


class _Tracked:
    """Mixed into urllib3's connections: tells the running task which one it uses."""

    response_class = _Response
    objectfs_task: Callable[[], Task | None] = staticmethod(lambda: None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.blocksize = SEND_BLOCK

    def connect(self) -> None:
        task = current_task()
        if task is not None:
            task.adopt(self)
        for owner in (self, getattr(self, "proxy_config", None)):
            context = getattr(owner, "ssl_context", None)
            if context is not None:
                context.sslsocket_class = _TlsSocket
        began = time.perf_counter_ns()
        try:
            super().connect()  # type: ignore[misc]
        except BaseException:
            if task is not None and task.wrapping is not None:
                task.wrapping.close()
            raise
        finally:
            if task is not None:
                task.wrapping = None
        if task is not None:
            task.times.sending = time.perf_counter_ns()
            task.times.connected = task.times.sending - began
            task.check()

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        task = current_task()
        if task is not None:
            task.adopt(self)
            if not url.startswith("/") and task.target is not None:  # to a proxy
                url = task.target
            task.times.sending = time.perf_counter_ns()
        answer = super().request(method, url, *args, **kwargs)  # type: ignore[misc]
        if task is not None:
            task.times.sent = time.perf_counter_ns()
        return answer


class _Exact:
    """Mixed into urllib3's pools: of a request through a proxy, whose target is a URL, they take ``.`` and ``..`` for
    directories, and remove them. In S3 they are parts of the key, and signed."""

    QueueCls = _Queue

    def urlopen(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        task = current_task()
        if task is not None:
            task.target = url
        return super().urlopen(method, url, *args, **kwargs)  # type: ignore[misc]


def install_connections(client: Any) -> bool:
    """Give a botocore client connections of ours; False where botocore has changed and cancelling must do
    without.

    There is no public way to them. What is touched here has been the same since botocore 1.11 (2018), and
    without it all works but a cancel, which then ends when the server answers or the read timeout strikes.
    """
    try:
        classes = client._endpoint.http_session._pool_classes_by_scheme
        for scheme, pool in tuple(classes.items()):
            connection = type("Tracked" + pool.ConnectionCls.__name__, (_Tracked, pool.ConnectionCls), {})
            classes[scheme] = type("Tracked" + pool.__name__, (_Exact, pool), {"ConnectionCls": connection})
    except AttributeError:
        return False
    return True


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
        _running.task = task
        try:
            task.check()
            result = function(task)
        except BaseException as caught:
            error = caught
            if self.cancelled and not isinstance(caught, CancelledError):
                error = CancelledError("the operation was cancelled")
        finally:
            _running.task = None
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
