"""The checksum algorithms of S3: running digests, and CRC combination for multipart uploads.

CRC32, SHA1 and SHA256 come with Python. CRC32C and CRC64NVME use ``google_crc32c`` or ``awscrt`` when one
of them is importable. Without them a table in Python computes bodies of up to ``PYTHON_LIMIT`` bytes; for
larger ones the client's value is recorded unverified, and the response and the request record say so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Protocol

PYTHON_LIMIT = 16 * 1024
# A checksum that no client asked for may not make a PUT slow: this takes 0.1 ms in Python.
UNASKED_LIMIT = 2 * 1024

ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
CRCS = ("CRC32", "CRC32C", "CRC64NVME")
HEADERS = {f"x-amz-checksum-{name.lower()}": name for name in ALGORITHMS}
DIGEST_SIZE = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}

# Reflected polynomials and register widths.
_POLYNOMIALS = {
    "CRC32": (0xEDB88320, 32),
    "CRC32C": (0x82F63B78, 32),
    "CRC64NVME": (0x9A6C9329AC4BC9B5, 64),
}

Buffer = bytes | bytearray | memoryview
CrcFunction = Callable[[Buffer, int], int]


class Digest(Protocol):
    """What the body receiver feeds; ``digest`` is None when the body was too large to verify."""

    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes | None: ...


def _table(algorithm: str) -> list[int]:
    polynomial, _ = _POLYNOMIALS[algorithm]
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        table.append(value)
    return table


def python_crc(algorithm: str) -> CrcFunction:
    """A CRC in Python, two bytes at a time: slow, and always there."""
    table = _table(algorithm)
    mask = (1 << _POLYNOMIALS[algorithm][1]) - 1
    low = [table[value & 0xFF] ^ (value >> 8) for value in table]
    pairs = [low[value & 0xFF] ^ table[value >> 8] for value in range(1 << 16)]

    def crc(data: Buffer, previous: int = 0) -> int:
        value = previous ^ mask
        count = len(data) // 2
        for pair in struct.unpack_from(f"<{count}H", data):
            value = pairs[(value ^ pair) & 0xFFFF] ^ (value >> 16)
        if len(data) % 2:
            value = table[(value ^ data[-1]) & 0xFF] ^ (value >> 8)
        return value ^ mask

    return crc


@cache
def crc_function(algorithm: str) -> tuple[CrcFunction, bool]:
    """The fastest CRC at hand, and whether it is native."""
    if algorithm == "CRC32":
        return zlib.crc32, True
    # Imported by name: both packages are optional, for type checkers too.
    if algorithm == "CRC32C":
        try:
            extend: Any = import_module("google_crc32c").extend
            return (lambda data, previous: int(extend(previous, bytes(data)))), True
        except ImportError:
            pass
    try:
        native: CrcFunction = getattr(import_module("awscrt.checksums"), algorithm.lower())
        return native, True
    except (ImportError, AttributeError):
        return python_crc(algorithm), False


class _Crc:
    def __init__(self, algorithm: str) -> None:
        self._function, self._native = crc_function(algorithm)
        self._size = DIGEST_SIZE[algorithm]
        self._value = 0
        self._seen = 0

    def update(self, data: Buffer, /) -> None:
        self._seen += len(data)
        if self._native or self._seen <= PYTHON_LIMIT:
            self._value = self._function(data, self._value)

    def digest(self) -> bytes | None:
        if not self._native and self._seen > PYTHON_LIMIT:
            return None
        return self._value.to_bytes(self._size, "big")


def is_fast(algorithm: str) -> bool:
    """Whether bodies of any size can be checked with it."""
    return algorithm not in CRCS or crc_function(algorithm)[1]


def new_digest(algorithm: str) -> Digest:
    """A running digest for one of ``ALGORITHMS``, or ``MD5``."""
    if algorithm in _POLYNOMIALS:
        return _Crc(algorithm)
    return hashlib.new(algorithm.lower(), usedforsecurity=False)


def decode(algorithm: str, value: str) -> bytes | None:
    """The digest in a header value; None when it is not base64 of the right length."""
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == DIGEST_SIZE[algorithm] else None


def encode(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _multiply(a: int, b: int, polynomial: int, width: int) -> int:
    """a * b modulo the polynomial, bits reflected: the top bit stands for x**0."""
    top = 1 << (width - 1)
    product = 0
    while a:
        if a & top:
            product ^= b
        a = (a << 1) & (2 * top - 1)
        b = (b >> 1) ^ (polynomial if b & 1 else 0)
    return product


@lru_cache(maxsize=64)
def _shift(algorithm: str, size: int) -> int:
    """x ** (8 * size): what a CRC is multiplied by when so many bytes follow. Most parts have the same size."""
    polynomial, width = _POLYNOMIALS[algorithm]
    top = 1 << (width - 1)
    power, square = top, top >> 8  # x**0, x**8
    while size:
        if size & 1:
            power = _multiply(power, square, polynomial, width)
        square = _multiply(square, square, polynomial, width)
        size >>= 1
    return power


def combine_crc(algorithm: str, first: bytes, second: bytes, second_size: int) -> bytes:
    """CRC of two concatenated blocks from their CRCs: what S3 does for a full-object multipart checksum."""
    polynomial, width = _POLYNOMIALS[algorithm]
    moved = _multiply(int.from_bytes(first, "big"), _shift(algorithm, second_size), polynomial, width)
    return (moved ^ int.from_bytes(second, "big")).to_bytes(width // 8, "big")


def composite(algorithm: str, digests: list[bytes]) -> str:
    """Checksum of checksums, with the number of parts: S3's composite type."""
    digest = new_digest(algorithm)
    digest.update(b"".join(digests))
    value = digest.digest()
    assert value is not None
    return f"{encode(value)}-{len(digests)}"
