"""Checksums behind the content of a part, where the server is known to take them there.

In a header a checksum has to be known before the first byte goes: the memory is read for it, and again by the kernel,
when no cache holds it any more. In a trailer (``aws-chunked``,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html) it is computed as bytes are sent, which
saves a fifth of the processor time of an upload (docs/design/0023-trailers.md).

Some servers refuse that coding, and one that does not know it may store it as content and call that a success. So
only a server that calls itself AmazonS3 is asked, with one part of the first upload; and no part is believed to be
stored that was sent so, unless its answer has the checksum that was sent. (Of one that stores the framing it is
another.)
"""

from __future__ import annotations

import base64
from typing import Any

from objectfs import errors
from objectfs.backends.crt_answers import refused
from objectfs.backends.crt_errors import failure
from objectfs.options.checks import DIGESTS

__all__ = ["Trailers", "TrailersNotTaken", "confirmed", "not_taken"]

SERVER = "AmazonS3"
"""What S3 answers as ``Server``. Some others do, too, so that it is only a reason to ask."""

_REFUSALS = (errors.InvalidRequestError, errors.UnsupportedError)


class TrailersNotTaken(Exception):
    """Parts that were sent with trailers are not stored as they should be, or are refused."""


class Trailers:
    """What is known of a server: for each algorithm, the size of the largest part that it has taken so."""

    def __init__(self) -> None:
        self._largest: dict[str, int] = {}
        """0: it does not. That is for good: of several servers behind one address, one that does not is enough."""

    def due(self, server: str | None, algorithm: str | None, size: int) -> bool:
        """Whether parts of that size may be worth asking for."""
        if server != SERVER or algorithm is None or not algorithm.startswith("CRC"):
            return False
        known = self._largest.get(algorithm)
        return known is None or 0 < known < size

    def taken(self, algorithm: str | None, size: int) -> bool:
        return size <= self._largest.get(algorithm or "", 0)

    def take(self, algorithm: str, size: int) -> None:
        if self._largest.get(algorithm) != 0:
            self._largest[algorithm] = max(size, self._largest.get(algorithm, 0))

    def refuse(self, algorithm: str) -> None:
        self._largest[algorithm] = 0


def confirmed(response: Any, algorithm: str) -> bool:
    """Whether the answer to a part that was sent with a trailer names the checksum that was sent."""
    if refused(response) or response.crc is None:
        return False
    sent = base64.b64encode(response.crc.to_bytes(DIGESTS[algorithm], "big")).decode("ascii")
    return bool(response.headers.get(f"x-amz-checksum-{algorithm.lower()}") == sent)


def not_taken(response: Any, algorithm: str, *where: str) -> bool:
    """Whether the answer to such a part is one of a server that does not take them; not one that has failed
    otherwise."""
    if refused(response):
        return isinstance(failure(response, "UploadPart", *where), _REFUSALS)
    return response.behind and not confirmed(response, algorithm)
