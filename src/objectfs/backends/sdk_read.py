"""Downloads of the sdk backend: one request for what fits into two parts, parallel ranges for what does
not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from objectfs import errors, types
from objectfs.backends import answers
from objectfs.backends.base import GetOptions, RangeRead, Steps
from objectfs.backends.digests import Digest, mismatch, reported
from objectfs.backends.sdk_body import fill, finish
from objectfs.backends.sdk_sinks import Buffer, FileSink, MemorySink, Sink, ViewSink
from objectfs.backends.sdk_task import Task
from objectfs.backends.sdk_wire import Wire, answer_headers
from objectfs.options import Expected
from objectfs.types import ObjectInfo, OnError

__all__ = ["Reader", "range_header"]

CHECK_BLOCK = 4 * 1024 * 1024
"""Bytes that are checked between two looks at whether the operation was cancelled."""


def range_header(start: int | None, end: int | None) -> str | None:
    """The value of Range for a half-open range that is not empty; None for the whole object."""
    if start is not None and start < 0:
        return f"bytes={start}"
    if end is None:
        return f"bytes={start}-" if start else None
    return f"bytes={start or 0}-{end - 1}"


class Reader:
    """The reading verbs."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._part = wire.part_size

    def get(self, bucket: str, key: str, options: GetOptions) -> Steps[Buffer]:
        sink = MemorySink()
        info = yield from self._download(bucket, key, options, sink)
        sink.buffer.info = info
        return sink.buffer

    def get_into(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[int]:
        with ViewSink(buffer) as sink:
            yield from self._download(bucket, key, options, sink)
            return sink.length

    def get_file(self, bucket: str, key: str, path: str, options: GetOptions) -> Steps[ObjectInfo]:
        with FileSink(path, bucket, key, self._wire.file_block) as sink:
            info = yield from self._download(bucket, key, options, sink)
            sink.commit()
            return info

    def get_many(self, bucket: str, keys: Sequence[str], on_error: OnError, options: GetOptions) -> Steps[list[Any]]:
        def fetch(key: str) -> Callable[[Task], Buffer]:
            def run(task: Task) -> Buffer:
                sink = MemorySink()
                first = self._first(task, bucket, key, options, sink, whole=True)
                sink.buffer.info = first.info
                return sink.buffer

            return run

        operation = self._wire.start_many([fetch(key) for key in keys], keep_going=on_error == "return")
        results: list[Any] = yield operation
        return results

    def get_ranges(
        self, bucket: str, key: str, ranges: Sequence[tuple[int, int]], options: GetOptions
    ) -> Steps[list[types.Buffer]]:
        def fetch(start: int, end: int) -> Callable[[Task], Buffer]:
            def run(task: Task) -> Buffer:
                sink = MemorySink()
                one = dataclasses.replace(options, start=start, end=end)
                sink.buffer.info = self._first(task, bucket, key, one, sink, whole=True).info
                return sink.buffer

            return run

        buffers: list[types.Buffer] = yield self._wire.start_many([fetch(start, end) for start, end in ranges])
        answers.require_one({buffer.info.etag for buffer in buffers if buffer.info is not None}, bucket, key)
        return buffers

    def read_range(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[RangeRead]:
        def run(task: Task) -> RangeRead:
            with ViewSink(buffer) as sink:
                info = self._first(task, bucket, key, options, sink, whole=True).info
                return RangeRead(sink.length, info.size, info.etag, info.version_id, lambda: info)

        read: RangeRead = yield self._wire.start(run)
        return read

    def head(self, bucket: str, key: str, options: GetOptions) -> Steps[ObjectInfo]:
        info: ObjectInfo = yield self._wire.start(lambda task: self._head(task, bucket, key, options))
        return info

    def _head(self, task: Task, bucket: str, key: str, options: GetOptions) -> ObjectInfo:
        response = self._wire.call(task, "head_object", {"Bucket": bucket, "Key": key}, options=options)
        headers = answer_headers(response)
        answers.require_size(headers, bucket, key)
        return answers.object_info(bucket, key, headers)

    # -- one object ------------------------------------------------------------------------------------------
    def _download(self, bucket: str, key: str, options: GetOptions, sink: Sink) -> Steps[ObjectInfo]:
        expected = options.expected
        if expected is not None and isinstance(sink, FileSink) and sink.sequential:
            sink.digest = Digest(expected.algorithm)
        info, length = yield from self._fetch(bucket, key, options, sink)
        if expected is not None and isinstance(sink, FileSink) and sink.digest is not None:
            if sink.digest.value() != expected.value:
                raise mismatch(sink.digest, expected, "GetObject", bucket, key)
        elif expected is not None:
            yield self._wire.start(lambda task: _compare(task, sink, expected, length, bucket, key, EXPECTED))
        return info

    def _fetch(self, bucket: str, key: str, options: GetOptions, sink: Sink) -> Steps[tuple[ObjectInfo, int]]:
        """What the object is, and the bytes of content that the sink has."""
        first: _First = yield self._wire.start(lambda task: self._first(task, bucket, key, options, sink))
        while first.unread:
            gate = options.admission.ask(first.length)
            if gate is not None:
                yield gate
            first = yield self._wire.start(lambda task: self._first(task, bucket, key, options, sink))
        if first.rest:
            yield self._wire.start_many(
                [self._range(bucket, key, options, first, start, end, sink) for start, end in first.rest]
            )
            if first.known is not None:
                yield self._wire.start(lambda task: _compare(task, sink, first.known, first.length, bucket, key))
            if first.checksum is not None:
                done, length = first.rest[0][0], first.rest[-1][1]
                algorithm: str = yield self._wire.start(
                    lambda task: _validate(task, sink, first.checksum, done, length, bucket, key)
                )
                return dataclasses.replace(first.info, checksum_validated=algorithm), first.length
        return first.info, first.length

    def _first(self, task: Task, bucket: str, key: str, options: GetOptions, sink: Sink, whole: bool = False) -> _First:
        """The first request, which tells the size: all of a small object, the first part of a large one."""
        if options.end is not None and options.end == (options.start or 0):
            # HTTP cannot ask for no bytes; whether the object is there, HEAD tells
            sink.open(0)
            return _First(self._head(task, bucket, key, options))
        wanted = range_header(options.start, options.end)
        params: dict[str, Any] = {"Bucket": bucket, "Key": key}
        if wanted is not None:
            params["Range"] = wanted
        try:
            first: _First = self._wire.call(
                task,
                "get_object",
                params,
                use=lambda response: self._receive_first(
                    task, bucket, key, options, response, sink, wanted is not None, whole or sink.sequential
                ),
                options=options,
            )
        except errors.InvalidRangeError as error:
            # an empty object has no range at all, and S3 refuses even bytes=-5 of it
            if (options.start or 0) > 0:
                raise
            refused = error
        else:
            return first
        # Behind the handler: what fails within one has the error that is handled as its context, and is told as that.
        info = self._head(task, bucket, key, options)
        if info.size:
            raise refused
        sink.open(0)
        return _First(info)

    def _receive_first(
        self,
        task: Task,
        bucket: str,
        key: str,
        options: GetOptions,
        response: Any,
        sink: Sink,
        ranged: bool,
        whole: bool,
    ) -> _First:
        body = response["Body"]
        try:
            headers = answer_headers(response)
            length = _length(headers)
            status = response["ResponseMetadata"]["HTTPStatusCode"]
            if status not in (200, 206):
                raise errors.ServerError(f"the server answered a GET with the status {status}")
            if ranged and length == 0 and "content-range" not in headers:
                # an empty object, by a server that does not answer 416 for it
                raise errors.InvalidRangeError("the object is empty", status=status)
            found = None
            if options.part_number is not None:
                found = answers.content_range(headers)
            elif ranged or "content-range" in headers:
                found = answers.check_range(headers, options.start or 0, options.end)
            start = found[0] if found else 0
            if length is None:
                if not headers.get("transfer-encoding", "").lower().endswith("chunked"):
                    raise errors.TruncatedError("the answer does not say how long the content is")
                data = body.read()
                if found and found[1] - found[0] != len(data):
                    raise errors.TruncatedError(f"{len(data)} of {found[1] - found[0]} bytes arrived")
                sink.open(len(data))
                sink.write(0, memoryview(data))
                info = answers.object_info(bucket, key, headers, size=found[2] if found else len(data))
                return _First(info, length=len(data))
            if found and found[1] - found[0] != length:
                raise errors.TruncatedError(f"the answer announces {length} bytes for {headers['content-range']}")
            if options.admission is not None and length > options.admission.room:
                return _First(answers.object_info(bucket, key, headers), length=length, unread=True)
            sink.open(length)
            rest = [] if whole or length <= 2 * self._part else _split(self._part, length, self._part)
            take = rest[0][0] if rest else length
            self._take(task, body, sink, 0, take)
            if not rest:
                finish(body)
            checksum = _Checksum.of(headers, body)
            validated = checksum.algorithm if checksum is not None and not rest else None
            known = None
            if checksum is None and found is None and not sink.sequential and self._wire.validates(options):
                known = reported(headers)  # of an algorithm that botocore does not have
                if known is not None and not rest:
                    _compare(task, sink, known, length, bucket, key)
            if known is not None:
                validated = known.algorithm  # or what follows raises
            info = answers.object_info(bucket, key, headers, validated=validated)
            return _First(
                info,
                start=start,
                length=length,
                rest=rest,
                version=response.get("VersionId"),
                checksum=checksum,
                known=known,
            )
        finally:
            # of a body that was read to its end this is nothing; any other's connection must not be used
            # again
            body.close()

    def _take(self, task: Task, body: Any, sink: Sink, offset: int, length: int) -> None:
        got = sink.receive(offset, length, lambda view, done: fill(body, view, task, done))
        if got != length:
            raise errors.TruncatedError(f"the connection ended after {got} of {length} bytes")

    def _range(
        self, bucket: str, key: str, options: GetOptions, first: _First, start: int, end: int, sink: Sink
    ) -> Callable[[Task], None]:
        base, etag = first.start, first.info.etag
        params = {"Bucket": bucket, "Key": key, "Range": f"bytes={base + start}-{base + end - 1}"}
        pin = options.pinned(etag, first.version)

        def use(task: Task, response: Any) -> None:
            body = response["Body"]
            try:
                headers = answer_headers(response)
                if headers.get("etag") != etag:
                    raise errors.ObjectChangedError("the object was replaced while it was read")
                answers.check_range(headers, base + start, base + end)
                self._take(task, body, sink, start, end - start)
                finish(body)
            finally:
                body.close()

        def run(task: Task) -> None:
            try:
                self._wire.call(
                    task,
                    "get_object",
                    params,
                    use=lambda response: use(task, response),
                    options=pin,
                )
            except (errors.PreconditionFailedError, errors.InvalidRangeError) as error:
                raise errors.ObjectChangedError(
                    "the object was replaced while it was read",
                    operation="GetObject",
                    bucket=bucket,
                    key=key,
                    status=error.status,
                    code=error.code,
                    request_id=error.request_id,
                ) from None

        return run


@dataclasses.dataclass(slots=True)
class _Checksum:
    """A checksum of the whole content that the server reports, and that has seen the content's first part."""

    algorithm: str
    expected: str
    state: Any

    @classmethod
    def of(cls, headers: Mapping[str, str], body: Any) -> _Checksum | None:
        """The one that botocore validates ``body`` against, if it does."""
        state = getattr(body, "_checksum", None)
        expected = getattr(body, "_expected", None)
        if state is not None and expected is not None:
            for name, value in headers.items():
                if name.startswith("x-amz-checksum-") and value == expected:
                    return cls(name.removeprefix("x-amz-checksum-").upper(), expected, state)
        return None


@dataclasses.dataclass(slots=True)
class _First:
    """What the first request of a download told."""

    info: ObjectInfo
    start: int = 0
    """Where in the object the content begins."""
    length: int = 0
    """Of the content, in bytes."""
    rest: Sequence[tuple[int, int]] = ()
    """What is still to fetch: half-open ranges of the content."""
    version: str | None = None
    checksum: _Checksum | None = None
    known: Expected | None = None
    """A checksum of the whole content, for which botocore has no code."""
    unread: bool = False
    """Nothing was taken of it: it is longer than the memory that was lent."""


def _validate(task: Task, sink: Sink, checksum: Any, done: int, length: int, bucket: str, key: str) -> str:
    """Run a checksum that has seen ``done`` bytes over the rest of the content."""
    for offset in range(done, length, CHECK_BLOCK):
        checksum.state.update(sink.read(offset, min(CHECK_BLOCK, length - offset)))
        task.check()
    if checksum.state.b64digest() != checksum.expected:
        raise errors.ChecksumError(
            f"the content's {checksum.algorithm} is {checksum.state.b64digest()}, not {checksum.expected}",
            operation="GetObject",
            bucket=bucket,
            key=key,
        )
    algorithm: str = checksum.algorithm
    return algorithm


EXPECTED = "as expected_checksum says"


def _compare(
    task: Task, sink: Sink, known: Any, length: int, bucket: str, key: str, whose: str = "as the server says"
) -> None:
    """Run a checksum over all of the content."""
    digest = Digest(known.algorithm)
    for offset in range(0, length, CHECK_BLOCK):
        digest.update(sink.read(offset, min(CHECK_BLOCK, length - offset)))
        task.check()
    if digest.value() != known.value:
        raise mismatch(digest, known, "GetObject", bucket, key, whose)


def _split(start: int, end: int, step: int) -> list[tuple[int, int]]:
    return [(at, min(at + step, end)) for at in range(start, end, step)]


def _length(headers: Mapping[str, str]) -> int | None:
    return answers.number(headers.get("content-length"))
