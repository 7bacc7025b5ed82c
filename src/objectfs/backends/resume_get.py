"""``get_file(…, resume=True)``: a download that goes on where it stopped. docs/design/0016-resume.md"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from objectfs import errors
from objectfs.backends.base import Admission, Backend, GetOptions, Steps
from objectfs.backends.digests import BLOCK, Digest, mismatch, reported
from objectfs.backends.resume_journal import Journal, Untrusted, counts_as, difference, log, mark_of, require_own
from objectfs.backends.sdk_body import SharedFile
from objectfs.backends.several import MEMORY, Job, Several
from objectfs.options import Expected
from objectfs.types import ObjectInfo

try:
    import fcntl
except ImportError:  # Windows: two at the same file are not kept apart there
    fcntl = None  # type: ignore[assignment]

__all__ = ["get_file"]

AT_ONCE = 16 * 1024 * 1024
"""Bytes of a file that are gone through by a thread before anybody can be heard who wants to end it: 10 to 30 ms."""

_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)

Span = tuple[int, int, int]
"""Bytes of the content that are in the file: where they begin and end, and their CRC-32."""


def get_file(
    backend: Backend, bucket: str, key: str, path: str, options: GetOptions, endpoint: str, validates: bool
) -> Steps[ObjectInfo]:
    """:meth:`Backend.get_file`, and what an earlier call has fetched is not fetched again.

    Args:
        endpoint: what the journal is bound to.
        validates: whether the content is to be held to the object's checksum.

    Raises:
        InvalidRequestError: there is nothing to go on with: no regular file, or the number of a part.
        LocalFileError: the file cannot be written; or somebody else is writing it.
    """
    where: dict[str, Any] = {"operation": "GetObject", "bucket": bucket, "key": key}
    if options.part_number is not None:
        raise errors.InvalidRequestError("resume=True cannot go with part_number=", **where)
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(path) or "."):
        return (yield from backend.get_file(bucket, key, path, options))  # which says it
    if os.path.exists(path) and not os.path.isfile(path):
        raise errors.InvalidRequestError(f"resume=True needs a regular file, which {path} is not", **where)
    given = {**options.given, "checksum_mode": "ENABLED"} if validates else options.given
    info = yield from backend.head(bucket, key, dataclasses.replace(options, start=None, end=None, given=given))
    start, end = _within(options, info.size)
    download = _Download(backend, info, path, options, start, end)
    if end - start <= backend.part_size or info.etag is None:
        download.discard()
        return (yield from backend.get_file(bucket, key, path, options))
    bound = {
        "kind": "get",
        "endpoint": endpoint,
        "bucket": bucket,
        "key": key,
        "version_id": options.version_id,
        "etag": info.etag,
        "size": info.size,
        "start": start,
        "end": end,
    }
    known = reported(info.headers) if validates and (start, end) == (0, info.size) else None
    with download.opened():
        yield from download.begin(bound)
        yield from download.fetch()
        yield from download.check(known)
        download.commit()
    return dataclasses.replace(info, checksum_validated=None if known is None else known.algorithm)


def _within(options: GetOptions, size: int) -> tuple[int, int]:
    """The bytes that are asked for; none where the range is not the object's, which the plain verb says."""
    start = options.start or 0
    if start < 0:
        return max(0, size + start), size
    return start, size if options.end is None else min(options.end, size)


