"""The contract that every backend fulfils. The tests in ``tests/contract`` hold each of them to it.

Steps and operations
    A verb of a backend is a *generator function*. It yields :class:`Op` objects, each of them already started, is
    sent that operation's result (or has its exception thrown in), and returns the verb's result. So what a verb
    consists of (a first range, then the rest; create, parts, complete; write, then rename) is written once, and a
    driver decides how to wait: :func:`run` blocks the calling thread, :func:`arun` awaits. Drivers live in
    ``objectfs.backends.drive``; nothing else touches a generator. What starts an operation notes it in
    ``objectfs.backends.started`` before anything is sent: Ctrl-C may come before the yield.

    A verb checks its arguments before its first yield. It may yield again while an exception passes through it, to
    clean up (abort an upload, remove a temporary file). What it opened it closes on every way out.

Ownership of memory
    A buffer given to ``get_into`` is exported (in the sense of the buffer protocol) from the start of the operation
    until the backend is done with it, also after a cancel or a timeout: until then the owner cannot resize it.
    After a failure its contents are undefined; no byte outside of ``buffer[:n]`` is touched on success, where n is
    the count that is returned.
    Data given to ``put`` is borrowed, not copied, where the backend can: do not modify it until the call returns.

Order, threads, fork
    Operations of one client run concurrently and in no particular order. All methods may be called from any thread.
    After a fork the child's first use of a backend raises :class:`~objectfs.errors.ClosedError` or works on a rebuilt
    backend; it never hangs. Operations do not survive a fork.

Options
    What a verb's options put into which of its requests, :mod:`objectfs.options` says: a backend asks ``sent()`` and
    ``asked()`` for each request by its operation's name. The conditions go with the first request alone; what follows
    is pinned to the ETag that it brought.

Errors
    All verbs raise subclasses of :class:`~objectfs.errors.ObjectFSError` with operation, bucket and key filled in, and
    TypeError/ValueError for arguments of a wrong type. What a server answered is told with its status, code, message
    and request ids, those of the last attempt where there were several. The same failure raises the same class on
    every backend:
    ``NotFoundError``/``BucketNotFoundError``, ``AccessDeniedError``/``CredentialsError``, ``PreconditionFailedError``
    (412, 304), ``InvalidRangeError`` (416), ``ThrottledError`` and ``ServerError`` after the last attempt,
    ``ConnectionFailedError``/``NameResolutionError``/``TLSError``, ``TimeoutError``, ``TruncatedError``,
    ``ChecksumError``, ``LocalFileError``, ``BufferTooSmallError``, ``ObjectChangedError``.
    A failed download leaves no file under its name; a failed upload leaves no object and no pending multipart upload,
    and neither does one that was ended by Ctrl-C, a timeout, a cancelled task, a close or the interpreter's exit: see
    ``objectfs.backends.leftovers``. It cannot be helped where the server takes longer than is waited for, or cannot
    be reached any more: then a WARNING names bucket and key. Nor where an answer to CreateMultipartUpload was lost and
    the request was sent again. A lifecycle rule AbortIncompleteMultipartUpload on the bucket removes what stayed.

Ranges
    ``start`` and ``end`` are half-open, in bytes. ``start`` < 0 with ``end`` None is the last ``-start`` bytes. An
    ``end`` beyond the object is cut to its size. A ``start`` at or beyond the end of the object raises
    InvalidRangeError, except that ``start`` 0 (or None) of an empty object is its empty content, and so is a suffix
    of it. ``start`` == ``end`` is empty and raises nothing of its own. ``end`` < ``start`` is a ValueError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from objectfs.backends.memory import PartMemory
from objectfs.options import DeleteOptions, GetOptions, ListOptions, Options, PutOptions
from objectfs.telemetry import Traces
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

if TYPE_CHECKING:
    from objectfs.backends.bell import Bell
    from objectfs.backends.budget import Budget, Lease
    from objectfs.backends.copying import CopyPlan
    from objectfs.backends.deleting import Item
    from objectfs.backends.leftovers import Pending

__all__ = [
    "Admission",
    "Attempt",
    "Backend",
    "BackendInfo",
    "DeleteOptions",
    "GetOptions",
    "ListOptions",
    "Op",
    "PutOptions",
    "RangeRead",
    "ReadableBuffer",
    "SentPart",
    "Steps",
    "StreamUpload",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

ReadableBuffer = Any
"""An object with a C-contiguous buffer (bytes, bytearray, memoryview, mmap, numpy array, array.array …)."""


@runtime_checkable
class Op(Protocol[T_co]):
    """A started operation."""

    def wait(self, timeout: float | None = None) -> bool:
        """Block until done or until ``timeout`` seconds passed; True when done.

        The GIL is released meanwhile; a signal's handler (Ctrl-C) runs within 100 ms, and what it raises comes out.
        """

    def done(self) -> bool:
        """Whether :meth:`result` would answer at once."""

    def result(self) -> T_co:
        """The result of a done operation, or its exception raised. RuntimeError if it is not done."""

    def cancel(self, force: bool = False) -> None:
        """Ask to stop. Returns at once; the operation is then soon done, with CancelledError unless it had ended.

        Requests that must have their answer (CreateMultipartUpload, AbortMultipartUpload) go on, unless ``force``.
        """

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """A future of that loop, resolved with None when the operation is done (whatever its outcome)."""

    @property
    def transferred(self) -> int:
        """Bytes of content moved so far; grows only, in steps of a part or more."""


Steps = Generator[Op[Any], Any, T]
"""What a verb returns: see the module's docstring."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at getting a backend, for ``client.backend.attempts`` and ``objectfs doctor``."""

    name: str
    """``crt`` or ``sdk``."""
    ok: bool
    """Whether it can be used here."""
    reason: str
    """Why not; or what it is, with its version."""


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """``client.backend``."""

    name: str
    """``crt`` or ``sdk``."""
    attempts: tuple[Attempt, ...]
    """What was tried, in its order."""
    capabilities: frozenset[str]
    """Declared differences between backends, by name: ``zero-copy`` (bytes land in the caller's memory without an
    intermediate Python object); ``crc64nvme`` (CRC64NVME and CRC32C of content are computed here)."""
    rollout: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    """What ``client.stats()["rollout"]`` is where one was asked for and the engine cannot be used."""


