"""Copies at the server with the crt backend."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.sax.saxutils import unescape

from objectfs import _native
from objectfs.backends import copying
from objectfs.backends.answers import put_result
from objectfs.backends.base import Op, PutOptions, Steps
from objectfs.backends.copying import CopyPlan, CopySource, Counted
from objectfs.backends.crt_call import CallVerbs
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_get import GetVerbs
from objectfs.backends.crt_steps import followed
from objectfs.backends.crt_target import Target
from objectfs.backends.crt_upload import Upload
from objectfs.types import PutResult

__all__ = ["CopyVerbs"]

_ETAG = re.compile(rb"<ETag>([^<]+)</ETag>")
_CHECKSUM = re.compile(rb"<Checksum([A-Z0-9]+)>([^<]+)</")


class CopyVerbs(GetVerbs, CallVerbs):
    """Verbs of CrtBackend."""

    @property
    def custom_endpoint(self) -> bool:
        return self.session.custom_endpoint

    def copy_target(self, bucket: str) -> Target:
        """S3 takes the session of a directory bucket for all requests but CopyObject and UploadPartCopy, which the
        user's own keys sign (``DisableS3ExpressSessionAuth`` in botocore's model)."""
        target = self.target(bucket)
        if not target.endpoint.sessions:
            return target
        return self.target_at(bucket, replace(target.endpoint, sessions=False))

    def copy(self, bucket: str, key: str, plan: CopyPlan) -> Steps[PutResult]:
        return copying.copy(self, plan, bucket, key)

    @followed
    def copy_object(
        self, bucket: str, key: str, source: CopySource, headers: Mapping[str, str], options: PutOptions, size: int
    ) -> Steps[PutResult]:
        target = self.copy_target(bucket)
        algorithm = _algorithm(options)
        sent = {
            **options.sent("CreateMultipartUpload"),
            **options.sent("CompleteMultipartUpload"),
            **headers,
            **({"x-amz-checksum-algorithm": algorithm} if algorithm else {}),
            "x-amz-copy-source": source.header(),
            "Content-Length": "0",
        }
        path = target.path(key)
        request = _native.Request(b"CopyObject", b"PUT", path, target.native, target.headers(sent))
        op: Any = Counted(target.engine.start([request]), size, lambda responses: _failed(responses[0]))
        (response,) = yield op
        etag, sums = _copied(response, "CopyObject", bucket, key)
        named = {f"x-amz-checksum-{name.lower()}": value for name, value in sums.items()}
        return put_result({**response.headers, **named}, etag)

    @followed
    def copy_parts(
        self,
        bucket: str,
        key: str,
        source: CopySource,
        etag: str | None,
        options: PutOptions,
        ranges: list[tuple[int, int]],
        window: int,
    ) -> Steps[PutResult]:
        upload = _CopyUpload(self, bucket, key, options, _algorithm(options))
        upload.copies = self.copy_target(bucket)
        said = {**options.sent("UploadPart"), **source.headers(etag), "x-amz-copy-source": source.header()}
        running: deque[Op[Any]] = deque()
        try:
            yield from copying.counted(upload.create(), 0)
            for number, (start, end) in enumerate(ranges, start=1):
                if len(running) >= window:
                    yield from upload.wait(running.popleft(), source)
                running.append(upload.start_copy(number, start, end, said))
            while running:
                yield from upload.wait(running.popleft(), source)
            result: PutResult = yield from copying.counted(upload.complete(), 0)
            return result
        except BaseException as error:
            yield from upload.give_up(error)
            raise


class _CopyUpload(Upload):
    """A multipart upload whose parts are copied by the server."""

    copies: Target

    def start_copy(self, number: int, start: int, end: int, headers: Mapping[str, str]) -> Op[Any]:
        target = self.copies
        sent = {**headers, "x-amz-copy-source-range": f"bytes={start}-{end - 1}", "Content-Length": "0"}
        path = target.path(self.key, f"partNumber={number}&uploadId={self.id}")
        request = _native.Request(b"UploadPartCopy", b"PUT", path, target.native, target.headers(sent))
        op: Any = Counted(self.start_parts([request], by=target), end - start, lambda responses: _failed(responses[0]))
        return op  # type: ignore[no-any-return]

    def wait(self, op: Op[Any], source: CopySource) -> Steps[None]:
        (response,) = yield op
        if _failed(response):
            error = failure(response, "UploadPartCopy", self.bucket, self.key)
            raise copying.changed_part(error, source)
        etag, sums = _copied(response, "UploadPartCopy", self.bucket, self.key)
        self.etags.append(etag)
        self.checksums.append(sums.get(self.algorithm or ""))


def _algorithm(options: PutOptions) -> str | None:
    return None if options.checksum in ("auto", "off") else options.checksum


def _failed(response: Any) -> bool:
    """S3 answers 200 before it has copied anything, and may find out then that it cannot."""
    return bool(
        response.error_code or response.status >= 300 or response.body is None or not _ETAG.search(bytes(response.body))
    )


def _copied(response: Any, operation: str, bucket: str, key: str) -> tuple[str, dict[str, str]]:
    """ETag and checksums of what was made."""
    if _failed(response):
        raise failure(response, operation, bucket, key)
    document = bytes(response.body)
    found = _ETAG.search(document)
    assert found is not None
    sums = {
        name.decode(): unescape(value.decode("latin-1"))
        for name, value in _CHECKSUM.findall(document)
        if name != b"Type"
    }
    return unescape(found[1].decode("utf-8", "replace"), {"&quot;": '"'}), sums
