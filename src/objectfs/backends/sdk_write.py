"""Uploads of the sdk backend: one PUT for what fits into two parts, a multipart upload for what does not.

boto3's transfer manager is not used for it: it takes no conditions and tells nothing of what it stored, does not
stop at a changed source before the object becomes visible, does not end within a moment of a cancel, and copies
each part of memory (docs/design/0004-sdk-backend.md). Its numbers (8 MiB parts, ten at a time) are used.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from objectfs import errors
from objectfs.backends import answers
from objectfs.backends.base import Op, PutOptions, ReadableBuffer, SentPart, Steps, StreamUpload
from objectfs.backends.call_params import ENGINE_ALGORITHMS
from objectfs.backends.digests import BLOCK, check_content
from objectfs.backends.leftovers import Pending
from objectfs.backends.memory import PartMemory, mapped_memory, readable_view
from objectfs.backends.parts import whole_part_size
from objectfs.backends.sdk_body import FileBody, MemoryBody, SharedFile
from objectfs.backends.sdk_task import Task
from objectfs.backends.sdk_wire import Wire, answer_headers
from objectfs.backends.streaming import StreamBase, put_stream
from objectfs.types import PutResult

__all__ = ["Writer", "require_algorithm"]

_SUMS = frozenset(("ChecksumCRC64NVME", "ChecksumCRC32", "ChecksumCRC32C", "ChecksumSHA1", "ChecksumSHA256"))

MakeBody = Callable[[Task], Any]


class Writer:
    """The writing verbs."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._part = wire.part_size

    def put(self, bucket: str, key: str, data: ReadableBuffer, options: PutOptions) -> Steps[PutResult]:
        with readable_view(data) as view:
            yield from self._expect(options, bucket, key, _slices(view))
            if len(view) <= 2 * self._part:
                return (yield from self._single(bucket, key, options, lambda task: MemoryBody(view, task)))

            def part(start: int, end: int) -> MakeBody:
                return lambda task: MemoryBody(view[start:end], task)

            return (yield from self._multipart(bucket, key, options, self._parts(len(view), part)))

    def put_many(
        self, bucket: str, items: Mapping[str, ReadableBuffer], options: PutOptions
    ) -> Steps[dict[str, PutResult]]:
        with contextlib.ExitStack() as views:
            functions = []
            for key, data in items.items():
                view = views.enter_context(readable_view(data))
                functions.append(self._put(bucket, key, options, _memory(view)))
            results: list[PutResult] = yield self._wire.start_many(functions)
            return dict(zip(items, results, strict=True))

    def put_file(self, bucket: str, key: str, path: str, options: PutOptions) -> Steps[PutResult]:
        where: dict[str, Any] = {"operation": "PutObject", "bucket": bucket, "key": key}
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        except OSError as error:
            if os.path.isdir(path):  # Windows says that access is denied
                raise _is_folder(path, where) from None
            raise errors.LocalFileError.from_oserror(error, **where) from None
        file = SharedFile(descriptor)
        try:
            before = file.stat()
            if stat.S_ISDIR(before.st_mode):
                raise _is_folder(path, where)
            if not stat.S_ISREG(before.st_mode):  # a pipe or a device tells its length only by ending
                return (yield from self.put_stream(bucket, key, _descriptor_reader(descriptor, path, where), options))

            def unchanged() -> None:
                now = file.stat()
                if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                    raise errors.ObjectChangedError(f"the file changed while it was sent: {path}", **where)

            if before.st_size <= 2 * self._part:
                return (
                    yield from self._wire.budget.lend(
                        "files",
                        before.st_size,
                        lambda lease: self._small_file(bucket, key, options, file, path, unchanged),
                    )
                )

            def part(start: int, end: int) -> MakeBody:
                return lambda task: FileBody(file, start, end - start, task)

            # twice through the file, which is then in memory; that it stays the same, the end of the upload sees
            yield from self._expect(options, bucket, key, _pieces(file, before.st_size))
            parts = self._parts(before.st_size, part)
            return (yield from self._multipart(bucket, key, options, parts, before_complete=unchanged))
        finally:
            file.close()

    def _small_file(
        self, bucket: str, key: str, options: PutOptions, file: SharedFile, path: str, unchanged: Callable[[], None]
    ) -> Steps[PutResult]:
        """All of a file from memory, in one request."""
        where: dict[str, Any] = {"operation": "PutObject", "bucket": bucket, "key": key}
        size = file.stat().st_size
        data = yield self._wire.start(lambda task: _read_all(file, size, path, where))
        unchanged()
        yield from self._expect(options, bucket, key, _slices(memoryview(data)))
        return (yield from self._single(bucket, key, options, _memory(memoryview(data))))

    def put_stream(
        self, bucket: str, key: str, read: Callable[[int], ReadableBuffer], options: PutOptions
    ) -> Steps[PutResult]:
        return put_stream(self.upload(bucket, key, options), read)

    def upload(self, bucket: str, key: str, options: PutOptions) -> StreamUpload:
        return _Stream(self, self._wire, bucket, key, options)

    # -- requests --------------------------------------------------------------------------------------------
    def _put(self, bucket: str, key: str, options: PutOptions, body: MakeBody) -> Callable[[Task], PutResult]:
        params = {"Bucket": bucket, "Key": key, **self._algorithm(options)}
        if options.expected is not None:
            params[f"Checksum{options.expected.algorithm}"] = options.expected.value
            params.pop("ChecksumAlgorithm", None)

        def run(task: Task) -> PutResult:
            response = self._wire.call(task, "put_object", params, body=lambda: body(task), options=options)
            return answers.put_result(answer_headers(response))

        return run

    def _single(self, bucket: str, key: str, options: PutOptions, body: MakeBody) -> Steps[PutResult]:
        result: PutResult = yield self._wire.start(self._put(bucket, key, options, body))
        return result

    def _parts(self, length: int, part: Callable[[int, int], MakeBody]) -> list[MakeBody]:
        size = whole_part_size(length, self._part)
        return [part(start, min(start + size, length)) for start in range(0, length, size)]

    def _multipart(
        self,
        bucket: str,
        key: str,
        options: PutOptions,
        parts: Iterable[MakeBody],
        *,
        before_complete: Callable[[], None] | None = None,
    ) -> Steps[PutResult]:
        """Create, send the parts, complete; abort if anything goes wrong."""
        pending = _Upload(self._wire, bucket, key, options)
        flying = pending.parts
        try:
            upload = yield from self._begin(pending, options)
            for number, body in enumerate(parts, start=1):
                self._wire.start(self._upload_part(upload, number, body, options), into=flying)
            done: list[dict[str, Any]] = []
            while flying:
                done.append((yield flying[0]))
                del flying[0]
            if before_complete is not None:
                before_complete()
            return (yield from self._finish(pending, upload, done, options))
        except BaseException as error:
            yield from pending.give_up(error)
            raise

    def multipart_copy(
        self,
        bucket: str,
        key: str,
        options: PutOptions,
        algorithm: Mapping[str, str],
        part: Callable[[Mapping[str, Any], int, int, int], Callable[[Task], dict[str, Any]]],
        ranges: list[tuple[int, int]],
        window: int,
    ) -> Steps[PutResult]:
        """A multipart upload whose parts the server copies: ``part`` makes the request of one, from what all name, its
        number and its range."""
        pending = _Upload(self._wire, bucket, key, options)
        params = {"Bucket": bucket, "Key": key, **algorithm}
        done: list[dict[str, Any]] = []
        try:
            pending.begin(
                lambda: self._wire.start(
                    lambda task: self._wire.call(task, "create_multipart_upload", params, options=options),
                    cancellable=False,
                    into=pending.creating,
                )
            )
            created = yield pending.creating[0]
            upload = {"Bucket": bucket, "Key": key, "UploadId": created["UploadId"]}
            for number, (start, end) in enumerate(ranges, start=1):
                if len(pending.parts) >= window:
                    done.append((yield pending.parts[0]))
                    del pending.parts[0]
                self._wire.start(part(upload, number, start, end), into=pending.parts)
            while pending.parts:
                done.append((yield pending.parts[0]))
                del pending.parts[0]
            return (yield from self._finish(pending, upload, done, options))
        except BaseException as error:
            yield from pending.give_up(error)
            raise

    def _begin(self, pending: _Upload, options: PutOptions) -> Steps[dict[str, str]]:
        """CreateMultipartUpload; what all further requests name."""
        bucket, key = pending.bucket, pending.key
        pending.begin(
            lambda: self._wire.start(
                lambda task: self._create(task, bucket, key, options), cancellable=False, into=pending.creating
            )
        )
        created = yield pending.creating[0]
        return {"Bucket": bucket, "Key": key, "UploadId": created["UploadId"]}

    def _finish(
        self, pending: _Upload, upload: Mapping[str, Any], done: list[dict[str, Any]], options: PutOptions
    ) -> Steps[PutResult]:
        response = yield self._wire.start(lambda task: self._complete(task, upload, done, options), into=pending.parts)
        pending.completed()
        # its checksums stand in the document, not in the headers
        found = {f"x-amz-checksum-{name[8:].lower()}": value for name, value in response.items() if name in _SUMS}
        return answers.put_result({**answer_headers(response), **found}, response.get("ETag"))

    def _create(self, task: Task, bucket: str, key: str, options: PutOptions) -> Any:
        """CreateMultipartUpload, which has to name the checksum that the parts will carry, or the object has none."""
        params = {"Bucket": bucket, "Key": key}
        named = self._algorithm(options) or self._wire.default_algorithm(options.checksum)
        if named.get("ChecksumAlgorithm", "").startswith("CRC"):  # as the crt backend does, and S3 itself by default
            named["ChecksumType"] = "FULL_OBJECT"
        try:
            return self._wire.call(task, "create_multipart_upload", {**params, **named}, options=options)
        except (errors.InvalidRequestError, errors.UnsupportedError):
            if not named or not self._wire.checksums_unknown:
                raise
        return self._wire.call(task, "create_multipart_upload", params, options=options)

    def _upload_part(
        self, upload: Mapping[str, Any], number: int, body: MakeBody, options: PutOptions
    ) -> Callable[[Task], dict[str, Any]]:
        params = {**upload, "PartNumber": number, **self._algorithm(options)}

        def run(task: Task) -> dict[str, Any]:
            response = self._wire.call(task, "upload_part", params, body=lambda: body(task), options=options)
            if not response.get("ETag"):
                raise errors.ServerError(
                    "the answer to a part names no ETag",
                    operation="UploadPart",
                    bucket=upload["Bucket"],
                    key=upload["Key"],
                )
            part = {"PartNumber": number, "ETag": response["ETag"]}
            part.update({name: value for name, value in response.items() if name.startswith("Checksum")})
            return part

        return run

    def _complete(self, task: Task, upload: Mapping[str, Any], parts: list[dict[str, Any]], options: PutOptions) -> Any:
        # a checksum counts only if every part has it
        common = set.intersection(*(set(part) for part in parts)) - {"ChecksumType"}
        listed = [{name: part[name] for name in part if name in common} for part in parts]
        params = {**upload, "MultipartUpload": {"Parts": listed}}
        expected = options.expected
        if expected is not None and expected.algorithm.startswith("CRC") and f"Checksum{expected.algorithm}" in common:
            # of a SHA, S3 has only that of the parts' values
            params.update({f"Checksum{expected.algorithm}": expected.value, "ChecksumType": "FULL_OBJECT"})
        return self._wire.call(task, "complete_multipart_upload", params, options=options)

    def _algorithm(self, options: PutOptions) -> dict[str, str]:
        """The algorithm that is named to botocore; none for its own."""
        named = options.checksum or self._wire.config.checksum
        if options.expected is not None and (is_known(options.expected.algorithm) or named == "off"):
            named = options.expected.algorithm
        if named in ("auto", "off"):
            return {}
        require_algorithm(named, "checksum")
        return {"ChecksumAlgorithm": named}

    def _expect(
        self, options: PutOptions, bucket: str, key: str, blocks: Callable[[Task], Iterable[Any]]
    ) -> Steps[None]:
        """Hold what is to be sent to the checksum that the caller knows."""
        expected = options.expected
        if expected is not None:
            yield self._wire.start(lambda task: check_content(expected, blocks(task), "PutObject", bucket, key))


