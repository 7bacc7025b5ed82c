"""The end of the interpreter, as it looks from a daemon thread that is inside of a call then."""

from __future__ import annotations

import asyncio
import threading

from objectfs.errors import ObjectFSError

__all__ = ["begin"]

_began = False


def begin() -> None:
    """Called at exit, before the first backend closes: threads may end with our errors from now on, without a word.

    Backends cancel what runs when they close. A daemon thread that waited for it did nothing wrong, and the traceback
    of its CancelledError would be the last thing that a user sees of a program that went well. The error is raised all
    the same, so ``finally`` is run, locks are released, and whoever joins the thread or awaits the task goes on.
    """
    global _began
    if _began:
        return
    _began = True
    report = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.thread is None or not args.thread.daemon or not _ours(args.exc_value):
            report(args)

    threading.excepthook = hook


def _ours(error: BaseException | None) -> bool:
    """Whether an error is one of this package's, or came of one."""
    while error is not None:
        # asyncio's: tasks that were cancelled because another one of their loop ended with an error of ours
        if isinstance(error, (ObjectFSError, asyncio.CancelledError)):
            return True
        error = error.__cause__ or error.__context__
    return False