class _Download:
    """One object on its way into one file.

    Args:
        info: what HeadObject has said.
        start, end: which of its bytes.
    """

    def __init__(
        self, backend: Backend, info: ObjectInfo, path: str, options: GetOptions, start: int, end: int
    ) -> None:
        self._backend, self._info, self._path, self._options = backend, info, path, options
        self._where: dict[str, Any] = {"operation": "GetObject", "bucket": info.bucket, "key": info.key}
        self._start, self._length = start, end - start
        folder, name = os.path.split(os.path.abspath(path))
        beside = os.path.join(folder, f".objectfs-{mark_of(name)}")
        self._part = f"{beside}.part"
        self._journal = Journal(f"{beside}.resume")
        self._done: list[Span] = []
        self._spare: list[bytearray] = []
        self._file: Any = None

    # -- the file ----------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """The file that is being filled, open and nobody else's; what becomes of it after an error, the error says."""
        try:
            self._file = SharedFile(self._open())
        except OSError as error:
            raise self._local(error) from None
        try:
            yield
        except (errors.ObjectChangedError, errors.ChecksumError):
            self.discard()
            raise
        except (errors.ObjectFSError, OSError) as error:
            raise self._hinted(self._local(error)) from None
        finally:
            self._journal.close()
            self._file.close()

    def _local(self, error: errors.ObjectFSError | OSError) -> errors.ObjectFSError:
        if isinstance(error, errors.ObjectFSError):
            return error
        # the name that the caller knows, not that of our file
        return errors.LocalFileError.from_oserror(OSError(error.errno, error.strerror, self._path), **self._where)

    def _hinted(self, error: errors.ObjectFSError) -> errors.ObjectFSError:
        have = sum(end - start for start, end, _ in self._done)
        if have and error.hint is None:
            error.hint = f"{have} of {self._length} bytes are kept: the same call with resume=True fetches the rest"
        return error

    def _open(self) -> int:
        while True:
            descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
            try:
                found = os.fstat(descriptor)
                require_own(found)
                if fcntl is not None:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(found, os.stat(self._part)):
                        return descriptor
            except BlockingIOError:
                os.close(descriptor)
                raise errors.LocalFileError(
                    f"somebody else is fetching it with resume=True: {self._path}",
                    errno=errno.EBUSY,
                    filename=self._path,
                    hint="Wait for that to end",
                    **self._where,
                ) from None
            except Untrusted as error:
                os.close(descriptor)
                raise errors.LocalFileError(
                    f"{self._part}: {error}",
                    errno=errno.EPERM,
                    filename=self._part,
                    hint="Fetch into another folder, or without resume=True",
                    **self._where,
                ) from None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # whoever had it has put it under its name meanwhile

    def commit(self) -> None:
        os.replace(self._part, self._path)
        self._journal.discard()

    def discard(self) -> None:
        """Leave nothing."""
        self._journal.discard()
        with contextlib.suppress(OSError):
            os.unlink(self._part)

    # -- what is there -----------------------------------------------------------------------------------------------
    def begin(self, bound: dict[str, Any]) -> Steps[None]:
        """See what an earlier call has left, and write the journal of this one."""
        try:
            spans = self._left(bound)
        except Untrusted as error:
            log.warning("%s is not used, and the download begins anew: %s", self._journal.path, error)
            spans = []
        lost = 0
        for span in spans:
            start, end, _ = span
            right: list[bool] = []
            yield from self._backend.aside(partial(self._look, span, right))
            if right[0]:
                self._done.append(span)
                yield from counts_as(end - start)
            else:
                lost += end - start
        if lost:
            log.warning("%s: %d bytes are not what was written, and are fetched again", self._part, lost)
        if self._done:
            have = sum(end - start for start, end, _ in self._done)
            log.info("%s: going on with %d of %d bytes", self._path, have, self._length)
        with self._file.use() as descriptor:
            if not self._done:
                os.ftruncate(descriptor, 0)
            os.ftruncate(descriptor, self._length)
        self._journal.write(bound, self._done)

    def _left(self, bound: dict[str, Any]) -> list[Span]:
        found = self._journal.read()
        if found is None:
            return []
        was, records = found
        other = difference(was, bound)
        if other is not None:
            raise Untrusted(f"another {other}: {was.get(other)!r} then, {bound[other]!r} now")
        if self._file.stat().st_size != self._length:
            raise Untrusted(f"{self._part} is not the file that it speaks of")
        reached = 0
        spans = sorted(_spans(records))
        for start, end, _ in spans:
            if not reached <= start < end <= self._length:
                raise Untrusted("its ranges cannot be")
            reached = end
        return spans

    def _look(self, span: Span, right: list[bool]) -> None:
        """Whether the file still holds what was written there; on a thread."""
        start, end, known = span
        value = 0
        while start < end and (block := self._file.read_at(min(BLOCK, end - start), start)):
            value = zlib.crc32(block, value)
            start += len(block)
        right.append(start == end and value == known)

    def _missing(self) -> Iterator[tuple[int, int]]:
        """In pieces of a part at most."""
        reached = 0
        size = self._backend.part_size
        for start, end, _ in [*sorted(self._done), (self._length, self._length, 0)]:
            for at in range(reached, start, size):
                yield at, min(at + size, start)
            reached = end

    # -- what is fetched ---------------------------------------------------------------------------------------------
    def fetch(self) -> Steps[None]:
        """All that is missing, many ranges at a time."""
        several: Several[None, int] = Several(
            iter([Job(None, partial(self._range, *piece), piece[1] - piece[0]) for piece in self._missing()]),
            self._backend.bell,
            budget=self._backend.budget,
            memory=MEMORY,
            most=self._backend.connections,
            ordered=False,
            weigh=lambda result: 0,
            counts=True,
        )
        try:
            while True:
                found = several.take()
                if found is not None and isinstance(found[1], Exception):
                    raise found[1]
                if found is None and not (yield from several.wait()):
                    several.abandon()
                    return
        except GeneratorExit:
            several.abandon()
            raise
        except BaseException:
            yield from several.drain()
            raise
        finally:
            self._spare.clear()

    def _range(self, start: int, end: int, admission: Admission) -> Steps[int]:
        info = self._info
        memory = self._spare.pop() if self._spare else bytearray(self._backend.part_size)
        view = memoryview(memory)[: end - start]
        asked = dataclasses.replace(
            self._options.pinned(info.etag), start=self._start + start, end=self._start + end, expected=None
        )
        try:
            read = yield from self._backend.read_range(info.bucket, info.key, view, asked)
        except errors.PreconditionFailedError:
            raise self._changed() from None
        if read.etag != info.etag or read.size != info.size:
            raise self._changed()
        if read.length != end - start:
            raise errors.TruncatedError(f"{read.length} of {end - start} bytes arrived", **self._where)
        failed: list[OSError] = []
        yield from self._backend.aside(partial(self._store, view, start, end, failed))
        if failed:
            raise failed[0]
        self._spare.append(memory)
        return end - start

    def _store(self, view: memoryview, start: int, end: int, failed: list[OSError]) -> None:
        """Write a range, then note it; on a thread, whose errors of the system are the file's and nobody else's."""
        try:
            self._file.write_at(view, start)
            span = (start, end, zlib.crc32(view))
            self._journal.append(span)
            self._done.append(span)
        except OSError as error:
            if isinstance(error, errors.ObjectFSError):
                raise
            failed.append(error)

    def _changed(self) -> errors.ObjectChangedError:
        return errors.ObjectChangedError("the object was replaced while it was read", **self._where)

    # -- the whole ---------------------------------------------------------------------------------------------------
    def check(self, known: Expected | None) -> Steps[None]:
        """Hold the file to what the caller expects, and to what the server has.

        Raises:
            ChecksumError: it has another checksum.
        """
        expected = self._options.expected
        claims: list[tuple[Expected, str]] = []
        if expected is not None:
            claims.append((expected, "as expected_checksum says"))
        if known is not None and known != expected:
            claims.append((known, "as the server says of the object"))
        digests = [Digest(claim.algorithm) for claim, _ in claims]
        for start in range(0, self._length if digests else 0, AT_ONCE):
            yield from self._backend.aside(partial(self._update, digests, start, start + AT_ONCE))
        for digest, (claim, whose) in zip(digests, claims, strict=True):
            if digest.value() != claim.value:
                raise mismatch(digest, claim, "GetObject", self._info.bucket, self._info.key, whose)

    def _update(self, digests: list[Digest], start: int, end: int) -> None:
        while start < min(end, self._length):
            block = self._file.read_at(min(BLOCK, end - start), start)
            if not block:  # somebody has cut it: no digest will be right
                return
            for digest in digests:
                digest.update(block)
            start += len(block)


def _spans(records: Iterable[Any]) -> Iterator[Span]:
    for record in records:
        if not (isinstance(record, list) and len(record) == 3 and all(type(value) is int for value in record)):
            raise Untrusted("its ranges cannot be read")
        start, end, check = record
        yield start, end, check
