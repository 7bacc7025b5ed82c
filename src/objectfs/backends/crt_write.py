"""Writing verbs of the crt backend.

Memory is sent from where it lies: small bodies as one PutObject, large ones as UploadPart requests over slices of the
caller's buffer, in one batch between CreateMultipartUpload and CompleteMultipartUpload (0001-engine has the numbers
against the C library's own PUT_OBJECT, which copies each part into its pool first). Files go through the C library's
parallel reader.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import escape, unescape

from objectfs import _native, errors
from objectfs.backends.base import PutOptions, ReadableBuffer, Steps
from objectfs.backends.crt_errors import failure
from objectfs.types import PutResult

if TYPE_CHECKING:
    from objectfs.backends.crt import CrtBackend

    _Base = CrtBackend
else:
    _Base = object

__all__ = ["WriteVerbs"]

MiB = 1024 * 1024
MAX_PARTS = 10_000
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

STREAM_PARTS = 4
"""Parts of a stream that are on their way at once; each holds a buffer of one part."""

DELETE_BATCH = 1000
"""Keys in one DeleteObjects (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html)."""

_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
_ETAG = re.compile(rb"<ETag>([^<]+)</ETag>")


def _object_headers(options: PutOptions) -> dict[str, str]:
    """What describes the object, for PutObject and CreateMultipartUpload."""
    headers = dict(options.headers)
    if options.content_type is not None:
        headers["Content-Type"] = options.content_type
    if options.storage_class is not None:
        headers["x-amz-storage-class"] = options.storage_class
    for name, value in options.metadata.items():
        headers[f"x-amz-meta-{name}"] = value
    return headers


def _write_conditions(options: PutOptions) -> dict[str, str]:
    """What decides whether the object may appear, for PutObject and CompleteMultipartUpload."""
    headers = {}
    if options.if_match is not None:
        headers["If-Match"] = options.if_match
    if options.if_none_match is not None:
        headers["If-None-Match"] = options.if_none_match
    return headers


def _put_result(headers: Mapping[str, str], etag: str | None = None) -> PutResult:
    checksum = None
    for name, value in headers.items():
        if name.startswith("x-amz-checksum-") and name != "x-amz-checksum-type":
            checksum = (name[15:].upper(), value)
    return PutResult(
        etag=etag or headers.get("etag"),
        version_id=headers.get("x-amz-version-id"),
        checksum=checksum,
        headers=headers,
    )


def _bytes_view(data: ReadableBuffer) -> memoryview:
    view = memoryview(data)
    if not view.c_contiguous:
        raise ValueError("the data is not C-contiguous")
    return view.cast("B") if view.nbytes else memoryview(b"")


class WriteVerbs(_Base):
    """Mixed into CrtBackend."""

    def _put_request(self, target: Any, key: str, common: Any, view: memoryview, algorithm: str | None) -> Any:
        length = _native.Headers([(b"Content-Length", str(len(view)).encode())])
        return _native.Request(
            b"PutObject", b"PUT", target.path(key), target.native, common, length, body=view, checksum=algorithm
        )

    def put(self, bucket: str, key: str, data: ReadableBuffer, options: PutOptions) -> Steps[PutResult]:
        view = _bytes_view(data)
        if len(view) <= 2 * self.part_size:
            return (yield from self.checksums.upload(lambda a: self._put_once(bucket, key, view, options, a)))
        return (yield from self.checksums.upload(lambda a: self._put_parts(bucket, key, view, options, a)))

    def _put_once(
        self, bucket: str, key: str, view: memoryview, options: PutOptions, algorithm: str | None
    ) -> Steps[PutResult]:
        target = self.target(bucket)
        common = target.headers(_object_headers(options), _write_conditions(options))
        (response,) = yield target.engine.start([self._put_request(target, key, common, view, algorithm)])
        if response.error_code or response.status >= 300:
            raise failure(response, "PutObject", bucket, key)
        return _put_result(response.headers)

    def _put_parts(
        self, bucket: str, key: str, view: memoryview, options: PutOptions, algorithm: str | None
    ) -> Steps[PutResult]:
        size = max(self.part_size, -(-len(view) // MAX_PARTS))
        upload = _Upload(self, bucket, key, options, algorithm)
        yield from upload.create()
        try:
            requests = [
                upload.part_request(number, view[offset : offset + size])
                for number, offset in enumerate(range(0, len(view), size), start=1)
            ]
            engine = self.target(bucket).engine
            responses = yield engine.start(requests, window=self.large_connections, stop_on_error=True)
            upload.collect(responses)
            return (yield from upload.complete())
        except BaseException:
            yield from upload.abort()
            raise

    def put_file(self, bucket: str, key: str, path: str, options: PutOptions) -> Steps[PutResult]:
        where: dict[str, Any] = {"operation": "PutObject", "bucket": bucket, "key": key}
        try:
            with open(path, "rb", buffering=0) as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    return (yield from self.put_stream(bucket, key, file.read, options))
                if before.st_size <= 2 * self.part_size:
                    # read first: what is sent is then consistent, and its checksum that of the file
                    data = _read_exactly(file, before.st_size)
                    after = os.fstat(file.fileno())
                    if len(data) != before.st_size or _stamp(after) != _stamp(before):
                        raise errors.ObjectChangedError(f"the file changed while it was read: {path}", **where)
                    return (yield from self.put(bucket, key, data, options))
            return (
                yield from self.checksums.upload(
                    lambda a: self._put_large_file(bucket, key, path, _stamp(before), options, a)
                )
            )
        except OSError as error:
            if isinstance(error, errors.ObjectFSError):
                raise
            raise errors.LocalFileError.from_oserror(error, **where) from None

    def _put_large_file(
        self, bucket: str, key: str, path: str, stamp: tuple[int, int], options: PutOptions, algorithm: str | None
    ) -> Steps[PutResult]:
        target = self.target(bucket)
        headers = {"Content-Length": str(stamp[0]), **_object_headers(options), **_write_conditions(options)}
        request = _native.Request(
            b"PutObject", b"PUT", target.path(key), target.native, target.headers(headers),
            send_path=os.fsencode(path), send_stat=stamp, checksum=algorithm, max_connections=self.large_connections,
        )
        (response,) = yield target.engine.start([request])
        if response.error_code or response.status >= 300:
            error = failure(response, "PutObject", bucket, key)
            if isinstance(error, errors.LocalFileError):
                os.stat(path)  # the usual cause, with its own name: it vanished
            raise error
        return _put_result(response.headers)

    def put_stream(
        self, bucket: str, key: str, read: Callable[[int], ReadableBuffer], options: PutOptions
    ) -> Steps[PutResult]:
        first, ended = _read_part(read, bytearray(self.part_size))
        if ended:
            return (yield from self.put(bucket, key, first, options))
        return (yield from self.checksums.upload(lambda a: self._put_stream_parts(bucket, key, first, read, options, a)))

    def _put_stream_parts(
        self, bucket: str, key: str, first: memoryview, read: Callable[[int], ReadableBuffer], options: PutOptions,
        algorithm: str | None,
    ) -> Steps[PutResult]:
        upload = _Upload(self, bucket, key, options, algorithm)
        yield from upload.create()
        running: deque[tuple[Any, memoryview]] = deque()
        number, part, ended, size = 1, first, False, self.part_size
        try:
            engine = self.target(bucket).engine
            while len(part):
                if number > MAX_PARTS:
                    raise errors.InvalidRequestError(
                        f"the stream is longer than {MAX_PARTS} parts of {size} bytes", operation="UploadPart",
                        bucket=bucket, key=key, hint="Set a larger part_size=",
                    )
                running.append((engine.start([upload.part_request(number, part)]), part))
                number += 1
                if ended:
                    break
                spare = bytearray(size)
                if len(running) >= STREAM_PARTS:
                    op, done = running.popleft()
                    upload.collect((yield op))
                    if len(done) == size and done.obj is not first.obj:
                        spare = done.obj  # type: ignore[assignment]
                part, ended = _read_part(read, spare)
            while running:
                op, _ = running.popleft()
                upload.collect((yield op))
            return (yield from upload.complete())
        except BaseException:
            for op, _ in running:
                op.cancel()
            for op, _ in running:
                yield op
            yield from upload.abort()
            raise

    def put_many(
        self, bucket: str, items: Mapping[str, ReadableBuffer], options: PutOptions
    ) -> Steps[dict[str, PutResult]]:
        views = {key: _bytes_view(data) for key, data in items.items()}
        small = [key for key, view in views.items() if len(view) <= 2 * self.part_size]
        results: dict[str, PutResult] = {}
        if small and not self.checksums.settled:  # let one find out what the endpoint takes
            key = small.pop(0)
            results[key] = yield from self.put(bucket, key, views[key], options)
        if small:
            target = self.target(bucket)
            common = target.headers(_object_headers(options), _write_conditions(options))
            algorithm = self.checksums.algorithm
            requests = [self._put_request(target, key, common, views[key], algorithm) for key in small]
            responses = yield target.engine.start(requests, window=self.window, stop_on_error=True)
            for key, response in _cause_first(small, responses):
                if response.error_code or response.status >= 300:
                    raise failure(response, "PutObject", bucket, key)
                results[key] = _put_result(response.headers)
        for key in views:
            if key not in results:
                results[key] = yield from self.put(bucket, key, views[key], options)
        return {key: results[key] for key in views}

    def delete(self, bucket: str, key: str, version_id: str | None = None) -> Steps[None]:
        target = self.target(bucket)
        query = "" if version_id is None else f"versionId={quote(version_id, safe='')}"
        request = _native.Request(b"DeleteObject", b"DELETE", target.path(key, query), target.native, target.headers())
        (response,) = yield target.engine.start([request])
        if response.error_code or response.status >= 300:
            raise failure(response, "DeleteObject", bucket, key)

    def delete_many(self, bucket: str, keys: Iterable[str]) -> Steps[dict[str, Exception]]:
        failures: dict[str, Exception] = {}
        remaining = iter(keys)
        while batch := list(islice(remaining, DELETE_BATCH)):
            target = self.target(bucket)
            entries = "".join(f"<Object><Key>{_xml(key)}</Key></Object>" for key in batch)
            body = f'<Delete xmlns="{_XMLNS}"><Quiet>true</Quiet>{entries}</Delete>'.encode()
            # S3 wants a digest here; Content-MD5 is the one that every server takes
            digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")
            headers = target.headers(
                {"Content-MD5": digest, "Content-Type": "application/xml", "Content-Length": str(len(body))}
            )
            request = _native.Request(
                b"DeleteObjects", b"POST", target.path(None, "delete="), target.native, headers, body=body
            )
            (response,) = yield target.engine.start([request])
            if response.error_code or response.status >= 300:
                raise failure(response, "DeleteObjects", bucket, None)
            failures.update(_delete_failures(bucket, bytes(response.body or b"")))
        return failures


class _Upload:
    """One multipart upload: create, parts, complete or abort."""

    def __init__(
        self, backend: CrtBackend, bucket: str, key: str, options: PutOptions, algorithm: str | None
    ) -> None:
        self.backend, self.bucket, self.key, self.options, self.algorithm = backend, bucket, key, options, algorithm
        self.id = ""
        self.etags: list[str] = []

    def _start(self, operation: str, method: str, query: str, headers: Mapping[str, str], body: bytes | None) -> Any:
        target = self.backend.target(self.bucket)
        length = {"Content-Length": str(len(body or b""))} if method != "DELETE" else {}
        request = _native.Request(
            operation.encode(), method.encode(), target.path(self.key, query), target.native,
            target.headers(headers, length), body=body or None,
        )
        return target.engine.start([request])

    def create(self) -> Steps[None]:
        headers = _object_headers(self.options)
        if self.algorithm is not None:
            headers["x-amz-checksum-algorithm"] = self.algorithm
            if self.algorithm.startswith("CRC"):
                headers["x-amz-checksum-type"] = "FULL_OBJECT"
        (response,) = yield self._start("CreateMultipartUpload", "POST", "uploads=", headers, None)
        if response.error_code or response.status >= 300:
            raise failure(response, "CreateMultipartUpload", self.bucket, self.key)
        found = _UPLOAD_ID.search(bytes(response.body or b""))
        if found is None:
            raise errors.TruncatedError(
                "the answer names no upload", operation="CreateMultipartUpload", bucket=self.bucket, key=self.key
            )
        self.id = quote(unescape(found[1].decode()), safe="-_.~")

    def part_request(self, number: int, view: memoryview) -> Any:
        target = self.backend.target(self.bucket)
        return _native.Request(
            b"UploadPart", b"PUT", target.path(self.key, f"partNumber={number}&uploadId={self.id}"), target.native,
            target.headers({"Content-Length": str(len(view))}), body=view, checksum=self.algorithm,
        )

    def collect(self, responses: Iterable[Any]) -> None:
        """Note the parts' ETags, or raise the first cause of a failure."""
        for _, response in _cause_first(None, list(responses)):
            if response.error_code or response.status >= 300:
                raise failure(response, "UploadPart", self.bucket, self.key)
            self.etags.append(response.headers.get("etag", ""))

    def complete(self) -> Steps[PutResult]:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{_xml(etag)}</ETag></Part>"
            for number, etag in enumerate(self.etags, start=1)
        )
        body = f'<CompleteMultipartUpload xmlns="{_XMLNS}">{parts}</CompleteMultipartUpload>'.encode()
        headers = {"Content-Type": "application/xml", **_write_conditions(self.options)}
        op = self._start("CompleteMultipartUpload", "POST", f"uploadId={self.id}", headers, body)
        (response,) = yield op
        if response.error_code or response.status >= 300:
            raise failure(response, "CompleteMultipartUpload", self.bucket, self.key)
        found = _ETAG.search(bytes(response.body or b""))
        if found is None:  # status 200 and not the document: the object is not there for sure
            raise failure(response, "CompleteMultipartUpload", self.bucket, self.key)
        return _put_result(response.headers, unescape(found[1].decode(), {"&quot;": '"'}))

    def abort(self) -> Steps[None]:
        """Leave no pending parts. Its own failure is not raised: the error that led here says more."""
        if self.id:
            yield self._start("AbortMultipartUpload", "DELETE", f"uploadId={self.id}", {}, None)


_XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"


def _xml(text: str) -> str:
    # carriage returns would be read as newlines (XML 1.0, 2.11)
    return escape(text, {"\r": "&#13;", "\n": "&#10;"})


def _cause_first(keys: list[str] | None, responses: list[Any]) -> list[tuple[Any, Any]]:
    """Pairs of key and response; what was only cancelled because another failed comes last."""
    pairs = list(zip(keys if keys is not None else responses, responses, strict=True))
    if any(response.error_code for response in responses):
        pairs.sort(key=lambda pair: (not pair[1].error_code, pair[1].error == "AWS_ERROR_S3_CANCELED"))
    return pairs


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns if os.name != "nt" else int(status.st_mtime) * 10**9


def _read_exactly(file: Any, size: int) -> bytes:
    data = bytearray()
    while len(data) <= size:  # one byte more than expected shows that it grew
        chunk = file.read(size + 1 - len(data))
        if not chunk:
            break
        data += chunk
    return bytes(data)


def _read_part(read: Callable[[int], ReadableBuffer], buffer: bytearray) -> tuple[memoryview, bool]:
    """Fill the buffer from the stream: what was read, and whether the stream has ended."""
    view = memoryview(buffer)
    filled = 0
    while filled < len(buffer):
        chunk = read(len(buffer) - filled)
        if chunk is None:
            raise errors.InvalidRequestError("the stream is in non-blocking mode: it gave None instead of bytes")
        data = memoryview(chunk).cast("B") if len(chunk) else b""
        if not len(data):
            return view[:filled], True
        if len(data) > len(buffer) - filled:
            raise errors.InvalidRequestError("the stream gave more bytes than it was asked for")
        view[filled : filled + len(data)] = data
        filled += len(data)
    return view, False


def _delete_failures(bucket: str, body: bytes) -> dict[str, Exception]:
    if b"<Error>" not in body:
        return {}
    import xml.etree.ElementTree as ElementTree

    failures: dict[str, Exception] = {}
    for element in ElementTree.fromstring(body):
        if element.tag.rpartition("}")[2] == "Error":
            fields = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
            key = fields.get("Key", "")
            failures[key] = errors.from_response(
                "DeleteObjects", status=200, code=fields.get("Code"), message=fields.get("Message"), bucket=bucket,
                key=key,
            )
    return failures
