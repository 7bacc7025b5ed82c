"""Uploads of the sdk backend: one PUT for what fits into two parts, a multipart upload for what does not.

boto3's transfer manager is not used for it: it takes no conditions and tells nothing of what it stored, does not
stop at a changed source before the object becomes visible, does not end within a moment of a cancel, and copies
each part of memory (docs/design/0004-sdk-backend.md). Its numbers (8 MiB parts, ten at a time) are used.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from objectfs import errors
from objectfs.backends import answers
from objectfs.backends.base import Op, PutOptions, ReadableBuffer, Steps
from objectfs.backends.leftovers import Pending
from objectfs.backends.memory import readable_view
from objectfs.backends.parts import MAX_PARTS, stream_part_size, whole_part_size
from objectfs.backends.sdk_body import FileBody, MemoryBody, SharedFile
from objectfs.backends.sdk_ops import Task
from objectfs.backends.sdk_wire import Wire, answer_headers
from objectfs.types import PutResult

__all__ = ["Writer"]

STREAM_MEMORY = 128 * 1024 * 1024
"""Bytes of a stream's parts in flight where memory_limit is not set."""

_SUMS = frozenset(("ChecksumCRC64NVME", "ChecksumCRC32", "ChecksumCRC32C", "ChecksumSHA1", "ChecksumSHA256"))

MakeBody = Callable[[Task], Any]


