"""What Client and AsyncClient have in common: a backend, its life, and forks."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from objectfs import config
from objectfs.backends.base import Backend, BackendInfo, Steps
from objectfs.backends.select import choose
from objectfs.backends.session import Session
from objectfs.errors import ClosedError, ConfigError, InvalidRequestError, ObjectFSError, UnsupportedError
from objectfs.options import Options

__all__ = ["Core", "Verb"]

T = TypeVar("T")


class Core:
    """The backend of one client.

    A process that was forked from the client's own gets a backend of its own with its first request. The
    inherited one is neither used nor closed nor freed: its threads are in the parent, and its sockets are the
    parent's too.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.arguments = {name: value for name, value in arguments.items() if value is not None}
        for name in (
            "secret_access_key",
            "session_token",
        ):  # not to be seen in a debugger's list of attributes
            if isinstance(self.arguments.get(name), str) and self.arguments[name]:
                self.arguments[name] = config.Secret(self.arguments[name])
        self.config = config.load(self.arguments)
        self._lock = threading.Lock()
        self._closed = False
        self._pid = os.getpid()
        self._session = Session(self.config)
        backend, self._info = choose(self._session, self.config)
        self._backend: Backend | None = backend
        with _cores_lock:
            _cores.add(self)

    def backend(self) -> Backend:
        """The backend to use now.

        Raises:
            ClosedError: the client was closed.
        """
        backend = self._backend
        if backend is None or self._pid != os.getpid():
            return self._rebuild()
        return backend

    def _rebuild(self) -> Backend:
        with self._lock:
            if self._closed:
                raise ClosedError("the client is closed")
            if self._pid != os.getpid():  # a fork that went round Python (vfork, C code): no handler has run
                self.forget()
            if self._backend is None:
                self._backend, self._info = choose(self._session, self.config)
            return self._backend

    def forget(self) -> None:
        """In a forked child: let go of the parent's backend without touching it."""
        if self._backend is not None:
            _inherited.append((self._backend, self._session))
        self._backend = None
        self._session = Session(self.config)  # not that one's: its lock may be held by a thread of the parent
        self._pid = os.getpid()

    def check_options(self, options: Options, bucket: str) -> None:
        """What options ask of the connection.

        Raises:
            InvalidRequestError: a customer's key would go over the network in the clear.
        """
        if "sse_customer_key" not in options.given:
            return
        endpoint = self._session.endpoint(bucket)
        if endpoint.scheme != "https" and not is_loopback(endpoint.host):
            raise InvalidRequestError(
                f"sse_customer_key would be sent in the clear to {endpoint.host}, and S3 refuses it over http",
                bucket=bucket,
                hint="Use an endpoint_url= that begins with https://",
            )

    @property
    def info(self) -> BackendInfo:
        return self._info

    @property
    def session(self) -> Session:
        return self._session

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        with self._lock:
            backend, self._backend = self._backend, None
            already, self._closed = self._closed, True
            if already or backend is None:
                return
            if self._pid != os.getpid():
                _inherited.append((backend, self._session))
                return
        backend.close()

    def describe(self, name: str) -> str:
        """For a repr: where, and on what; nothing secret."""
        where = self.config.endpoint_url or f"AWS {self.config.region or 'default region'}"
        state = " closed" if self._closed else ""
        return f"<{name} of {where} on {self._info.name}{state}>"

    @contextlib.contextmanager
    def examination(self) -> Iterator[dict[str, Any]]:
        """What ``health()`` answers; filled in when the block, which makes a request, has come to its end."""
        report: dict[str, Any] = {
            "backend": self._info.name,
            "endpoint": self.config.endpoint_url or self._session.endpoint(None).host,
        }
        error: ObjectFSError | None = None
        before = time.monotonic()
        try:
            yield report
        except (ClosedError, ConfigError, InvalidRequestError, UnsupportedError):  # the caller's, not the endpoint's
            raise
        except ObjectFSError as caught:
            error = caught
        report["ok"] = error is None
        report["reachable"] = error is None or error.status is not None
        report["seconds"] = time.monotonic() - before
        report["error"] = error


_cores: weakref.WeakSet[Core] = weakref.WeakSet()
_cores_lock = threading.Lock()
_inherited: list[Any] = []
"""Backends of a parent process, kept for ever: freeing them would act on what is the parent's."""


def _after_fork_in_child() -> None:
    global _cores_lock
    _cores_lock = threading.Lock()  # another thread of the parent may have held it
    for core in tuple(_cores):
        core._lock = threading.Lock()
        core.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def is_loopback(host: str) -> bool:
    """Whether what is sent to that host stays on this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        # RFC 6761: localhost and what lies under it
        return host.lower().rstrip(".").rpartition(".")[2] == "localhost"


Verb = Callable[[Backend], Steps[T]]