class Admission(Protocol):
    """Memory that is lent to a download, where many run side by side (``several.py``)."""

    @property
    def room(self) -> int:
        """Bytes that it may take without asking."""

    def ask(self, size: int) -> Op[Any] | None:
        """Have ``size`` bytes in all. None: it may take them at once; else an operation to yield before it does."""


@dataclass(frozen=True, slots=True)
class RangeRead:
    """The answer to one range."""

    length: int
    """Bytes that were written to the start of the buffer."""
    size: int
    """Of the whole object, in bytes."""
    etag: str | None
    version_id: str | None
    describe: Callable[[], ObjectInfo]
    """What the answer says of the object; costs more than the rest, so only for who asks."""


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part of a multipart upload that the server has."""

    number: int
    size: int
    """In bytes."""
    etag: str
    checksums: Mapping[str, str]
    """In base64, by their algorithms."""


class StreamUpload(Protocol):
    """An object that is written piece by piece: nothing is sent, and nothing visible, before the calls below. One call
    at a time; after one that raised, only :meth:`give_up`."""

    lease: Lease
    """What all memory of its parts is taken from; given back when it has been completed or given up."""

    created: Callable[[str, str | None], None] | None
    """Called when the upload has been created, before anything is sent: with its id, and the algorithm of its parts'
    checksums. Its error is the upload's."""

    pending: Pending | None
    """The multipart upload, from before its first request."""

    @property
    def part_size(self) -> int:
        """Bytes of the next part: what :meth:`send` wants, the last part excepted."""

    def of_size(self, size: int) -> None:
        """Have all parts of so many bytes, the last one excepted. Before anything else."""

    def adopt(self, upload_id: str, algorithm: str | None) -> Steps[None]:
        """Go on with an upload that was created before. It stays open when it is given up."""

    def have(self, part: SentPart, content: memoryview, memory: PartMemory) -> None:
        """In place of :meth:`send`: the next part is at the server already, and holds that content."""

    def new_memory(self, size: int) -> PartMemory:
        """So much memory for bytes of a part, which whoever asks has a lease for."""

    def memory(self) -> Steps[PartMemory]:
        """Memory for the next part, of ``part_size`` bytes, from the lease: of a part that has been sent, new where
        there is room, or waited for."""

    def send(self, part: memoryview, memory: PartMemory | None) -> Steps[None]:
        """Send one part (UploadPart; CreateMultipartUpload before the first), and wait where as many bytes as memory
        allows are on their way. ``part`` is borrowed until :meth:`settle` or :meth:`complete` has ended.

        Args:
            memory: what ``part`` lies in, if it came from :meth:`memory` or was taken from the lease.
        """

    def settle(self) -> Steps[None]:
        """Wait until all parts so far have been sent."""

    def complete(self, last: memoryview) -> Steps[PutResult]:
        """Send the last part, which may be empty, and make the object visible (PutObject where it is the only one,
        CompleteMultipartUpload where not)."""

    def give_up(self, error: BaseException) -> Steps[None]:
        """After an error: abort what has begun (AbortMultipartUpload), as far as anybody waits for it; the rest in the
        background. Does not raise. With a GeneratorExit it waits for nothing."""


