"""The arguments of ``open()``, checked as Python's own open() does."""

from __future__ import annotations

import codecs
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from objectfs import arguments as check
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.errors import UnsupportedError
from objectfs.options import GROUPS
from objectfs.transfer.reading import PREFETCH
from objectfs.units import parse_size

__all__ = ["Mode", "parse_mode", "reading_options", "writing_options"]


@dataclass(frozen=True, slots=True)
class Mode:
    """What ``mode=`` and the arguments beside it ask for."""

    writes: bool
    exclusive: bool
    text: bool
    buffering: int
    """0 for the raw file, -1 for the default."""
    encoding: str | None
    errors: str | None
    newline: str | None
    line_buffering: bool


_PLAIN = {mode: Mode(mode != "rb", mode == "xb", False, -1, None, None, None, False) for mode in ("rb", "wb", "xb")}
"""What nearly everybody asks for: opening an object is timed by its first byte."""


def parse_mode(
    mode: str, buffering: int, encoding: str | None, errors: str | None, newline: str | None, bucket: str, key: str
) -> Mode:
    """Check what all modes have in common.

    Raises:
        ValueError: there is no such mode, or the arguments do not go together.
        LookupError: there is no such encoding or error handler.
        UnsupportedError: S3 has no way to do it.
    """
    if not isinstance(mode, str):
        raise TypeError(f"mode must be a string, not {type(mode).__name__}")
    if isinstance(buffering, bool) or not isinstance(buffering, int):
        raise TypeError(f"buffering must be a whole number, not {type(buffering).__name__}")
    if buffering == -1 and encoding is errors is newline is None and mode in _PLAIN:
        return _PLAIN[mode]
    for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a string or None, not {type(value).__name__}")
    letters = set(mode)
    if not mode or letters - set("rwxabt+") or len(letters) != len(mode):
        raise ValueError(f"invalid mode: {mode!r}")
    if len(letters & set("rwxa")) != 1:
        raise ValueError("must have exactly one of create/read/write/append mode")
    if "t" in letters and "b" in letters:
        raise ValueError("can't have text and binary mode at once")
    if "a" in letters or "+" in letters:
        raise UnsupportedError(
            f"mode {mode!r}: S3 does not change objects, it replaces them",
            bucket=bucket,
            key=key,
            hint="Read with 'rb' and write the new content with 'wb', or write further objects",
        )
    text = "b" not in letters
    if not text:
        for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
            if value is not None:
                raise ValueError(f"binary mode doesn't take an {name} argument")
    if newline not in (None, "", "\n", "\r", "\r\n"):
        raise ValueError(f"illegal newline value: {newline!r}")
    if buffering < -1:
        raise ValueError("invalid buffering size")
    if text and buffering == 0:
        raise ValueError("can't have unbuffered text I/O")
    if encoding is not None:
        codecs.lookup(encoding)
    if errors is not None:
        codecs.lookup_error(errors)
    line_buffering = text and buffering == 1
    return Mode(
        writes="r" not in letters,
        exclusive="x" in letters,
        text=text,
        buffering=-1 if buffering == 1 else buffering,
        encoding="utf-8" if text and encoding is None else encoding,
        errors=errors,
        newline=newline,
        line_buffering=line_buffering,
    )


def reading_options(mode: str, options: Mapping[str, Any], prefetch: int | str | None) -> tuple[GetOptions, int]:
    """The requests' options and how many bytes to read ahead.

    Raises:
        TypeError: an option is unknown, or one for writing.
    """
    get: GetOptions = _checked(check.get_options, "RangesParams", mode, options)
    if prefetch is None:
        return get, PREFETCH
    try:
        return get, parse_size(prefetch)
    except (TypeError, ValueError) as error:
        raise type(error)(f"prefetch={prefetch!r}: {error}") from None


def writing_options(mode: Mode, text: str, options: Mapping[str, Any], prefetch: int | str | None) -> PutOptions:
    """The upload's options.

    Raises:
        TypeError: an option is unknown, or one for reading.
    """
    if prefetch is not None:
        raise TypeError(f"open() in mode {text!r} takes no prefetch: it is for reading")
    if mode.exclusive:
        if options.get("if_match") is not None:
            raise ValueError(f"mode {text!r} wants no object to be there, and if_match= one: they exclude each other")
        options = {**options, "if_none_match": "*"}
    put: PutOptions = _checked(check.put_options, "PutParams", text, options)
    return put


def _checked(make: Any, group: str, mode: str, options: Mapping[str, Any]) -> Any:
    known = GROUPS[group]
    for name in options:
        if name not in known:
            raise TypeError(f"open() in mode {mode!r} takes no {name}; it takes {', '.join(sorted(known))}")
    return make(group, options)


def text_layer(kind: type[io.TextIOWrapper], mode: Mode, buffer: Any) -> Any:
    """The text file over a binary one."""
    return kind(
        buffer, mode.encoding, mode.errors, mode.newline, line_buffering=mode.line_buffering, write_through=False
    )
