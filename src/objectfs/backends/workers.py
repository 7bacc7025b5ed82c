"""A few threads that run functions: the sdk backend's requests, and what the crt backend does beside its own."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable

from objectfs.errors import ClosedError

__all__ = ["Workers"]


class Workers:
    """A few daemon threads that run functions.

    Not ``concurrent.futures``: its threads are joined at interpreter exit, before anything could cancel what
    they wait for. These are told to stop when their owner is closed or collected, and are no obstacle to an
    exit.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._pid = os.getpid()

    def submit(self, function: Callable[[], None]) -> None:
        """Run ``function``, which must not raise, on some thread."""
        with self._lock:
            if self._closed:
                raise ClosedError("the client is closed")
            self._queue.put(function)
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._limit:
                thread = threading.Thread(
                    target=_work,
                    args=(self._queue, self._idle, self._threads),
                    name=f"objectfs-sdk-{len(self._threads)}",
                    daemon=True,
                )
                try:
                    self._threads.append(thread)
                    thread.start()
                finally:
                    if thread.ident is None and thread in self._threads:  # none can be had, or Ctrl-C
                        self._threads.remove(thread)

    def stop(self) -> None:
        """Let the threads end when they have nothing to do. Does not wait."""
        if self._pid != os.getpid():  # they are the parent's, and one of them may hold the lock
            return
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._queue.put(None)

    def join(self, timeout: float) -> bool:
        """Wait for the threads to end; whether they have."""
        deadline = time.monotonic() + timeout
        others = [thread for thread in self._threads if thread is not threading.current_thread()]
        for thread in others:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in others)


def _work(
    jobs: queue.SimpleQueue[Callable[[], None] | None], idle: threading.Semaphore, known: list[threading.Thread]
) -> None:
    if threading.current_thread() not in known:  # whoever started it was interrupted, and nobody will stop it
        return
    del known
    while True:
        try:
            job = jobs.get_nowait()
        except queue.Empty:
            idle.release()
            job = jobs.get()
        if job is None:
            return
        job()
        del job  # or the buffers that it refers to live until the next one
