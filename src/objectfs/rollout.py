"""What the setting ``rollout`` may be: how far the engine is trusted, and what is done where it is not.

docs/rollout.md tells how to use it, docs/design/0019-rollout.md why it is as it is.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from objectfs.units import number, parse_size

__all__ = ["Breaker", "Rollout", "Shadow", "parse_rollout"]

T = TypeVar("T")

MiB = 1024 * 1024


def _share(value: Any) -> float:
    if isinstance(value, str):
        value = value.removesuffix("%").strip()
    return number(0, 100, "percent")(value)


def _count(high: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
            raise ValueError(f"a whole number from 1 to {high}")
        return value

    return convert


def _size(value: Any) -> int:
    try:
        size = parse_size(value)
    except (TypeError, ValueError):
        raise ValueError('a size: bytes as a number, or text such as "8 MiB"') from None
    if not 1 <= size <= 1024 * MiB:
        raise ValueError("a size from 1 byte to 1 GiB")
    return size


def _option(default: Any, convert: Callable[[Any], Any]) -> Any:
    return field(default=default, metadata={"convert": convert})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """Reads that the trusted backend answers are made by the other one too, afterwards, and compared."""

    share: float = _option(100.0, _share)
    """Percent of those reads."""
    max_bytes: int = _option(8 * MiB, _size)
    """Of one answer; larger ones are not compared."""
    max_in_flight: int = _option(2, _count(64))
    """Comparisons at a time; reads that come meanwhile are not compared."""
    deadline: float = _option(10.0, number(0.001, 3600, "seconds"))
    """Seconds that the other backend has for its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Requests go to the trusted backend where the other one has failed too often."""

    failures: int = _option(5, _count(1000))
    """So many within ``window`` open it, for one operation on one endpoint."""
    window: float = _option(60.0, number(0.001, 86_400, "seconds"))
    cooldown: float = _option(30.0, number(0, 86_400, "seconds"))
    """Seconds that it stays open before one request tries the other backend again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The setting, parsed."""

    canary: float = 0.0
    """Percent of the keys whose requests go to the engine."""
    shadow: Shadow | None = None
    breaker: Breaker | None = None

    def __str__(self) -> str:
        """As it is written in a variable."""
        words = [f"canary={self.canary:g}"]
        for name, part, first in (("shadow", self.shadow, "share"), ("breaker", self.breaker, "failures")):
            if part is None:
                continue
            for item in dataclasses.fields(part):
                value = getattr(part, item.name)
                shown = f"{value:g}" if isinstance(value, float) else str(value)
                words.append(f"{name}={shown}" if item.name == first else f"{name}.{item.name}={shown}")
        return ",".join(words)


def parse_rollout(value: Any) -> Rollout:
    """The setting, from a mapping (``{"canary": 5, "breaker": {"failures": 3}}``), JSON of one, or text for a variable
    (``canary=5,breaker=3,breaker.cooldown=10``).

    Raises:
        ValueError: says what it must be.
    """
    if isinstance(value, Rollout):
        return value
    if isinstance(value, str):
        value = _from_text(value)
    if not isinstance(value, Mapping):
        raise ValueError('a mapping such as {"canary": 5, "breaker": {"failures": 3}}, or text such as canary=5')
    _known("rollout", value, ("canary", "shadow", "breaker"))
    shadow = _part("shadow", value.get("shadow"), Shadow, "share")
    breaker = _part("breaker", value.get("breaker"), Breaker, "failures")
    canary = value.get("canary")
    if canary is None:
        if shadow is None and breaker is None:
            raise ValueError("at least one of canary, shadow and breaker")
        # who only compares trusts the engine with nothing yet; who only wants to be caught, with everything
        canary = 0 if shadow is not None else 100
    try:
        share = _share(canary)
    except ValueError as error:
        raise ValueError(f"{error}, for canary") from None
    return Rollout(canary=share, shadow=shadow, breaker=breaker)


def _part(name: str, value: Any, kind: type[T], first: str) -> T | None:
    """A part: a mapping, its first option alone, True for its defaults, or False or None for none."""
    if value is None or value is False:
        return None
    if value is True:
        value = {}
    elif not isinstance(value, Mapping):
        value = {first: value}
    converters = {item.name: item.metadata["convert"] for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    _known(name, value, converters)
    made = {}
    for option, given in value.items():
        try:
            made[option] = converters[option](given)
        except ValueError as error:
            raise ValueError(f"{error}, for {name}.{option}") from None
    return kind(**made)


def _known(name: str, value: Mapping[str, Any], known: Any) -> None:
    unknown = [option for option in value if option not in known]
    if unknown:
        raise ValueError(f"without {unknown[0]!r} in {name}: there are {', '.join(known)}")


def _from_text(text: str) -> Mapping[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            found: Mapping[str, Any] = json.loads(text)
        except ValueError:
            raise ValueError("a mapping in JSON that can be read") from None
        return found
    made: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    firsts = {"shadow": "share", "breaker": "failures"}
    for word in text.split(","):
        name, equals, value = (piece.strip() for piece in word.partition("="))
        part, dot, option = name.partition(".")
        if not name or (not equals and name not in firsts):
            raise ValueError("words such as canary=5,shadow=1,shadow.max_bytes=1 MiB,breaker=5")
        if part in firsts:
            options = parts.setdefault(part, {})
            if dot or equals:
                options[option if dot else firsts[part]] = value
        else:
            made[name] = value
    return {**made, **parts}
