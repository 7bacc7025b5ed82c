"""The botocore clients of the sdk backend, and one request on them: attempts, checksums, errors.

botocore's own retries are off. It sleeps where nothing can wake it, and it does not retry a body that ended
early; here one loop does both, for every request, and a cancel ends it at once.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import re
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from objectfs import errors
from objectfs.backends import ending, machine
from objectfs.backends.answer_check import MISREAD, check_answer, unreadable
from objectfs.backends.botocore_hooks import first_look
from objectfs.backends.budget import Budget
from objectfs.backends.leftovers import CLOSE_PATIENCE, EXIT_PATIENCE, Leftovers
from objectfs.backends.replacing import token_expired
from objectfs.backends.retrying import LONGEST_WAIT, Retries, doubtful, retry_after
from objectfs.backends.sdk_connections import install_connections
from objectfs.backends.sdk_errors import translate, worth_another_attempt
from objectfs.backends.sdk_ops import Operation
from objectfs.backends.sdk_sinks import FILE_BLOCK, LEAST_BLOCK
from objectfs.backends.sdk_task import Task, current_task
from objectfs.backends.sdk_telemetry import Meter
from objectfs.backends.session import Session
from objectfs.backends.workers import Workers
from objectfs.config import Config
from objectfs.options import Options

__all__ = ["Wire", "answer_headers"]

log = logging.getLogger("objectfs.sdk")

T = TypeVar("T")

PART_SIZE = 8 * 1024 * 1024
"""Where part_size is not set: boto3's own, and S3's advice is 8 to 16 MiB. S3 takes parts from 5 MiB."""

MAX_CONNECTIONS = 10
"""As boto3 has it: its threads share the GIL, and ten already keep it busy."""

BACKOFF_CAP = 20.0
"""Seconds, as in botocore's standard mode: the n-th wait is a random part of min(2**n, 20)."""

CLOSE_GRACE = 5.0
"""Seconds that close() waits for threads whose sockets have been cut."""

EXIT_GRACE = 0.5
"""The same, for a client that was dropped, or that the interpreter's exit found open."""

# What endpoints answer that do not know botocore's default checksums: Ceph over https 411
# MissingContentLength to the chunked upload with a trailer, others 400 or 501 to the trailer or to the
# algorithm.
_REFUSALS = frozenset(
    (
        "InvalidArgument",
        "InvalidRequest",
        "MissingContentLength",
        "NotImplemented",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
    )
)


