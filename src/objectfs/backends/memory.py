"""Memory for both backends: the caller's as flat bytes, and what parts are collected in."""

from __future__ import annotations

import mmap
import re
from typing import Any, TypeAlias

__all__ = ["PartMemory", "mapped_memory", "readable_view", "writable_view"]

PartMemory: TypeAlias = bytearray | mmap.mmap
"""What the bytes of a part are collected in."""

MAPPED = 1024 * 1024
"""Bytes from which memory has a mapping of its own."""

_FIELD_NAME = re.compile(":[^:]*:")


def mapped_memory(size: int) -> PartMemory:
    """Zeroed memory that is the system's again as soon as it is dropped, for parts of many writers at a time.

    malloc keeps what is freed, in an arena of the thread that had asked for it: 32 threads that wrote 256 MiB each came
    to 842 MiB, of which the budget had lent 439.
    """
    if size < MAPPED or not hasattr(mmap, "MAP_ANONYMOUS"):  # Windows' own allocator gives large blocks back
        return bytearray(size)
    try:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # a forked child's is its own
    except OSError as error:
        raise MemoryError(f"no memory for {size} bytes: {error}") from None


def readable_view(data: Any) -> memoryview:
    """A flat view of data to send.

    Raises:
        TypeError: it has no buffer, or its items are Python objects.
        ValueError: it is not C-contiguous.
    """
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"bytes-like data is needed, not {type(data).__name__}") from None
    return _flat(view, "data", memoryview(b""))


def writable_view(buffer: Any) -> memoryview:
    """A flat view of a caller's buffer.

    Raises:
        TypeError: it has no buffer, or its items are Python objects.
        ValueError: it is read-only, or not C-contiguous.
    """
    try:
        view = memoryview(buffer)
    except TypeError:
        raise TypeError(f"a writable buffer is needed, not {type(buffer).__name__}") from None
    if view.readonly:
        view.release()
        raise ValueError(f"the buffer is read-only ({type(buffer).__name__})")
    return _flat(view, "buffer", memoryview(bytearray()))


def _flat(view: memoryview, what: str, empty: memoryview) -> memoryview:
    with view:
        if not view.c_contiguous:
            raise ValueError(f"the {what} is not C-contiguous")
        if "O" in _FIELD_NAME.sub("", view.format):
            # addresses: sent they mean nothing, and overwritten they crash the interpreter
            raise TypeError(f"the {what} holds Python objects, not bytes")
        return view.cast("B") if view.nbytes else empty
