"""Streams to the crt backend: the multipart verbs, a part at a time."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import quote, unquote

from objectfs.backends.base import Op, PutOptions, ReadableBuffer, SentPart, Steps
from objectfs.backends.crt_base import CrtBase
from objectfs.backends.crt_steps import following
from objectfs.backends.crt_upload import Upload
from objectfs.backends.streaming import StreamBase
from objectfs.types import PutResult

__all__ = ["CrtStream"]


class _Puts(Protocol):
    def put(self, bucket: str, key: str, data: ReadableBuffer, options: PutOptions) -> Steps[PutResult]: ...


class CrtStream(StreamBase):
    """:class:`~objectfs.backends.base.StreamUpload` of the crt backend."""

    def __init__(self, backend: CrtBase, verbs: _Puts, bucket: str, key: str, options: PutOptions) -> None:
        smaller = backend.config.part_size is None
        super().__init__(bucket, key, options, backend.budget, backend.part_size, backend.connections, smaller)
        self._backend = backend
        self._verbs = verbs
        self._upload: Upload | None = None

    def single(self, data: memoryview) -> Steps[PutResult]:
        return self._verbs.put(self.bucket, self.key, data, self.options)

    def begin(self, first: memoryview) -> Steps[Op[Any] | None]:
        # What has been taken cannot be had again, should the checksum be refused: until an endpoint has taken one, the
        # first part is waited for.
        op: Op[Any] | None = yield from self._backend.policy(self.options).upload(
            lambda a: following(self._backend, self.bucket, lambda: self._attempt(first, a))
        )
        return op

    def _attempt(self, first: memoryview, algorithm: str | None) -> Steps[Op[Any] | None]:
        upload = Upload(self._backend, self.bucket, self.key, self.options, algorithm)
        self.pending = self._upload = upload
        try:
            yield from upload.create()
            if self.created is not None:
                self.created(unquote(upload.id), algorithm)
            op: Op[Any] = upload.start_parts([upload.part_request(1, first)])
            if self._backend.policy(self.options).settled:
                return op
            upload.collect((yield op))
            upload.parts.remove(op)
            return None
        except BaseException as error:
            yield from upload.give_up(error)
            raise

    def start(self, number: int, part: memoryview) -> Op[Any]:
        assert self._upload is not None
        op: Op[Any] = self._upload.start_parts([self._upload.part_request(number, part)])
        return op

    def sent(self, answer: Any) -> None:
        assert self._upload is not None
        self._upload.collect(answer)

    def adopt(self, upload_id: str, algorithm: str | None) -> Steps[None]:
        yield from self._backend.ready(self.bucket)
        self.pending = self._upload = Upload(self._backend, self.bucket, self.key, self.options, algorithm)
        self._upload.adopt(quote(upload_id, safe="-_.~"))

    def known(self, part: SentPart) -> None:
        assert self._upload is not None
        self._upload.etags.append(part.etag)
        self._upload.checksums.append(part.checksums.get(self._upload.algorithm or ""))

    def finish(self) -> Steps[PutResult]:
        assert self._upload is not None
        return (yield from self._upload.complete())