class Wire:
    """Requests for one backend. May be used from any thread."""

    def __init__(self, session: Session, config: Config) -> None:
        self.session = session
        self.config = config
        self.part_size = config.part_size or PART_SIZE
        self.connections = config.max_connections or MAX_CONNECTIONS
        limit = config.memory_limit or machine.default_memory_limit()
        self.file_block = max(LEAST_BLOCK, min(FILE_BLOCK, limit // 8 // self.connections))
        self.budget = Budget(limit, machine.trim, receiving=self.connections * self.file_block)
        self.meter = Meter()
        self.counters = {"requests": 0, "retries": 0}
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._clients: dict[tuple[bool, bool, str | None], Any] = {}
        self._operations: weakref.WeakSet[Operation[Any]] = weakref.WeakSet()
        self._workers = Workers(self.connections)
        self.leftovers = Leftovers()
        self.retries = Retries()
        self._closed = False
        self.cuttable = True
        self._checksums = config.checksum != "off"
        self._checksums_known = config.checksum != "auto"
        self.checksum_reason = "as set" if self._checksums_known else "not yet found out"
        self._finalizer = weakref.finalize(
            self, _shut_down, self._pid, self._workers, self._operations, self._clients, EXIT_GRACE
        )
        _close_at_exit(self)

    # -- operations ------------------------------------------------------------------------------------------
    def start(
        self, function: Callable[[Task], T], *, cancellable: bool = True, into: list[Any] | None = None
    ) -> Operation[T]:
        """Run ``function`` as an operation of its own.

        Args:
            cancellable: False for what must have its answer; it may also be started while the client is being closed.
            into: the operation is appended to it before it runs.
        """
        return self._start([function], single=True, cancellable=cancellable, into=into)

    def start_many(self, functions: Sequence[Callable[[Task], T]], *, keep_going: bool = False) -> Operation[list[T]]:
        """Run all ``functions`` as one operation, as many at a time as there are connections."""
        return self._start(functions, keep_going=keep_going)

    def _start(
        self, functions: Sequence[Callable[[Task], Any]], into: list[Any] | None = None, **how: Any
    ) -> Operation[Any]:
        if how.get("cancellable", True) or self._pid != os.getpid():
            self.check_usable()
        operation: Operation[Any] = Operation(functions, **how)
        try:
            if into is not None:
                into.append(operation)
            with self._lock:  # before it runs, or a close() would not see it
                self._operations.add(operation)
            operation.start(self._workers)
        except BaseException:
            if operation.refuse() and into is not None and operation in into:  # it never was
                into.remove(operation)
            raise
        return operation

    def check_usable(self) -> None:
        if self._pid != os.getpid():
            raise errors.ClosedError("this backend belongs to the process that this one was forked from")
        if self._closed:
            raise errors.ClosedError("the client is closed")

    def close(self, grace: float = CLOSE_GRACE, patience: float = CLOSE_PATIENCE) -> None:
        if self._closed:
            return
        self._closed = True
        if self._pid != os.getpid():  # the parent's: its locks may be held by threads that are not here
            return
        self.budget.close()
        self.meter.traces.close()
        try:
            for operation in tuple(self._operations):  # those of uploads wait for a free thread
                operation.cancel()
            self.leftovers.close(patience)
        finally:
            self._shut_down(grace)

    def _shut_down(self, grace: float) -> None:
        if self._finalizer.detach() is not None:
            _shut_down(self._pid, self._workers, self._operations, self._clients, grace)

    # -- requests --------------------------------------------------------------------------------------------
    def call(
        self,
        task: Task,
        operation: str,
        params: Mapping[str, Any],
        *,
        use: Callable[[Any], Any] | None = None,
        body: Callable[[], Any] | None = None,
        content: str = "Body",
        options: Options | None = None,
        model: str | None = None,
    ) -> Any:
        """One request, tried up to max_attempts times.

        Args:
            operation: a method name of botocore's client.
            use: takes the response and returns the result; what it raises counts as a failure of the attempt.
            body: makes the body, anew for each attempt.
            content: the parameter that it is.
            options: what they put into such a request is sent with it.
            model: the operation's name in S3's model, for errors.
        """
        params = dict(params)
        model = model or _MODEL_NAMES[operation]
        bucket, key = params.get("Bucket"), params.get("Key")
        task.headers = {}
        mode = options.checksum if options is not None else None
        if options is not None:
            task.headers = options.sent(model)
            params.update(options.parameters(model))
        attempt = 0
        cost = 0  # of the last further attempt
        in_doubt = followed = replaced = False
        while True:
            attempt += 1
            region = self.session.learned_region(bucket)
            task.finish()
            task.check()
            task.status = None
            task.answer = {}
            task.times.attempt = attempt
            task.times.operation = model
            try:
                result = self._attempt(operation, params, use, body, content, mode)
                self.retries.succeeded(cost)
                return result
            except BaseException as caught:
                task.check()
                error = translate(caught, model, bucket, key, task.status)
                if not isinstance(error, errors.ObjectFSError):
                    raise
                if not followed:
                    followed = self.session.follow(bucket, error, region)
                    if followed:
                        attempt -= 1
                        continue
                if not replaced and token_expired(error) and self.session.replace_credentials():
                    replaced, attempt = True, attempt - 1
                    continue
                if in_doubt:
                    doubtful(error)
                in_doubt = in_doubt or error.status is None or not 300 <= error.status < 500
                wait = retry_after(task.answer)
                again = worth_another_attempt(error) and attempt < self.config.max_attempts and wait <= LONGEST_WAIT
                cost = self.retries.pay(error) if again else 0
                if not cost:
                    raise error from None
            self.counters["retries"] += 1
            log.debug("%s: attempt %d of %d failed: %s", model, attempt, self.config.max_attempts, error)
            began = time.perf_counter_ns()
            task.sleep(wait + random.random() * min(2.0 ** (attempt - 1), BACKOFF_CAP))
            task.times.retry_delay = time.perf_counter_ns() - began

    def _attempt(
        self, operation: str, params: dict[str, Any], use: Any, body: Any, content: str, mode: str | None
    ) -> Any:
        if mode is not None:  # the call's own
            return self._send(operation, params, use, body, content, mode != "off", mode != "off")
        checksums = self._checksums
        try:
            result = self._send(operation, params, use, body, content, checksums)
        except Exception as caught:
            # what is known may be what another upload has found out since this one was sent
            taken = self._checksums_known and self._checksums
            if body is None or not checksums or taken or not _is_refusal(caught):
                raise
            result = self._send(operation, params, use, body, content, False)
            self._checksums, self._checksums_known = False, True
            code = caught.response.get("Error", {}).get("Code")  # type: ignore[attr-defined]
            self.checksum_reason = f"the endpoint refused botocore's default checksum ({code})"
            log.info("uploads go without checksum: %s", self.checksum_reason)
            return result
        if body is not None and checksums and not self._checksums_known:
            self._checksums_known = True
            self.checksum_reason = "the endpoint took botocore's default checksum"
        return result

    def _send(
        self,
        operation: str,
        params: dict[str, Any],
        use: Any,
        body: Any,
        content: str,
        checksums: bool,
        validate: bool | None = None,
    ) -> Any:
        client = self.client(checksums, self.session.learned_region(params.get("Bucket")), validate)
        self.counters["requests"] += 1
        if body is not None:
            params = {**params, content: body()}
        task = current_task()
        if task is None:
            return _exchange(None, client, operation, params, use)
        error: BaseException | None = None
        self.meter.begin(task)
        try:
            return _exchange(task, client, operation, params, use)
        except BaseException as caught:
            error = caught
            raise
        finally:
            self.meter.end(task, error)
            error = None  # or it and this frame would refer to each other

    @property
    def checksum_in_use(self) -> str:
        """What uploads carry now: an algorithm, or ``none``."""
        if self.config.checksum not in ("auto", "off"):
            return self.config.checksum
        return "CRC32" if self._checksums else "none"

    @property
    def checksums_unknown(self) -> bool:
        """Whether it is still to be found out what the endpoint takes."""
        return not self._checksums_known

    def default_algorithm(self, mode: str | None = None) -> dict[str, str]:
        """What botocore adds to uploads of its own accord, as a parameter of operations that have to name it; with
        the call's own ``mode``, or the client's."""
        adds = mode == "auto" or (mode is None and self.config.checksum == "auto" and self._checksums)
        return {"ChecksumAlgorithm": "CRC32"} if adds else {}

    @property
    def service_model(self) -> Any:
        """botocore's model of S3."""
        return self.client(self._checksums).meta.service_model

    def validates(self, options: Options) -> bool:
        """Whether a download with these options is validated against what the server says of it."""
        return (options.checksum or self.config.checksum) != "off"

    def client(self, checksums: bool, region: str | None = None, validate: bool | None = None) -> Any:
        """The botocore client that adds checksums to uploads where it can, or only where S3 insists.

        Args:
            region: where that is not ours.
            validate: downloads against the checksums that they come with; None for as it is set.
        """
        if validate is None:
            validate = self.config.checksum != "off"
        with self._lock:
            found = self._clients.get((checksums, validate, region))
            if found is None:
                import botocore

                config = self.config
                more: dict[str, Any] = {"signature_version": botocore.UNSIGNED} if config.anonymous else {}
                found = self.session.create_client(
                    region=region,
                    connect_timeout=config.connect_timeout,
                    read_timeout=config.read_timeout,
                    max_pool_connections=self.connections,
                    retries={"total_max_attempts": 1},
                    request_checksum_calculation="when_supported" if checksums else "when_required",
                    response_checksum_validation="when_supported" if validate else "when_required",
                    **more,
                )
                found.meta.events.register_first("before-call.s3", _add_headers)
                first_look(found, _check_answer)
                self.cuttable = install_connections(found)
                self._clients[checksums, validate, region] = found
            return found


def _exchange(task: Task | None, client: Any, operation: str, params: Mapping[str, Any], use: Any) -> Any:
    try:
        response = getattr(client, operation)(**params)
    except MISREAD as error:
        if task is None or task.status is None or isinstance(error, errors.ObjectFSError):
            raise
        raise unreadable(task.status, task.answer) from None
    return response if use is None else use(response)


_MODEL_NAMES = {
    "abort_multipart_upload": "AbortMultipartUpload",
    "complete_multipart_upload": "CompleteMultipartUpload",
    "copy_object": "CopyObject",
    "create_multipart_upload": "CreateMultipartUpload",
    "delete_object": "DeleteObject",
    "delete_objects": "DeleteObjects",
    "get_object": "GetObject",
    "head_object": "HeadObject",
    "list_object_versions": "ListObjectVersions",
    "list_objects_v2": "ListObjectsV2",
    "put_object": "PutObject",
    "upload_part": "UploadPart",
    "upload_part_copy": "UploadPartCopy",
}


def answer_headers(response: Mapping[str, Any]) -> dict[str, str]:
    """The headers of an answer that botocore has parsed, names in lower case."""
    return {name.lower(): str(value) for name, value in response["ResponseMetadata"]["HTTPHeaders"].items()}


def _add_headers(params: dict[str, Any], **_: Any) -> None:
    task = current_task()
    if task is not None:
        for name, value in task.headers.items():
            # botocore looks some up by name, in a plain dict: it adds to a Content-Encoding that it finds
            params["headers"][name if name.startswith("x-") else name.title()] = value


def _check_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Before botocore reads an answer."""
    task = current_task()
    if task is not None:
        # botocore reports a 200 with an error document, or with none that can be read, as a 500
        task.status = response_dict["status_code"]
        task.answer = {name.lower(): str(value) for name, value in response_dict["headers"].items()}
        check_answer(operation_model, response_dict)
        if operation_model.name == "ListObjectVersions":
            task.order = _VERSIONS.findall(response_dict["body"])


_VERSIONS = re.compile(rb"<(Version|DeleteMarker)[\s>]")


def _is_refusal(error: Exception) -> bool:
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return False
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in (411, 501) or response.get("Error", {}).get("Code") in _REFUSALS


_open: weakref.WeakSet[Wire] = weakref.WeakSet()
_registered = False


def _close_at_exit(wire: Wire) -> None:
    """Stop the threads before urllib3 empties its pools.

    Its finalizers run at exit too, the newest first: a thread that then still works would give its connection to a
    pool that nobody closes any more. What is registered after the first finalizer runs before all of them.
    """
    global _registered
    _open.add(wire)
    if not _registered:
        _registered = True
        atexit.register(_at_exit)


def _at_exit() -> None:
    ending.begin()
    for wire in tuple(_open):
        wire.close(EXIT_GRACE, EXIT_PATIENCE)


def _shut_down(
    pid: int,
    workers: Workers,
    operations: weakref.WeakSet[Operation[Any]],
    clients: dict[tuple[bool, bool, str | None], Any],
    grace: float,
) -> None:
    if pid != os.getpid():  # the threads and their locks stayed in the parent
        return
    workers.stop()
    deadline = time.monotonic() + grace
    while True:
        for operation in tuple(operations):
            operation.cancel()
        # again: a task may have been between two connections when the last one was cut
        if workers.join(min(0.1, grace)) or time.monotonic() > deadline:
            break
    for client in tuple(clients.values()):
        client.close()
    clients.clear()
