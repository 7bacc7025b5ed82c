"""One HTTP connection without its socket: bytes in, chunks out, and what the socket's owner must wait for.

The owner reads into ``get_buffer()`` and calls ``received(n)``; it sends ``out``, calling ``refill()`` when
that is empty. One request is answered at a time; pipelined ones wait in ``pending``.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum

from objectfs.sim.errors import ProtocolError, S3Error
from objectfs.sim.http import MAX_HEAD, Chunk, Head, chunk_length, http_date, limit_chunks, parse_head, render_head
from objectfs.sim.network.spoil import Pause, Reset, spoil_body
from objectfs.sim.record import Request
from objectfs.sim.service import Exchange, Service, error_document
from objectfs.sim.sockets.limits import Phase

_REQUEST_LINE = re.compile(rb"[A-Z]{1,32} [!-~\x80-\xff]+ HTTP/1\.[01]\r?")


class Close(Enum):
    """How the connection ends once ``out`` is sent."""

    NO = 0
    FIN = 1
    RESET = 2


class Connection:
    """The state machine of a connection."""

    def __init__(self, service: Service, number: int, scratch: memoryview) -> None:
        self.service = service
        self.number = number
        self.requests = 0
        self.out: deque[Chunk] = deque()
        self.source: Iterator[Chunk | Pause | Reset] | None = None
        self.pending = bytearray()
        self.close = Close.NO
        self.eof = False
        # Set while an answer waits for a time or an event: the owner calls ``resume`` then.
        self.waiting: tuple[float, threading.Event | None] | None = None
        self.stalled = False
        self._resume: Callable[[], None] | None = None
        self._exchange: Exchange | None = None
        # The request whose answer is being sent.
        self._record: Request | None = None
        self._scratch = scratch
        self._direct: memoryview | None = None

    @property
    def idle(self) -> bool:
        """No request is being received or answered."""
        return self._exchange is None and not self.out and self.source is None

    @property
    def phase(self) -> Phase:
        if self.stalled or self._resume is not None:
            return Phase.HELD
        if self.out or self.source is not None:
            return Phase.ANSWER
        if self._exchange is not None:
            return Phase.BODY
        return Phase.HEAD if self.pending and self.pending != b"\r" else Phase.IDLE

    @property
    def paused(self) -> bool:
        """The answer goes on later, or never."""
        return self._resume is not None or (self.stalled and self.close is Close.NO)

    @property
    def wants_read(self) -> bool:
        return not self.eof and len(self.pending) <= MAX_HEAD

    def get_buffer(self) -> memoryview:
        """Memory for the next read: the body's destination where it can go there directly."""
        self._direct = None
        if self._exchange is not None and self._resume is None and not self.stalled and not self.pending:
            self._direct = self._exchange.receiver.direct()
        if self._direct is not None:
            return self._direct
        # What comes before its turn is kept, so no more of it is read at a time than a head may have.
        return self._scratch[:MAX_HEAD] if self.pending else self._scratch

    def received(self, count: int) -> None:
        """``count`` bytes are in the buffer that ``get_buffer`` returned last."""
        direct, self._direct = self._direct, None
        if self.close is not Close.NO:
            return
        exchange = self._exchange
        if direct is not None and exchange is not None:
            try:
                exchange.receiver.passed(direct[:count])
            except S3Error as error:
                self.service.fail(exchange, error)
                self._answer(exchange)
                return
            except ProtocolError as error:
                self._refuse(error)
                return
            if exchange.receiver.done:
                self._answer(exchange)
            elif exchange.fault is not None:
                self._break_upload(exchange)
            return
        data = self._scratch[:count]
        if exchange is not None and self._resume is None and not self.stalled and not self.pending:
            used = self._feed(exchange, data)
            data = data[used:]
        self.pending += data
        self.advance()

    def received_eof(self) -> None:
        """The client will send nothing more. A body cut short is abandoned; answers are still sent."""
        self.eof = True
        if self._exchange is not None and not self._exchange.finished:
            self.service.abandon(self._exchange)
            self._exchange = None
            self.close = Close.FIN
        elif self.stalled or self.idle:
            self.close = Close.FIN

    def timed_out(self) -> None:
        """The client did not go on in time with what it was sending."""
        error = S3Error("RequestTimeout")
        if self._exchange is not None:
            self.service.fail(self._exchange, error)
            self._answer(self._exchange)
        else:
            self._refuse(ProtocolError(error.message, code=error.code))

    def abandon(self) -> None:
        """The socket is gone."""
        if self._record is not None:
            self._record.sent -= sum(map(chunk_length, self.out))
            self._close_record()
        if self._exchange is not None:
            self.service.abandon(self._exchange)
            self._exchange = None
        self.out.clear()
        self.source = None

    def advance(self) -> None:
        """Go on with what is pending, as long as no answer is in the way."""
        while self.pending and self.close is Close.NO and not self.stalled and self._resume is None:
            if self._exchange is not None:
                taken, self.pending = self.pending, bytearray()
                used = self._feed(self._exchange, memoryview(taken))
                if self.close is Close.NO:
                    self.pending = taken[used:]
                if used == 0 and self._exchange is not None:
                    return
            elif self.out or self.source is not None or not self._next_head():
                return

    def _feed(self, exchange: Exchange, data: memoryview) -> int:
        try:
            used = exchange.receiver.feed(data)
        except S3Error as error:
            self.service.fail(exchange, error)
            self._answer(exchange)
            return len(data)
        except ProtocolError as error:
            self._refuse(error)
            return len(data)
        if exchange.receiver.done:
            self._answer(exchange)
        elif exchange.fault is not None:
            self._break_upload(exchange)
        return used

    def _next_head(self) -> bool:
        pending = self.pending
        while pending.startswith(b"\r\n"):
            del pending[:2]
        if not pending or pending == b"\r":
            return False
        head: Head | None = None
        try:
            end = pending.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
            if end < 0:
                line_end = pending.find(b"\n")
                if not 65 <= pending[0] <= 90:
                    raise ProtocolError("not an HTTP request")
                if line_end >= 0 and not _REQUEST_LINE.fullmatch(pending[:line_end]):
                    raise ProtocolError("malformed request line")
                if len(pending) > MAX_HEAD:
                    raise ProtocolError("request head too large", code="RequestHeaderSectionTooLarge")
                return False
            head = parse_head(bytes(pending[: end + 4]))
            del pending[: end + 4]
            self._begin(head)
        except ProtocolError as error:
            self._refuse(error, head)
            return False
        return True

    def _begin(self, head: Head) -> None:
        self.requests += 1
        exchange = self.service.begin(head, self.number)
        self._exchange = exchange
        fault = exchange.fault
        if fault is not None and fault.resets_unanswered:
            self._reset(exchange)
            return
        if "expect" in head.headers and head.version:
            if exchange.error is not None:
                # The client has not sent the body and will not: this connection cannot go on.
                exchange.close = True
                self._answer(exchange)
                return
            if head.headers["expect"].lower() == "100-continue" and not self.pending:
                # Also before an empty body, where it could be left out: botocore takes the status line of an answer
                # without it for that of the connection's next one, too, and waits for what never comes.
                self.out.append(b"HTTP/1.1 100 Continue\r\n\r\n")
        if exchange.receiver.done:
            self._answer(exchange)

    def _reset(self, exchange: Exchange) -> None:
        exchange.note("reset", None)
        self.service.abandon(exchange)
        self._exchange = None
        self.close = Close.RESET

    def _break_upload(self, exchange: Exchange) -> None:
        """A fault in the middle of the request's body."""
        fault, size = exchange.fault, exchange.receiver.destination.size
        if fault is None or fault.received is None or size < fault.received or self.stalled:
            return
        exchange.note("reset" if fault.reset else "stall", size)
        if fault.reset:
            self.service.abandon(exchange)
            self._exchange = None
            self.close = Close.RESET
        else:
            self.stalled = True

    def _answer(self, exchange: Exchange) -> None:
        fault = exchange.fault
        if fault is not None and fault.stalls_unanswered:
            exchange.note("stall", None)
            self.stalled = True
            if self.eof:
                self.close = Close.FIN
            return
        response = self.service.finish(exchange)
        # The network may have lost what no fault was planned for.
        fault = exchange.fault

        def send() -> None:
            self._resume = None
            self.waiting = None
            self._exchange = None
            record = exchange.record
            body: Iterator[Chunk | Pause | Reset]
            if fault is not None:
                body = spoil_body(exchange, response)
            else:
                body = iter((response.body,) if isinstance(response.body, bytes) else response.body)
            keep = exchange.head.keep_alive and not response.close
            head = self.service.render(exchange, response, keep)
            if not keep:
                self.close = Close.FIN
            self.out.append(head)
            record.sent = len(head)
            self._record = record
            if exchange.head.method != "HEAD" and response.status not in (204, 304):
                self.source = body
            elif fault is not None and fault.at is not None:
                # There is no byte to do it at but the end of the head.
                self.source = (item for item in body if isinstance(item, Pause | Reset))
            if fault is not None and fault.close_at is not None:
                fault.length = len(head)
                if self.source is not None:
                    fault.length = fault.length + len(response.body) if isinstance(response.body, bytes) else None
                exchange.note("close_at", fault.close_at)
                self._cut(fault.close_at, Close.RESET if fault.reset else Close.FIN)
            self.refill()

        delay, hold = exchange.latency, None
        if fault is not None:
            hold = fault.hold
            if fault.delay and fault.at is None:
                exchange.note("delay", None)
                delay += fault.delay
            if hold is not None:
                exchange.note("hold", None)
        if delay or hold is not None:
            self._resume = send
            self.waiting = (delay, hold)
        else:
            send()

    def _cut(self, count: int, close: Close) -> None:
        """Send no more than the first ``count`` bytes of the answer, then close."""
        head = self.out.pop()
        source = self.source

        def all_chunks() -> Iterator[Chunk]:
            yield head
            if source is not None:
                yield from (chunk for chunk in source if not isinstance(chunk, Pause | Reset))

        self.source = limit_chunks(all_chunks(), count)
        if self._record is not None:
            self._record.sent = 0
        self.close = close

    def resume(self) -> None:
        """What was waited for has happened."""
        if self._resume is not None:
            self._resume()
            self.advance()

    def refill(self) -> None:
        """Move the next chunk of the answer to ``out``."""
        record = self._record
        while self.source is not None:
            chunk = next(self.source, None)
            if chunk is None:
                self.source = None
            elif isinstance(chunk, Reset):
                self.source = None
                self.close = Close.RESET
            elif isinstance(chunk, Pause):
                if chunk.seconds is None:
                    self.source = None
                    self.stalled = True
                    self.close = Close.FIN if self.eof else Close.NO
                else:
                    self._resume = self._go_on
                    self.waiting = (chunk.seconds, None)
                return
            elif length := chunk_length(chunk):
                if record is not None:
                    record.sent += length
                self.out.append(chunk)
                return
        if record is not None and not self.out:
            self._close_record()

    def _go_on(self) -> None:
        self._resume = None
        self.waiting = None

    def _close_record(self) -> None:
        """The answer is sent, or will not be."""
        assert self._record is not None
        self._record.ended = time.monotonic()
        self._record = None

    def _refuse(self, error: ProtocolError, head: Head | None = None) -> None:
        """Answer what is no HTTP, and close. ``head`` is the request's, where that could be read."""
        if self._exchange is not None:
            head = self._exchange.head
            self.service.abandon(self._exchange)
            self._exchange = None
        self.out.append(refusal(error, head_only=head is not None and head.method == "HEAD"))
        self.pending.clear()
        self.close = Close.FIN


def refusal(error: ProtocolError | S3Error, *, head_only: bool = False) -> bytes:
    """The whole answer to what is no request, after which the connection ends. Without its body for HEAD."""
    body = error_document(error.code, error.message, error.extra, 0)
    headers = [
        ("Date", http_date()),
        ("Content-Type", "application/xml"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        ("Server", "AmazonS3"),
    ]
    return render_head(error.status, headers) + (b"" if head_only else body)
