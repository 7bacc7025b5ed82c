"""How long this process has been running, which is less than a clock says where it was stopped meanwhile."""

from __future__ import annotations

import threading
import time

__all__ = ["Awake"]

TICK = 0.05
MOST = 1.0
"""Seconds that a tick counts for at most: a busy machine delays it a little, a stopped process for as long as it is."""


class Awake:
    """Counts, on a thread, the seconds in which the process cannot run: those in which it is frozen, or the machine
    sleeps, are not the fault of what is measured. But they end its timeouts."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self.slept = 0.0
        """Seconds in which it could not."""

    def __enter__(self) -> Awake:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _tick(self) -> None:
        before = time.monotonic()
        ended = False
        while not ended:
            ended = self._stop.wait(TICK)
            now = time.monotonic()
            self.slept += max(0.0, now - before - MOST)
            before = now
