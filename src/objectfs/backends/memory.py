"""The caller's memory as flat bytes, for both backends."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["readable_view", "writable_view"]

_FIELD_NAME = re.compile(":[^:]*:")


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
