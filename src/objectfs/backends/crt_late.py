"""From when on an answer is late, so that the request is sent again (``native/hedge.pyx``).

S3 answers most requests in some tens of milliseconds, and one of a hundred after ten times as long. Whoever waits for
all of several answers waits for the slowest. AWS's guide to S3's performance advises to send a request again that takes
longer than others do. See docs/design/0022-hedging.md.
"""

from __future__ import annotations

import time
from typing import Any

from objectfs.backends.crt_waits import LATER, late

__all__ = ["Lateness"]

KNOWN = 16
"""Answers to GETs before anything is concluded from them: of so many, 40 of 100 is known to 12 of 100."""

START = 0.1
"""Seconds, from far away, before the answers are known: S3 sends most first bytes in a third of that."""

LOOK = 0.1
"""Seconds between two looks."""

CONNECTING = 0.5
"""Of the time after which an answer is late, which a new connection may cost at most. A second request seldom finds one
that is there and free, and the answer that came too late ends one: where connecting takes longer, what is saved is lost
again. It is measured anew after a pause, as it may have been another thing that took so long: a host's address, say."""

JUDGED = 80
"""Requests that were sent again before it is judged whether they pay: of S3's, 8 to 40 of 100 do."""

PAYS = 0.05
"""Of them, that came first: fewer say that the server is slow with all requests, and more of them make it slower. (8 of
100 of S3's where the answers of 256 connections wait for the processor too: those are the ones that a transfer waits
for, and it takes half as long again without them.)"""

PAUSE = 30.0
"""Seconds without second requests where the endpoint has asked for less, or connecting takes long; doubled each
time."""

UNPAID = 5.0
"""Seconds without them where they did not pay, likewise. Eighty may have had bad luck, and a process's first answers
wait for its connections."""

LONGEST_PAUSE = 960.0


class Lateness:
    """Of the answers of one endpoint."""

    def __init__(self, engine: Any, wanted: bool, network: Any) -> None:
        """``network``: what transfers have told of it (``crt_network.Network``)."""
        self._engine, self._wanted, self._network = engine, wanted, network
        self._next = 0.0
        self._after = 0.0
        self._one_of_few = 0.0
        self._known = (0.0, 0.0)  # what the answers had told before they were forgotten
        self._resume = 0.0
        self._doubled = 1
        self._judged = (0, 0)
        self._slowed = 0
        self._busy = 0
        self._measure_at = 0.0  # again, what a new connection costs; 0: as it takes little, or nobody knows
        self._measure_after = PAUSE
        self.far = False
        """Whether answers take so long that waiting for one more costs more than most other things."""

    def after(self, size: int = 0, one_of_few: bool = False) -> float:
        """Seconds; 0 where no request is to be sent twice. ``size``: bytes that may come before anybody can tell that
        an answer has begun. ``one_of_few``: of an object's ranges, each of which the whole object waits for."""
        now = time.monotonic()
        if now >= self._next:  # two threads that look at the same time come to the same
            self._next = now + LOOK
            self._after, self._one_of_few = self._look(now)
        if not self._wanted or not self._after:
            return 0.0
        return (self._one_of_few if one_of_few else self._after) + size * float(self._network.slowness)

    @property
    def hedged(self) -> tuple[int, int]:
        """Requests that were sent again, and those of them that were answered first."""
        found: tuple[int, int] = self._engine.hedged
        return found

    def _look(self, now: float) -> tuple[float, float]:
        """From when on answers are late, and those of an object's ranges; 0: never."""
        slowed = self._engine.pace[4]
        made, won = self._engine.hedged
        new, better = made - self._judged[0], won - self._judged[1]
        if slowed != self._slowed or (new >= JUDGED and better < PAYS * new):
            if now >= self._resume:  # what comes in a pause belongs to what it is for
                pause = (PAUSE if slowed != self._slowed else UNPAID) * self._doubled
                self._resume, self._doubled = now + min(pause, LONGEST_PAUSE), min(2 * self._doubled, 1024)
            self._slowed, self._judged = slowed, (made, won)
        elif new >= JUDGED:
            self._judged, self._doubled = (made, won), 1
        found = one_of_few = 0.0
        if not self._network.near:  # from near they wait for each other, if at all
            waits = self._engine.waits
            # before their distribution is known, what transfers or another process have told of first bytes
            start = max(START, LATER * self._network.latency) if self._network.far else 0.0
            if sum(waits) >= KNOWN:
                self._known = late(waits), late(waits, one_of_few=True)
                found, one_of_few = self._known
            else:
                found, one_of_few = (min(start, before) if before else start for before in self._known)
        self.far = found > 0
        costly = found > 0 and self._costly(found, now)
        return (0.0, 0.0) if costly or now < self._resume or self._busy >= 2 else (found, one_of_few)

    def _costly(self, found: float, now: float) -> bool:
        """Whether a second request's connection takes too long, for answers that are late after so long."""
        if self._network.connecting <= CONNECTING * found:
            return False
        if not self._measure_at:
            self._measure_at = now + self._measure_after
            self._measure_after = min(2 * self._measure_after, LONGEST_PAUSE)
        if now < self._measure_at:
            return True
        self._measure_at = 0.0
        self._engine.forget_first_waits()
        self._network.forget_connecting()
        return False

    def transferred(self, busy: bool) -> None:
        """A large transfer is over, whose limit was the processor, or not. If it was, answers have waited for that, and
        say nothing of the network; if it is so again and again, more requests would only be more work."""
        self._busy = self._busy + 1 if busy else 0
        if busy:
            self._engine.forget_waits()
        self._next = 0.0
