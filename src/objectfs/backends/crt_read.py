"""Reading verbs of the crt backend.

A GET of unknown size begins with one ranged request for the first part: a small object needs no other, and no HEAD.
What is left then goes in parallel straight into its place. Objects larger than WHOLE_OBJECT are asked for anew as a
whole, so that the C library can validate them against the object's own checksum.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_plus, urlencode

from objectfs import _native, errors
from objectfs.backends.base import GetOptions, Steps
from objectfs.backends.crt_errors import failure
from objectfs.types import Buffer, ListPage, ObjectInfo, OnError, Prefix

if TYPE_CHECKING:
    from objectfs.backends.crt import CrtBackend

    _Base = CrtBackend
else:
    _Base = object

__all__ = ["ReadVerbs", "info_from_headers"]

WHOLE_OBJECT = 64 * 1024 * 1024
"""Bytes. Above it one more request (HEAD, for the object's checksum) and the first part once more cost under 15 %."""

PROBE = 16
"""Objects of a batch that are read before the memory for the others is chosen."""

SMALL = 64 * 1024
"""Bytes up to which an object is collected by the C library and copied once: cheaper than a parallel download's setup."""


def _conditions(options: GetOptions) -> dict[str, str]:
    headers = dict(options.headers)
    if options.if_match is not None:
        headers["If-Match"] = options.if_match
    if options.if_none_match is not None:
        headers["If-None-Match"] = options.if_none_match
    return headers


def _query(options: GetOptions) -> str:
    return "" if options.version_id is None else f"versionId={quote(options.version_id, safe='')}"


def _total(response: Any) -> int:
    """The object's size, from Content-Range or Content-Length."""
    content_range = response.header(b"content-range")
    if content_range is not None:
        return int(content_range.rpartition(b"/")[2])
    return int(response.header(b"content-length") or 0)


def info_from_headers(
    bucket: str, key: str, headers: Mapping[str, str], size: int | None, validated: str | None
) -> ObjectInfo:
    """An ObjectInfo from the headers of HeadObject or GetObject."""
    modified = headers.get("last-modified")
    when = None
    if modified:
        with contextlib.suppress(ValueError, TypeError):  # a server's odd date is no reason to fail a read
            when = parsedate_to_datetime(modified)
    return ObjectInfo(
        bucket=bucket,
        key=key,
        size=int(headers.get("content-length", 0)) if size is None else size,
        etag=headers.get("etag"),
        last_modified=when,
        storage_class=headers.get("x-amz-storage-class"),
        version_id=headers.get("x-amz-version-id"),
        content_type=headers.get("content-type"),
        metadata={name[11:]: value for name, value in headers.items() if name.startswith("x-amz-meta-")},
        headers=headers,
        checksum_validated=validated,
    )


def _make_info(bucket: str, key: str, response: Any, size: int) -> ObjectInfo:
    return info_from_headers(bucket, key, response.headers, size, response.validated)


class ReadVerbs(_Base):
    """Mixed into CrtBackend."""

    def _get_request(
        self, target: Any, key: str, common: Any, options: GetOptions, byte_range: str | None, **more: Any
    ) -> Any:
        headers = _native.Headers([(b"Range", f"bytes={byte_range}".encode())]) if byte_range else None
        more.setdefault("validate", self.validate)
        return _native.Request(b"GetObject", b"GET", target.path(key, _query(options)), target.native, common, headers, **more)

    def head(self, bucket: str, key: str, options: GetOptions) -> Steps[ObjectInfo]:
        target = self.target(bucket)
        common = target.headers(_conditions(options))
        path = target.path(key, _query(options))
        op = target.engine.start([_native.Request(b"HeadObject", b"HEAD", path, target.native, common)])
        (response,) = yield op
        if response.error_code or response.status >= 300:
            raise failure(response, "HeadObject", bucket, key)
        return info_from_headers(bucket, key, response.headers, None, None)

    def _first(self, bucket: str, key: str, options: GetOptions, common: Any) -> Steps[tuple[Any, int, int]]:
        """The first part of what is asked for: (response or None if empty, start, end), start and end absolute."""
        start, end = options.start, options.end
        if start is not None and start < 0:
            if -start > self.part_size:  # a long suffix: its start must be known to go on from
                info = yield from self.head(bucket, key, options)
                start, end = max(0, info.size + start), info.size
            else:
                response = yield from self._ranged(bucket, key, options, common, f"{start}")
                if response is None:
                    return None, 0, 0
                total = _total(response)
                return response, max(0, total + start), total
        start = start or 0
        if end is not None and end <= start:
            return None, start, start
        last = start + self.part_size - 1
        if end is not None:
            last = min(last, end - 1)
        response = yield from self._ranged(bucket, key, options, common, f"{start}-{last}")
        if response is None:
            return None, 0, 0
        total = _total(response)
        return response, start, total if end is None else min(end, total)

    def _ranged(self, bucket: str, key: str, options: GetOptions, common: Any, byte_range: str) -> Steps[Any]:
        """One ranged GET; None for the empty content of an empty object."""
        target = self.target(bucket)
        (response,) = yield target.engine.start([self._get_request(target, key, common, options, byte_range)])
        if response.error_code or response.status >= 300:
            error = failure(response, "GetObject", bucket, key)
            if not isinstance(error, errors.InvalidRangeError) or byte_range[0] not in "0-":
                raise error
            yield from self._require_empty(bucket, key, options, error)
            return None
        _check_length(response, bucket, key, response.body)
        return response

    def _require_empty(self, bucket: str, key: str, options: GetOptions, error: Exception) -> Steps[ObjectInfo]:
        """A range of an empty object cannot be satisfied (416), yet its content from 0 on is well known."""
        info = yield from self.head(bucket, key, options)
        if info.size != 0:
            raise error
        return info

    def get(self, bucket: str, key: str, options: GetOptions) -> Steps[Buffer]:
        target = self.target(bucket)
        common = target.headers(_conditions(options))
        response, start, end = yield from self._first(bucket, key, options, common)
        return (yield from self._rest(bucket, key, options, response, start, end))

    def _rest(
        self, bucket: str, key: str, options: GetOptions, response: Any, start: int, end: int, body: Any = None
    ) -> Steps[Any]:
        """The whole content in one Buffer, given the response to its first part (and its body, if elsewhere)."""
        if response is None:
            return _native.Buffer(0)
        total = _total(response)
        if body is None:
            body = response.body if response.body is not None else _native.Buffer(0)
        have = len(body)
        if have < end - start:
            first = body
            body = _native.Buffer(end - start)
            whole = start == 0 and end == total and total > WHOLE_OBJECT and self.validate_whole is not None
            if not whole:
                _native.copy_into(body, 0, first)
            info = yield from self._fill(bucket, key, options, body, 0 if whole else have, start, end, whole, response)
            if info is not None:
                response = info
        body._set_info((_make_info, (bucket, key, response, total)))
        return body

    def _fill(
        self, bucket: str, key: str, options: GetOptions, buffer: Any, offset: int, start: int, end: int,
        whole: bool, first: Any,
    ) -> Steps[Any]:
        """``buffer[offset:]`` from the object's bytes, in parallel; pinned to the first response's ETag."""
        target = self.target(bucket)
        etag = first.headers.get("etag")
        common = target.headers({**_conditions(options), **({"If-Match": etag} if etag else {})})
        view = memoryview(buffer)[offset:]
        request = self._get_request(
            target, key, common, options, None if whole else f"{start + offset}-{end - 1}", recv=view,
            validate=self.validate_whole if whole else self.validate, max_connections=self.large_connections,
        )
        (response,) = yield target.engine.start([request])
        if response.error_code or response.status >= 300:
            raise _pinned(failure(response, "GetObject", bucket, key), options)
        if response.received != len(view):
            raise errors.TruncatedError(
                f"{response.received} of {len(view)} bytes arrived", operation="GetObject", bucket=bucket, key=key
            )
        return response

    def get_into(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[int]:
        view = memoryview(buffer)
        if view.readonly:
            raise ValueError("the buffer is read-only")
        if not view.c_contiguous:
            raise ValueError("the buffer is not C-contiguous")
        view = view.cast("B") if view.nbytes else memoryview(bytearray())
        start, end, room = options.start or 0, options.end, len(view)
        if start < 0 or room == 0:
            info = yield from self.head(bucket, key, options)
            start, end = (max(0, info.size + start) if start < 0 else start), min(info.size, end or info.size)
        if end is not None and end <= start:
            if start and options.start == start and room == 0 and options.end is None:
                raise errors.InvalidRangeError("the range lies outside the object", operation="GetObject", bucket=bucket, key=key)
            return 0
        if end is not None and room == 0:
            raise _too_small(bucket, key, end - start, room)
        target = self.target(bucket)
        common = target.headers(_conditions(options))
        whole = start == 0 and end is None and room > self.part_size and self.validate_whole is not None
        if whole:
            byte_range = None
        else:
            last = start + room - 1 if end is None else min(end, start + room) - 1
            byte_range = f"{start}-{last}"
            view = view[: last - start + 1]
        request = self._get_request(
            target, key, common, options, byte_range, recv=view,
            validate=self.validate_whole if whole else self.validate,
            max_connections=self.large_connections if room > self.part_size else 0,
        )
        (response,) = yield target.engine.start([request])
        if response.error_code or response.status >= 300:
            error = failure(response, "GetObject", bucket, key)
            if isinstance(error, errors.InvalidRangeError) and start == 0:
                yield from self._require_empty(bucket, key, options, error)
                return 0
            raise _pinned(error, options)
        total = _total(response)
        content = (total if end is None else min(end, total)) - start
        if content > room:
            raise _too_small(bucket, key, content, room)
        if response.received != content:
            raise errors.TruncatedError(
                f"{response.received} of {content} bytes arrived", operation="GetObject", bucket=bucket, key=key
            )
        return int(response.received)

    def get_file(self, bucket: str, key: str, path: str, options: GetOptions) -> Steps[ObjectInfo]:
        target = self.target(bucket)
        common = target.headers(_conditions(options))
        where = {"operation": "GetObject", "bucket": bucket, "key": key}
        if os.path.isdir(path):
            raise errors.LocalFileError(f"it is a folder: {path}", errno=21, filename=path, **where)
        response, start, end = yield from self._first(bucket, key, options, common)
        temporary = ""
        try:
            temporary = _temporary_beside(path)
            total = _total(response) if response is not None else 0
            body = response.body if response is not None and response.body is not None else b""
            whole = start == 0 and end == total and total > WHOLE_OBJECT and self.validate_whole is not None
            if not whole:
                with open(temporary, "wb", buffering=0) as file:
                    _write_all(file, body)
            if len(body) < end - start:
                response = yield from self._append_file(bucket, key, options, temporary, body, start, end, whole, response)
            os.replace(temporary, path)
            temporary = ""
        except OSError as error:
            if isinstance(error, errors.ObjectFSError):
                raise
            raise errors.LocalFileError.from_oserror(error, **where) from None
        finally:
            if temporary:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
        if response is None:
            return (yield from self.head(bucket, key, options))
        return _make_info(bucket, key, response, total)

    def _append_file(
        self, bucket: str, key: str, options: GetOptions, temporary: str, body: Any, start: int, end: int,
        whole: bool, first: Any,
    ) -> Steps[Any]:
        target = self.target(bucket)
        etag = first.headers.get("etag")
        common = target.headers({**_conditions(options), **({"If-Match": etag} if etag else {})})
        offset = 0 if whole else len(body)
        request = self._get_request(
            target, key, common, options, None if whole else f"{start + offset}-{end - 1}",
            recv_path=os.fsencode(temporary), recv_position=offset,
            validate=self.validate_whole if whole else self.validate, max_connections=self.large_connections,
        )
        (response,) = yield target.engine.start([request])
        if response.error_code or response.status >= 300:
            error = failure(response, "GetObject", bucket, key)
            if isinstance(error, errors.LocalFileError):
                raise _local_cause(error, temporary, end - start)
            raise _pinned(error, options)
        size = os.stat(temporary).st_size
        if size != end - start:
            raise errors.TruncatedError(
                f"{size} of {end - start} bytes were written", operation="GetObject", bucket=bucket, key=key
            )
        return response

    def get_many(self, bucket: str, keys: Sequence[str], on_error: OnError) -> Steps[list[Any]]:
        results: list[Any] = []
        room = 0
        # The first few tell how large these objects are: memory of that size can then be given to the C library
        # beforehand, which saves the growing of its own buffer, a copy, and two page faults of three.
        probe = PROBE if len(keys) > 2 * PROBE else len(keys)
        for chunk in (keys[:probe], keys[probe:]):
            if chunk:
                found = yield from self._get_chunk(bucket, chunk, on_error, room)
                results.extend(found)
                sizes = [len(item) for item in found if not isinstance(item, Exception)]
                largest = min(max(sizes, default=0), self.part_size)
                room = largest if largest > SMALL else 0
        return results

    def _get_chunk(self, bucket: str, keys: Sequence[str], on_error: OnError, room: int) -> Steps[list[Any]]:
        """``room``: bytes to receive each object in; 0 to let the C library collect it."""
        target = self.target(bucket)
        options = GetOptions()
        asked = room or self.part_size
        common = target.headers({"Range": f"bytes=0-{asked - 1}"})
        buffers = [_native.Buffer(room) if room else None for _ in keys]
        requests = [
            self._get_request(target, key, common, options, None, recv=buffer)
            for key, buffer in zip(keys, buffers, strict=True)
        ]
        responses = yield target.engine.start(requests, window=self.window, stop_on_error=on_error == "raise")
        if on_error == "raise":
            self._raise_cause(bucket, keys, responses)
        results: list[Any] = []
        for key, response, buffer in zip(keys, responses, buffers, strict=True):
            try:
                results.append((yield from self._one_of_many(bucket, key, options, response, buffer)))
            except errors.ObjectFSError as error:
                if on_error == "raise":
                    raise
                results.append(error)
        return results

    def _raise_cause(self, bucket: str, keys: Sequence[str], responses: Sequence[Any]) -> None:
        """The failure that stopped a batch, not the cancelling that it led to. Empty objects (416) are none."""
        for key, response in zip(keys, responses, strict=True):
            if response.error_code and response.status != 416 and response.error != "AWS_ERROR_S3_CANCELED":
                raise failure(response, "GetObject", bucket, key)

    def _one_of_many(self, bucket: str, key: str, options: GetOptions, response: Any, buffer: Any) -> Steps[Any]:
        if response.error_code or response.status >= 300:
            error = failure(response, "GetObject", bucket, key)
            if not isinstance(error, errors.InvalidRangeError):
                raise error
            yield from self._require_empty(bucket, key, options, error)
            return _native.Buffer(0)
        if buffer is not None:
            buffer._shrink(response.received)
            body = buffer
        else:
            body = response.body if response.body is not None else _native.Buffer(0)
        _check_length(response, bucket, key, body)
        total = _total(response) if response.status == 206 else len(body)
        if total > len(body):
            return (yield from self._rest(bucket, key, options, response, 0, total, body))
        body._set_info((_make_info, (bucket, key, response, total)))
        return body

    def get_ranges(
        self, bucket: str, key: str, ranges: Sequence[tuple[int, int]], options: GetOptions
    ) -> Steps[list[Buffer]]:
        target = self.target(bucket)
        common = target.headers(_conditions(options))
        wanted = [(start, end) for start, end in ranges if end > start]
        if not wanted:
            return [_native.Buffer(0) for _ in ranges]
        requests, buffers = [], []
        for start, end in wanted:
            # a long range goes in parallel into memory of its own
            buffer = _native.Buffer(end - start) if end - start > self.part_size else None
            more = {"recv": buffer, "max_connections": self.large_connections} if buffer is not None else {}
            requests.append(self._get_request(target, key, common, options, f"{start}-{end - 1}", **more))
            buffers.append(buffer)
        responses = yield target.engine.start(requests, window=self.window, stop_on_error=True)
        etags = set()
        found: dict[tuple[int, int], Any] = {}
        for response in responses:  # the cause before the cancelled rest
            if response.error_code and response.error != "AWS_ERROR_S3_CANCELED":
                raise failure(response, "GetObject", bucket, key)
        for (start, end), response, buffer in zip(wanted, responses, buffers, strict=True):
            if response.error_code or response.status >= 300:
                raise failure(response, "GetObject", bucket, key)
            total = _total(response)
            expected = min(end, total) - start
            if buffer is None:
                buffer = response.body if response.body is not None else _native.Buffer(0)
            else:
                buffer._shrink(response.received)
            if len(buffer) != expected:
                raise errors.TruncatedError(
                    f"{len(buffer)} of {expected} bytes arrived", operation="GetObject", bucket=bucket, key=key
                )
            buffer._set_info((_make_info, (bucket, key, response, total)))
            etags.add(response.header(b"etag"))
            found[start, end] = buffer
        if len(etags) > 1:
            raise errors.ObjectChangedError(
                "the object was replaced while its ranges were read", operation="GetObject", bucket=bucket, key=key
            )
        return [found[start, end] if end > start else _native.Buffer(0) for start, end in ranges]

    def list_page(
        self, bucket: str, *, prefix: str = "", delimiter: str | None = None, start_after: str | None = None,
        token: str | None = None, max_keys: int | None = None,
    ) -> Steps[ListPage]:
        target = self.target(bucket)
        query = {"list-type": "2", "encoding-type": "url"}
        for name, value in (
            ("prefix", prefix), ("delimiter", delimiter), ("start-after", start_after),
            ("continuation-token", token), ("max-keys", None if max_keys is None else str(max_keys)),
        ):
            if value:
                query[name] = value
        path = target.path(None, urlencode(sorted(query.items()), quote_via=quote, safe="-_.~"))
        op = target.engine.start([_native.Request(b"ListObjectsV2", b"GET", path, target.native, target.headers())])
        (response,) = yield op
        if response.error_code or response.status >= 300:
            raise failure(response, "ListObjectsV2", bucket, None)
        try:
            objects, prefixes, following = _native.parse_list(response.body or b"")
        except ValueError as error:
            raise errors.TruncatedError(str(error), operation="ListObjectsV2", bucket=bucket) from None
        entries: list[ObjectInfo | Prefix] = [
            ObjectInfo(
                bucket=bucket,
                key=_decoded(key),
                size=size,
                etag=etag,
                last_modified=_iso(modified),
                storage_class=storage_class,
            )
            for key, size, etag, modified, storage_class in objects
        ]
        if prefixes:
            entries.extend(Prefix(_decoded(prefix)) for prefix in prefixes)
            entries.sort(key=lambda entry: (entry.prefix if isinstance(entry, Prefix) else entry.key).encode("utf-8", "surrogatepass"))
        return ListPage(entries, following)


def _decoded(name: str) -> str:
    return unquote_plus(name) if "%" in name or "+" in name else name


def _iso(text: str | None) -> datetime | None:
    if not text:
        return None
    when = datetime.fromisoformat(text)
    return when if when.tzinfo is not None else when.replace(tzinfo=timezone.utc)


def _check_length(response: Any, bucket: str, key: str, body: Any) -> None:
    """No short answer passes for a whole one, whatever the server's headers said."""
    have = len(body) if body is not None else 0
    content_range = response.header(b"content-range")
    if content_range is not None and response.status == 206:
        first, _, last = content_range.partition(b"/")[0].rpartition(b" ")[2].partition(b"-")
        expected = int(last) - int(first) + 1
        if have != expected:
            raise errors.TruncatedError(
                f"{have} of {expected} bytes arrived", operation="GetObject", bucket=bucket, key=key
            )


def _pinned(error: errors.ObjectFSError, options: GetOptions) -> errors.ObjectFSError:
    """A 412 that the caller did not ask for comes from our own If-Match: the object was replaced under way."""
    if isinstance(error, errors.PreconditionFailedError) and options.if_match is None:
        fields = error.fields()
        fields.pop("message")
        return errors.ObjectChangedError("the object was replaced while it was read", **fields)
    return error


def _too_small(bucket: str, key: str, content: int, room: int) -> errors.BufferTooSmallError:
    return errors.BufferTooSmallError(
        f"{content} bytes do not fit into the buffer of {room}", operation="GetObject", bucket=bucket, key=key
    )


def _temporary_beside(path: str) -> str:
    """An empty file in the same folder, with the mode that a new file would have."""
    folder, name = os.path.split(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(prefix=f".{name[:80]}.", suffix=".part", dir=folder)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(handle, 0o666 & ~_umask())
    finally:
        os.close(handle)
    return temporary


def _umask() -> int:
    # reading the mask means setting it; Linux also tells without
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _write_all(file: Any, data: Any) -> None:
    view = memoryview(data)
    while len(view):
        view = view[file.write(view) :]


def _local_cause(error: errors.LocalFileError, path: str, needed: int) -> errors.LocalFileError:
    """The C library says that a write failed, not why: look."""
    if error.errno is None:
        import errno
        import shutil

        with contextlib.suppress(OSError):
            if shutil.disk_usage(os.path.dirname(path)).free < needed:
                error.errno = errno.ENOSPC
                error.message = f"no space left on the device: {path}"
    return error
