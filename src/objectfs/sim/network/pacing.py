"""The pace of connections: when the next bytes are due, and which requests are too many."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator
from statistics import NormalDist

from objectfs.sim.network.profile import Profile

SLICE_TIME = 0.005
MIN_SLICE = 1024
MAX_SLICE = 256 * 1024
BUFFERED_TIME = 0.1
MIN_BUFFER = 256 * 1024
STRATA = 1000
MAX_PREFIXES = 10_000

_READS = frozenset(("GET", "HEAD"))


class Flow:
    """One direction of one connection: when its next bytes are due.

    ``ready`` says how many bytes may go now, or when; ``moved`` tells how many did, ``rest`` that none could. Times
    are those of ``Loop.time``, in which a timer is never late.
    """

    def __init__(self, rate: float | None, start: float | None, ramp: float, shared: SharedFlow | None) -> None:
        self._rate = rate
        self._start = rate if start is None else start
        self._growth = (rate - start) / ramp if rate is not None and start is not None and ramp else 0.0
        self._ramp = ramp if self._growth else 0.0
        self._moved = 0
        self._due = 0.0
        self._shared = shared
        self._slot = 0.0
        self._reserved = 0

    def ready(self, now: float) -> tuple[float, int]:
        """The bytes that may be moved now; or none, and the time to ask again."""
        if self._due > now:
            return self._due, 0
        # A time without anything to move earns nothing.
        self._due = now
        if self._shared is None:
            return now, self._slice()
        if not self._reserved:
            self._reserved = min(self._slice(), self._shared.slice)
            self._slot = self._shared.reserve(self._reserved, now)
        return (self._slot, 0) if self._slot > now else (now, self._reserved)

    def moved(self, count: int) -> None:
        """``count`` bytes were moved, at most what ``ready`` allowed last."""
        if self._rate is not None:
            self._due += self._time(count)
        self._moved += count
        if self._shared is not None:
            self._shared.give_back(self._reserved - count)
            self._reserved = 0

    def rest(self) -> None:
        """There is nothing to move, or the client is not ready for it."""
        if self._reserved and self._shared is not None:
            self._shared.give_back(self._reserved)
            self._reserved = 0

    def _slice(self) -> int:
        if self._rate is None or self._start is None:
            return MAX_SLICE
        rate = self._start + self._growth * self._moved if self._moved < self._ramp else self._rate
        return int(min(max(rate * SLICE_TIME, MIN_SLICE), MAX_SLICE))

    def _time(self, count: int) -> float:
        """How long ``count`` more bytes take: at the whole rate, or growing to it."""
        assert self._rate is not None
        assert self._start is not None
        growing = min(count, self._ramp - self._moved)
        if growing <= 0:
            return count / self._rate
        begin = self._start + self._growth * self._moved
        return math.log1p(self._growth * growing / begin) / self._growth + (count - growing) / self._rate


class SharedFlow:
    """What all connections have together: slots of time, given out in the order they are asked for."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._due = 0.0
        self.slice = int(min(max(rate * SLICE_TIME, MIN_SLICE), MAX_SLICE))

    def reserve(self, count: int, now: float) -> float:
        """The time at which these bytes may be moved."""
        slot = max(self._due, now)
        self._due = slot + count / self._rate
        return slot

    def give_back(self, count: int) -> None:
        """So many bytes of a slot were not moved."""
        self._due -= count / self._rate


class Pace:
    """The two flows of a connection."""

    __slots__ = ("offered", "receiving", "sending", "waiting")

    def __init__(self, sending: Flow, receiving: Flow) -> None:
        self.sending = sending
        self.receiving = receiving
        # What the socket was offered and did not take: TLS insists on being offered it again.
        self.offered = 0
        # Directions that a timer will wake.
        self.waiting = 0


