"""A download as ranges that all begin at once.

The C library fetches the first part of a parallel download alone, to learn the object's size and ETag. From far away
that doubles the time of an object of some parts. Where the size is known, each range is a request of its own here.
"""

from __future__ import annotations

from typing import Any

from objectfs import _native, errors
from objectfs.backends.answers import require_one
from objectfs.backends.base import GetOptions, Steps
from objectfs.backends.crt_answers import answered, object_size, pinned, query
from objectfs.backends.crt_base import CrtBase
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_pace import Plan
from objectfs.backends.crt_steps import all_of

__all__ = ["SpreadVerbs"]


FEW = 32
"""Ranges of an object, no more, of which each is worth a second request (``crt_waits.ONE_OF_FEW``). Of more
of them some are late whatever is done, and the server is the limit as often as the network."""

MOST = 1024
"""Parts of an object that goes as ranges of our own. Each is a request that is made before the first byte comes, and
looked at again and again while one is late; the C library makes its own as it goes on."""


class SpreadVerbs(CrtBase):
    """Verbs of CrtBackend."""

    def spreads(self, bucket: str, size: int) -> bool:
        """Whether so many bytes go as ranges of our own."""
        return self.target(bucket).engine.paces.network.far and size <= MOST * self.part_size

    def _get_request(
        self, target: Any, key: str, common: Any, options: GetOptions, byte_range: str | None, **more: Any
    ) -> Any:
        headers = _native.Headers([(b"Range", f"bytes={byte_range}".encode())]) if byte_range else None
        more.setdefault("validate", self.validation(options))
        return _native.Request(
            b"GetObject", b"GET", target.path(key, query(options, "GetObject")), target.native, common, headers, **more
        )

    def _spread(
        self,
        bucket: str,
        key: str,
        given: GetOptions,
        options: GetOptions,
        view: memoryview,
        start: int,
        plan: Plan,
        crc: str | None = None,
    ) -> Steps[list[Any]]:
        """The object's bytes from ``start`` on into the view: the answers, in the order of the ranges, each of which is
        complete. Those of ranges that begin beyond the object's end have the status 416.

        ``options``: those that were given, and an If-Match where the ETag is known. ``crc``: of what an
        answer has brought it tells the CRC of that algorithm.

        Raises:
            ObjectChangedError: they are not of one object.
        """
        target = self.target(bucket)
        common = target.headers(options.sent("GetObject"))
        places = [(at, min(at + plan.part_size, len(view))) for at in range(0, len(view), plan.part_size)]
        requests = [
            self._get_request(
                target, key, common, options, f"{start + at}-{start + end - 1}", recv=view[at:end], crc=crc
            )
            for at, end in places
        ]
        few = len(requests) <= FEW
        late = target.engine.paces.late.after(one_of_few=few)
        responses = yield from all_of(
            target.engine.start(
                requests,
                window=plan.connections,
                fixed=True,
                stop_on_error=True,
                late=late,
                marks=not isinstance(view.obj, _native.FileSink),  # whose memory is not to be touched
                each=few,
            )
        )
        for response in responses:  # the cause before the cancelled rest
            if response.error_code and response.status != 416 and response.error != "AWS_ERROR_S3_CANCELED":
                raise pinned(failure(response, "GetObject", bucket, key), given)
        etags, total = set(), object_size(responses[0])
        for response, (at, end) in zip(responses, places, strict=True):
            if response.error_code or response.status >= 300:
                error = failure(response, "GetObject", bucket, key)
                if not isinstance(error, errors.InvalidRangeError) or not at or start + at < total:
                    raise error
                continue
            answered(response, bucket, key, start + at, start + end, response.received)
            etags.add(response.header(b"etag"))
        require_one(etags, bucket, key)
        return responses
