"""Downloads to files with the crt backend: under the file's name only when complete."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from objectfs import _native, errors
from objectfs.backends.base import GetOptions, Steps
from objectfs.backends.budget import Lease
from objectfs.backends.crt_answers import make_info, object_size, pinned
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_get import GetVerbs
from objectfs.backends.crt_reported import Reported
from objectfs.backends.crt_steps import followed, one
from objectfs.backends.digests import BLOCK, Digest, mismatch
from objectfs.types import ObjectInfo

__all__ = ["FileVerbs", "file_blocks"]


SMALL_FIRST = 256 * 1024
"""Bytes of a download's first part where memory is short."""

BLOCK_PARTS = 25
"""Of a block that passes through memory: 200 MiB are enough for what reads the other end of a pipe."""


@dataclass(frozen=True)
class _FirstPart:
    """An :class:`~objectfs.backends.base.Admission` that says how large the first request may be."""

    room: int

    def ask(self, size: int) -> None:
        """What comes after it takes no memory."""


@dataclass(frozen=True)
class _Missing:
    """What of an object is not in its file yet: from ``offset`` of the file on, up to ``end - start``."""

    temporary: str
    offset: int
    start: int
    end: int
    whole: bool
    """Asked for as a whole, not as a range: the C library validates it."""
    in_ranges: bool
    """Of our own."""
    crc: str | None
    """That the answers to these tell."""
    sink: Any


