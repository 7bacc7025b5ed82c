"""Reading one object with the crt backend.

A GET of unknown size begins with one ranged request for the first part: a small object needs no other, and no HEAD.
What is left then goes in parallel straight into its place. Objects larger than WHOLE_OBJECT are asked for anew as a
whole, so that the C library can validate them against the object's own checksum.
"""

from __future__ import annotations

import contextlib
from contextlib import nullcontext
from functools import partial
from typing import Any

from objectfs import _native, errors
from objectfs.backends.answers import object_info, require_size
from objectfs.backends.base import GetOptions, Steps
from objectfs.backends.crt_answers import (
    answered,
    make_info,
    object_size,
    pinned,
    query,
    too_small,
)
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_pace import Paces, Plan
from objectfs.backends.crt_reported import Reported, crc_of, crc_told, tells_checksum
from objectfs.backends.crt_spread import SpreadVerbs
from objectfs.backends.crt_steps import followed, one
from objectfs.backends.digests import reported
from objectfs.backends.memory import writable_view
from objectfs.types import Buffer, ObjectInfo

__all__ = ["WHOLE_OBJECT", "GetVerbs"]

WHOLE_OBJECT = 64 * 1024 * 1024
"""Bytes. Above it one more request (HEAD, for the object's checksum) and the first part once more cost under 15 %."""

WHOLE_FROM_FAR = 256 * 1024 * 1024
"""Bytes. Below it the content is gone through (25 ms at most) sooner than an answer comes from far away."""


AT_ONCE = 0.001
"""Seconds after which a request is sent again whose answer everything waits for."""


