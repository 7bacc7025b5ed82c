"""Checksums of content, computed here: against what a caller expects, or what a server says of an object."""

from __future__ import annotations

import base64
import functools
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from objectfs import errors
from objectfs.options import Expected
from objectfs.options.checks import DIGESTS

__all__ = ["BLOCK", "Digest", "check_content", "mismatch", "of_parts", "reported"]

BLOCK = 1024 * 1024
"""Bytes that are read of a file at a time: what a cache of the CPU holds."""

_Crc = Callable[[Any, int], int]


class Digest:
    """One checksum, updated as content comes."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self._hash: Any = None
        self._crc: _Crc | None = None
        self._value = 0
        if algorithm.startswith("SHA"):
            self._hash = hashlib.new(algorithm.lower(), usedforsecurity=False)
        else:
            self._crc = _crc(algorithm)

    def update(self, data: Any) -> None:
        """``data``: C-contiguous memory. The GIL is released meanwhile, but by the CRCs of Python's own."""
        if self._crc is None:
            self._hash.update(data)
        else:
            self._value = self._crc(data, self._value)

    def value(self) -> str:
        """In base64, as S3 has it."""
        raw: bytes = self._value.to_bytes(DIGESTS[self.algorithm], "big") if self._crc else self._hash.digest()
        return base64.b64encode(raw).decode("ascii")


def quick(algorithm: str) -> bool:
    """Whether there is code of C for it."""
    return algorithm not in ("CRC32C", "CRC64NVME") or _native() is not None


@functools.cache
def _native() -> Any:
    try:
        from objectfs import _native as native
    except ImportError:  # the engine is not built
        return None
    return native


@functools.cache
def _crc(algorithm: str) -> _Crc:
    native = _native()
    if native is not None:
        return functools.partial(native.crc, algorithm)
    if algorithm == "CRC32":
        return zlib.crc32
    # a byte at a time, some 10 MB/s: right on every machine, and only where a caller asks for just this one
    width, polynomial = (32, 0x82F63B78) if algorithm == "CRC32C" else (64, 0x9A6C9329AC4BC9B5)
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (polynomial if byte & 1 else 0)
        table.append(byte)
    mask = (1 << width) - 1

    def crc(data: Any, previous: int) -> int:
        value = previous ^ mask
        for byte in memoryview(data).cast("B"):
            value = table[(value ^ byte) & 255] ^ value >> 8
        return value ^ mask

    return crc


_CLAIM = "as expected_checksum says"


def check_content(
    expected: Expected, blocks: Iterable[Any], operation: str, bucket: str, key: str, whose: str = _CLAIM
) -> None:
    """Hold content to the checksum that the caller knows, or the server, as ``whose`` says.

    Raises:
        ChecksumError: it has another.
    """
    digest = Digest(expected.algorithm)
    for block in blocks:
        digest.update(block)
    if digest.value() != expected.value:
        raise mismatch(digest, expected, operation, bucket, key, whose)


def mismatch(
    found: Digest | str, expected: Expected, operation: str, bucket: str, key: str, whose: str = _CLAIM
) -> errors.ChecksumError:
    value = found if isinstance(found, str) else found.value()
    return errors.ChecksumError(
        f"the content's {expected.algorithm} is {value}, not {expected.value} {whose}",
        operation=operation,
        bucket=bucket,
        key=key,
    )


def of_parts(algorithm: str, parts: bytes) -> str | None:
    """The checksum that S3 gives an object, from those that it has confirmed of the parts: of all the content for a
    CRC64NVME, for others that of the parts' values.

    Args:
        parts: ``size:base64`` of each, a line for each.
    """
    pieces = [line.partition(b":") for line in parts.split()]
    if not pieces:
        return None
    values = [base64.b64decode(value) for _, _, value in pieces]
    if algorithm != "CRC64NVME":
        digest = Digest(algorithm)
        digest.update(b"".join(values))
        return f"{digest.value()}-{len(values)}"
    whole = 0
    for (size, _, _), value in zip(pieces, values, strict=True):
        whole = _native().combine_crc(algorithm, whole, int.from_bytes(value, "big"), int(size))
    return _text(algorithm, whole)


def combined(algorithm: str, pieces: Iterable[tuple[int, int]]) -> str:
    """The CRC of content, from (CRC, bytes) of its pieces; the engine is built, for nobody else computes those."""
    whole = 0
    for value, size in pieces:
        whole = _native().combine_crc(algorithm, whole, value, size)
    return _text(algorithm, whole)


def _text(algorithm: str, value: int) -> str:
    return base64.b64encode(value.to_bytes(DIGESTS[algorithm], "big")).decode("ascii")


def reported(headers: Mapping[str, str]) -> Expected | None:
    """The checksum of the whole object that an answer tells, if there is one that can be computed quickly."""
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    for algorithm in DIGESTS:
        value = headers.get(f"x-amz-checksum-{algorithm.lower()}")
        if value and "-" not in value and quick(algorithm):
            return Expected(algorithm, value)
    return None
