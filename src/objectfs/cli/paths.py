"""From keys to files below a folder, and never outside it.

A key is any text. One that cannot become a file of that very name below the destination is refused with
:class:`~objectfs.errors.UnsafeKeyError`; it is not repaired, because a repaired name could be another key's.
"""

from __future__ import annotations

import os
import sys

from objectfs.errors import LocalFileError, UnsafeKeyError

_WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL"} | {
    f"{name}{digit}" for name in ("COM", "LPT") for digit in range(1, 10)
}


def segments(name: str, *, windows: bool | None = None) -> list[str]:
    """The folders and the file that a relative name has.

    Raises:
        ValueError: it is not a plain relative name; says why.
    """
    windows = sys.platform == "win32" if windows is None else windows
    if not name:
        raise ValueError("it has no name below the destination")
    if "\0" in name:
        raise ValueError("it contains a NUL character")
    if name.startswith("/"):
        raise ValueError("it is an absolute path")
    parts = name.split("/")
    for part in parts:
        if part == "..":
            raise ValueError("it has a '..' segment")
        if part in ("", "."):
            raise ValueError("it has an empty or '.' segment, which a file's path cannot keep")
        if len(os.fsencode(part)) > 255:
            raise ValueError("a segment is longer than the 255 bytes that file systems allow")
        if windows:
            _check_windows(part)
    return parts


def _check_windows(part: str) -> None:
    if any(char in '\\:*?"<>|' or char < " " for char in part):
        raise ValueError(
            "it has a character that Windows does not allow in a file's name (a backslash, a drive's colon…)"
        )
    if part[-1] in ". ":
        raise ValueError("Windows drops dots and spaces at the end of a name")
    if part.partition(".")[0].upper() in _WINDOWS_DEVICES:
        raise ValueError("it is the name of a device on Windows")


class Destination:
    """A folder that receives keys, in the order in which S3 lists them."""

    def __init__(self, folder: str, *, create: bool = True) -> None:
        self.folder = folder
        self._create = create
        self._root = os.path.realpath(folder)
        self._checked: set[str] = set()
        self._above: list[str] = []

    def path_of(self, bucket: str, key: str, name: str) -> str:
        """The path for a key whose name below the folder is ``name``; the folders above it then exist.

        Raises:
            UnsafeKeyError: the key would leave the folder, or is a file where another key needs a folder.
            LocalFileError: a folder cannot be made.
        """
        try:
            parts = segments(name)
            self._check_order(name)
        except (ValueError, UnicodeEncodeError) as error:
            raise _refusal(bucket, key, str(error)) from None
        path = os.path.join(self.folder, *parts)
        self._make_parent(bucket, key, os.path.dirname(path))
        if os.path.isdir(path):
            raise _refusal(bucket, key, f"a folder is in its place: {path}")
        return path

    def make_folder(self, bucket: str, key: str, name: str) -> None:
        """The folder for an empty object whose name ends in ``/``; the same errors as :meth:`path_of`."""
        try:
            parts = segments(name.removesuffix("/"))
            self._check_order(name)
        except (ValueError, UnicodeEncodeError) as error:
            raise _refusal(bucket, key, str(error)) from None
        self._make_parent(bucket, key, os.path.join(self.folder, *parts))

    def _check_order(self, name: str) -> None:
        """Refuse ``a/b`` behind ``a``: one path cannot be both a file and a folder.

        Names come sorted, so those that begin with a given one follow it directly: only its own beginnings
        are kept.
        """
        while self._above and not name.startswith(self._above[-1]):
            self._above.pop()
        for file in self._above:
            if name.startswith(file + "/"):
                raise ValueError(f"the key that ends in {file!r} is a file where this one needs a folder")
        self._above.append(name)

    def _make_parent(self, bucket: str, key: str, parent: str) -> None:
        if parent in self._checked:
            return
        try:
            # Before anything is made: a link on the way must not lead to a place outside, and have folders
            # made there.
            real = os.path.realpath(parent)
            if real != self._root and os.path.commonpath([real, self._root]) != self._root:
                raise _refusal(bucket, key, f"a symbolic link leads out of the destination: {parent} is {real}")
            if self._create:
                os.makedirs(parent, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise _refusal(bucket, key, f"a file is where this key needs a folder: {parent}") from None
        except OSError as error:
            raise LocalFileError.from_oserror(error, bucket=bucket, key=key) from None
        if len(self._checked) > 4096:  # a bound on memory; checking again costs little
            self._checked.clear()
        self._checked.add(parent)


def _refusal(bucket: str, key: str, reason: str) -> UnsafeKeyError:
    return UnsafeKeyError(f"refused: {reason}", bucket=bucket, key=key)
