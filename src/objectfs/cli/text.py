"""How things are written for people."""

from __future__ import annotations

import unicodedata


def human_size(size: float) -> str:
    """``1.5 GiB``: powers of 1024, at most four digits."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1023.95:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} PiB"


def printable(text: str) -> str:
    """Text that cannot steer a terminal: control characters and lone surrogates are written as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in ("Cc", "Cf", "Cs") else char
        for char in text
    )
