"""How long a connection may keep the server waiting, and how many there may be."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """What a connection waits for."""

    IDLE = "the next request"
    HEAD = "the rest of a request head, or of a TLS handshake"
    BODY = "the rest of a request body"
    ANSWER = "the client to take the answer"
    HELD = "the server itself: a fault, or a profile's pace"


@dataclass(slots=True, frozen=True)
class Limits:
    """Times are in seconds.

    ``idle``: between requests, after which the connection is closed. ``head``: from the first byte of a request
    to the end of its head, however many bytes come in between. ``stall``: in which at least ``progress`` bytes of
    a body must arrive, or of an answer be taken. Who is late while sending is answered RequestTimeout.
    ``connections``: at most so many, and no more than half of the file descriptors that the process may open:
    for one more, the connection that has been idle longest is closed, or else the new one answered SlowDown.
    """

    idle: float = 60.0
    head: float = 20.0
    stall: float = 20.0
    progress: int = 1024
    connections: int = 1000

    @property
    def interval(self) -> float:
        """How often to look at the connections."""
        return min(1.0, min(self.idle, self.head, self.stall) / 4)

    def most_connections(self) -> int:
        limit = self.connections
        with contextlib.suppress(ImportError, ValueError, OSError):
            import resource

            files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            if files != resource.RLIM_INFINITY:
                # An answer from a file needs two: the socket, and the file.
                limit = min(limit, max(1, (files - 32) // 2))
        return limit


class Watch:
    """Since when a connection has been waiting for the same thing."""

    __slots__ = ("_moved", "_state", "since")

    def __init__(self, now: float) -> None:
        self.since = now
        self._state: tuple[Phase, int] = (Phase.HEAD, -1)
        self._moved = 0

    def late(self, limits: Limits, phase: Phase, number: int, moved: int, now: float) -> bool:
        """Whether the client's time is up. ``number`` counts the connection's requests, ``moved`` its bytes."""
        state = (phase, number)
        moving = phase in (Phase.BODY, Phase.ANSWER) and moved - self._moved >= limits.progress
        if state != self._state or moving or phase is Phase.HELD:
            self._state = state
            self._moved = moved
            self.since = now
            return False
        if phase is Phase.IDLE:
            return now - self.since > limits.idle
        return now - self.since > (limits.head if phase is Phase.HEAD else limits.stall)
