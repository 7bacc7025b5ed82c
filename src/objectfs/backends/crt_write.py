"""Writing verbs of the crt backend.

Memory is sent from where it lies: small bodies as one PutObject, large ones as UploadPart requests over slices of the
caller's buffer, in one batch between CreateMultipartUpload and CompleteMultipartUpload (0001-engine has the numbers
against the C library's own PUT_OBJECT, which copies each part into its pool first). So are files of local file systems
(``native/source.c``); others go through the C library's parallel reader.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from objectfs import _native, errors
from objectfs.backends.answers import put_result
from objectfs.backends.base import PutOptions, ReadableBuffer, Steps, StreamUpload
from objectfs.backends.copying import counted
from objectfs.backends.crt_answers import refused
from objectfs.backends.crt_base import CrtBase
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_get_file import file_blocks
from objectfs.backends.crt_steps import all_of, followed, one
from objectfs.backends.crt_stream import CrtStream
from objectfs.backends.crt_trailer import TrailersNotTaken, confirmed, not_taken
from objectfs.backends.crt_upload import FileUpload, Upload, cause_first
from objectfs.backends.digests import of_parts
from objectfs.backends.memory import readable_view
from objectfs.backends.parts import whole_part_size
from objectfs.backends.streaming import put_stream
from objectfs.options import CONDITIONS
from objectfs.types import PutResult

__all__ = ["WriteVerbs"]


class WriteVerbs(CrtBase):
    """Verbs of CrtBackend."""

    def _put_request(self, target: Any, key: str, common: Any, view: memoryview, algorithm: str | None) -> Any:
        length = _native.Headers([(b"Content-Length", str(len(view)).encode())])
        return _native.Request(
            b"PutObject",
            b"PUT",
            target.path(key),
            target.native,
            common,
            length,
            body=view,
            checksum=algorithm,
        )

    def put(self, bucket: str, key: str, data: ReadableBuffer, options: PutOptions) -> Steps[PutResult]:
        view = readable_view(data)
        send = self._put_once if len(view) <= 2 * self.part_size else self._put_parts
        try:
            yield from self.expect(options.expected, lambda: (view,), len(view), "PutObject", bucket, key)
            return (yield from self.policy(options).upload(lambda a: send(bucket, key, view, options, a)))
        finally:
            # an exception's traceback would keep the caller's memory exported; what still runs keeps its own hold
            with contextlib.suppress(BufferError):
                view.release()

    @followed
    def _put_once(
        self, bucket: str, key: str, view: memoryview, options: PutOptions, algorithm: str | None
    ) -> Steps[PutResult]:
        target = self.target(bucket)
        common = target.headers(options.sent("PutObject"))
        response = yield from one(target.engine.start([self._put_request(target, key, common, view, algorithm)]))
        if refused(response):
            raise failure(response, "PutObject", bucket, key)
        return put_result(response.headers)

    @followed
    def _put_parts(
        self,
        bucket: str,
        key: str,
        view: memoryview,
        options: PutOptions,
        algorithm: str | None,
        check: Callable[[], None] | None = None,
    ) -> Steps[PutResult]:
        """``check``, of a file: raises what is wrong with the content once all parts are sent, or one has failed."""
        if check is None:  # a file is read for its checksum anyway, and sent from the page cache
            with contextlib.suppress(TrailersNotTaken):
                return (yield from self._send_parts(bucket, key, view, options, algorithm, in_trailers=True))
        return (yield from self._send_parts(bucket, key, view, options, algorithm, check))

    def _send_parts(
        self,
        bucket: str,
        key: str,
        view: memoryview,
        options: PutOptions,
        algorithm: str | None,
        check: Callable[[], None] | None = None,
        *,
        in_trailers: bool = False,
    ) -> Steps[PutResult]:
        """``in_trailers``: checksums may go behind the content, see ``crt_trailer.py``."""
        size = whole_part_size(len(view), self.part_size)
        upload = Upload(self, bucket, key, options, algorithm)
        try:
            yield from upload.create()
            with self.target(bucket).engine.paces.upload(len(view)) as plan:
                offsets = range(0, len(view), size)
                behind = in_trailers and upload.target.trailers.taken(algorithm, size)
                asking = None
                if in_trailers and upload.target.trailers.due(upload.server, algorithm, size):
                    asking = upload.start_parts([upload.part_request(1, view[:size], trailer=True)])
                    offsets = offsets[1:]
                requests = [
                    upload.part_request(offset // size + 1, view[offset : offset + size], trailer=behind)
                    for offset in offsets
                ]
                op = upload.start_parts(requests, window=plan.connections, fixed=True, stop_on_error=True)
                responses = yield from all_of(op)
                if asking is not None and not any(response.error_code for response in responses):
                    answer = yield from one(asking)
                    if self._has_not_taken(upload, answer, size):
                        plan.size = 0
                        again = upload.start_parts([upload.part_request(1, view[:size])])
                        answer = yield from counted(one(again), 0)
                    responses.insert(0, answer)
                if any(response.error_code for response in responses):
                    plan.size = 0  # tells nothing
            if check is not None:
                check()
            upload.collect(responses)
            return (yield from upload.complete())
        except BaseException as error:
            yield from upload.give_up(error)
            raise

    def _has_not_taken(self, upload: Upload, answer: Any, size: int) -> bool:
        """Whether the server does not take trailers, by its answer to the part that was sent with one to see that."""
        trailers, algorithm = upload.target.trailers, upload.algorithm or ""
        if not answer.behind:
            return False
        if confirmed(answer, algorithm):
            trailers.take(algorithm, size)
        elif not_taken(answer, algorithm, upload.bucket, upload.key):
            trailers.refuse(algorithm)
            return True
        return False  # or it has failed as any part may

    def put_file(self, bucket: str, key: str, path: str, options: PutOptions) -> Steps[PutResult]:
        where: dict[str, Any] = {"operation": "PutObject", "bucket": bucket, "key": key}
        try:
            with open(path, "rb", buffering=0) as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    return (yield from self.put_stream(bucket, key, file.read, options))
                if before.st_size <= 2 * self.part_size:
                    return (
                        yield from self.budget.lend(
                            "files",
                            before.st_size,
                            lambda lease: self._put_small_file(bucket, key, path, file, before, options),
                        )
                    )
            # twice through the file, which is then in memory; that it stays the same, the end of the upload sees
            size = before.st_size
            yield from self.expect(options.expected, lambda: file_blocks(path), size, "PutObject", bucket, key)
            return (
                yield from self.policy(options).upload(
                    lambda a: self._put_large_file(bucket, key, path, _stamp(before), options, a)
                )
            )
        except errors.ObjectFSError:
            raise
        except OSError as error:
            raise errors.LocalFileError.from_oserror(error, **where) from None

    def _put_small_file(
        self, bucket: str, key: str, path: str, file: Any, before: os.stat_result, options: PutOptions
    ) -> Steps[PutResult]:
        # read first: what is sent is then consistent, and its checksum that of the file
        data = _read_exactly(file, before.st_size)
        after = os.fstat(file.fileno())
        if len(data) != before.st_size or _stamp(after) != _stamp(before):
            raise errors.ObjectChangedError(
                f"the file changed while it was read: {path}", operation="PutObject", bucket=bucket, key=key
            )
        return (yield from self.put(bucket, key, data, options))

    def _put_large_file(
        self,
        bucket: str,
        key: str,
        path: str,
        stamp: tuple[int, int],
        options: PutOptions,
        algorithm: str | None,
    ) -> Steps[PutResult]:
        source = None
        if stamp[0] <= sys.maxsize:  # else there are no addresses for it
            with open(path, "rb", buffering=0) as file:
                source = _native.file_source(file.fileno(), stamp[0])
        if source is None:
            return (yield from self._put_by_reader(bucket, key, path, stamp, options, algorithm))

        def check() -> None:
            code = source.error if source is not None else 0
            if _stamp_of(path) != stamp or code == errno.ENODATA:
                raise errors.ObjectChangedError(
                    "the file changed while it was sent; nothing was stored",
                    operation="UploadPart",
                    bucket=bucket,
                    key=key,
                )
            if code:
                raise OSError(code, os.strerror(code), path)

        view = memoryview(source)
        try:
            return (yield from self._put_parts(bucket, key, view, options, algorithm, check))
        finally:
            # an exception's traceback would keep the file open; what is still sent has its own hold
            with contextlib.suppress(BufferError):
                view.release()
            source = None

    @followed
    def _put_by_reader(
        self,
        bucket: str,
        key: str,
        path: str,
        stamp: tuple[int, int],
        options: PutOptions,
        algorithm: str | None,
    ) -> Steps[PutResult]:
        """By the C library's parallel reader: where a file cannot be sent from the page cache."""
        target = self.target(bucket)
        headers = {"Content-Length": str(stamp[0]), **options.sent("PutObject")}
        with target.engine.paces.upload(stamp[0]) as plan:
            request = _native.Request(
                b"PutObject",
                b"PUT",
                target.path(key),
                target.native,
                target.headers(headers),
                send_path=os.fsencode(path),
                send_stat=stamp,
                checksum=algorithm,
                max_connections=plan.connections,
                shielded=True,
            )
            upload = FileUpload(self, bucket, key)
            try:
                upload.begin(partial(target.engine.start, [request], into=upload.parts))
                (response,) = yield upload.parts[0]
                upload.completed()
            except BaseException as cause:
                yield from upload.give_up(cause)
                raise
            if response.error_code:
                plan.size = 0  # tells nothing
        if refused(response):
            error = failure(response, "PutObject", bucket, key)
            if isinstance(error, errors.LocalFileError):
                with open(path, "rb"):  # the usual causes, with their names: it vanished, or may not be read any more
                    pass
            raise error
        if not response.headers.get("etag"):
            yield from self._must_be_there(bucket, key, stamp[0], options, response)
        found = of_parts(algorithm, response.parts) if algorithm is not None and response.parts else None
        told = {} if found is None else {f"x-amz-checksum-{str(algorithm).lower()}": found}
        return put_result({**response.headers, **told})

    def _must_be_there(self, bucket: str, key: str, size: int, options: PutOptions, completed: Any) -> Steps[None]:
        """The C library takes any document for the answer to CompleteMultipartUpload, and keeps only its ETag. Where
        that is missing the server is Ceph, which answers with an empty one, or it has answered something else."""
        target = self.target(bucket)
        headers = target.headers(options.without(CONDITIONS).sent("HeadObject"))
        request = _native.Request(b"HeadObject", b"HEAD", target.path(key), target.native, headers)
        found = yield from one(target.engine.start([request]))
        if found.error_code or found.status >= 300 or found.header(b"content-length") != str(size).encode():
            raise errors.from_response(
                "CompleteMultipartUpload",
                status=completed.status,
                message="the server's answer cannot be read",
                bucket=bucket,
                key=key,
                headers=completed.headers,
            )

    def put_stream(
        self, bucket: str, key: str, read: Callable[[int], ReadableBuffer], options: PutOptions
    ) -> Steps[PutResult]:
        return put_stream(self.upload(bucket, key, options), read)

    def upload(self, bucket: str, key: str, options: PutOptions) -> StreamUpload:
        return CrtStream(self, self, bucket, key, options)

    @followed
    def put_many(
        self, bucket: str, items: Mapping[str, ReadableBuffer], options: PutOptions
    ) -> Steps[dict[str, PutResult]]:
        views = {key: readable_view(data) for key, data in items.items()}
        small = [key for key, view in views.items() if len(view) <= 2 * self.part_size]
        results: dict[str, PutResult] = {}
        policy = self.policy(options)
        if small and not policy.settled:  # let one find out what the endpoint takes
            key = small.pop(0)
            results[key] = yield from self.put(bucket, key, views[key], options)
        if small:
            target = self.target(bucket)
            common = target.headers(options.sent("PutObject"))
            algorithm = policy.algorithm
            requests = [self._put_request(target, key, common, views[key], algorithm) for key in small]
            responses = yield from all_of(target.engine.start(requests, window=self.window, stop_on_error=True))
            for key, response in cause_first(small, responses):
                if refused(response):
                    raise failure(response, "PutObject", bucket, key)
                results[key] = put_result(response.headers)
        for key in views:
            if key not in results:
                results[key] = yield from self.put(bucket, key, views[key], options)
        return {key: results[key] for key in views}


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns if os.name != "nt" else int(status.st_mtime) * 10**9


def _stamp_of(path: str) -> tuple[int, int] | None:
    try:
        return _stamp(os.stat(path))
    except OSError:
        return None


def _read_exactly(file: Any, size: int) -> bytes:
    data = bytearray()
    while len(data) <= size:  # one byte more than expected shows that it grew
        chunk = file.read(size + 1 - len(data))
        if not chunk:
            break
        data += chunk
    return bytes(data)
