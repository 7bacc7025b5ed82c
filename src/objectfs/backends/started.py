"""Operations that steps have started, whether or not their driver has heard of them.

A signal's handler may raise between the start of an operation and the yield that hands it over. Then nobody but the
exception's traceback knows of it, and it would go on by itself. So what starts operations notes them here, before
anything is sent, for whoever drives the steps on this thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["forget_ended", "here", "leave", "note", "resume", "stop", "wait"]

T = TypeVar("T")


class _Here(threading.local):
    """What a thread is about."""

    ops: list[Any] | None = None
    """Where to note what is started; None: nobody drives the steps that run."""


here = _Here()


def note(op: Any) -> None:
    """An operation is about to start. The engine does the same by itself (``native/engine.pyx``)."""
    ops = here.ops
    if ops is not None:
        ops.append(op)


def resume(ops: list[Any], go: Callable[..., T], *value: Any) -> T:
    """Call ``go``, which runs steps to their next yield, and note in ``ops`` what they start."""
    outer = here.ops
    try:
        here.ops = ops
        return go(*value)
    finally:
        here.ops = outer


def leave(ops: list[Any]) -> None:
    """Nobody drives those steps any more. Ctrl-C may have struck before ``resume`` could say so: then all that the
    thread starts from there on would be kept."""
    if here.ops is ops:
        here.ops = None
    ops.clear()


def forget_ended(ops: list[Any]) -> None:
    """Let go of operations that have ended: their results are others' business."""
    if ops:
        ops[:] = [op for op in ops if not op.done()]


def stop(ops: list[Any]) -> None:
    """Cancel what has not ended, but for what must have its answer."""
    for op in tuple(ops):
        op.cancel()


def wait(ops: list[Any], until: float) -> None:
    """Wait for all to end, until that time of the monotonic clock at the longest."""
    for op in tuple(ops):
        op.wait(max(0.0, until - time.monotonic()))
