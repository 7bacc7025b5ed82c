"""Reading one object with the crt backend.

A GET of unknown size begins with one ranged request for the first part: a small object needs no other, and no HEAD.
What is left then goes in parallel straight into its place. Objects larger than WHOLE_OBJECT are asked for anew as a
whole, so that the C library can validate them against the object's own checksum.
"""

from __future__ import annotations

import contextlib
from typing import Any

from objectfs import _native, errors
from objectfs.backends.answers import object_info
from objectfs.backends.base import GetOptions, Steps
from objectfs.backends.crt_answers import (
    check_length,
    conditions,
    make_info,
    object_size,
    pinned,
    pinned_conditions,
    query,
    too_small,
)
from objectfs.backends.crt_base import CrtBase, one
from objectfs.backends.crt_errors import failure
from objectfs.types import Buffer, ObjectInfo

__all__ = ["WHOLE_OBJECT", "GetVerbs"]

WHOLE_OBJECT = 64 * 1024 * 1024
"""Bytes. Above it one more request (HEAD, for the object's checksum) and the first part once more cost under 15 %."""


class GetVerbs(CrtBase):
    """Verbs of CrtBackend."""

    def _get_request(
        self, target: Any, key: str, common: Any, options: GetOptions, byte_range: str | None, **more: Any
    ) -> Any:
        headers = _native.Headers([(b"Range", f"bytes={byte_range}".encode())]) if byte_range else None
        more.setdefault("validate", self.validate)
        return _native.Request(
            b"GetObject", b"GET", target.path(key, query(options)), target.native, common, headers, **more
        )

    def head(self, bucket: str, key: str, options: GetOptions) -> Steps[ObjectInfo]:
        response = yield from self._head(bucket, key, options)
        return object_info(bucket, key, response.headers)

    def _head(self, bucket: str, key: str, options: GetOptions) -> Steps[_native.Response]:
        target = self.target(bucket)
        common = target.headers(conditions(options))
        path = target.path(key, query(options))
        request = _native.Request(b"HeadObject", b"HEAD", path, target.native, common)
        response = yield from one(target.engine.start([request]))
        if response.error_code or response.status >= 300:
            raise failure(response, "HeadObject", bucket, key)
        return response

    def _first(self, bucket: str, key: str, options: GetOptions, common: Any) -> Steps[tuple[Any, int, int]]:
        """The first part of what is asked for: (response or None if empty, start, end), start and end absolute."""
        start, end = options.start, options.end
        if start is not None and start < 0:
            if -start > self.part_size:  # a long suffix: its start must be known to go on from
                info = yield from self.head(bucket, key, options)
                start, end = max(0, info.size + start), info.size
            else:
                response = yield from self._ranged(bucket, key, options, common, f"{start}")
                total = object_size(response)
                return response, max(0, total + start), total
        start = start or 0
        if end is not None and end <= start:
            return None, start, start
        last = start + self.part_size - 1
        if end is not None:
            last = min(last, end - 1)
        response = yield from self._ranged(bucket, key, options, common, f"{start}-{last}")
        total = object_size(response)
        return response, start, total if end is None else min(end, total)

    def _ranged(self, bucket: str, key: str, options: GetOptions, common: Any, byte_range: str) -> Steps[Any]:
        """One ranged GET. For an empty object, whose ranges are refused, HEAD's answer."""
        target = self.target(bucket)
        response = yield from one(target.engine.start([self._get_request(target, key, common, options, byte_range)]))
        if response.error_code or response.status >= 300:
            error = failure(response, "GetObject", bucket, key)
            if not isinstance(error, errors.InvalidRangeError) or byte_range[0] not in "0-":
                raise error
            return (yield from self._require_empty(bucket, key, options, error))
        check_length(response, bucket, key, response.body)
        return response

    def _require_empty(self, bucket: str, key: str, options: GetOptions, error: Exception) -> Steps[_native.Response]:
        """A range of an empty object cannot be satisfied (416), yet its content from 0 on is well known: HEAD's answer
        stands for it. Any other object raises the error."""
        response = yield from self._head(bucket, key, options)
        if object_size(response) != 0:
            raise error
        return response

    def get(self, bucket: str, key: str, options: GetOptions) -> Steps[Buffer]:
        target = self.target(bucket)
        common = target.headers(conditions(options))
        response, start, end = yield from self._first(bucket, key, options, common)
        buffer: Buffer = yield from self._rest(bucket, key, options, response, start, end)
        return buffer

    def _rest(
        self,
        bucket: str,
        key: str,
        options: GetOptions,
        response: Any,
        start: int,
        end: int,
        body: Any = None,
    ) -> Steps[Any]:
        """The whole content in one Buffer, given the response to its first part (and its body, if elsewhere)."""
        if response is None:
            return _native.Buffer(0)
        total = object_size(response)
        if body is None:
            body = response.take_body()
        have = len(body)
        if have < end - start:
            first = body
            body = _native.Buffer(end - start)
            whole = start == 0 and end == total and total > WHOLE_OBJECT and self.validate_whole is not None
            if not whole:
                _native.copy_into(body, 0, first)
            info = yield from self._fill(bucket, key, options, body, 0 if whole else have, start, end, whole, response)
            if info is not None:
                response = info
        body._describe(make_info, bucket, key, response, total)
        return body

    def _fill(
        self,
        bucket: str,
        key: str,
        options: GetOptions,
        buffer: Any,
        offset: int,
        start: int,
        end: int,
        whole: bool,
        first: Any,
    ) -> Steps[Any]:
        """``buffer[offset:]`` from the object's bytes, in parallel; pinned to the first response's ETag."""
        target = self.target(bucket)
        common = target.headers(pinned_conditions(options, first))
        view = memoryview(buffer)[offset:]
        request = self._get_request(
            target,
            key,
            common,
            options,
            None if whole else f"{start + offset}-{end - 1}",
            recv=view,
            validate=self.validate_whole if whole else self.validate,
            max_connections=self.large_connections,
        )
        response = yield from one(target.engine.start([request]))
        if response.error_code or response.status >= 300:
            raise pinned(failure(response, "GetObject", bucket, key), options)
        if response.received != len(view):
            raise errors.TruncatedError(
                f"{response.received} of {len(view)} bytes arrived",
                operation="GetObject",
                bucket=bucket,
                key=key,
            )
        return response

    def get_into(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[int]:
        outer = memoryview(buffer)
        view = memoryview(b"")
        try:
            if outer.readonly:
                raise ValueError("the buffer is read-only")
            if not outer.c_contiguous:
                raise ValueError("the buffer is not C-contiguous")
            view = outer.cast("B") if outer.nbytes else memoryview(bytearray())
            return (yield from self._get_into(bucket, key, view, options))
        finally:
            # an exception's traceback would keep the caller's buffer exported; what still runs keeps its own hold
            for held in (view, outer):
                with contextlib.suppress(BufferError):
                    held.release()

    def _get_into(self, bucket: str, key: str, view: memoryview, options: GetOptions) -> Steps[int]:
        start, end, room = options.start or 0, options.end, len(view)
        if start < 0 or room == 0:
            info = yield from self.head(bucket, key, options)
            start, end = (max(0, info.size + start) if start < 0 else start), min(info.size, end or info.size)
        if end is not None and end <= start:
            if start and options.start == start and room == 0 and options.end is None:
                raise errors.InvalidRangeError(
                    "the range lies outside the object", operation="GetObject", bucket=bucket, key=key
                )
            return 0
        if end is not None and room == 0:
            raise too_small(bucket, key, end - start, room)
        target = self.target(bucket)
        common = target.headers(conditions(options))
        whole = start == 0 and end is None and room > self.part_size and self.validate_whole is not None
        last, byte_range = start, None
        if not whole:
            last = start + room - 1 if end is None else min(end, start + room) - 1
            byte_range = f"{start}-{last}"
        request = self._get_request(
            target,
            key,
            common,
            options,
            byte_range,
            recv=view if whole else view[: last - start + 1],
            validate=self.validate_whole if whole else self.validate,
            max_connections=self.large_connections if room > self.part_size else 0,
        )
        response = yield from one(target.engine.start([request]))
        if response.error_code or response.status >= 300:
            error = failure(response, "GetObject", bucket, key)
            if isinstance(error, errors.InvalidRangeError) and start == 0:
                yield from self._require_empty(bucket, key, options, error)
                return 0
            # several requests: a 412 comes from the If-Match that all but the first carry
            raise pinned(error, options) if room > self.part_size else error
        total = object_size(response)
        content = (total if end is None else min(end, total)) - start
        if content > room:
            raise too_small(bucket, key, content, room)
        if response.received != content:
            raise errors.TruncatedError(
                f"{response.received} of {content} bytes arrived",
                operation="GetObject",
                bucket=bucket,
                key=key,
            )
        return int(response.received)
