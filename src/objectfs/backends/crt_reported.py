"""What a server reports of a whole object that is fetched in ranges.

S3 tells the checksum of an object with an answer that has all of it, and with HeadObject. Of an object above
``WHOLE_OBJECT`` the C library asks for that and puts the checksum together from those of the parts. Below, that would
fetch the first part twice; here HeadObject is on its way while the ranges are, and the content is gone through once it
has arrived (0.1 ms for each MiB).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from objectfs import _native
from objectfs.backends.base import GetOptions, Steps
from objectfs.backends.crt_answers import pinned, query
from objectfs.backends.crt_base import Blocks, CrtBase
from objectfs.backends.crt_errors import failure
from objectfs.backends.digests import combined, mismatch, reported
from objectfs.options import Expected

__all__ = ["Reported", "crc_of", "crc_told", "tells_checksum"]

_WHOSE = "as the server says of the object"


def crc_of(known: Expected | None) -> str | None:
    """The algorithm, if it is one whose values for pieces can be put together."""
    return known.algorithm if known is not None and known.algorithm.startswith("CRC") else None


def tells_checksum(headers: Mapping[str, str]) -> bool:
    """Whether an answer tells a checksum of the whole object, be it one that only the C library can compute."""
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
        return False
    return any(name.startswith("x-amz-checksum-") and name != "x-amz-checksum-type" for name in headers)


def crc_told(known: Expected | None) -> str | None:
    """For the next object: None where there is nothing to be held to, "" where it takes more than CRCs."""
    return None if known is None else crc_of(known) or ""


class Reported:
    """A HeadObject under way, or ``answered``."""

    def __init__(
        self,
        backend: CrtBase,
        bucket: str,
        key: str,
        options: GetOptions,
        etag: str | None,
        answered: _native.Response | None = None,
    ) -> None:
        self._backend, self._bucket, self._key, self._options = backend, bucket, key, options
        self._answered = answered
        if answered is not None:
            return
        pin = options.pinned(etag)
        target = backend.target(bucket)
        headers = target.headers(pin.sent("HeadObject"), {"x-amz-checksum-mode": "ENABLED"})
        path = target.path(key, query(pin, "HeadObject"))
        request = _native.Request(b"HeadObject", b"HEAD", path, target.native, headers)
        self._op = target.engine.start([request], late=target.engine.paces.late.after())

    def cancel(self) -> None:
        """The content did not arrive: nobody waits for this any more."""
        if self._answered is None:
            self._op.cancel()

    def check(
        self,
        blocks: Blocks,
        size: int,
        etag: str | None = None,
        crc: str | None = None,
        pieces: Sequence[Any] = (),
    ) -> Steps[str | None]:
        """Hold the content to what is reported; the algorithm, or None if there is none.

        ``crc``, ``pieces``: an algorithm, and the answers that brought the content and tell that CRC of it. Where it is
        the reported one, nobody has to go through the content again.

        ``etag``: of the content, if it was not known when this was asked: what is said of another object, which was
        there before or is there since, says nothing of this one.

        Raises:
            ChecksumError: it is not what the server has.
            ObjectChangedError: the object was replaced meanwhile.
        """
        response: Any = self._answered
        if response is None:
            (response,) = yield self._op
        if response.error_code or response.status >= 300:
            raise pinned(failure(response, "HeadObject", self._bucket, self._key), self._options)
        other = etag is not None and response.headers.get("etag") != etag
        known = None if other else reported(response.headers)
        if not other:
            self._backend.target(self._bucket).engine.paces.crc = crc_told(known)
        told = [(piece.crc, piece.received) for piece in pieces if piece.crc is not None]
        if known is not None and crc == known.algorithm and sum(length for _, length in told) == size:
            found = combined(crc, told)
            if found != known.value:
                raise mismatch(found, known, "GetObject", self._bucket, self._key, _WHOSE)
            return crc
        yield from self._backend.expect(known, blocks, size, "GetObject", self._bucket, self._key, whose=_WHOSE)
        return None if known is None else known.algorithm
