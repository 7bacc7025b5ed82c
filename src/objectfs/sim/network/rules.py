"""What each field of a fault may hold: one table, for the constructor and for plans in TOML."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from objectfs.sim.errors import CODES


class FaultError(ValueError):
    """A fault, or a plan of faults, that says what there is not."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A check, and what it lets through in words."""

    check: Callable[[Any], bool]
    allowed: str


def operations() -> set[str]:
    """The names of all operations that the server knows."""
    # Here, because the service itself needs faults.
    from objectfs.sim.operations.table import HANDLERS

    return set(HANDLERS)


def _whole(low: float, high: float = math.inf) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(low: float, high: float = math.inf) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high
    )


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _fields(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_text(name) and isinstance(text, str) for name, text in value.items())


def _times(value: Any) -> bool:
    return value in (None, "all") or _whole(1)(value)


def _nth(value: Any) -> bool:
    whole = _whole(1)
    return whole(value) or (isinstance(value, list | tuple) and bool(value) and all(map(whole, value)))


_BOOLEAN = Rule(lambda value: isinstance(value, bool), "true or false")
_TEXT = Rule(_text, "text")
_OFFSET = Rule(_whole(0), "a whole number of bytes from 0")
_FIELDS = Rule(_fields, "a table of header names and their text")

# The order is that of the reference in docs/server.md.
RULES: dict[str, Rule] = {
    "operation": Rule(
        lambda value: isinstance(value, str) and value in operations(), "the name of an S3 operation, such as GetObject"
    ),
    "bucket": _TEXT,
    "key": Rule(lambda value: isinstance(value, str), "text"),
    "key_glob": Rule(_text, "a pattern, in which * stands for any text, ? for a character and [ab] for a choice"),
    "part_number": Rule(_whole(1, 10000), "a whole number from 1 to 10000"),
    "ranged": _BOOLEAN,
    "nth": Rule(_nth, "a whole number from 1, or several of them"),
    "after": Rule(_whole(0), "a whole number from 0"),
    "times": Rule(_times, "a whole number from 1, or 'all'"),
    "probability": Rule(_number(0, 1), "a number from 0 to 1"),
    "seed": Rule(_whole(-math.inf), "a whole number"),
    "status": Rule(_whole(200, 599), "a status from 200 to 599"),
    "code": Rule(_text, f"S3's code of an error: one of {', '.join(CODES)}; any other needs status too"),
    "message": Rule(lambda value: isinstance(value, str), "text"),
    "headers": _FIELDS,
    "redirect": Rule(_text, "the name of a region"),
    "clock_skew": Rule(_number(-math.inf), "a number of seconds"),
    "delay": Rule(_number(0), "a number of seconds from 0"),
    "stall": _BOOLEAN,
    "reset": _BOOLEAN,
    "at": _OFFSET,
    "received": _OFFSET,
    "close_at": _OFFSET,
    "truncate": _OFFSET,
    "extra": Rule(_whole(1), "a whole number of bytes from 1"),
    "corrupt": _OFFSET,
    "shift_range": Rule(lambda value: _whole(-math.inf)(value) and value != 0, "a whole number of bytes other than 0"),
    "etag": Rule(lambda value: isinstance(value, str), "text"),
    "set_headers": _FIELDS,
    "drop_headers": Rule(
        lambda value: isinstance(value, list | tuple) and all(map(_text, value)), "a list of header names or patterns"
    ),
    "body": Rule(lambda value: isinstance(value, bytes | str), "text"),
    "replace": Rule(lambda value: value is True or isinstance(value, bytes | str), "true, or the new content"),
}
# Not in a plan: what can only be said from Python.
API_ONLY = {"hold": Rule(lambda value: isinstance(value, threading.Event), "a threading.Event")}
_CONDITIONS = ("operation", "bucket", "key", "key_glob", "part_number", "ranged", "nth", "after", "times")
CONDITIONS = frozenset((*_CONDITIONS, "probability", "seed"))


def check_value(name: str, value: Any, rules: Mapping[str, Rule] = RULES) -> None:
    """Raise FaultError unless the field may hold the value."""
    if name not in rules:
        raise FaultError(f"{name}: there is no such field; allowed are {', '.join(rules)}")
    rule = rules[name]
    if not rule.check(value):
        raise FaultError(f"{name} = {value!r}: must be {rule.allowed}")


def check_together(given: Mapping[str, Any]) -> None:
    """Raise FaultError unless the given fields make sense together."""

    def wrong(text: str) -> FaultError:
        return FaultError(f"{text} (given: {', '.join(f'{name} = {value!r}' for name, value in given.items())})")

    for one, other in (
        ("key", "key_glob"),
        ("nth", "after"),
        ("at", "close_at"),
        ("at", "received"),
        ("stall", "reset"),
    ):
        if given.get(one) and given.get(other):
            raise wrong(f"{one} and {other} exclude each other")
    if "nth" in given and given.get("times") not in (None, "all"):
        raise wrong("nth and times exclude each other")
    if "code" in given and given["code"] not in CODES and "status" not in given:
        raise wrong(f"code = {given['code']!r} is not known: it needs status; known are {', '.join(CODES)}")
    refusals = [name for name in ("status", "code", "redirect") if name in given]
    if "redirect" in refusals and len(refusals) > 1:
        raise wrong(f"{' and '.join(refusals)} exclude each other")
    if "at" in given and not (given.get("reset") or given.get("stall") or given.get("delay")):
        raise wrong("at says where: it needs reset, stall or delay")
    if "received" in given and not (given.get("reset") or given.get("stall")):
        raise wrong("received says where: it needs reset or stall")
    for name in ("message", "headers"):
        if given.get(name) and not refusals:
            raise wrong(f"{name} belongs to an error: it needs status or code")
