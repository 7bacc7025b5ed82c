"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from objectfs import arguments as check
from objectfs.backends.base import GetOptions, ReadableBuffer, Steps
from objectfs.backends.drive import Progress
from objectfs.clientbase import Path
from objectfs.errors import NotFoundError
from objectfs.listing import Listing
from objectfs.streams import PutData, has_buffer, reader
from objectfs.transfer.opening import OpenVerbs
from objectfs.types import Buffer, ListPage, ObjectInfo, OnError, Prefix, PutResult
from objectfs.verbs.versions import VersionVerbs

__all__ = ["Client"]


class Client(OpenVerbs, VersionVerbs):
    """Moves objects between an S3 service and this program. May be used from any number of threads.

    Every keyword may also be set as ``OBJECTFS_<NAME>`` in the environment or in the config file
    (see :mod:`objectfs.config`); an argument that is None is taken from there, then from AWS's own variables
    and files. Sizes are bytes, or text such as ``"256 MiB"``; times are seconds.

    Args:
        backend: ``auto`` (the engine if it is built, else boto3), ``crt`` or ``sdk``; by name there is no
            fallback.
        endpoint_url: ``https://host[:port]`` of a service that is not AWS.
        region: of the bucket; requests are signed for it.
        profile: a section ``[profiles.<name>]`` of the config file, or a profile of AWS's files.
        access_key_id, secret_access_key, session_token: credentials; without them botocore finds and
            refreshes them.
        anonymous: send requests unsigned.
        addressing_style: ``auto`` (path with an endpoint_url, else virtual hosts), ``path`` or ``virtual``.
        verify: of TLS certificates: True, False, or the path of a CA bundle.
        part_size: of multipart transfers and parallel ranges.
        max_connections: at most so many at a time, whatever runs on this client.
        memory_limit: for buffers of data in flight.
        throughput_gbps: what the engine plans its connections for.
        max_attempts: tries of each request, the first included.
        connect_timeout, read_timeout: of one connection; ``timeout=`` of a verb bounds the whole verb.
        checksum: ``auto`` (what the endpoint takes), ``off``, or an algorithm (``CRC64NVME``, ``CRC32``, …).

    Raises:
        ConfigError: a setting is unknown or cannot be; says which, from where, and what is allowed.
        BackendUnavailableError: the backend cannot be used here; says why.

    All verbs raise subclasses of :class:`objectfs.errors.ObjectFSError`, and TypeError for arguments of a
    wrong type. ``timeout`` is in seconds for the whole verb; then what runs is cancelled and TimeoutError
    raised. ``progress`` is called on the calling thread with the number of bytes moved so far, some ten times
    a second and at the end.
    """

    # -- reading ---------------------------------------------------------------------------------------------
    def get(
        self,
        bucket: str,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> Buffer:
        """An object, or a range of it, in new memory (GetObject).

        Args:
            start, end: a half-open range in bytes; a negative ``start`` is a suffix. ``end`` is cut to the
                object.
            if_match, if_none_match: ETags.
            headers: further request headers.

        Raises:
            NotFoundError, AccessDeniedError, PreconditionFailedError (also for "not modified"),
            InvalidRangeError: ``start`` lies at or behind the end of the object.
            ChecksumError, TruncatedError: after the last attempt.
        """
        options = check.get_options(start, end, version_id, if_match, if_none_match, headers)
        return self._run("GetObject", bucket, key, lambda backend: backend.get(bucket, key, options), timeout, progress)

    def get_into(
        self,
        bucket: str,
        key: str,
        buffer: Any,
        start: int | None = None,
        end: int | None = None,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> int:
        """As :meth:`get`, into a writable, C-contiguous buffer (bytearray, mmap, numpy array …); the byte
        count.

        Raises:
            TypeError, ValueError: it is no buffer; it is read-only or not contiguous.
            BufferTooSmallError: the content does not fit.
        """
        options = check.get_options(start, end, version_id, if_match, if_none_match, headers)
        return self._run(
            "GetObject", bucket, key, lambda backend: backend.get_into(bucket, key, buffer, options), timeout, progress
        )

    def get_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        start: int | None = None,
        end: int | None = None,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        """As :meth:`get`, into a file that appears under ``path`` when it is complete, replacing what was
        there.

        Raises:
            LocalFileError: the file cannot be written: ``errno`` says why.
        """
        name = check.text_path(path)
        options = check.get_options(start, end, version_id, if_match, if_none_match, headers)
        return self._run(
            "GetObject", bucket, key, lambda backend: backend.get_file(bucket, key, name, options), timeout, progress
        )

    def get_many(
        self,
        bucket: str,
        keys: Iterable[str],
        *,
        on_error: OnError = "raise",
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> list[Any]:
        """Many whole objects (GetObject each), in the order of ``keys``.

        Args:
            on_error: ``raise`` the first failure and cancel the rest, or ``return`` each in its key's place.
        """
        names = [check.check_key(key, bucket) for key in check.several(keys, "keys")]
        check.check_on_error(on_error)
        return self._run(
            "GetObject",
            bucket,
            check.MANY,
            lambda backend: backend.get_many(bucket, names, on_error),
            timeout,
            progress,
        )

    def get_ranges(
        self,
        bucket: str,
        key: str,
        ranges: Iterable[tuple[int, int]],
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> list[Buffer]:
        """Many half-open ranges of one object (GetObject each), in the order given.

        Raises:
            ObjectChangedError: the object was replaced meanwhile.
            InvalidRangeError: a range begins behind the end of the object.
        """
        pairs = check.ranges(ranges)
        options = check.get_options(None, None, version_id, if_match, None, headers)
        return self._run(
            "GetObject", bucket, key, lambda backend: backend.get_ranges(bucket, key, pairs, options), timeout, progress
        )

    def head(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ObjectInfo:
        """What is known of an object (HeadObject)."""
        options = check.get_options(None, None, version_id, if_match, if_none_match, headers)
        return self._run("HeadObject", bucket, key, lambda backend: backend.head(bucket, key, options), timeout)

    def exists(self, bucket: str, key: str, *, timeout: float | None = None) -> bool:
        """Whether there is such an object (HeadObject). AccessDeniedError where that may not be known."""
        try:
            self._run("HeadObject", bucket, key, lambda backend: backend.head(bucket, key, GetOptions()), timeout)
        except NotFoundError:
            return False
        return True

    def list(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str | None = None,
        start_after: str | None = None,
        limit: int | None = None,
        *,
        timeout: float | None = None,
    ) -> Iterator[ObjectInfo | Prefix]:
        """Objects, and prefixes where there is a delimiter, in the order of their UTF-8 bytes
        (ListObjectsV2).

        While one page is being consumed the next is on its way; memory holds two pages however long the
        listing is.

        Args:
            start_after: begin behind this key.
            limit: at most so many entries.
            timeout: seconds for each page.
        """
        check.check_listing(bucket, prefix, delimiter, start_after, limit, timeout)

        def ask(token: Any, size: int | None) -> Steps[ListPage[ObjectInfo | Prefix]]:
            return self._core.backend().list_page(
                bucket,
                prefix=prefix,
                delimiter=delimiter or None,
                start_after=start_after or None,
                token=token,
                max_keys=size,
            )

        return self._pages(Listing("ListObjectsV2", bucket, ask, limit), timeout)

    # -- writing ---------------------------------------------------------------------------------------------
    def put(
        self,
        bucket: str,
        key: str,
        data: PutData,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> PutResult:
        """Store an object (PutObject, or a multipart upload where it is large).

        Args:
            data: bytes-like (borrowed: do not change it meanwhile); or a binary file object, or an iterable
                of
                bytes-like, which are sent in parts as they come, within a bounded memory.
            metadata: the user's (``x-amz-meta-``), ASCII.
            if_none_match: ``"*"``: only if there is no such object yet.
            if_match: only if the object has this ETag.
            headers: further request headers (``cache-control``, ``x-amz-tagging`` …).

        Raises:
            PreconditionFailedError: the condition does not hold.
            ChecksumError: what arrived is not what was sent.
        """
        options = check.put_options(content_type, metadata, storage_class, if_match, if_none_match, headers)
        if has_buffer(data):
            return self._run(
                "PutObject",
                bucket,
                key,
                lambda backend: backend.put(bucket, key, data, options),
                timeout,
                progress,
            )
        read = reader(data)
        return self._run(
            "PutObject", bucket, key, lambda backend: backend.put_stream(bucket, key, read, options), timeout, progress
        )

    def put_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> PutResult:
        """As :meth:`put`, from a file.

        Raises:
            LocalFileError: the file cannot be read.
            ObjectChangedError: it changed while it was sent; nothing has been stored.
        """
        name = check.text_path(path)
        options = check.put_options(content_type, metadata, storage_class, if_match, if_none_match, headers)
        return self._run(
            "PutObject", bucket, key, lambda backend: backend.put_file(bucket, key, name, options), timeout, progress
        )

    def put_many(
        self,
        bucket: str,
        items: Mapping[str, ReadableBuffer],
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> dict[str, PutResult]:
        """Store many objects from memory (PutObject each); results by key. The first failure cancels the
        rest."""
        check.check_items(items, bucket)
        options = check.put_options(content_type, metadata, storage_class, None, if_none_match, headers)
        return self._run(
            "PutObject", bucket, check.MANY, lambda backend: backend.put_many(bucket, items, options), timeout, progress
        )

    def delete(self, bucket: str, key: str, *, version_id: str | None = None, timeout: float | None = None) -> None:
        """Delete an object (DeleteObject). One that does not exist is no error, as S3 has it."""
        self._run("DeleteObject", bucket, key, lambda backend: backend.delete(bucket, key, version_id), timeout)

    def delete_many(self, bucket: str, keys: Iterable[str], *, timeout: float | None = None) -> dict[str, Exception]:
        """Delete many objects, 1,000 with each request (DeleteObjects). The failures by key: empty if all
        went well.

        Args:
            keys: may be a generator of any length, such as of names out of :meth:`list`.
        """
        names = (check.check_key(key, bucket) for key in check.several(keys, "keys"))
        return self._run(
            "DeleteObjects", bucket, check.MANY, lambda backend: backend.delete_many(bucket, names), timeout
        )

    # -- everything else -------------------------------------------------------------------------------------
    def call(self, operation: str, /, *, timeout: float | None = None, **params: Any) -> dict[str, Any]:
        """Any operation of S3 with botocore's parameter names, and its answer in botocore's shape.

        >>> client.call("PutBucketVersioning", Bucket="b", VersioningConfiguration={"Status": "Enabled"})

        Raises:
            InvalidRequestError: there is no such operation or parameter.
        """
        if not isinstance(operation, str):
            raise TypeError(f"operation must be a string, not {type(operation).__name__}")
        bucket, key = params.get("Bucket"), params.get("Key")
        answer: dict[str, Any] = self._drive(
            operation, bucket, key, self._core.backend().call(operation, params), check.check_timeout(timeout)
        )
        return answer

    def health(self, *, timeout: float = 10.0) -> dict[str, Any]:
        """Whether the endpoint answers, and whether it knows who asks (ListBuckets). Never raises for what it
        finds.

        Returns:
            ``ok``; ``reachable``: it answered at all; ``error``: an exception or None; ``seconds``,
            ``backend``, ``endpoint``.
        """
        with self._core.examination() as report:
            self.call("ListBuckets", timeout=timeout)
        return report

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