class RateLimit:
    """At most ``limit`` requests of a prefix in any second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._admitted: dict[tuple[str, str], deque[float]] = {}

    def admit(self, bucket: str, prefix: str, now: float) -> bool:
        times = self._admitted.get((bucket, prefix))
        if times is None:
            if len(self._admitted) >= MAX_PREFIXES:
                self._forget(now)
            times = self._admitted[bucket, prefix] = deque(maxlen=self._limit)
        if len(times) == self._limit and times[0] > now - 1.0:
            return False
        times.append(now)
        return True

    def _forget(self, now: float) -> None:
        """Prefixes that were quiet for a second are as good as new; of the others the oldest go."""
        live = [(key, times) for key, times in self._admitted.items() if times[-1] > now - 1.0]
        self._admitted = dict(live[-MAX_PREFIXES // 2 :])


def draw_latencies(profile: Profile, generator: random.Random) -> Iterator[float]:
    """First-byte latencies: each thousand has one from every thousandth of the distribution."""
    normal = NormalDist(math.log(profile.latency), profile.sigma) if profile.sigma else None
    strata = list(range(STRATA))
    while True:
        generator.shuffle(strata)
        for stratum in strata:
            share = (stratum + min(max(generator.random(), 1e-9), 1 - 1e-9)) / STRATA
            yield profile.latency if normal is None else math.exp(normal.inv_cdf(share))


class Network:
    """A profile at work. Used by the server's thread only."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        total = profile.total_bandwidth
        self._sending = SharedFlow(total) if total is not None else None
        self._receiving = SharedFlow(total) if total is not None else None
        self._reads = RateLimit(profile.reads) if profile.reads is not None else None
        self._writes = RateLimit(profile.writes) if profile.writes is not None else None
        # Apart from each other, so that more connections do not change the latencies that are drawn.
        self._connections = random.Random(f"connections {profile.seed}")
        self._answers = random.Random(f"answers {profile.seed}")
        latency = draw_latencies(profile, random.Random(f"latency {profile.seed}")) if profile.latency else None
        self._latency = latency

    def pace(self) -> Pace | None:
        """The pace of a new connection; None when it has none."""
        profile = self.profile
        if not profile.paced:
            return None
        rate, start = profile.bandwidth, profile.slow_start
        if profile.slow_bandwidth is not None and self._connections.random() < profile.slow:
            rate, start = profile.slow_bandwidth, None
        if rate is None and self._sending is None:
            return None
        ramp = profile.slow_start_bytes
        return Pace(Flow(rate, start, ramp, self._sending), Flow(rate, start, ramp, self._receiving))

    @property
    def receive_buffer(self) -> int | None:
        """Bytes that the kernel may take in ahead of a paced connection."""
        rates = [rate for rate in (self.profile.bandwidth, self.profile.total_bandwidth) if rate is not None]
        return max(MIN_BUFFER, int(min(rates) * BUFFERED_TIME)) if rates else None

    def latency(self) -> float:
        """Seconds to the first byte of the next answer."""
        return next(self._latency) if self._latency is not None else 0.0

    def admit(self, method: str, bucket: str, key: str, now: float) -> bool:
        """Whether a request that began ``now`` is within the rate of its prefix; it then counts."""
        limit = self._reads if method in _READS else self._writes
        return limit is None or limit.admit(bucket, key[: key.rfind("/") + 1], now)

    def loss(self) -> tuple[str, float, float] | None:
        """What happens to the next answer: ``reset`` or ``stall``, at which share of it, for how many seconds."""
        profile = self.profile
        if not profile.resets and not profile.stalls:
            return None
        # Always as many draws, so that one rate does not change what the other hits.
        draw, share, length = (self._answers.random() for _ in range(3))
        if draw < profile.resets:
            return "reset", share, 0.0
        if draw < profile.resets + profile.stalls:
            doublings = min(int(-math.log2(max(length, 1e-9))), 4)
            return "stall", share, profile.stall_time * 2**doublings
        return None
