"""Copies at the server with the sdk backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from objectfs import errors
from objectfs.backends import answers, copying
from objectfs.backends.base import PutOptions, Steps
from objectfs.backends.copying import CopySource
from objectfs.backends.sdk_task import Task
from objectfs.backends.sdk_wire import Wire, answer_headers
from objectfs.backends.sdk_write import Writer
from objectfs.options import Options
from objectfs.types import PutResult

__all__ = ["copy_object", "copy_parts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent(Options):
    """These headers and no others."""

    def sent(self, operation: str) -> dict[str, str]:
        return dict(self.headers)


def copy_object(
    wire: Wire, bucket: str, key: str, source: CopySource, headers: Mapping[str, str], options: PutOptions, size: int
) -> Steps[PutResult]:
    params = {"Bucket": bucket, "Key": key, **_named(source), **_algorithm(options)}
    sent = _Sent(
        headers={**options.sent("CreateMultipartUpload"), **options.sent("CompleteMultipartUpload"), **headers}
    )

    def run(task: Task) -> PutResult:
        response = wire.call(task, "copy_object", params, options=sent)
        copied = _copied(response.get("CopyObjectResult", {}), "CopyObject", bucket, key)
        task.at(size)
        sums = {
            f"x-amz-checksum-{name[8:].lower()}": value
            for name, value in copied.items()
            if name.startswith("Checksum") and name != "ChecksumType"
        }
        return answers.put_result({**answer_headers(response), **sums}, copied["ETag"])

    result: PutResult = yield wire.start(run)
    return result


def copy_parts(
    wire: Wire,
    writer: Writer,
    bucket: str,
    key: str,
    source: CopySource,
    etag: str | None,
    options: PutOptions,
    ranges: list[tuple[int, int]],
    window: int,
) -> Steps[PutResult]:
    sent = _Sent(headers={**options.sent("UploadPart"), **source.headers(etag)})
    named = _named(source)

    def part(upload: Mapping[str, Any], number: int, start: int, end: int) -> Callable[[Task], dict[str, Any]]:
        params = {**upload, **named, "PartNumber": number, "CopySourceRange": f"bytes={start}-{end - 1}"}

        def run(task: Task) -> dict[str, Any]:
            try:
                response = wire.call(task, "upload_part_copy", params, options=sent)
            except errors.ObjectFSError as error:
                raise copying.changed_part(error, source) from None
            copied = _copied(response.get("CopyPartResult", {}), "UploadPartCopy", bucket, key)
            task.at(end - start)
            sums = {name: value for name, value in copied.items() if name.startswith("Checksum")}
            return {"PartNumber": number, "ETag": copied["ETag"], **sums}

        return run

    return (yield from writer.multipart_copy(bucket, key, options, _algorithm(options), part, ranges, window))


def _algorithm(options: PutOptions) -> dict[str, str]:
    return {} if options.checksum in (None, "auto", "off") else {"ChecksumAlgorithm": str(options.checksum)}


def _named(source: CopySource) -> dict[str, Any]:
    version = {} if source.version_id is None else {"VersionId": source.version_id}
    return {"CopySource": {"Bucket": source.bucket, "Key": source.key, **version}}


def _copied(result: Mapping[str, Any], operation: str, bucket: str, key: str) -> Mapping[str, Any]:
    if not result.get("ETag"):
        raise errors.ServerError(
            "the answer to a copy names no ETag", operation=operation, bucket=bucket, key=key, status=200
        )
    return result