class _Upload(Pending):
    """A multipart upload on the client's threads."""

    def __init__(self, wire: Wire, bucket: str, key: str, options: PutOptions) -> None:
        self._wire = wire
        self._options = options
        super().__init__(wire.leftovers, bucket, key)

    def upload_id(self, creating: Op[Any]) -> str | None:
        try:
            found: str = creating.result()["UploadId"]
            return found
        except errors.ObjectFSError as error:
            if error.status is not None and (error.status >= 300 or error.code):
                return None
            raise

    def start_abort(self, upload_id: str, into: list[Op[Any]]) -> None:
        upload = {"Bucket": self.bucket, "Key": self.key, "UploadId": upload_id}
        self._wire.start(
            lambda task: self._wire.call(task, "abort_multipart_upload", upload, options=self._options),
            cancellable=False,
            into=into,
        )

    def check_abort(self, aborting: Op[Any]) -> None:
        aborting.result()


class _Stream(StreamBase):
    """:class:`~objectfs.backends.base.StreamUpload` of the sdk backend."""

    def __init__(self, writer: Writer, wire: Wire, bucket: str, key: str, options: PutOptions) -> None:
        smaller = wire.config.part_size is None
        super().__init__(bucket, key, options, wire.budget, wire.part_size, wire.connections, smaller)
        self._writer, self._wire = writer, wire
        self._upload: Mapping[str, Any] = {}
        self._done: list[dict[str, Any]] = []

    def new_memory(self, size: int) -> PartMemory:
        # crt does without: each new part costs page faults, a quarter of all that an upload there takes
        return mapped_memory(size)

    def single(self, data: memoryview) -> Steps[PutResult]:
        return self._writer._single(self.bucket, self.key, self.options, _memory(data))

    def begin(self, first: memoryview) -> Steps[Op[Any] | None]:
        pending = _Upload(self._wire, self.bucket, self.key, self.options)
        self.pending = pending
        self._upload = yield from self._writer._begin(pending, self.options)
        if self.created is not None:
            self.created(self._upload["UploadId"], None)
        return self.start(1, first)

    def start(self, number: int, part: memoryview) -> Op[Any]:
        assert self.pending is not None
        part_of = self._writer._upload_part(self._upload, number, _memory(part), self.options)
        op: Op[Any] = self._wire.start(part_of, into=self.pending.parts)
        return op

    def sent(self, answer: Any) -> None:
        self._done.append(answer)

    def adopt(self, upload_id: str, algorithm: str | None) -> Steps[None]:
        pending = _Upload(self._wire, self.bucket, self.key, self.options)
        pending.keep = True
        self.pending = pending
        pending.begin(lambda: None)
        self._upload = {"Bucket": self.bucket, "Key": self.key, "UploadId": upload_id}
        yield from ()

    def known(self, part: SentPart) -> None:
        sums = {f"Checksum{algorithm}": value for algorithm, value in part.checksums.items()}
        self._done.append({"PartNumber": part.number, "ETag": part.etag, **sums})

    def finish(self) -> Steps[PutResult]:
        assert isinstance(self.pending, _Upload)
        return self._writer._finish(self.pending, self._upload, self._done, self.options)


