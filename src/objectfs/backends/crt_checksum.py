"""Which checksum uploads carry, found out once for each client.

``auto`` begins with CRC64NVME, S3's own default since 2024
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html). An endpoint that refuses it is
asked again with CRC32, then with none. The first upload that succeeds settles the question; refusals of what it carried
are errors like any other from then on, those of what was on its way with another algorithm are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from objectfs import errors
from objectfs.backends.base import Steps

__all__ = ["ChecksumPolicy", "is_refusal"]

T = TypeVar("T")

_REFUSALS = (errors.InvalidRequestError, errors.UnsupportedError)


class ChecksumPolicy:
    """The algorithm in force: a name, or None."""

    def __init__(self, mode: str) -> None:
        self._candidates: list[str | None]
        if mode == "auto":
            self._candidates = ["CRC64NVME", "CRC32", None]
        else:
            self._candidates = [None if mode == "off" else mode]
        self.settled = len(self._candidates) == 1
        self._refused: list[str] = []

    @property
    def algorithm(self) -> str | None:
        return self._candidates[0]

    def describe(self) -> str:
        """For ``stats()`` and ``doctor``."""
        text = self.algorithm or "off"
        if not self.settled:
            return f"{text} (not tried yet)"
        return text + (f" (the endpoint refuses {', '.join(self._refused)})" if self._refused else "")

    def upload(self, attempt: Callable[[str | None], Steps[T]]) -> Steps[T]:
        """Run an upload with the algorithm in force, again with the next one where the endpoint refuses it."""
        while True:
            algorithm = self.algorithm
            try:
                result = yield from attempt(algorithm)
            except _REFUSALS as error:
                if algorithm is None or not is_refusal(error):
                    raise
                if self.algorithm == algorithm:  # another upload may have moved on meanwhile
                    if self.settled:
                        raise
                    self._candidates.pop(0)
                    self._refused.append(algorithm)
                continue
            self.settled = True
            return result


def is_refusal(error: Any) -> bool:
    """Whether the endpoint seems not to know the checksum that an upload had."""
    if not isinstance(error, _REFUSALS):
        return False
    text = f"{error.code or ''} {error.message or ''}".lower()
    if error.status == 501:
        return True
    return any(word in text for word in ("checksum", "crc", "x-amz-sdk", "invalidrequest", "trailer", "algorithm"))
