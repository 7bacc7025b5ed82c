"""urllib3's connections, made to tell the running task which one it uses, and to refuse an answer's head that is not
whole. What botocore offers no way to, and what changes where its insides do: one file."""

from __future__ import annotations

import email.errors
import http
import http.client
import os
import queue
import ssl
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from objectfs.backends.sdk_task import Task, current_task

__all__ = ["install_connections"]

SEND_BLOCK = 256 * 1024
"""Bytes that go to the socket in one call while uploading. urllib3 takes 16 KiB, and spends four times the
CPU."""

CHUNK_BLOCK = 1024 * 1024
"""Bytes of a chunked answer that memory is taken for at a time."""


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

    def __init__(self, *args: Any, told: tuple[str, int, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told = told
        """The status line of an answer that came before the request's body was sent: botocore has read it."""

    def _read_status(self) -> tuple[str, int, str]:
        if self._told is not None:
            told, self._told = self._told, None
            if not 200 <= told[1] <= 999:
                self.close()
                raise http.client.BadStatusLine(f"{told[1]}, before the body was sent")
            return told
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

    def read(self, amt: int | None = None) -> bytes:
        read = super().read
        if amt is None and self.chunked:
            # at once, it takes memory for as much as a chunk says that it has, before any of it is there
            return b"".join(iter(partial(read, CHUNK_BLOCK), b""))
        return read(amt)


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

    _response_class: Any = _Response
    objectfs_task: Callable[[], Task | None] = staticmethod(lambda: None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.blocksize = SEND_BLOCK

    @property
    def response_class(self) -> Any:
        return self._response_class

    @response_class.setter
    def response_class(self, wanted: Any) -> None:
        # botocore sets one of its own, which knows that line, but not what makes a head whole
        told = getattr(wanted, "keywords", {}).get("status_tuple")
        self._response_class = _Response if told is None else partial(_Response, told=told)

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
