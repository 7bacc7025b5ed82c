"""What an open object cannot do, said so that the next step is clear.

Python's own classes refuse it too, but say only "File or stream is not seekable." It stays ``io.UnsupportedOperation``:
zipfile and others find out by it how they have to write.
"""

from __future__ import annotations

import io
from typing import Any, NoReturn

__all__ = ["refuse_change", "refuse_seek"]


def refuse_change(file: Any, *_: Any) -> NoReturn:
    """``write`` and ``truncate`` of a file that reads."""
    # h5py calls truncate() with the exception of write() pending, under which calls and lookups fail: this ends it
    try:
        raise ValueError
    except (ValueError, SystemError):
        pass
    _require_open(file)
    raise io.UnsupportedOperation(
        f"GetObject {_name(file)}: the object is open for reading, and S3 replaces objects, it does not change them. "
        "Change a copy of it in memory or in a file (get, get_file) and send that (put, put_file)"
    )


def refuse_seek(file: Any, *_: Any) -> NoReturn:
    """``seek`` and ``truncate`` of a file that writes."""
    _require_open(file)
    raise io.UnsupportedOperation(
        f"PutObject {_name(file)}: an object is written from its beginning to its end, without a seek. "
        "For a format that needs one (HDF5, TIFF), write it to memory or to a file and send that (put, put_file)"
    )


def _require_open(file: Any) -> None:
    if file.closed:
        raise ValueError("I/O operation on closed file.")


def _name(file: Any) -> str:
    name: str = file.name
    return name
