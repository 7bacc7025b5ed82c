"""Choices out of bytes: whoever makes the bytes (a mutator, atheris, hypothesis) makes what is tried."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Draw", "randomly"]

T = TypeVar("T")


class Draw:
    """Takes choices from the front of some bytes. Behind their end all choices are the first one, which is therefore
    the harmless one everywhere: shorter bytes are simpler cases."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        at, self._at = self._at, self._at + 1
        return self._data[at] if at < len(self._data) else 0

    @property
    def left(self) -> int:
        """Bytes that are still there."""
        return max(0, len(self._data) - self._at)

    def below(self, count: int) -> int:
        """A number from 0 on."""
        if count <= 256:
            return self.byte() % count
        value = 0
        for _ in range((count.bit_length() + 7) // 8):
            value = value << 8 | self.byte()
        return value % count

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def chance(self, of: int) -> bool:
        """One in so many; never behind the end."""
        return self.below(of) == of - 1

    def rest(self, most: int) -> bytes:
        """The next bytes themselves."""
        at, self._at = self._at, min(len(self._data), self._at + most)
        return self._data[at : self._at]


def randomly(number: int, size: int = 400) -> bytes:
    """Bytes for a case; the same for the same number."""
    drawn = random.Random(number)
    return drawn.randbytes(drawn.randrange(1, size))