class Backend(Protocol):
    """What a backend does. All verbs below return :data:`Steps`; see the module's docstring."""

    name: str
    capabilities: frozenset[str]
    connections: int
    """At most so many at a time."""
    part_size: int
    """Bytes of a range or a part to begin with."""
    budget: Budget
    """What all memory that is not the caller's is taken from."""
    traces: Traces
    """Who is told of each request."""

    @property
    def custom_endpoint(self) -> bool:
        """Whether requests go to an endpoint that was named, not to AWS's own."""

    # -- reading ---------------------------------------------------------------------------------------------------
    def get(self, bucket: str, key: str, options: GetOptions) -> Steps[Buffer]:
        """GetObject into new memory. One request where the object fits into one part; no HEAD before it.

        With ``options.admission`` no more memory is taken than that allows.
        """

    def get_into(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[int]:
        """GetObject into ``buffer`` (writable, C-contiguous); the number of bytes written to its start.

        TypeError if it is no buffer, ValueError if read-only or not contiguous, BufferTooSmallError if the content
        does not fit.
        """

    def get_file(self, bucket: str, key: str, path: str, options: GetOptions) -> Steps[ObjectInfo]:
        """GetObject into a file, which appears under ``path`` only when complete, and then replaces what was there.

        The temporary file lies in the same folder. LocalFileError if the file cannot be written.
        """

    def get_many(self, bucket: str, keys: Sequence[str], on_error: OnError, options: GetOptions) -> Steps[list[Any]]:
        """Many whole objects, results in the order of ``keys``. ``on_error="return"``: an exception stands in its
        key's place; ``"raise"``: the first failure cancels the rest and is raised."""

    def get_ranges(
        self, bucket: str, key: str, ranges: Sequence[tuple[int, int]], options: GetOptions
    ) -> Steps[list[Buffer]]:
        """Many half-open ranges of one object, in the order given, each with a request of its own. All are of the same
        object: if it is replaced meanwhile, ObjectChangedError. For ``backends.ranges``, which puts together what lies
        near."""

    def part_of(self, buffer: Any, start: int, end: int) -> Buffer:
        """Bytes of a buffer that this backend made, as a buffer of their own: with ``zero-copy`` a view of the same
        memory, which it keeps alive. All of it may be the buffer itself."""

    def read_range(self, bucket: str, key: str, buffer: Any, options: GetOptions) -> Steps[RangeRead]:
        """One GetObject of ``options.start`` to ``options.end``, half-open and not empty, into ``buffer``, which is as
        long; for who reads a large object in pieces. Never split into several requests; an empty object costs a HEAD.

        UnsupportedError where the endpoint answers no ranges.
        """

    def head(self, bucket: str, key: str, options: GetOptions) -> Steps[ObjectInfo]:
        """HeadObject."""

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
        """One request of ListObjectsV2."""

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
        """One request of ListObjectVersions; ``token`` is a key marker and a version marker."""

    # -- writing ---------------------------------------------------------------------------------------------------
    def put(self, bucket: str, key: str, data: ReadableBuffer, options: PutOptions) -> Steps[PutResult]:
        """PutObject of memory; a multipart upload where it is large. ``data`` is borrowed."""

    def put_file(self, bucket: str, key: str, path: str, options: PutOptions) -> Steps[PutResult]:
        """PutObject of a file. ObjectChangedError if its size or time changes while it is sent; nothing is then
        visible. LocalFileError if it cannot be read."""

    def put_stream(
        self, bucket: str, key: str, read: Callable[[int], ReadableBuffer], options: PutOptions
    ) -> Steps[PutResult]:
        """PutObject of a stream of unknown length.

        ``read(n)`` is called on the driver's thread (the caller's thread or loop) and returns at most n bytes, and
        empty only at the end. Memory in use is bounded by a few parts. A stream shorter than a part is one PUT.
        Whatever ``read`` raises aborts the upload and comes out unchanged.
        """

    def upload(self, bucket: str, key: str, options: PutOptions) -> StreamUpload:
        """An object to be written piece by piece. Starts nothing yet."""

    def put_many(
        self, bucket: str, items: Mapping[str, ReadableBuffer], options: PutOptions
    ) -> Steps[dict[str, PutResult]]:
        """Many PutObject, each in one request where it fits. The first failure cancels the rest and is raised."""

    def copy(self, bucket: str, key: str, plan: CopyPlan) -> Steps[PutResult]:
        """A copy at the server: CopyObject, or parallel UploadPartCopy where it is large, pinned to the source's ETag.
        ObjectChangedError if the source is replaced meanwhile."""

    def delete(self, bucket: str, key: str, options: DeleteOptions) -> Steps[None]:
        """DeleteObject. Deleting a key that does not exist is no error (as S3 has it)."""

    def delete_many(self, bucket: str, items: Iterable[Item], options: DeleteOptions) -> Steps[dict[Item, Exception]]:
        """DeleteObjects, 1,000 keys a request, a few requests at a time. Items are keys, or pairs of key and version.
        The failures by item; empty if all went well. A key that no XML document can carry is deleted on its own."""

    # -- everything else ---------------------------------------------------------------------------------------------
    def aside(self, work: Callable[[], None]) -> Steps[None]:
        """Run ``work`` on a thread, so that a loop goes on meanwhile. A cancel does not end it once it has begun."""

    def call(self, operation: str, params: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """Any operation of botocore's S3 model, with its parameter names and its result's shape.

        ValueError for an unknown operation or parameter.
        """

    def presign(
        self, method: str, bucket: str, key: str, expires: int, params: Mapping[str, Any], options: Options
    ) -> PresignedUrl:
        """A presigned URL for ``get``, ``put``, ``head``, ``delete`` or ``upload_part``. No request is made."""

    def presign_post(
        self, bucket: str, key: str, expires: int, fields: Mapping[str, str], conditions: Sequence[Any]
    ) -> PresignedPost:
        """A signed form for PostObject. No request is made."""

    def bell(self) -> Bell:
        """What tells a thread which of many operations of this backend have ended."""

    def stats(self) -> dict[str, Any]:
        """Counters and settings in force: for people and for tests."""

    def close(self) -> None:
        """Cancel what runs, wait for it to end, free everything. Idempotent; later use raises ClosedError."""
