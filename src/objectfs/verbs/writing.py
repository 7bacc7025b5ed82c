"""Verbs that store and delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, Unpack

from objectfs import arguments as check
from objectfs.backends.base import ReadableBuffer
from objectfs.backends.drive import Progress
from objectfs.backends.tagging import tagged
from objectfs.clientbase import Path
from objectfs.options import DeleteManyParams, DeleteParams, PutFileParams, PutManyParams, PutParams
from objectfs.streams import PutData, has_buffer, reader
from objectfs.types import OnError, PutResult
from objectfs.verbs.driving import Driver
from objectfs.verbs.manyjobs import put_many
from objectfs.verbs.resuming import resumed_put

__all__ = ["WriteVerbs"]

K = TypeVar("K", bound="str | tuple[str, str | None]")


class WriteVerbs(Driver):
    """Verbs of Client."""

    def put(
        self,
        bucket: str,
        key: str,
        data: PutData,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[PutParams],
    ) -> PutResult:
        """Store an object (PutObject; or where it is large CreateMultipartUpload, UploadPart,
        CompleteMultipartUpload).

        An upload that fails leaves no object and no pending upload (AbortMultipartUpload). Servers that are not AWS's
        are asked for the ``tags`` of large objects, and given those that they have lost (GetObjectTagging,
        PutObjectTagging).

        Args:
            data: bytes-like (borrowed: do not change it meanwhile); or a binary file object, or an iterable of
                bytes-like, which are sent in parts as they come, within a bounded memory.

        Returns:
            ETag, version, and the checksum that the server confirmed.

        Raises:
            BucketNotFoundError: there is no such bucket.
            AccessDeniedError: the credentials may not write it.
            PreconditionFailedError: the condition does not hold.
            ChecksumError: what arrived is not what was sent.
            InvalidRequestError: an option has a value that S3 does not take.
        """
        asked = check.put_options("PutParams", options)
        if has_buffer(data):
            return self._run(
                "PutObject",
                bucket,
                key,
                lambda backend: tagged(backend, bucket, key, asked, backend.put(bucket, key, data, asked)),
                timeout,
                progress,
                options=asked,
            )
        read = reader(data)
        return self._run(
            "PutObject",
            bucket,
            key,
            lambda backend: tagged(backend, bucket, key, asked, backend.put_stream(bucket, key, read, asked)),
            timeout,
            progress,
            options=asked,
        )

    def put_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[PutFileParams],
    ) -> PutResult:
        """As :meth:`put`, from a file.

        Args:
            path: of a file that can be read at any position: no pipe, which :meth:`put` takes as a file object.

        With ``resume=True`` it goes on where an earlier call stopped, in whatever process that was: parts that are
        there (ListParts), and are what the file holds, are not sent again. A failure then keeps the upload, unless it
        is one that the next call would meet again.

        Raises:
            LocalFileError: the file cannot be read; with ``resume=True`` also: its journal can be written nowhere.
            ObjectChangedError: it changed while it was sent; nothing has been stored.
        """
        name = check.text_path(path)
        asked = check.put_options("PutFileParams", options)
        return self._run(
            "PutObject",
            bucket,
            key,
            resumed_put(self._core, bucket, key, name, asked)
            if asked.resume
            else lambda backend: tagged(backend, bucket, key, asked, backend.put_file(bucket, key, name, asked)),
            timeout,
            progress,
            options=asked,
        )

    def put_many(
        self,
        bucket: str,
        items: Mapping[str, ReadableBuffer] | Iterable[tuple[str, ReadableBuffer]],
        *,
        on_error: OnError = "raise",
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[PutManyParams],
    ) -> dict[str, Any]:
        """Store many objects from memory (PutObject each; large ones as :meth:`put` does: CreateMultipartUpload,
        UploadPart, CompleteMultipartUpload); results by key.

        Args:
            items: what is bytes-like by its key (borrowed: do not change it meanwhile), or pairs of both: also a
                generator, whose data is taken as there is room for it, some 128 MiB at a time.
            on_error: ``raise`` the first failure and cancel the rest, or ``return`` each in its key's place.

        Returns:
            The PutResult of each upload by its key, or with ``on_error="return"`` the exception.

        Raises:
            PreconditionFailedError and others of :meth:`put`, unless they are returned: ``key`` says of which object;
            others may be stored.
            TypeError, InvalidRequestError: a pair is none, or a key comes twice.
        """
        asked = check.put_options("PutManyParams", options)
        return self._run(
            "PutObject",
            bucket,
            check.MANY,
            put_many(bucket, items, on_error, asked),
            timeout,
            progress,
            options=asked,
        )

    def delete(
        self,
        bucket: str,
        key: str,
        *,
        timeout: float | None = None,
        **options: Unpack[DeleteParams],
    ) -> None:
        """Delete an object (DeleteObject). One that does not exist is no error, as S3 has it.

        Raises:
            BucketNotFoundError: there is no such bucket.
            AccessDeniedError: the credentials may not delete it, or a lock holds it.
            PreconditionFailedError: a condition does not hold.
        """
        asked = check.delete_options("DeleteParams", options)
        self._run(
            "DeleteObject", bucket, key, lambda backend: backend.delete(bucket, key, asked), timeout, options=asked
        )

    def delete_many(
        self,
        bucket: str,
        keys: Iterable[K],
        *,
        timeout: float | None = None,
        **options: Unpack[DeleteManyParams],
    ) -> dict[K, Exception]:
        """Delete many objects, 1,000 with each request and a few requests at a time (DeleteObjects). The failures by
        key: empty if all went well.

        Keys that S3 was too busy for are asked for again, up to the client's ``max_attempts`` times.

        Args:
            keys: strings, or pairs ``(key, version_id)``; any iterable, such as a generator of a million names out of
                :meth:`list`, of which a few thousand are in memory at a time. A key with characters that XML cannot
                carry is deleted with a request of its own (DeleteObject).

        Raises:
            ObjectFSError: a request failed as a whole; what was deleted before it stays deleted.
        """
        items = (check.check_version_item(key, bucket) for key in check.several(keys, "keys"))
        asked = check.delete_options("DeleteManyParams", options)
        failures: Any = self._run(
            "DeleteObjects",
            bucket,
            check.MANY,
            lambda backend: backend.delete_many(bucket, items, asked),
            timeout,
            options=asked,
        )
        found: dict[K, Exception] = failures
        return found
