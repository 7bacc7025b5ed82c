"""The C library's log in Python's: the loggers ``objectfs.crt.s3``, ``objectfs.crt.http``, ``objectfs.crt.io`` and so
on, one for each of its libraries.

It is off until one of them, or ``objectfs.crt``, is given a level of its own; that is looked at whenever a client is
made. (Not the level that they inherit: at DEBUG each request is some fifty lines.) Then the C library's threads put
their lines into a ring (``native/logring.c``), and a thread of this module's gives them to ``logging``.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading

from objectfs import _native
from objectfs.backends import redact

__all__ = ["TRACE", "flush", "follow"]

TRACE = 5
"""Of ``logging``, below DEBUG: what the C library calls TRACE."""

LIBRARIES = {0: "common", 1: "io", 2: "http", 3: "compression", 6: "auth", 7: "cal", 14: "s3", 15: "sdkutils"}

LEVELS = {1: logging.CRITICAL, 2: logging.ERROR, 3: logging.WARNING, 4: logging.INFO, 5: logging.DEBUG, 6: TRACE}

LOOK = 0.5
"""Seconds between two looks whether it is still wanted."""

EXIT_PATIENCE = 1.0
"""Seconds that the interpreter's exit waits for a handler that does not come to its end."""

_log = logging.getLogger("objectfs.crt")
_lock = threading.Lock()
_handing_on = threading.Lock()
_thread: threading.Thread | None = None
_pid = os.getpid()
_ended = False


def follow() -> None:
    """Have the C library log what the levels of the loggers ask for now."""
    global _thread, _pid, _lock, _handing_on
    wanted = _wanted()
    if not wanted and _thread is None:
        return
    if _pid != os.getpid():  # the thread is the parent's, who may have held the lock
        _pid, _thread, _lock, _handing_on = os.getpid(), None, threading.Lock(), threading.Lock()
    with _lock:
        if _ended or not _native.log_level(wanted):
            return
        if wanted and _thread is None:
            _thread = threading.Thread(target=_run, name="objectfs-crt-log", daemon=True)
            _thread.start()


def _wanted() -> int:
    """The C library's most talkative level that some logger asks for; 0 if none does."""
    names = ("objectfs.crt", *(f"objectfs.crt.{name}" for name in LIBRARIES.values()))
    known = logging.Logger.manager.loggerDict
    levels = [logger.level for name in names if isinstance(logger := known.get(name), logging.Logger) and logger.level]
    if not levels:
        return 0
    least = min(levels)
    return max((theirs for theirs, ours in LEVELS.items() if ours >= least), default=1)


def flush(patience: float = -1) -> None:
    """Give to ``logging`` what has come so far. ``patience``: seconds to wait for another thread that does; any, if
    negative."""
    if _handing_on.acquire(timeout=patience):
        try:
            while _hand_on():
                pass
        finally:
            _handing_on.release()


def _hand_on() -> int:
    lines, dropped = _native.log_take()
    for at, level, library, subject, text in lines:
        logger = logging.getLogger(f"objectfs.crt.{LIBRARIES.get(library, library)}")
        ours = LEVELS.get(level, logging.DEBUG)
        if logger.isEnabledFor(ours):
            record = logger.makeRecord(logger.name, ours, "(C)", 0, "[%s] %s", (subject, redact.text(text)), None)
            record.created, record.msecs = at / 1e9, at // 1_000_000 % 1000
            record.threadName = "(of the C library)"
            logger.handle(record)
    if dropped:
        _log.warning("%d lines of the C library's log were dropped: they came faster than they were logged", dropped)
    return len(lines)


def _run() -> None:
    pid = os.getpid()
    while not _ended and pid == os.getpid():
        _native.log_wait(LOOK)
        flush()


def _stop() -> None:
    global _ended
    _ended = True
    if _thread is not None and _pid == os.getpid():
        _native.log_level(0)
        flush(EXIT_PATIENCE)


atexit.register(_stop)
