"""The socket side: one thread, one selector, non-blocking sockets.

A thread per connection was measured and is no faster, nor slower, on one processor (GET and PUT of 8 MiB,
GET of 4 KiB; the spread between runs was larger than the difference). One thread needs no locks: conditional
writes are atomic, and bodies share one buffer.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import heapq
import itertools
import select
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from objectfs.sim.errors import S3Error
from objectfs.sim.network.pacing import Network
from objectfs.sim.service import Service, logger
from objectfs.sim.sockets.connection import Connection, refusal
from objectfs.sim.sockets.limits import Limits, Phase
from objectfs.sim.sockets.peer import READ, WRITE, Peer

SCRATCH = 256 * 1024
ACCEPT_PAUSE = 0.2
TIMERS_TIME = 0.02
SHORT = 0.02
FD_SETSIZE = 1024
MAX_LAG = 1.0
"""What late timers lost is caught up, but no more than this many seconds' worth."""


_begun = threading.local()


class _SecureSocket(ssl.SSLSocket):
    """Known to the loop's thread before it is made: Python before 3.13 leaves it open where the client has reset the
    connection by then."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _SecureSocket:
        made = super().__new__(cls, *args, **kwargs)
        _begun.sock = made
        return made


class Loop:
    """Accepts and serves connections in the thread that calls ``run``, until ``stop``."""

    def __init__(
        self,
        service: Service,
        listener: socket.socket,
        context: ssl.SSLContext | None,
        limits: Limits | None = None,
    ) -> None:
        self.service = service
        self._limits = limits or Limits()
        self._most = self._limits.most_connections()
        self._sweeping = False
        self.scratch = memoryview(bytearray(SCRATCH))
        self._listener = listener
        self._context = context
        if context is not None:
            context.sslsocket_class = _SecureSocket
        self._selector = selectors.DefaultSelector()
        # select takes no larger descriptors
        fd = self._selector.fileno() if hasattr(select, "epoll") else FD_SETSIZE
        self._epoll = fd if fd < FD_SETSIZE else None
        self._wake_read, self._wake_write = socket.socketpair()
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = itertools.count(1)
        self._time: float | None = None
        self._peers: set[Peer] = set()
        self._stopping = False
        for sock in (listener, self._wake_read, self._wake_write):
            sock.setblocking(False)
        self._selector.register(listener, READ, self._accept)
        self._selector.register(self._wake_read, READ, self._woken)

    def run(self) -> None:
        try:
            while not self._stopping:
                timeout = None
                if self._timers:
                    timeout = max(0.0, self._timers[0][0] - time.monotonic())
                if self._calls:
                    timeout = 0.0
                events = self._wait(timeout)
                self._run_timers()
                for key, mask in events:
                    data = key.data
                    if isinstance(data, Peer):
                        if not data.closed:
                            self.guard(data, mask)
                    else:
                        data()
                for _ in range(len(self._calls)):
                    self._call(self._calls.popleft())
        finally:
            for peer in list(self._peers):
                peer.drop()
            self._selector.close()
            for sock in (self._listener, self._wake_read, self._wake_write):
                sock.close()

    def _wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """The sockets that are ready within so many seconds. Epoll counts in milliseconds, rounded up; what it waits
        for can itself be waited for by select, which counts in microseconds."""
        if timeout and timeout < SHORT and self._epoll is not None:
            select.select((self._epoll,), (), (), timeout)
            timeout = 0.0
        return self._selector.select(timeout)

    def _run_timers(self) -> None:
        """Call what is due, in the order it was due in, also when it is late: see ``time``."""
        now = time.monotonic()
        # A pace that is more than the processor can do must not keep everybody else waiting.
        end = now + TIMERS_TIME
        while self._timers and self._timers[0][0] <= now < end:
            when, _, function = heapq.heappop(self._timers)
            self._time = max(when, now - MAX_LAG)
            self._call(function)
            now = time.monotonic()
        self._time = None

    def time(self) -> float:
        """``time.monotonic()``; but in a timer's call, the time that it was set to. So what is paced takes place in its
        proper order and at its proper times, however late: a busy machine delays it, and does not slow it down."""
        return time.monotonic() if self._time is None else self._time

    def _call(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception:
            # One connection's trouble must not end the others.
            logger.exception("unexpected error in %r", function)

    def guard(self, peer: Peer, mask: int) -> None:
        """Serve a peer; what goes wrong costs only this one."""
        try:
            peer.ready(mask)
        except Exception:
            logger.exception("unexpected error on connection %d", peer.connection.number)
            peer.drop()

    def set_network(self, network: Network | None) -> None:
        """Shape this and all further traffic; in the loop's thread."""
        self.service.network = network
        for peer in list(self._peers):
            peer.set_pace(network)
            self.guard(peer, READ | WRITE)

    def _sweep(self) -> None:
        now = time.monotonic()
        for peer in list(self._peers):
            self._check(peer, now)
        self._sweeping = bool(self._peers)
        if self._sweeping:
            self.later(self._limits.interval, self._sweep)

    def _check(self, peer: Peer, now: float) -> None:
        try:
            peer.check(self._limits, now)
        except OSError:
            peer.drop()
        except Exception:
            logger.exception("unexpected error on connection %d", peer.connection.number)
            peer.drop()

    def _make_room(self) -> bool:
        """Close a connection that nobody misses: one being closed already, or else the one idle for longest."""
        free = [peer for peer in self._peers if peer.lingering or peer.phase is Phase.IDLE]
        if not free:
            return False
        min(free, key=lambda peer: (not peer.lingering, peer.watch.since)).drop()
        return True

    def stop(self) -> None:
        """End ``run``; from any thread."""
        self._stopping = True
        self.call(lambda: None)

    def call(self, function: Callable[[], None]) -> None:
        """Run a function in the loop's thread; from any thread."""
        self._calls.append(function)
        with contextlib.suppress(OSError):
            self._wake_write.send(b"\0")

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        self.at(time.monotonic() + seconds, function)

    def at(self, when: float, function: Callable[[], None]) -> None:
        """Call a function at a time of ``time.monotonic()``; at once if that is past."""
        heapq.heappush(self._timers, (when, next(self._counter), function))

    def soon(self, peer: Peer) -> None:
        """Serve a peer again before waiting: it holds data that the selector cannot see."""
        self._calls.append(lambda: None if peer.closed else self.guard(peer, READ))

    def wait(self, peer: Peer) -> None:
        """Resume the connection when its time has come and its event is set."""
        waiting, peer.connection.waiting = peer.connection.waiting, None
        assert waiting is not None
        seconds, event = waiting

        def resume() -> None:
            if not peer.closed and not peer.lingering:
                try:
                    peer.connection.resume()
                    if peer.connection.waiting is not None:
                        self.wait(peer)
                    peer.flush()
                except OSError:
                    peer.drop()

        def watch(event: threading.Event) -> None:
            while not event.wait(0.5):
                if self._stopping or peer.closed:
                    return
            self.call(resume)

        if event is not None:
            held = event
            self.later(seconds, lambda: threading.Thread(target=watch, args=(held,), daemon=True).start())
        else:
            self.later(seconds, resume)

    def change(self, peer: Peer, events: int) -> None:
        if not peer.events:
            self._selector.register(peer.sock, events, peer)
        elif not events:
            self._selector.unregister(peer.sock)
        else:
            self._selector.modify(peer.sock, events, peer)
        peer.events = events

    def forget(self, peer: Peer) -> None:
        self._peers.discard(peer)
        if peer.events:
            peer.events = 0
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(peer.sock)

    def _woken(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_read.recv(4096)

    def _accept(self) -> None:
        for _ in range(64):
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE) and not self._make_room():
                    # The selector would report the listener again at once, and again.
                    self._selector.unregister(self._listener)
                    self.later(ACCEPT_PAUSE, self._resume_accept)
                return
            sock.setblocking(False)
            if len(self._peers) >= self._most and not self._make_room():
                self._turn_away(sock)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                _begun.sock = None
                try:
                    sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                except OSError:
                    sock.close()
                    if _begun.sock is not None:
                        _begun.sock.close()
                    continue
                finally:
                    _begun.sock = None
            peer = Peer(self, sock, Connection(self.service, next(self._counter), self.scratch))
            self._peers.add(peer)
            if not self._sweeping:
                self._sweeping = True
                self.later(self._limits.interval, self._sweep)
            network = self.service.network
            if network is None:
                self._selector.register(sock, READ, peer)
                continue
            peer.set_pace(network)
            # The kernel has accepted it already: what setting up a connection costs is felt in its first answer.
            peer.events = 0
            self.later(network.profile.connect, functools.partial(self._begin, peer))

    def _begin(self, peer: Peer) -> None:
        if not peer.closed and not peer.events:
            self.guard(peer, READ)

    def _resume_accept(self) -> None:
        self._selector.register(self._listener, READ, self._accept)

    def _turn_away(self, sock: socket.socket) -> None:
        if self._context is None:
            with contextlib.suppress(OSError):
                sock.send(refusal(S3Error("SlowDown")))
        sock.close()