class FileVerbs(GetVerbs):
    """Verbs of CrtBackend."""

    def get_file(self, bucket: str, key: str, path: str, options: GetOptions) -> Steps[ObjectInfo]:
        lease = self.budget.lease("files")
        try:
            return (yield from self._get_file(bucket, key, path, options, lease))
        finally:
            lease.close()

    @followed
    def _get_file(self, bucket: str, key: str, path: str, options: GetOptions, lease: Lease) -> Steps[ObjectInfo]:
        target = self.target(bucket)
        common = target.headers(options.sent("GetObject"))
        where = {"operation": "GetObject", "bucket": bucket, "key": key}
        if os.path.isdir(path):
            raise errors.LocalFileError(f"it is a folder: {path}", errno=21, filename=path, **where)
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):  # before anybody is asked for anything
            missing = OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            raise errors.LocalFileError.from_oserror(missing, **where)
        # the first part is collected in memory: where there is too little of that, a smaller one
        if not lease.take(self.part_size):
            gate = lease.ask(SMALL_FIRST)
            if gate is not None:
                yield gate
        began, cpu = time.perf_counter(), time.process_time()
        first = replace(options, admission=_FirstPart(lease.held))
        began_with = self._begin(bucket, key, first, common, target.engine.paces)
        response, start, end = yield from lease.during(began_with)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        if os.path.exists(path) and not os.path.isfile(path):
            yield from self._to_special(bucket, key, options, path, response, start, end, lease)
            return make_info(bucket, key, response, object_size(response))
        temporary = ""
        try:
            temporary = _temporary_beside(path)
            total = object_size(response)
            body = response.take_body()
            have = len(body)
            more = have < end - start
            validates = self.validation(options) is not None
            validates = validates and more and start == 0 and end == total
            whole = validates and total > self.whole_from(bucket)
            validated = crc = None
            if not whole:
                with open(temporary, "wb", buffering=0) as file:
                    write_all(file, body)
            del body  # a part's worth of memory, not to be held while the others come
            lease.clear()
            report, answers = None, [response]
            if more:
                rest = self._missing(bucket, temporary, response, have, start, end, whole, validates)
                crc = rest.crc
                if validates and not rest.whole:
                    etag = response.headers.get("etag")
                    report = Reported(self, bucket, key, options, etag, None if have else response)
                try:
                    answers = yield from self._append_file(
                        bucket, key, options, rest, response, (have / took, cpu / took)
                    )
                except BaseException:
                    if report is not None:
                        report.cancel()
                    raise
                response = answers[0]
                del rest  # a mapping of the file, and a descriptor: an exception would keep them as long as itself
            if report is not None:
                validated = yield from report.check(lambda: file_blocks(temporary), total, crc=crc, pieces=answers)
            yield from self.expect(
                options.expected, lambda: file_blocks(temporary), end - start, "GetObject", bucket, key
            )
            os.replace(temporary, path)
            temporary = ""
        except errors.ObjectFSError:
            raise
        except OSError as error:
            # the name that the caller knows, not that of our temporary file
            cause = OSError(error.errno, error.strerror, path)
            raise errors.LocalFileError.from_oserror(cause, **where) from None
        finally:
            if temporary:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
        return make_info(bucket, key, response, total, validated)

    def _to_special(
        self,
        bucket: str,
        key: str,
        options: GetOptions,
        path: str,
        response: Any,
        start: int,
        end: int,
        lease: Lease,
    ) -> Steps[None]:
        """Into a device or a pipe, which has a name already and keeps it: in order, many parts at a time."""
        body = response.take_body()
        digest = None if options.expected is None else Digest(options.expected.algorithm)
        try:
            with open(path, "wb", buffering=0) as file:
                write_all(file, body)
                if digest is not None:
                    digest.update(body)
                offset = start + len(body)
                pin = replace(options.pinned(response.headers.get("etag")), expected=None)
                del body, response
                lease.clear()
                block_size = yield from self._block(lease)
                while offset < end:
                    stop = min(end, offset + block_size)
                    block = yield from lease.during(self.get(bucket, key, replace(pin, start=offset, end=stop)))
                    write_all(file, block)
                    if digest is not None:
                        digest.update(block)
                    offset = stop
                    del block
            if digest is not None and options.expected is not None and digest.value() != options.expected.value:
                raise mismatch(digest, options.expected, "GetObject", bucket, key)
        except errors.PreconditionFailedError as error:
            raise pinned(error, options) from None
        except errors.ObjectFSError:
            raise
        except OSError as error:
            raise errors.LocalFileError.from_oserror(
                OSError(error.errno, error.strerror, path), operation="GetObject", bucket=bucket, key=key
            ) from None

    def _block(self, lease: Lease) -> Steps[int]:
        """Bytes of the blocks that pass through memory: many parts, or a share of what there is. More is taken, for a
        block's first part, or all of a small one, is there twice for a moment."""
        parts = min(self.large_connections, BLOCK_PARTS)
        while parts > 1:
            if lease.take((parts + 1) * self.part_size):
                return parts * self.part_size
            parts //= 2
        size = max(SMALL_FIRST, min(self.part_size, self.budget.share("files") // 2))
        gate = lease.ask(2 * size)
        if gate is not None:
            yield gate
        return size

    def _missing(
        self,
        bucket: str,
        temporary: str,
        first: Any,
        have: int,
        start: int,
        end: int,
        whole: bool,
        validates: bool,
    ) -> _Missing:
        """What comes after the first answer, of which the file has ``have`` bytes, unless ``whole``: fetched anew."""
        offset, crc, in_ranges = 0 if whole else have, None, False
        with open(temporary, "r+b", buffering=0) as file:
            sink = _native.file_sink(file.fileno(), offset, end - start - offset)
        if sink is not None:  # what comes goes past it, and its CRC can be told
            will_do, crc = self._in_ranges(bucket, first, have, end - start, validates)
            whole = whole and not will_do
            in_ranges = not whole and self.spreads(bucket, end - start - offset)
        return _Missing(temporary, offset, start, end, whole, in_ranges, crc, sink)

    def _append_file(
        self, bucket: str, key: str, options: GetOptions, missing: _Missing, first: Any, carried: tuple[float, float]
    ) -> Steps[list[Any]]:
        """What is missing: the answers, with their CRCs if wanted, or the C library's one. ``carried``: as
        :meth:`crt_pace.Paces.to_file` takes it."""
        target = self.target(bucket)
        pin = options.pinned(first.headers.get("etag"))
        common = target.headers(pin.sent("GetObject"))
        sink, whole, offset = missing.sink, missing.whole, missing.offset
        start, end, temporary = missing.start, missing.end, missing.temporary
        into: dict[str, Any] = {"recv": sink}
        if sink is None:
            into = {"recv_path": os.fsencode(temporary), "recv_position": offset}
        with target.engine.paces.to_file(end - start - offset, *carried) as plan:
            if missing.in_ranges:
                view = memoryview(sink)
                try:
                    return (yield from self._spread(bucket, key, options, pin, view, start + offset, plan, missing.crc))
                finally:
                    if sink.error:
                        raise OSError(sink.error, os.strerror(sink.error))
            request = self._get_request(
                target,
                key,
                common,
                pin,
                None if whole else f"{start + offset}-{end - 1}",
                validate=self.validation(options, whole),
                max_connections=plan.connections,
                part_size=plan.part_size,
                **into,
            )
            response = yield from one(target.engine.start([request]))
            plan.size = response.received
            if response.error_code or response.status >= 300:
                if sink is not None and sink.error:
                    raise OSError(sink.error, os.strerror(sink.error))
                error = failure(response, "GetObject", bucket, key)
                if isinstance(error, errors.LocalFileError) or response.error == "AWS_ERROR_SYS_CALL_FAILURE":
                    raise _local_cause(error, temporary, end - start)
                raise pinned(error, options)
            # counted: parts are written where they belong, so the file's size says nothing of a short one
            if offset + response.received != end - start:
                raise errors.TruncatedError(
                    f"{offset + response.received} of {end - start} bytes arrived",
                    operation="GetObject",
                    bucket=bucket,
                    key=key,
                )
        return [response]


def _temporary_beside(path: str) -> str:
    """An empty file in the same folder, with the mode that a new file would have."""
    # a name of its own: one made of the file's could be too long where that is not
    handle, temporary = tempfile.mkstemp(prefix=".objectfs-", suffix=".tmp", dir=os.path.dirname(os.path.abspath(path)))
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(handle, 0o666 & ~_umask())
    finally:
        os.close(handle)
    return temporary


def _umask() -> int:
    # reading the mask means setting it; Linux also tells without
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def file_blocks(path: str) -> Iterator[memoryview]:
    """What a file holds, in memory that is used again."""
    memory = memoryview(bytearray(BLOCK))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(memory):
            yield memory[:count]


def write_all(file: Any, data: Any) -> None:
    view = memoryview(data)
    while len(view):
        view = view[file.write(view) :]


def _local_cause(error: errors.ObjectFSError, path: str, needed: int) -> errors.ObjectFSError | OSError:
    """The C library says that a write failed, not why, nor that of each error that it was a write: look."""
    found = 0
    with contextlib.suppress(OSError):
        if shutil.disk_usage(os.path.dirname(path)).free < needed:
            found = errno.ENOSPC
        elif (limit := _largest_file()) is not None and limit < needed:
            found = errno.EFBIG
    return OSError(found, os.strerror(found)) if found else error


def _largest_file() -> int | None:
    """Bytes that this process may make a file of; None for no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if limit == resource.RLIM_INFINITY else limit
