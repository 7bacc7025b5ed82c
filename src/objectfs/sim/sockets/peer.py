"""One client's socket: reads and sends for its connection, at the pace of the network if there is one."""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import socket
import ssl
import struct
import time
from collections import deque
from typing import TYPE_CHECKING

from objectfs.sim.http import FileSlice, chunk_length
from objectfs.sim.network.pacing import Flow, Network, Pace
from objectfs.sim.sockets.connection import Close, Connection
from objectfs.sim.sockets.limits import Limits, Phase, Watch

if TYPE_CHECKING:
    from objectfs.sim.sockets.loop import Loop

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
FILE_READ = 256 * 1024
LINGER = 2.0
_RETRY = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Peer:
    """A socket and its connection."""

    def __init__(self, loop: Loop, sock: socket.socket, connection: Connection) -> None:
        self.loop = loop
        self.sock = sock
        self.connection = connection
        self.secure = isinstance(sock, ssl.SSLSocket)
        self.handshaking = self.secure
        self.events = READ
        self.lingering = False
        self.closed = False
        self.blocked = False
        self.pace: Pace | None = None
        self.moved = 0
        self.watch = Watch(time.monotonic())

    @property
    def phase(self) -> Phase:
        """What the peer is waited for with; HELD while it is the server that does not go on."""
        if self.handshaking:
            return Phase.HEAD
        phase = self.connection.phase
        if not self.events & (WRITE if phase is Phase.ANSWER else READ):
            return Phase.HELD
        return phase

    def check(self, limits: Limits, now: float) -> None:
        """Close, or answer first, when the peer has kept the server waiting for too long."""
        connection, phase = self.connection, self.phase
        if self.lingering or not self.watch.late(limits, phase, connection.requests, self.moved, now):
            return
        if self.handshaking or phase not in (Phase.HEAD, Phase.BODY):
            self.drop()
            return
        connection.timed_out()
        if connection.waiting is not None:
            self.loop.wait(self)
        self.flush()

    def ready(self, mask: int) -> None:
        """The selector reports the socket."""
        try:
            if self.handshaking:
                self._handshake()
            elif self.lingering:
                self._drain()
            else:
                if mask & READ or self.secure:
                    self._read()
                if not self.closed and not self.lingering:
                    self.flush()
        except (OSError, ValueError):
            self.drop()

    def _handshake(self) -> None:
        assert isinstance(self.sock, ssl.SSLSocket)
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            self._watch(READ)
        except ssl.SSLWantWriteError:
            self._watch(WRITE)
        else:
            self.handshaking = False
            self._watch(READ)
            self._read()
            if not self.closed:
                self.flush()

    def _read(self) -> None:
        connection = self.connection
        pace = self.pace
        # TLS hands out one record a call and may hold more that the selector cannot see; a pace is asked again.
        for _ in range(64 if self.secure or pace is not None else 1):
            if not connection.wants_read:
                if pace is not None:
                    pace.receiving.rest()
                return
            buffer = connection.get_buffer()
            if pace is not None:
                allowed = self._allow(pace, pace.receiving, READ)
                if not allowed:
                    return
                buffer = buffer[:allowed]
            try:
                count = self.sock.recv_into(buffer)
            except _RETRY:
                if pace is not None:
                    pace.receiving.rest()
                return
            if pace is not None:
                pace.receiving.moved(count)
            if not count:
                connection.received_eof()
                return
            self.moved += count
            connection.received(count)
            if connection.waiting is not None:
                self.loop.wait(self)
            if connection.close is not Close.NO:
                return

    def flush(self) -> None:
        """Send until the socket is full or nothing is left; then go on with pipelined requests."""
        connection = self.connection
        out = connection.out
        pace = self.pace
        self.blocked = False
        while True:
            if not out:
                connection.refill()
                if not out:
                    if pace is not None:
                        pace.sending.rest()
                    if connection.waiting is not None:
                        self.loop.wait(self)
                    if connection.paused:
                        break
                    if connection.close is not Close.NO:
                        self._finish()
                        return
                    if connection.pending:
                        connection.advance()
                        if connection.waiting is not None:
                            self.loop.wait(self)
                    if not out and connection.source is None and connection.eof:
                        self.drop()
                        return
                    if not out and connection.source is None and connection.close is Close.NO:
                        break
                    continue
            try:
                if pace is not None:
                    allowed = self._allow(pace, pace.sending, WRITE)
                    if not allowed:
                        break
                    self.blocked = not self._send_paced(out, pace, allowed)
                else:
                    self.blocked = not self._send(out)
            except _RETRY:
                self.blocked = True
            if self.blocked:
                if pace is not None:
                    pace.sending.rest()
                break
        waiting = pace.waiting if pace is not None else 0
        self._watch(((READ if connection.wants_read else 0) | (WRITE if self.blocked else 0)) & ~waiting)
        if (
            self.secure
            and not self.blocked
            and not waiting & READ
            and isinstance(self.sock, ssl.SSLSocket)
            and self.sock.pending()
        ):
            self.loop.soon(self)

    def _allow(self, pace: Pace, flow: Flow, direction: int) -> int:
        """Bytes that may be moved now; 0 while a timer runs, which then wakes this direction."""
        if pace.waiting & direction:
            return 0
        when, count = flow.ready(self.loop.time())
        if not count:
            pace.waiting |= direction
            self.loop.at(when, lambda: self._woken(pace, direction))
        return count

    def _woken(self, pace: Pace, direction: int) -> None:
        pace.waiting &= ~direction
        if pace is self.pace and not self.closed:
            self.loop.guard(self, direction)

    def _send_paced(self, out: deque[bytes | memoryview | FileSlice], pace: Pace, allowed: int) -> bool:
        """As ``_send``, of at most ``allowed`` bytes."""
        first = out[0]
        if isinstance(first, FileSlice) and self.secure:
            self._send_file(out, first)
            first = out[0]
        if isinstance(first, FileSlice):
            offered = min(allowed, first.length)
            sent = os.sendfile(self.sock.fileno(), first.file.fd, first.offset, offered)
            if not sent:
                raise OSError("file shorter than recorded")
        elif self.secure:
            # TLS that could not write insists on being offered the same again.
            offered = pace.offered = pace.offered or min(allowed, len(first))
            sent = self.sock.send(memoryview(first)[:offered])
            pace.offered = 0
        else:
            pieces = []
            offered = 0
            for chunk in itertools.islice(out, 8):
                if isinstance(chunk, FileSlice) or offered == allowed:
                    break
                pieces.append(memoryview(chunk)[: allowed - offered])
                offered += len(pieces[-1])
            sent = self.sock.sendmsg(pieces)
        self.moved += sent
        pace.sending.moved(sent)
        left = sent
        while left:
            first = out[0]
            length = chunk_length(first)
            if left < length:
                if isinstance(first, FileSlice):
                    out[0] = FileSlice(first.file, first.offset + left, length - left)
                else:
                    out[0] = memoryview(first)[left:]
                break
            left -= length
            out.popleft()
        return sent == offered or self.secure

    def set_pace(self, network: Network | None) -> None:
        """Take on the pace of another network, in the middle of whatever goes on."""
        if self.pace is not None:
            self.pace.sending.rest()
            self.pace.receiving.rest()
        out = self.connection.out
        offered = len(out[0]) if self.secure and self.blocked and out and not isinstance(out[0], FileSlice) else 0
        self.pace = network.pace() if network is not None else None
        if self.pace is not None:
            self.pace.offered = offered
            if network is not None and network.receive_buffer is not None:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, network.receive_buffer)

    def _send(self, out: deque[bytes | memoryview | FileSlice]) -> bool:
        """One system call; False when the socket took less than it was offered."""
        first = out[0]
        if isinstance(first, FileSlice):
            return self._send_file(out, first)
        if self.secure or len(out) == 1:
            sent = self.sock.send(first)
        else:
            sent = self.sock.sendmsg([c for c in itertools.islice(out, 8) if not isinstance(c, FileSlice)])
        self.moved += sent
        while out and sent:
            first = out[0]
            assert not isinstance(first, FileSlice)
            if sent < len(first):
                out[0] = memoryview(first)[sent:]
                return self.secure
            sent -= len(first)
            out.popleft()
        return True

    def _send_file(self, out: deque[bytes | memoryview | FileSlice], part: FileSlice) -> bool:
        if self.secure:
            out.popleft()
            data = os.pread(part.file.fd, min(part.length, FILE_READ), part.offset)
            if not data:
                raise OSError("file shorter than recorded")
            if len(data) < part.length:
                out.appendleft(FileSlice(part.file, part.offset + len(data), part.length - len(data)))
            out.appendleft(memoryview(data))
            return True
        sent = os.sendfile(self.sock.fileno(), part.file.fd, part.offset, part.length)
        if not sent:
            raise OSError("file shorter than recorded")
        self.moved += sent
        if sent == part.length:
            out.popleft()
            return True
        out[0] = FileSlice(part.file, part.offset + sent, part.length - sent)
        return False

    def _finish(self) -> None:
        """All is sent: close. FIN goes first and the client's remaining bytes are read away, because closing
        a socket with unread data makes the kernel reset it, and the answer could be lost."""
        if self.connection.close is Close.RESET:
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.drop()
            return
        if self.connection.eof:
            self.drop()
            return
        self.lingering = True
        if isinstance(self.sock, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                self.sock.unwrap()
        self.sock.shutdown(socket.SHUT_WR)
        self._watch(READ)
        self.loop.later(LINGER, self.drop)

    def _drain(self) -> None:
        try:
            for _ in range(16):
                if not self.sock.recv_into(self.loop.scratch):
                    break
            else:
                return
        except _RETRY:
            return
        self.drop()

    def _watch(self, events: int) -> None:
        if events != self.events and not self.closed:
            self.loop.change(self, events)

    def drop(self) -> None:
        """Close the socket now."""
        if not self.closed:
            self.closed = True
            if self.pace is not None:
                self.pace.sending.rest()
                self.pace.receiving.rest()
            self.loop.forget(self)
            self.connection.abandon()
            self.sock.close()
