"""One range of an object with the crt backend: what reading in pieces consists of."""

from __future__ import annotations

from typing import Any

from objectfs import errors
from objectfs.backends.base import GetOptions, RangeRead, Steps
from objectfs.backends.crt_answers import answered, make_info
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_get import GetVerbs
from objectfs.backends.crt_steps import followed, one
from objectfs.backends.memory import writable_view

__all__ = ["RangeVerbs"]


class RangeVerbs(GetVerbs):
    """Verbs of CrtBackend."""

    @followed
    def read_range(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[RangeRead]:
        start, end = options.start or 0, options.end
        assert end is not None
        target = self.target(bucket)
        common = target.headers(options.sent("GetObject"))
        # into the buffer, which is used again for the next range: new memory for each costs more than the transfer
        request = self._get_request(
            target, key, common, options, f"{start}-{end - 1}", recv=writable_view(buffer)[: end - start]
        )
        late = target.engine.paces.late.after() if end - start <= self.part_size else 0.0
        response = yield from one(target.engine.start([request], late=late, marks=True))
        if response.error_code or response.status >= 300:
            error = failure(response, "GetObject", bucket, key)
            unranged = isinstance(error, errors.UnsupportedError) and error.crt_error
            if start or not (unranged or isinstance(error, errors.InvalidRangeError)):
                raise error
            if unranged:  # all of the object, or an empty one by a server that does not answer 416 for it
                error = errors.UnsupportedError(
                    "the endpoint does not answer ranges: it sent the whole object",
                    operation="GetObject",
                    bucket=bucket,
                    key=key,
                )
            response = yield from self._require_empty(bucket, key, options, error)
            size = received = 0
        else:
            received = response.received
            _, _, size = answered(response, bucket, key, start, end, received)
        etag, version = response.header(b"etag"), response.header(b"x-amz-version-id")
        return RangeRead(
            received,
            size,
            etag.decode("latin-1") if etag is not None else None,
            version.decode("latin-1") if version else None,
            lambda: make_info(bucket, key, response, size),
        )
