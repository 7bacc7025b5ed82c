"""New credentials for operations that outlive the ones they began with."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

from objectfs.backends.crt_express import PAUSE

if TYPE_CHECKING:
    from objectfs.backends.crt_base import CrtBase

__all__ = ["Renewal"]

log = logging.getLogger("objectfs.credentials")

HORIZON = 900.0
"""Seconds: with less left botocore looks for new credentials (its advisory period)."""

LONGEST_PAUSE = 60.0
SHORTEST_PAUSE = 0.5

LOOK = 0.2
"""Seconds between two looks at whether a server has called the token expired."""


class Renewal:
    """A thread that exists while a backend with credentials that expire has operations under way.

    Verbs take new credentials when they begin, but the parts of one verb may be signed for hours. The C library asks
    for credentials on its own threads, which never run Python, so somebody has to bring them.
    """

    def __init__(self, backend: CrtBase) -> None:
        self._backend = weakref.ref(backend)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._asked = False
        self._stop = threading.Event()

    def ensure(self) -> None:
        """A verb begins. Its first operation is started after this, hence ``_asked``: a thread that finds no operation
        stays for another turn."""
        with self._lock:
            self._asked = True
            if self._thread is not None or self._stop.is_set():
                return
            # daemon: it may be in the middle of a process or a request to fetch credentials when Python ends
            thread = threading.Thread(
                target=_renew, args=(weakref.ref(self), self._stop), name="objectfs-credentials", daemon=True
            )
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:  # no thread can be had: the credentials that there are have to do
                self._thread = None

    def turn(self) -> float | None:
        """What the thread does each time: renew if it is time; the seconds until the next time, None to end."""
        backend = self._backend()
        with self._lock:
            if backend is None or not (self._asked or backend.busy()):
                self._thread = None
                return None
            self._asked = False
        session = backend.session
        try:
            if session.credentials_refresh_due():
                backend.renew()
            backend.renew_sessions()
        except Exception as error:  # the verbs that follow meet it too, and say so
            log.debug("credentials were not renewed: %s", error)
        left = session.credentials_left(HORIZON)
        if backend.sessions:
            return max(SHORTEST_PAUSE, min(PAUSE, left / 4))
        return LONGEST_PAUSE if left >= HORIZON else max(SHORTEST_PAUSE, min(LONGEST_PAUSE, left / 4))

    def look(self) -> bool:
        """What the thread does in between: bring new credentials where requests wait for them. False if the backend is
        gone."""
        backend = self._backend()
        if backend is None:
            return False
        if backend.take_refused():
            try:
                backend.replace()
            except Exception as error:  # the requests that wait fail with what the server said
                log.debug("credentials were not replaced: %s", error)
        return True

    def close(self) -> None:
        """End the thread, unless it is fetching credentials: that it finishes, and nobody uses them."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(0.1)


def _renew(renewal: weakref.ref[Renewal], stop: threading.Event) -> None:
    # weakly: a backend that was dropped unclosed must be collected, and closes then
    while True:
        found = renewal()
        pause = None if found is None else found.turn()
        del found
        if pause is None:
            return
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0:
            if stop.wait(min(left, LOOK)):
                return
            found = renewal()
            if found is None or not found.look():
                return
            del found
