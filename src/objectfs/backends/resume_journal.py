"""The journal of a transfer that may be gone on with: its format, and where it lies. docs/design/0016-resume.md"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import re
import stat
import threading
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from objectfs.backends.base import Steps
from objectfs.backends.done import Done

__all__ = [
    "Journal",
    "Untrusted",
    "counts_as",
    "difference",
    "is_journal",
    "log",
    "mark_of",
    "require_own",
    "state_folder",
]

log = logging.getLogger("objectfs.resume")

FORMAT = 1

_OURS = re.compile(r"\.objectfs-[0-9a-f]{24}\.(?:resume|part)(?:\.new)?")

_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class Untrusted(Exception):
    """What a journal says cannot be used, and why."""


class Journal:
    """One file. Nothing is read or written before a method says so."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    def read(self) -> tuple[dict[str, Any], list[Any]] | None:
        """What it is bound to, and its records; None if there is none.

        Raises:
            Untrusted: it is damaged, or another's.
            OSError: it cannot be read.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            return None
        try:
            require_own(os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        with open(descriptor, "rb") as file:
            content = file.read()
        # behind the last newline is what somebody was writing when he was killed
        lines = content.split(b"\n")[:-1]
        if not lines:
            raise Untrusted("it has no beginning")
        records = [_record(line) for line in lines]
        bound = records.pop(0)
        if not isinstance(bound, dict):
            raise Untrusted("it does not begin as a journal does")
        if bound.pop("format", None) != FORMAT:
            raise Untrusted("its format is another version's")
        return bound, records

    def write(self, bound: Mapping[str, Any], records: Iterable[Any] = ()) -> None:
        """Replace the file at once by one that is bound so."""
        self.close()
        content = b"".join(map(_line, ({"format": FORMAT, **bound}, *records)))
        # always of the same name: what a kill leaves, the next one takes
        new = f"{self.path}.new"
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600), "wb") as file:
                require_own(os.fstat(file.fileno()))
                file.write(content)
            os.replace(new, self.path)
        except Untrusted as error:
            raise OSError(errno.EPERM, str(error), new) from None
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise
        with self._lock:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | _FLAGS)

    def append(self, record: Any) -> None:
        """Add one record, after :meth:`write`; nothing once it is closed. From any thread."""
        line = _line(record)
        with self._lock:
            if self._descriptor is None:
                return
            try:
                # a line that is written in two goes is torn if the second does not come, as any other
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:  # what came behind half a line could not be read
                os.close(self._descriptor)
                self._descriptor = None
                raise

    def close(self) -> None:
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)

    def discard(self) -> None:
        """There is nothing to go on with any more."""
        self.close()
        for path in (self.path, f"{self.path}.new"):
            with contextlib.suppress(OSError):
                os.unlink(path)


def require_own(found: os.stat_result) -> None:
    """
    Raises:
        Untrusted: another user may have put it there, to be believed.
    """
    if not stat.S_ISREG(found.st_mode):
        raise Untrusted("it is no regular file")
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise Untrusted("it belongs to another user")


def _line(record: Any) -> bytes:
    text = json.dumps(record, separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _record(line: bytes) -> Any:
    check, _, text = line.partition(b" ")
    if check != b"%08x" % zlib.crc32(text):
        raise Untrusted("it is damaged")
    try:
        return json.loads(text)
    except ValueError:
        raise Untrusted("it is damaged") from None


def difference(bound: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The name of the first thing that a journal is bound to and that is another now."""
    return next((name for name, value in now.items() if bound.get(name) != value), None)


def mark_of(*names: str) -> str:
    """What is short, fits into a file's name, and is another for other names."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(os.fsencode(name) + b"\0")
    return digest.hexdigest()[:24]


def is_journal(name: str) -> bool:
    """Whether a file of that name is one of ours, or what belongs to one."""
    return _OURS.fullmatch(name) is not None


def state_folder() -> str:
    """Where the user's programs keep what is to outlive them; it may not exist yet."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):  # the specification has others ignored
        local = os.environ.get("LOCALAPPDATA") if os.name == "nt" else None
        base = local or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "objectfs", "resume")


def counts_as(size: int) -> Steps[None]:
    """Let progress see so many bytes that are there already."""
    yield Done(None, size)
