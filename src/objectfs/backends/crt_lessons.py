"""What transfers have told, in a form that outlives the process (``crt_remember.py`` keeps it in a file)."""

from __future__ import annotations

from typing import Any

import attrs
from attrs.validators import ge, instance_of, le, optional

__all__ = ["LONGEST_HOLD", "Lesson", "Lessons", "Link"]

LONGEST_HOLD = 64
"""Transfers for which a step that did not pay is not tried again, at most."""


def _count(low: int, high: int) -> Any:
    validators: list[Any] = [instance_of(int), ge(low), le(high)]
    return attrs.field(validator=validators)


def _measure(high: float, default: Any = attrs.NOTHING) -> Any:
    validators: list[Any] = [instance_of((int, float)), ge(0), le(high)]
    return attrs.field(default=default, validator=validators)


def _known(kind: type) -> Any:
    return attrs.field(default=None, validator=optional(instance_of(kind)))


@attrs.frozen(kw_only=True)
class Link:
    """What the network is like."""

    saved: float = _measure(1e15)
    """When this was measured, in seconds since 1970."""
    first_byte: float = _measure(86_400)
    """Seconds."""
    connection_rate: float = _measure(1e15)
    """Bytes a second of a connection."""
    alone: float = _measure(86_400, default=0.0)
    """Seconds to a first byte while nothing else was asked for; 0 if nobody knows."""
    connecting: float = _measure(86_400, default=0.0)
    """Seconds that a new connection costs its first request; likewise."""
    bandwidth: float = _measure(1e15, default=0.0)
    """Bytes a second of all connections together; likewise."""


@attrs.frozen(kw_only=True)
class Lesson:
    """Of one kind of transfer: where the search for the best number of connections stands."""

    saved: float = _measure(1e15)
    """When a transfer has told this, in seconds since 1970."""
    connections: int = _count(1, 10_000)
    """Of the next transfer."""
    before: int = _count(1, 10_000)
    """Before the last step,"""
    rate: float = _measure(1e15)
    """and bytes a second with those; 0 if no step is to be judged."""
    fresh: bool = attrs.field(validator=instance_of(bool))
    """Whether the step's first transfer is still to come."""
    held: int = _count(0, LONGEST_HOLD)
    """Transfers until the next step may be tried,"""
    hold: int = _count(1, LONGEST_HOLD)
    """and of how many the last such pause was."""


@attrs.frozen(kw_only=True)
class Lessons:
    """Of one endpoint: what the next process need not find out anew. None is what nobody knows."""

    network: Link | None = _known(Link)  # noqa: RUF009 - an attrs.field
    download: Lesson | None = _known(Lesson)  # noqa: RUF009 - an attrs.field
    download_to_file: Lesson | None = _known(Lesson)  # noqa: RUF009 - an attrs.field
    upload: Lesson | None = _known(Lesson)  # noqa: RUF009 - an attrs.field

    @property
    def saved(self) -> float:
        """When the newest of it was; 0 if nothing is known."""
        return max((part.saved for part in self.parts().values()), default=0.0)

    def parts(self) -> dict[str, Any]:
        """What is known, by name."""
        return {name: part for name, part in attrs.asdict(self, recurse=False).items() if part is not None}

    def since(self, when: float, until: float) -> Lessons:
        """What was learned in that time, in seconds since 1970."""
        return Lessons(**{name: part for name, part in self.parts().items() if when < part.saved < until})

    def after(self, older: Lessons) -> Lessons:
        """Both: what this one does not know, the older one may."""
        return attrs.evolve(older, **self.parts())

    def as_json(self) -> dict[str, Any]:
        """What :meth:`of_json` takes."""
        return {name: attrs.asdict(part) for name, part in self.parts().items()}

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Lessons:
        """
        Raises:
            TypeError: something is missing, too much, or of the wrong type.
            ValueError: a number is out of its range.
        """
        kinds: dict[str, Any] = {"network": Link}
        return cls(**{name: kinds.get(name, Lesson)(**part) for name, part in told.items()})