class Writer:
    """The writing verbs."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._part = wire.part_size

    def put(self, bucket: str, key: str, data: ReadableBuffer, options: PutOptions) -> Steps[PutResult]:
        with readable_view(data) as view:
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
                data = yield self._wire.start(lambda task: _read_all(file, before.st_size, path, where))
                unchanged()
                return (yield from self._single(bucket, key, options, _memory(memoryview(data))))

            def part(start: int, end: int) -> MakeBody:
                return lambda task: FileBody(file, start, end - start, task)

            parts = self._parts(before.st_size, part)
            return (yield from self._multipart(bucket, key, options, parts, before_complete=unchanged))
        finally:
            file.close()

    def put_stream(
        self, bucket: str, key: str, read: Callable[[int], ReadableBuffer], options: PutOptions
    ) -> Steps[PutResult]:
        first = _collect(read, self._part)
        following = _collect(read, self._part) if len(first) == self._part else bytearray()
        if not following:
            return (yield from self._single(bucket, key, options, _memory(memoryview(first))))

        def parts() -> Iterable[MakeBody]:
            yield _memory(memoryview(first))
            yield _memory(memoryview(following))
            for number in itertools.count(3):
                data = _collect(read, stream_part_size(number, self._part))
                if not data:
                    return
                yield _memory(memoryview(data))

        budget = self._wire.config.memory_limit or STREAM_MEMORY
        window = max(1, min(self._wire.connections, budget // self._part - 2))
        return (yield from self._multipart(bucket, key, options, parts(), window=window))

    # -- requests --------------------------------------------------------------------------------------------
    def _put(self, bucket: str, key: str, options: PutOptions, body: MakeBody) -> Callable[[Task], PutResult]:
        params = self._params(bucket, key, options)
        params.update(_conditions(options), **self._algorithm())

        def run(task: Task) -> PutResult:
            response = self._wire.call(task, "put_object", params, body=lambda: body(task), headers=options.headers)
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
        window: int | None = None,
        before_complete: Callable[[], None] | None = None,
    ) -> Steps[PutResult]:
        """Create, send the parts with at most ``window`` in flight, complete; abort if anything goes
        wrong."""
        pending = _Upload(self._wire, bucket, key)
        flying = pending.parts
        try:
            pending.begin(
                lambda: self._wire.start(
                    lambda task: self._create(task, bucket, key, options), cancellable=False, into=pending.creating
                )
            )
            created = yield pending.creating[0]
            upload = {"Bucket": bucket, "Key": key, "UploadId": created["UploadId"]}
            done: list[dict[str, Any]] = []
            for number, body in enumerate(parts, start=1):
                if number > MAX_PARTS:
                    raise errors.InvalidRequestError(f"the content needs more than S3's {MAX_PARTS} parts")
                self._wire.start(self._upload_part(upload, number, body), into=flying)
                if window is not None and len(flying) >= window:
                    done.append((yield flying[0]))
                    del flying[0]
            while flying:
                done.append((yield flying[0]))
                del flying[0]
            if before_complete is not None:
                before_complete()
            response = yield self._wire.start(lambda task: self._complete(task, upload, done, options), into=flying)
            pending.completed()
            # its checksums stand in the document, not in the headers
            found = {f"x-amz-checksum-{name[8:].lower()}": value for name, value in response.items() if name in _SUMS}
            return answers.put_result({**answer_headers(response), **found}, response.get("ETag"))
        except BaseException as error:
            yield from pending.give_up(error)
            raise

    def _create(self, task: Task, bucket: str, key: str, options: PutOptions) -> Any:
        """CreateMultipartUpload, which has to name the checksum that the parts will carry, or the object has none."""
        params = self._params(bucket, key, options)
        named = self._algorithm() or self._wire.default_algorithm()
        if named.get("ChecksumAlgorithm", "").startswith("CRC"):  # as the crt backend does, and S3 itself by default
            named["ChecksumType"] = "FULL_OBJECT"
        try:
            return self._wire.call(task, "create_multipart_upload", {**params, **named}, headers=options.headers)
        except (errors.InvalidRequestError, errors.UnsupportedError):
            if not named or not self._wire.checksums_unknown:
                raise
        return self._wire.call(task, "create_multipart_upload", params, headers=options.headers)

    def _upload_part(self, upload: Mapping[str, Any], number: int, body: MakeBody) -> Callable[[Task], dict[str, Any]]:
        params = {**upload, "PartNumber": number, **self._algorithm()}

        def run(task: Task) -> dict[str, Any]:
            response = self._wire.call(task, "upload_part", params, body=lambda: body(task))
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
        params = {**upload, "MultipartUpload": {"Parts": listed}, **_conditions(options)}
        return self._wire.call(task, "complete_multipart_upload", params)

    def _algorithm(self) -> dict[str, str]:
        named = self._wire.config.checksum
        return {} if named in ("auto", "off") else {"ChecksumAlgorithm": named}

    @staticmethod
    def _params(bucket: str, key: str, options: PutOptions) -> dict[str, Any]:
        params: dict[str, Any] = {"Bucket": bucket, "Key": key}
        if options.content_type is not None:
            params["ContentType"] = options.content_type
        if options.metadata:
            params["Metadata"] = dict(options.metadata)
        if options.storage_class is not None:
            params["StorageClass"] = options.storage_class
        return params


class _Upload(Pending):
    """A multipart upload on the client's threads."""

    def __init__(self, wire: Wire, bucket: str, key: str) -> None:
        self._wire = wire
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
            lambda task: self._wire.call(task, "abort_multipart_upload", upload), cancellable=False, into=into
        )

    def check_abort(self, aborting: Op[Any]) -> None:
        aborting.result()


def _conditions(options: PutOptions) -> dict[str, str]:
    params = {"IfMatch": options.if_match, "IfNoneMatch": options.if_none_match}
    return {name: value for name, value in params.items() if value is not None}


def _memory(view: memoryview) -> MakeBody:
    return lambda task: MemoryBody(view, task)


def _collect(read: Callable[[int], ReadableBuffer], size: int) -> bytearray:
    """``size`` bytes of a stream, fewer only at its end."""
    collected = bytearray()
    while len(collected) < size:
        wanted = size - len(collected)
        with readable_view(read(wanted)) as piece:
            if len(piece) > wanted:
                raise errors.InvalidRequestError("the stream gave more bytes than it was asked for")
            if not piece:
                break
            collected += piece
    return collected


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
