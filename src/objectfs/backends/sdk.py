"""The backend on the standard SDK: botocore, the client under boto3, on threads of ours, and no C of ours.

It is the fallback where the engine is not built, the baseline that the engine is measured against, and the
reference that it must agree with. boto3's transfer manager (s3transfer) is not used, neither ``classic`` nor
``crt``: docs/design/0004-sdk-backend.md has the experiments that say why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from objectfs import errors
from objectfs.backends import copying, deleting, sdk_copy
from objectfs.backends.base import (
    DeleteOptions,
    GetOptions,
    ListOptions,
    PutOptions,
    RangeRead,
    ReadableBuffer,
    Steps,
    StreamUpload,
)
from objectfs.backends.bell import Bell, QueueBell
from objectfs.backends.call_answer import received
from objectfs.backends.call_params import Body, check_names, choose_algorithm, content_member
from objectfs.backends.presign import Presigner
from objectfs.backends.sdk_listing import Deleter, list_page, list_versions_page
from objectfs.backends.sdk_read import Reader
from objectfs.backends.sdk_task import Task
from objectfs.backends.sdk_wire import Wire
from objectfs.backends.sdk_write import Writer, require_algorithm
from objectfs.backends.session import Session
from objectfs.config import Config
from objectfs.options import Options
from objectfs.types import (
    Buffer,
    ListPage,
    ObjectInfo,
    ObjectVersion,
    OnError,
    Prefix,
    PresignedPost,
    PresignedUrl,
    PutResult,
)

__all__ = ["SdkBackend"]


class SdkBackend:
    """:class:`~objectfs.backends.base.Backend` on botocore. The contract's docstrings are not repeated
    here."""

    name = "sdk"
    capabilities: frozenset[str] = frozenset()

    def __init__(self, session: Session, config: Config) -> None:
        from botocore.compat import HAS_CRT

        if HAS_CRT:
            self.capabilities = frozenset(("crc64nvme",))
        require_algorithm(config.checksum, "checksum")
        self._session = session
        self._presigner = Presigner(session)
        self._wire = Wire(session, config)
        self.connections = self._wire.connections
        self.part_size = self._wire.part_size
        self.budget = self._wire.budget
        self.traces = self._wire.meter.traces
        self._reader = Reader(self._wire)
        self._writer = Writer(self._wire)

    def __repr__(self) -> str:
        return "<SdkBackend>"

    # -- reading ---------------------------------------------------------------------------------------------
    def get(self, bucket: str, key: str, options: GetOptions) -> Steps[Buffer]:
        return self._reader.get(bucket, key, options)

    def get_into(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[int]:
        return self._reader.get_into(bucket, key, buffer, options)

    def get_file(self, bucket: str, key: str, path: str, options: GetOptions) -> Steps[ObjectInfo]:
        return self._reader.get_file(bucket, key, path, options)

    def get_many(self, bucket: str, keys: Sequence[str], on_error: OnError, options: GetOptions) -> Steps[list[Any]]:
        return self._reader.get_many(bucket, keys, on_error, options)

    def get_ranges(
        self, bucket: str, key: str, ranges: Sequence[tuple[int, int]], options: GetOptions
    ) -> Steps[list[Buffer]]:
        return self._reader.get_ranges(bucket, key, ranges, options)

    def part_of(self, buffer: Any, start: int, end: int) -> Buffer:
        part: Buffer = buffer.part(start, end)
        return part

    def read_range(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[RangeRead]:
        return self._reader.read_range(bucket, key, buffer, options)

    def head(self, bucket: str, key: str, options: GetOptions) -> Steps[ObjectInfo]:
        return self._reader.head(bucket, key, options)

    def list_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
        max_keys: int | None = None,
        options: ListOptions,
    ) -> Steps[ListPage[ObjectInfo | Prefix]]:
        return list_page(
            self._wire,
            bucket,
            {
                "Prefix": prefix or None,
                "Delimiter": delimiter,
                "StartAfter": start_after,
                "ContinuationToken": token,
                "MaxKeys": max_keys,
            },
            options,
        )

    def list_versions_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        token: tuple[str, str | None] | None = None,
        max_keys: int | None = None,
        options: ListOptions,
    ) -> Steps[ListPage[ObjectVersion | Prefix]]:
        key_marker, version_marker = token or (None, None)
        return list_versions_page(
            self._wire,
            bucket,
            {
                "Prefix": prefix or None,
                "Delimiter": delimiter,
                "KeyMarker": key_marker,
                "VersionIdMarker": version_marker,
                "MaxKeys": max_keys,
            },
            options,
        )

    # -- writing ---------------------------------------------------------------------------------------------
    def put(self, bucket: str, key: str, data: ReadableBuffer, options: PutOptions) -> Steps[PutResult]:
        return self._writer.put(bucket, key, data, options)

    def put_file(self, bucket: str, key: str, path: str, options: PutOptions) -> Steps[PutResult]:
        return self._writer.put_file(bucket, key, path, options)

    def put_stream(
        self, bucket: str, key: str, read: Callable[[int], ReadableBuffer], options: PutOptions
    ) -> Steps[PutResult]:
        return self._writer.put_stream(bucket, key, read, options)

    def upload(self, bucket: str, key: str, options: PutOptions) -> StreamUpload:
        return self._writer.upload(bucket, key, options)

    def put_many(
        self, bucket: str, items: Mapping[str, ReadableBuffer], options: PutOptions
    ) -> Steps[dict[str, PutResult]]:
        return self._writer.put_many(bucket, items, options)

    @property
    def custom_endpoint(self) -> bool:
        return self._session.custom_endpoint

    def copy(self, bucket: str, key: str, plan: copying.CopyPlan) -> Steps[PutResult]:
        return copying.copy(self, plan, bucket, key)

    def copy_object(
        self,
        bucket: str,
        key: str,
        source: copying.CopySource,
        headers: Mapping[str, str],
        options: PutOptions,
        size: int,
    ) -> Steps[PutResult]:
        return sdk_copy.copy_object(self._wire, bucket, key, source, headers, options, size)

    def copy_parts(
        self,
        bucket: str,
        key: str,
        source: copying.CopySource,
        etag: str | None,
        options: PutOptions,
        ranges: list[tuple[int, int]],
        window: int,
    ) -> Steps[PutResult]:
        return sdk_copy.copy_parts(self._wire, self._writer, bucket, key, source, etag, options, ranges, window)

    def delete(self, bucket: str, key: str, options: DeleteOptions) -> Steps[None]:
        params = {"Bucket": bucket, "Key": key}
        yield self._wire.start(lambda task: self._wire.call(task, "delete_object", params, options=options))

    def delete_many(
        self, bucket: str, items: Iterable[deleting.Item], options: DeleteOptions
    ) -> Steps[dict[deleting.Item, Exception]]:
        return deleting.delete_many(Deleter(self._wire), bucket, items, options)

    # -- everything else -------------------------------------------------------------------------------------
    def aside(self, work: Callable[[], None]) -> Steps[None]:
        yield self._wire.start(lambda task: work())

    def call(self, operation: str, params: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        from botocore import xform_name

        self._wire.check_usable()
        model = check_names(self._wire.service_model, operation, params)
        algorithm = choose_algorithm(model, params, self._wire.config.checksum)
        require_algorithm(algorithm, "ChecksumAlgorithm")
        others = dict(params)
        if algorithm is not None:
            others["ChecksumAlgorithm"] = algorithm
        body = None
        content = content_member(model)
        if content is not None and content in params:
            body = Body(others.pop(content))

        def run(task: Task) -> dict[str, Any]:
            try:
                result: dict[str, Any] = self._wire.call(
                    task,
                    xform_name(operation),
                    others,
                    use=lambda response: received(response, operation, params),
                    body=body.again if body is not None else None,
                    content=content or "Body",
                    model=operation,
                )
            except TypeError as error:  # botocore's: a bucket that is no text
                raise errors.InvalidRequestError(str(error), operation=operation) from None
            finally:
                if body is not None:
                    body.check()
            return result

        answer: dict[str, Any] = yield self._wire.start(run)
        return answer

    def presign(
        self, method: str, bucket: str, key: str, expires: int, params: Mapping[str, Any], options: Options
    ) -> PresignedUrl:
        self._wire.check_usable()
        return self._presigner.presign(method, bucket, key, expires, params, options)

    def presign_post(
        self, bucket: str, key: str, expires: int, fields: Mapping[str, str], conditions: Sequence[Any]
    ) -> PresignedPost:
        self._wire.check_usable()
        return self._presigner.presign_post(bucket, key, expires, fields, conditions)

    def bell(self) -> Bell:
        return QueueBell()

    def stats(self) -> dict[str, Any]:
        import botocore

        wire = self._wire
        return {
            "backend": self.name,
            "version": f"botocore {botocore.__version__}",
            **wire.counters,
            **wire.meter.counts.describe(),
            "checksum": wire.checksum_in_use,
            "checksum_reason": wire.checksum_reason,
            "part_size": wire.part_size,
            "max_connections": wire.connections,
            "memory_limit": wire.budget.limit,
            "budget": wire.budget.describe(),
            "max_attempts": wire.config.max_attempts,
            "connect_timeout": wire.config.connect_timeout,
            "read_timeout": wire.config.read_timeout,
            "cancel": "cuts the connection" if wire.cuttable else "waits for the server or the read timeout",
        }

    def close(self) -> None:
        self._wire.close()