def _slices(view: memoryview) -> Callable[[Task], Iterable[Any]]:
    def blocks(task: Task) -> Iterator[Any]:
        for offset in range(0, len(view), BLOCK):
            task.check()
            yield view[offset : offset + BLOCK]

    return blocks


def _pieces(file: SharedFile, size: int) -> Callable[[Task], Iterable[Any]]:
    def blocks(task: Task) -> Iterator[Any]:
        for offset in range(0, size, BLOCK):
            task.check()
            yield file.read_at(min(BLOCK, size - offset), offset)

    return blocks


def is_known(algorithm: str) -> bool:
    """Whether botocore has code for the algorithm."""
    if algorithm not in ENGINE_ALGORITHMS:
        return True
    from botocore.compat import HAS_CRT

    return bool(HAS_CRT)


def require_algorithm(name: str | None, option: str) -> None:
    """
    Raises:
        UnsupportedError: botocore has no code for it.
    """
    if name is not None and not is_known(name):
        raise errors.UnsupportedError(
            f"{option}={name!r}: botocore has no {name} of its own",
            hint=f"Use {option}='CRC32' or 'SHA256', or backend='crt'",
        )


def _memory(view: memoryview) -> MakeBody:
    return lambda task: MemoryBody(view, task)


def _is_folder(path: str, where: Mapping[str, Any]) -> errors.LocalFileError:
    error = IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return errors.LocalFileError.from_oserror(error, **where)


def _read_all(file: SharedFile, size: int, path: str, where: Mapping[str, Any]) -> bytearray:
    data = bytearray()
    try:
        while piece := file.read_at(min(size + 1 - len(data), 1024 * 1024), len(data)):
            data += piece
            if len(data) > size:
                break
    except OSError as error:
        raise errors.LocalFileError.from_oserror(error, **where) from None
    if len(data) != size:
        raise errors.ObjectChangedError(f"the file changed while it was sent: {path}", **where)
    return data


def _descriptor_reader(descriptor: int, path: str, where: Mapping[str, Any]) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        try:
            return os.read(descriptor, min(size, 1024 * 1024))
        except OSError as error:
            named = OSError(error.errno, error.strerror, path)
            raise errors.LocalFileError.from_oserror(named, **where) from None

    return read