class GetVerbs(SpreadVerbs):
    """Verbs of CrtBackend."""

    def whole_from(self, bucket: str) -> int:
        """Above so many bytes an object is asked for anew as a whole."""
        return WHOLE_FROM_FAR if self.target(bucket).engine.paces.network.far else WHOLE_OBJECT

    @followed
    def head(self, bucket: str, key: str, options: GetOptions) -> Steps[ObjectInfo]:
        response = yield from self._head(bucket, key, options)
        return object_info(bucket, key, response.headers)

    def _head(self, bucket: str, key: str, options: GetOptions) -> Steps[_native.Response]:
        target = self.target(bucket)
        common = target.headers(options.sent("HeadObject"))
        path = target.path(key, query(options, "HeadObject"))
        request = _native.Request(b"HeadObject", b"HEAD", path, target.native, common)
        response = yield from one(target.engine.start([request], late=target.engine.paces.late.after()))
        if response.error_code or response.status >= 300:
            raise failure(response, "HeadObject", bucket, key)
        require_size(response.headers, bucket, key)
        return response

    def _first(self, bucket: str, key: str, options: GetOptions, common: Any) -> Steps[tuple[Any, int, int]]:
        """The first part of what is asked for: (response, start, end), start and end absolute."""
        if options.part_number is not None:
            return (yield from self._part(bucket, key, options, common))
        start, end = options.start, options.end
        whole = not start and end is None
        if start is not None and start < -self.part_size:  # a long suffix: its start must be known to go on from
            response = yield from self._ranged(bucket, key, options, common, -1, None)
            end = object_size(response)
            start = max(0, end + start)
            if end == 0:
                return response, 0, 0
        start = start or 0
        if end is not None and end <= start:  # HTTP cannot ask for no bytes; whether the object is there, HEAD tells
            return (yield from self._head(bucket, key, options)), start, start
        step = self.part_size if options.admission is None else max(1, min(self.part_size, options.admission.room))
        last = start + step if end is None else min(start + step, end)
        response = yield from self._ranged(bucket, key, options, common, start, None if start < 0 else last, whole)
        total = object_size(response)
        return response, max(0, total + start) if start < 0 else start, total if end is None else min(end, total)

    def _begin(
        self, bucket: str, key: str, options: GetOptions, common: Any, paces: Paces
    ) -> Steps[tuple[Any, int, int]]:
        """As ``_first``. Where a range as long as a part takes much longer than a short answer, and the bucket's last
        object was larger than that, HeadObject's answer instead: then all ranges can begin."""
        everything = not options.start and options.end is None and options.part_number is None
        if everything and paces.large == bucket and paces.network.far:
            response = yield from one(self._start_head(bucket, key, options))
            # what it refuses GetObject explains better, with words of the server's
            if not response.error_code and response.status == 200 and object_size(response) > 0:
                size = object_size(response)
                paces.large = bucket if size > self.part_size else ""
                return response, 0, size
        response, start, end = yield from self._first(bucket, key, options, common)
        if everything:  # and the endpoint knows ranges
            paces.large = bucket if end > self.part_size and response.status == 206 else ""
        return response, start, end

    def _start_head(self, bucket: str, key: str, options: GetOptions) -> Any:
        """HeadObject that tells the checksum too, if the content is to be validated."""
        target = self.target(bucket)
        mode = {"x-amz-checksum-mode": "ENABLED"} if self.validation(options) is not None else {}
        path = target.path(key, query(options, "HeadObject"))
        headers = target.headers(options.sent("HeadObject"), mode)
        request = _native.Request(b"HeadObject", b"HEAD", path, target.native, headers)
        paces = target.engine.paces
        late = paces.late.after()
        # All ranges of the content wait for it, and it is short: from far away it is asked for three times at once.
        return target.engine.start([request], late=AT_ONCE if late and paces.network.distant else late)

    def _part(self, bucket: str, key: str, options: GetOptions, common: Any) -> Steps[tuple[Any, int, int]]:
        """One part of an object that was uploaded in parts: one request, whose answer says where it lies."""
        target = self.target(bucket)
        response = yield from one(target.engine.start([self._get_request(target, key, common, options, None)]))
        if response.error_code or response.status >= 300:
            raise failure(response, "GetObject", bucket, key)
        have = len(response.body) if response.body is not None else 0
        first, last = (response.first, response.end) if response.total >= 0 else (0, None)
        start, end, _ = answered(response, bucket, key, first, last, have, whole=True)
        return response, start, end

    def _ranged(
        self,
        bucket: str,
        key: str,
        options: GetOptions,
        common: Any,
        start: int,
        end: int | None,
        whole: bool = False,
    ) -> Steps[Any]:
        """One ranged GET, whose answer is that range. For an empty object, whose ranges are refused, HEAD's answer.

        ``whole``: the caller wants all of the object, so an endpoint that knows no ranges may send it.
        """
        target = self.target(bucket)
        asked = f"{start}" if start < 0 else f"{start}-{'' if end is None else end - 1}"
        late = target.engine.paces.late.after(self.part_size if end is None else end - start)
        request = self._get_request(target, key, common, options, asked)
        response = yield from one(target.engine.start([request], late=late))
        if response.error_code or response.status >= 300:
            error = failure(response, "GetObject", bucket, key)
            if not isinstance(error, errors.InvalidRangeError) or start > 0:
                raise error
            return (yield from self._require_empty(bucket, key, options, error))
        answered(response, bucket, key, start, end, len(response.body) if response.body is not None else 0, whole)
        return response

    def _require_empty(self, bucket: str, key: str, options: GetOptions, error: Exception) -> Steps[_native.Response]:
        """A range of an empty object cannot be satisfied (416), yet its content from 0 on is well known: HEAD's answer
        stands for it. Any other object raises the error."""
        response = yield from self._head(bucket, key, options)
        if object_size(response) != 0:
            raise error
        return response

    @followed
    def get(self, bucket: str, key: str, options: GetOptions) -> Steps[Buffer]:
        target = self.target(bucket)
        common = target.headers(options.sent("GetObject"))
        if options.admission is None:
            response, start, end = yield from self._begin(bucket, key, options, common, target.engine.paces)
        else:
            response, start, end = yield from self._first(bucket, key, options, common)
        buffer: Buffer = yield from self._rest(bucket, key, options, response, start, end)
        yield from self.expect(options.expected, lambda: (buffer,), len(buffer), "GetObject", bucket, key)
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
        total = object_size(response)
        if body is None:
            body = response.take_body()
        have = len(body)
        if have < end - start:
            gate = None if options.admission is None else options.admission.ask(have + end - start)
            if gate is not None:
                yield gate
            first = body
            body = self.buffer(end - start)
            validates = start == 0 and end == total and self.validation(options) is not None
            in_ranges, crc = self._in_ranges(bucket, response, have, end - start, validates)
            whole = validates and total > self.whole_from(bucket) and not in_ranges
            if not whole:
                _native.copy_into(body, 0, first)
            report = None
            if validates and not whole:
                report = Reported(self, bucket, key, options, response.headers.get("etag"), None if have else response)
            try:
                answers = yield from self._fill(
                    bucket, key, options, body, 0 if whole else have, start, end, whole, response, crc
                )
                response = answers[0]
            except BaseException:
                if report is not None:
                    report.cancel()
                raise
            if report is not None:
                validated = yield from report.check(lambda: (body,), total, crc=crc, pieces=answers)
                body._describe(partial(make_info, validated=validated), bucket, key, response, total)
                return body
        body._describe(make_info, bucket, key, response, total)
        return body

    def _in_ranges(self, bucket: str, response: Any, have: int, size: int, validates: bool) -> tuple[bool, str | None]:
        """Whether ranges will do for a large object as well, and which CRC they have to tell: from far away, where
        HeadObject has told beforehand what its content will be held to, if that can be put together from theirs."""
        crc = crc_of(None if have or not validates else reported(response.headers))
        will_do = crc is not None or not tells_checksum(response.headers)
        return not have and will_do and self.spreads(bucket, size), crc

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
        crc: str | None,
    ) -> Steps[list[Any]]:
        """``buffer[offset:]`` from the object's bytes, in parallel; pinned to the first response's ETag. The answers:
        several, with their CRCs if wanted, or the C library's one."""
        target = self.target(bucket)
        pin = options.pinned(first.headers.get("etag"))
        common = target.headers(pin.sent("GetObject"))
        view = memoryview(buffer)[offset:]
        if not whole and self.spreads(bucket, len(view)):
            with target.engine.paces.download(len(view)) as plan:
                return (yield from self._spread(bucket, key, options, pin, view, start + offset, plan, crc))
        with target.engine.paces.download(len(view)) as plan:
            request = self._get_request(
                target,
                key,
                common,
                pin,
                None if whole else f"{start + offset}-{end - 1}",
                recv=view,
                validate=self.validation(options, whole),
                max_connections=plan.connections,
                part_size=plan.part_size,
            )
            response = yield from one(target.engine.start([request]))
            plan.size = response.received
        if response.error_code or response.status >= 300:
            raise pinned(failure(response, "GetObject", bucket, key), options)
        if response.received != len(view):
            raise errors.TruncatedError(
                f"{response.received} of {len(view)} bytes arrived",
                operation="GetObject",
                bucket=bucket,
                key=key,
            )
        return [response]

    def get_into(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[int]:
        view = writable_view(buffer)
        try:
            count = yield from self._get_into(bucket, key, view, options)
            yield from self.expect(options.expected, lambda: (view[:count],), count, "GetObject", bucket, key)
            return count
        finally:
            # an exception's traceback would keep the caller's buffer exported; what still runs keeps its own hold
            with contextlib.suppress(BufferError):
                view.release()

    @followed
    def _get_into(self, bucket: str, key: str, view: memoryview, options: GetOptions) -> Steps[int]:
        if options.part_number is not None:
            return (yield from self._part_into(bucket, key, view, options))
        start, end, room = options.start or 0, options.end, len(view)
        everything = start == 0 and end is None
        if end is not None and end <= start:
            yield from self._head(bucket, key, options)
            return 0
        target = self.target(bucket)
        pin = options
        several = room > self.part_size
        if start < 0 or room == 0:  # where the content begins, or that it is too long, the object's size tells
            asked = (start if start >= -self.part_size else -1, None) if start < 0 else (start, start + 1)
            response = yield from self._ranged(bucket, key, options, target.headers(options.sent("GetObject")), *asked)
            total = object_size(response)
            suffix, start = start, max(0, total + start) if start < 0 else start
            end = total if end is None else min(end, total)
            if end - start > room:
                raise too_small(bucket, key, end - start, room)
            if end <= start:
                return 0
            if asked[0] == suffix:
                _native.copy_into(view, 0, response.body)
                return end - start
            several, pin = True, options.pinned(response.headers.get("etag"))
        common = target.headers(pin.sent("GetObject"))
        paces = target.engine.paces
        if (
            everything
            and self.part_size < room
            and self.spreads(bucket, room)
            and paces.filled
            and (room <= WHOLE_FROM_FAR or paces.crc != "" or self.validation(options) is None)
        ):
            try:
                return (yield from self._get_into_spread(bucket, key, view, options))
            except (errors.InvalidRangeError, errors.UnsupportedError):
                paces.filled = False  # an empty object, or an endpoint without ranges: as below
        whole = everything and room > self.part_size and self.validation(options) is not None
        last = start + room if end is None else min(end, start + room)
        with (
            target.engine.paces.download(last - start) if room > self.part_size else nullcontext(Plan(0, 0, 0)) as plan
        ):
            request = self._get_request(
                target,
                key,
                common,
                options,
                None if whole else f"{start}-{last - 1}",
                recv=view if whole else view[: last - start],
                validate=self.validation(options, whole),
                max_connections=plan.connections,
                part_size=plan.part_size,
            )
            response = yield from one(target.engine.start([request]))
            plan.size = response.received
        if response.error_code or response.status >= 300:
            error = failure(response, "GetObject", bucket, key)
            if isinstance(error, errors.InvalidRangeError) and start == 0:
                yield from self._require_empty(bucket, key, options, error)
                return 0
            if isinstance(error, errors.UnsupportedError) and error.crt_error:  # the answer was none to a range
                if everything:
                    return (yield from self._unranged_into(bucket, key, view, options, common))
                yield from self._ranged(bucket, key, options, common, start, start + 1)  # says what it is
            # several requests: a 412 comes from the If-Match that all but the first carry
            raise pinned(error, options) if several else error
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
        if room > self.part_size:
            paces.filled = content == room
        if whole:  # the library has asked for the object's checksum
            paces.crc = crc_told(reported(response.headers))
        return int(response.received)

    def _get_into_spread(self, bucket: str, key: str, view: memoryview, options: GetOptions) -> Steps[int]:
        """All of an object, if it is about as large as the memory for it."""
        paces = self.target(bucket).engine.paces
        validates = self.validation(options) is not None
        report = Reported(self, bucket, key, options, None) if validates else None
        crc = paces.crc or None if validates and len(view) > WHOLE_OBJECT else None
        try:
            with paces.download(len(view)) as plan:
                plan.size = 0
                responses = yield from self._spread(bucket, key, options, options, view, 0, plan, crc)
                plan.size = total = object_size(responses[0])
            paces.filled = total == len(view)
            if total > len(view):
                raise too_small(bucket, key, total, len(view))
        except BaseException:
            if report is not None:
                report.cancel()
            raise
        if report is not None:
            etag = responses[0].headers.get("etag")
            yield from report.check(lambda: (view[:total],), total, etag, crc, responses)
        return total

    def _part_into(self, bucket: str, key: str, view: memoryview, options: GetOptions) -> Steps[int]:
        common = self.target(bucket).headers(options.sent("GetObject"))
        response, start, end = yield from self._part(bucket, key, options, common)
        if end - start > len(view):
            raise too_small(bucket, key, end - start, len(view))
        if end > start:
            _native.copy_into(view, 0, response.body)
        return end - start

    def _unranged_into(self, bucket: str, key: str, view: memoryview, options: GetOptions, common: Any) -> Steps[int]:
        """All of an object from an endpoint that does not answer ranges."""
        target = self.target(bucket)
        response = yield from one(target.engine.start([self._get_request(target, key, common, options, None)]))
        if response.error_code or response.status >= 300:
            raise failure(response, "GetObject", bucket, key)
        have = len(response.body) if response.body is not None else 0
        answered(response, bucket, key, 0, None, have, whole=True)
        if have > len(view):
            raise too_small(bucket, key, have, len(view))
        if have:
            _native.copy_into(view, 0, response.body)
        return have
