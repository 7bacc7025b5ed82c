"""How the figures of a benchmark are written, the same in every kind of report."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from objectfs.bench.scenarios import BY_NAME

NONE = "-"  # for what was not measured: an empty cell would leave open whether somebody forgot it


def _digits(value: float, figures: int = 3) -> str:
    """``0.175``, ``1.23``, ``45.6``, ``1,234``: at least so many figures, never an exponent."""
    if value == 0:
        return "0"
    size = abs(value)
    places = figures - 1
    while size >= 9.995 and places > 0:
        size /= 10
        places -= 1
    while size < 0.9995 and places < 6:
        size *= 10
        places += 1
    return f"{value:,.{places}f}"


def number(value: float | None) -> str:
    return NONE if value is None else _digits(value)


def seconds(value: float | None) -> str:
    """``1.23 s``, ``45.6 ms``, ``12.0 µs``."""
    if value is None:
        return NONE
    if value == 0 or abs(value) >= 0.9995:
        return f"{_digits(value)} s"
    if abs(value) >= 0.0009995:
        return f"{_digits(value * 1e3)} ms"
    return f"{_digits(value * 1e6)} µs"


def ratio(value: float | None) -> str:
    """``0.95x``, ``1.31x``, ``14.4x``: two decimals, or three figures."""
    if value is None:
        return NONE
    return f"{value:.2f}x" if 0.095 <= value < 9.995 else f"{_digits(value, 2 if value < 1 else 3)}x"


def mebibytes(value: float | None) -> str:
    return NONE if value is None else f"{value / (1 << 20):,.0f} MiB"


def size(count: float) -> str:
    """``4 KiB``, ``1.5 GiB``: powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1023.95:
            return f"{count:.0f} {unit}" if count == int(count) else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.0f} TiB" if count == int(count) else f"{count:.1f} TiB"


def whole(value: float | None) -> str:
    """Counts: medians of them may end in a half."""
    return NONE if value is None else f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def whole_number(value: float | None) -> str:
    """Of rates, whose fractions say nothing."""
    return NONE if value is None else f"{value:,.0f}" if value >= 100 else _digits(value)


def title(name: str) -> str:
    """A scenario as a heading: its title, or the name of one that this version does not know."""
    known = BY_NAME.get(name)
    if known is not None:
        return known.title
    text = name.replace("-", " ").replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(value: float) -> str:
    """``48 s``, ``3:07 min``, ``1:02:03 h``: how long a run of the benchmark takes."""
    whole_seconds = round(max(0.0, value))
    minutes, rest = divmod(whole_seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d} h"
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"


def moment(text: str) -> str:
    """``2026-01-02 03:04 UTC``; what is no such time is left as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if when.tzinfo else text


def facts(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """What a mapping says, as lines of a name and a text; mappings within it are written out."""
    lines: list[tuple[str, str]] = []
    for name, value in values.items():
        title = f"{prefix}{str(name).replace('_', ' ')}"
        if isinstance(value, Mapping):
            lines += facts(value, f"{title}: ")
        elif name == "memory" and isinstance(value, int):
            lines.append((title, size(value)))
        else:
            lines.append((title, _text(value)))
    return lines


def _text(value: Any) -> str:
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value) or NONE
    return f"{value:g}" if isinstance(value, float) else str(value)


def printable(text: str) -> str:
    """Text that cannot steer a terminal or break a file: controls and lone surrogates are written as escapes."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in ("Cc", "Cf", "Cs") else char
        for char in text
    )


def conditions(server: str, profile: str, tls: bool) -> str:
    """``embedded server, profile s3, TLS``."""
    names = {"sim": "embedded server", "ceph": "Ceph RGW", "endpoint": "endpoint of the user"}
    parts = [names.get(server, server), f"profile {profile}" if profile.strip("-") else "", "TLS" if tls else "no TLS"]
    return ", ".join(part for part in parts if part)
