"""The checksum of a whole object that is read as a file from its beginning to its end.

S3 tells it with HeadObject, not with ranges. That request is made when reading turns out to be sequential, and is on
its way while the ranges are. The bytes go into the checksum as they are given to the reader, each once, in order; a gap
ends it. docs/design/0009-open.md says why it is so.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from objectfs import errors
from objectfs.backends.base import GetOptions, Steps
from objectfs.backends.digests import Digest, mismatch, reported
from objectfs.core import Core
from objectfs.options import Expected
from objectfs.transfer.segments import Flight, Segments
from objectfs.types import ObjectInfo

__all__ = ["Whole"]

STEP = 1024 * 1024
"""Bytes that go into the checksum at a time: few enough to be in the processor's cache still, 0.1 ms of a CRC."""

ASIDE = 4 * STEP
"""Bytes from which on a thread computes it, so that a loop goes on meanwhile."""


class Whole:
    """The checksum of one object under way.

    Args:
        options: of requests, pinned to the object.
        size: of the object, in bytes.
        ask_at: bytes that have been read in order before anybody is asked for the checksum.
        patience: bytes that may be waiting for HeadObject's answer; they stay in memory.
    """

    def __init__(
        self, core: Core, bucket: str, key: str, options: GetOptions, size: int, ask_at: int, patience: int
    ) -> None:
        self._core, self._bucket, self._key = core, bucket, key
        self._options = options
        self._size = size
        self._ask_at = ask_at
        self._patience = patience
        self._head: Flight[ObjectInfo] | None = None
        self._known: Expected | None = None
        self._digest: Digest | None = None
        self._done = 0
        """Bytes that the checksum has seen."""
        self.reached = 0
        """Bytes that the reader has been given, from the beginning and without a gap."""
        self.over = False
        """Whether there is nothing to hold the object to, or no way to do it any more."""
        self.failed = False

    # -- what the server says ----------------------------------------------------------------------------------------
    def pending(self) -> bool:
        """Whether HeadObject has been asked and has not answered yet."""
        if self._head is None or self._known is not None or self.over:
            return False
        if not self._head.poll():
            return True
        self._heard()
        return False

    def wait(self) -> Steps[None]:
        """For HeadObject's answer."""
        if self.pending():
            assert self._head is not None
            try:
                yield from self._head.settle()
            except BaseException:
                self.give_up()
                raise
            self._heard()

    def full(self) -> bool:
        """Whether no more may wait for HeadObject's answer."""
        return self.reached - self._done > self._patience and self.pending()

    def _ask(self) -> None:
        given = {**self._options.given, "checksum_mode": "ENABLED"}
        options = dataclasses.replace(self._options, given=given, start=None, end=None)
        try:
            self._head = Flight(self._core.backend().head(self._bucket, self._key, options))
            self._head.begin()
        except errors.ObjectFSError:
            self.give_up()

    def _heard(self) -> None:
        assert self._head is not None
        head, self._head = self._head, None
        # what has been read is right whether or not there is something to compare it with; that nothing was compared,
        # the reader's info says
        with contextlib.suppress(errors.ObjectFSError):
            self._known = reported(head.result().headers)
        if self._known is None:
            self.over = True
        else:
            self._digest = Digest(self._known.algorithm)

    # -- what is read ------------------------------------------------------------------------------------------------
    def follow(self, start: int, end: int, segments: Segments) -> bool:
        """The bytes from ``start`` to ``end``, which are in memory, are about to be given; whether the object has been
        found to be what the server has with them.

        Raises:
            ChecksumError: they are the last, and the object is not.
        """
        if self.failed and end >= self._size:
            raise self._mismatch()
        if end <= self.reached or self.over:
            return False
        if start > self.reached:
            self.give_up()
            return False
        self._reach(end)
        last = end >= self._size
        if (last or end - self._done >= STEP) and not self.pending():
            self.catch_up(segments)
        return last and self._compare()

    def follow_direct(self, start: int, view: memoryview, segments: Segments) -> Steps[bool]:
        """:meth:`follow` of bytes that are not in segments, but in ``view``."""
        end = start + len(view)
        if self.failed and end >= self._size:
            raise self._mismatch()
        if self.over:
            return False
        if start != self.reached:
            self.give_up()
            return False
        self._reach(start)  # it may be time to ask
        yield from self.wait()
        self.catch_up(segments)
        digest = self._digest
        if digest is None:
            return False
        self.reached = end  # before anything is computed: after an interrupt nothing fits together any more
        if len(view) >= ASIDE:
            yield from self._core.backend().aside(lambda: digest.update(view))
        else:
            digest.update(view)
        self._done = end
        return end >= self._size and self._compare()

    def catch_up(self, segments: Segments) -> None:
        """Have the checksum see what has been given so far."""
        while not self.over and self._digest is not None and self._done < self.reached:
            segment = segments.find(self._done)
            if segment is None or segment.flight is not None:  # gone: a read was interrupted
                self.give_up()
                return
            end = min(segment.end, self.reached)
            with memoryview(segment.memory) as view, view[self._done - segment.start : end - segment.start] as piece:
                self._digest.update(piece)
            self._done = end

    def fetched(self, start: int) -> None:
        """Bytes from ``start`` on are fetched: if some of them have been given before, it is no longer the same."""
        if start < self.reached:
            self.give_up()

    def give_up(self) -> None:
        """Nothing is validated any more; a failure stays one."""
        if self.failed:
            return
        self.over = True
        self._digest = None
        self.close()

    def close(self) -> None:
        """Wait for nothing."""
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _reach(self, end: int) -> None:
        self.reached = end
        if end >= self._ask_at and self._head is None and self._known is None and not self.over:
            self._ask()

    def _compare(self) -> bool:
        if self.over or self._digest is None or self._known is None or self._done < self._size:
            return False
        if self._digest.value() != self._known.value:
            self.failed = True
            raise self._mismatch()
        return True

    def _mismatch(self) -> errors.ChecksumError:
        digest, known = self._digest, self._known
        assert digest is not None
        assert known is not None
        return mismatch(digest, known, "GetObject", self._bucket, self._key, "as the server says of the object")

    @property
    def algorithm(self) -> Any:
        """What was compared."""
        return None if self._known is None else self._known.algorithm
