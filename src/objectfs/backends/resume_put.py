"""``put_file(…, resume=True)``: an upload that goes on where it stopped. docs/design/0016-resume.md"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from functools import partial
from typing import Any

from objectfs import errors
from objectfs.backends.base import Backend, PutOptions, SentPart, Steps
from objectfs.backends.copying import counted
from objectfs.backends.digests import Digest, quick
from objectfs.backends.parts import whole_part_size
from objectfs.backends.resume_journal import Journal, Untrusted, counts_as, difference, log, mark_of, state_folder
from objectfs.backends.sdk_body import SharedFile
from objectfs.options.checks import DIGESTS
from objectfs.types import PutResult

__all__ = ["put_file"]

_FINAL = (
    errors.ChecksumError,
    errors.InvalidRequestError,
    errors.PreconditionFailedError,  # ObjectChangedError too
)
"""What another call would meet again."""

_SAME_OBJECT = ("kind", "endpoint", "bucket", "key", "path")
"""What names the journal too: where these are others, it is not ours to act on."""


def put_file(
    backend: Backend, bucket: str, key: str, path: str, options: PutOptions, endpoint: str
) -> Steps[PutResult]:
    """:meth:`Backend.put_file`, and what an earlier call has sent is not sent again.

    Args:
        endpoint: what the journal is bound to.

    Raises:
        InvalidRequestError: there is nothing to go on with: no regular file.
        LocalFileError: the file cannot be read, or the journal cannot be written anywhere.
    """
    where: dict[str, Any] = {"operation": "PutObject", "bucket": bucket, "key": key}
    if os.path.exists(path) and not os.path.isdir(path) and not os.path.isfile(path):
        raise errors.InvalidRequestError(f"resume=True needs a regular file, which {path} is not", **where)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return (yield from backend.put_file(bucket, key, path, options))  # which says it
    file = SharedFile(descriptor)
    try:
        status = file.stat()
        upload = _Upload(backend, bucket, key, path, options, endpoint, file, status)
        if not stat.S_ISREG(status.st_mode) or status.st_size <= 2 * backend.part_size:
            upload.find()
            yield from upload.forget()
            return (yield from backend.put_file(bucket, key, path, options))
        return (yield from upload.run())
    except OSError as error:
        if isinstance(error, errors.ObjectFSError):
            raise
        raise errors.LocalFileError.from_oserror(OSError(error.errno, error.strerror, path), **where) from None
    finally:
        file.close()


class _Upload:
    """One file on its way to one object."""

    def __init__(
        self,
        backend: Backend,
        bucket: str,
        key: str,
        path: str,
        options: PutOptions,
        endpoint: str,
        file: SharedFile,
        status: os.stat_result,
    ) -> None:
        self._backend, self._bucket, self._key, self._path, self._options = backend, bucket, key, path, options
        self._where: dict[str, Any] = {"operation": "PutObject", "bucket": bucket, "key": key}
        self._file, self._size, self._stamp = file, status.st_size, _stamp(status)
        absolute = os.path.abspath(path)
        self._bound: dict[str, Any] = {
            "kind": "put",
            "endpoint": endpoint,
            "bucket": bucket,
            "key": key,
            "path": absolute,
            "backend": backend.name,
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "inode": status.st_ino,
            "options": _fingerprint(options),
        }
        name = f".objectfs-{mark_of(endpoint, bucket, key, absolute)}.resume"
        self._places = (os.path.dirname(absolute), state_folder())
        self._journals = [Journal(os.path.join(folder, name)) for folder in self._places]
        self._journal: Journal | None = None
        """The one that is in use."""
        self._upload_id = ""
        self._kept = 0
        """Bytes at the server that the next call will find there."""

    # -- what an earlier call has left -------------------------------------------------------------------------------
    def find(self) -> dict[str, Any] | None:
        """The upload's id, part size and algorithm, if there is one to go on with. One that is not fit for it is told
        of; its id is noted, if it is ours to abort."""
        for journal in self._journals:
            try:
                found = journal.read()
            except Untrusted as error:
                self._distrust(journal, error)
                continue
            except OSError as error:
                self._distrust(journal, error.strerror)
                continue
            if found is None:
                continue
            bound, records = found
            self._journal = journal
            upload = _upload_of(records)
            if upload is not None and difference(bound, {name: self._bound[name] for name in _SAME_OBJECT}) is None:
                self._upload_id = upload["upload_id"]
            other = difference(bound, self._bound)
            if other is None and upload is not None and self._fits(upload["part_size"]):
                return upload
            self._distrust(journal, f"another {other}" if other is not None else "it names no upload")
            return None
        return None

    def _fits(self, part_size: int) -> bool:
        return whole_part_size(self._size, 1) <= part_size <= self._size

    @staticmethod
    def _distrust(journal: Journal, why: object) -> None:
        log.warning("%s is not used, and the upload begins anew: %s", journal.path, why)

    def forget(self) -> Steps[None]:
        """Abort the upload whose id is known, and delete the journal."""
        upload_id, self._upload_id = self._upload_id, ""
        if upload_id:
            try:
                yield from self._call("AbortMultipartUpload", upload_id)
            except errors.NotFoundError:
                pass  # it is gone: that is what is wanted
            except errors.ObjectFSError as error:
                log.warning(
                    "s3://%s/%s: a multipart upload that is not gone on with may have stayed at the server: %s. "
                    "A lifecycle rule AbortIncompleteMultipartUpload on the bucket removes such uploads",
                    self._bucket,
                    self._key,
                    error,
                )
        if self._journal is not None:
            self._journal.discard()
            self._journal = None

    def _parts(self, upload_id: str) -> Steps[dict[int, SentPart] | None]:
        """What the server has of the upload (ListParts); None if it knows of no such upload."""
        parts: dict[int, SentPart] = {}
        marker: int | None = None
        while True:
            more = {} if marker is None else {"PartNumberMarker": marker}
            try:
                page = yield from self._call("ListParts", upload_id, **more)
            except errors.BucketNotFoundError:
                raise
            except errors.NotFoundError:
                return None
            for entry in page.get("Parts", ()):
                sums = {name: entry[f"Checksum{name}"] for name in DIGESTS if entry.get(f"Checksum{name}")}
                number = entry.get("PartNumber")
                if type(number) is not int:  # it is none that could be named in the end: what it is, is sent anew
                    continue
                parts[number] = SentPart(number, entry.get("Size", -1), entry.get("ETag", ""), sums)
            following = page.get("NextPartNumberMarker")
            if not page.get("IsTruncated") or not following or following <= (marker or 0):
                return parts
            marker = following

    def _call(self, operation: str, upload_id: str, **more: Any) -> Steps[dict[str, Any]]:
        """A request about the upload, whose documents are no progress of it."""
        given = self._options.given
        params: dict[str, Any] = {"Bucket": self._bucket, "Key": self._key, "UploadId": upload_id, **more}
        for name, parameter in (("expected_bucket_owner", "ExpectedBucketOwner"), ("request_payer", "RequestPayer")):
            if name in given:
                params[parameter] = given[name]
        customer = given.get("sse_customer_key")
        if customer is not None and operation == "ListParts":
            raw = base64.b64decode(customer)
            digest = hashlib.md5(raw, usedforsecurity=False).digest()
            params["SSECustomerAlgorithm"] = "AES256"
            # botocore encodes the keys of the operations that it lists, and this is none of them
            params["SSECustomerKey"] = base64.b64encode(raw).decode("ascii")
            params["SSECustomerKeyMD5"] = base64.b64encode(digest).decode("ascii")
        answer: dict[str, Any] = yield from counted(self._backend.call(operation, params), 0)
        return answer

    # -- the upload --------------------------------------------------------------------------------------------------
    def run(self) -> Steps[PutResult]:
        found = self.find()
        there: dict[int, SentPart] | None = None
        if found is not None:
            there = yield from self._parts(found["upload_id"])
            if there is None:
                assert self._journal is not None
                self._upload_id = ""
                self._distrust(self._journal, "the server knows of no such upload any more")
        if there is None or found is None:
            found = None
            yield from self.forget()
        stream = self._backend.upload(self._bucket, self._key, self._options)
        try:
            size = whole_part_size(self._size, stream.part_size) if found is None else found["part_size"]
            stream.of_size(size)
            if found is None:
                stream.created = partial(self._note, size)
            else:
                yield from stream.adopt(found["upload_id"], found["algorithm"])
            yield from self._send(stream, size, there or {})
            if _stamp(self._file.stat()) != self._stamp:
                raise self._changed()
            result: PutResult = yield from counted(stream.complete(memoryview(b"")), 0)  # a document is no progress
        except BaseException as error:
            yield from self._give_up(stream, error)
            raise
        if self._journal is not None:
            self._journal.discard()
        return result

    def _note(self, part_size: int, upload_id: str, algorithm: str | None) -> None:
        """Write the journal: beside the file, or where the user's programs keep such things."""
        record = {"upload_id": upload_id, "part_size": part_size, "algorithm": algorithm}
        failed: OSError | None = None
        for folder, journal in zip(self._places, self._journals, strict=True):
            try:
                if folder == self._places[-1]:
                    os.makedirs(folder, mode=0o700, exist_ok=True)
                journal.write(self._bound, [record])
            except OSError as error:
                failed = error
            else:
                self._journal, self._upload_id = journal, upload_id
                journal.close()
                return
        assert failed is not None
        raise errors.LocalFileError(
            f"the journal of resume=True can be written neither beside the file nor in {self._places[-1]}: "
            f"{failed.strerror}",
            errno=failed.errno,
            filename=self._path,
            hint="Set XDG_STATE_HOME to a folder that can be written, or upload without resume=True",
            **self._where,
        )

    def _send(self, stream: Any, size: int, there: Mapping[int, SentPart]) -> Steps[None]:
        again = 0
        for number, start in enumerate(range(0, self._size, size), start=1):
            memory = yield from stream.memory()
            part = memoryview(memory)[: min(size, self._size - start)]
            found = there.get(number)
            right: list[bool] = []
            yield from self._backend.aside(partial(self._load, part, start, found, right))
            if found is not None and right[0]:
                stream.have(found, part, memory)
                self._kept += len(part)
                yield from counts_as(len(part))
                continue
            again += found is not None
            yield from stream.send(part, memory)
            assert stream.pending is not None
            stream.pending.keep = True
        if there:
            log.info("%s: %d of %d bytes were at the server already", self._path, self._kept, self._size)
        if again:
            log.warning("%s: %d parts at the server are not what the file holds: sent again", self._path, again)
        yield from stream.settle()

    def _load(self, part: memoryview, start: int, found: SentPart | None, right: list[bool]) -> None:
        """Read a part of the file; on a thread. Whether it is what the server has of it."""
        done = 0
        while done < len(part):
            try:
                block = self._file.read_at(min(len(part) - done, 1024 * 1024), start + done)
            except OSError as error:
                if isinstance(error, errors.ObjectFSError):
                    raise
                named = OSError(error.errno, error.strerror, self._path)
                raise errors.LocalFileError.from_oserror(named, **self._where) from None
            if not block:
                raise self._changed()
            part[done : done + len(block)] = block
            done += len(block)
        right.append(found is not None and _holds(found, part))

    def _changed(self) -> errors.ObjectChangedError:
        return errors.ObjectChangedError(f"the file changed while it was sent: {self._path}", **self._where)

    def _give_up(self, stream: Any, error: BaseException) -> Steps[None]:
        """Leave the upload open, unless nobody can go on with it."""
        pending = stream.pending
        keeps = pending is not None and pending.keep
        yield from stream.give_up(error)
        gone = isinstance(error, errors.NotFoundError) and error.code == "NoSuchUpload"
        if not keeps:  # nothing was sent: it has been aborted, as without resume=True
            if self._journal is not None:
                self._journal.discard()
        elif gone or isinstance(error, _FINAL):
            yield from self.forget()
        elif isinstance(error, errors.ObjectFSError) and error.hint is None:
            error.hint = "The upload is kept: the same call with resume=True sends the rest"


def _upload_of(records: list[Any]) -> dict[str, Any] | None:
    """The one record of such a journal; None if it is none."""
    if len(records) != 1 or not isinstance(records[0], dict):
        return None
    found: dict[str, Any] = records[0]
    upload_id, size, algorithm = found.get("upload_id"), found.get("part_size"), found.get("algorithm")
    known = isinstance(upload_id, str) and type(size) is int and (algorithm is None or algorithm in DIGESTS)
    return found if known and upload_id else None


def _holds(part: SentPart, content: memoryview) -> bool:
    """Whether the server's part is just that content. What cannot be known counts as no."""
    if part.size != len(content):
        return False
    for algorithm, value in part.checksums.items():
        if quick(algorithm):
            digest = Digest(algorithm)
            digest.update(content)
            return digest.value() == value
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == part.etag.strip('"').lower()


def _fingerprint(options: PutOptions) -> str:
    """Of what the object would be made with. Only its hash is written anywhere: some of it is secret."""
    said = [dict(options.given), dict(options.headers), options.checksum, options.expected]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode("ascii")).hexdigest()


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
