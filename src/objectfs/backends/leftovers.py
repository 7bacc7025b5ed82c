"""Multipart uploads under way, and what becomes of them when their call ends early.

S3 keeps, and bills, the parts of an upload until it is completed or aborted, and an upload can only be aborted by
its id, which the answer to CreateMultipartUpload brings. So whoever gives up while that answer is on its way has to
wait for it; and Ctrl-C has 200 ms. Hence each upload is known here from before its first request is sent, a cancel
does not cut that request short, and what the caller does not wait for is brought to its end by a thread, or by
``close()``, for a bounded time. What then still has no answer stays at the server: that is logged.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from objectfs import errors
from objectfs.backends.base import Op, Steps

__all__ = ["CLOSE_PATIENCE", "EXIT_PATIENCE", "Leftovers", "Pending"]

log = logging.getLogger("objectfs.leftovers")

PATIENCE = 30.0
"""Seconds that answers to an upload that was given up may take in the background."""

CLOSE_PATIENCE = 2.0
"""Seconds that ``close()`` waits for them: several round trips to anywhere."""

EXIT_PATIENCE = 1.0
"""The same at the interpreter's exit."""

BRIEFLY = 0.05
"""Seconds that Ctrl-C waits for them: it has 200 ms, and the engine's letting go is the rest."""

LOOK = 0.01
"""Seconds between two looks at what is not waited for."""


class _Brief:
    """An operation that a blocking driver waits for until then at most."""

    def __init__(self, until: float, op: Op[Any]) -> None:
        self._until, self._op = until, op

    def __getattr__(self, name: str) -> Any:
        return getattr(self._op, name)

    def wait(self, timeout: float | None = None) -> bool:
        left = max(0.0, self._until - time.monotonic())
        if self._op.wait(left if timeout is None else min(left, timeout)):
            return True
        if timeout is None:
            raise errors.TimeoutError("it goes on in the background")
        return False


def _as_it_is(op: Op[Any]) -> Any:
    return op


class Pending:
    """One multipart upload, from before its CreateMultipartUpload is sent until it is completed or aborted.

    Operations are put into the lists by what starts them, before anything is sent: a signal's handler may raise in
    between, and what nobody knows of nobody aborts.
    """

    def __init__(self, leftovers: Leftovers, bucket: str, key: str) -> None:
        self.bucket = bucket
        self.key = key
        self.creating: list[Op[Any]] = []
        """CreateMultipartUpload, which a cancel does not cut short."""
        self.parts: list[Op[Any]] = []
        """What is sent, and can be cancelled."""
        self.keep = False
        """Whether it stays open at the server when it is given up: somebody knows its id, and will go on with it."""
        self._leftovers = leftovers
        self._lock = threading.RLock()  # a signal's handler may close the client
        self._ended = False
        self._aborting: list[Op[Any]] = []
        self._warned = False

    # -- what a backend knows ----------------------------------------------------------------------------------------
    def upload_id(self, creating: Op[Any]) -> str | None:
        """The id in the answer to CreateMultipartUpload; None if the server said that there is no upload.

        Raises:
            Exception: no answer has come, or none that can be read.
        """
        raise NotImplementedError

    def start_abort(self, upload_id: str, into: list[Op[Any]]) -> None:
        """Start AbortMultipartUpload, which a cancel does not cut short, also on a backend that is being closed."""
        raise NotImplementedError

    def check_abort(self, aborting: Op[Any]) -> None:
        """Raise what the server, or the network, said to an abort that has ended."""
        raise NotImplementedError

    # -- its beginning and its end -----------------------------------------------------------------------------------
    def begin(self, start: Callable[[], Any]) -> None:
        """Call ``start``, which sends the first request.

        Raises:
            ClosedError: another thread has closed the client, and found nothing here that it would have to wait for.
        """
        with self._lock:
            if self._ended:
                raise errors.ClosedError("the client is closed")
            self._leftovers.add(self)
            start()

    def completed(self) -> None:
        """There is nothing to clean up any more."""
        self._leftovers.end(self)

    def give_up(self, error: BaseException) -> Steps[None]:
        """After an error: abort what has begun. What the driver does not wait for goes on without it.

        Its own failure is logged, not raised: the error that led here says more.
        """
        try:
            if not isinstance(error, GeneratorExit):  # nobody drives these steps any more: a yield would be an error
                for op in tuple(self.parts):
                    op.cancel()
                # A signal's handler may have raised in these steps, and not while they were waited for: then the
                # driver does not know of it, and would wait as long as it takes.
                wait = _as_it_is if isinstance(error, Exception) else partial(_Brief, time.monotonic() + BRIEFLY)
                for op in tuple(self.parts):  # S3 keeps a part that arrives after the abort
                    if not op.done():
                        with contextlib.suppress(Exception):
                            yield wait(op)
                if not self.settle() and self._aborting:
                    with contextlib.suppress(Exception):
                        yield wait(self._aborting[0])
        finally:
            if not self.settle():
                self._leftovers.take(self)

    def settle(self) -> bool:
        """Do what can be done now; True when nothing more can be done. Never waits."""
        if not self._settle():
            return False
        self._leftovers.end(self)
        return True

    def _settle(self) -> bool:
        with self._lock:
            if not self.creating and not self.parts:
                self._ended = True
                return True
        parts = tuple(self.parts)
        for op in parts:
            op.cancel()
        if not all(op.done() for op in (*parts, *self.creating)):
            return False
        if not self.creating or self.keep:
            return True
        with self._lock:
            if not self._aborting:
                try:
                    upload_id = self.upload_id(self.creating[0])
                    if upload_id is None:
                        return True
                    self.start_abort(upload_id, self._aborting)
                except errors.ConnectionFailedError:
                    return True  # most likely nothing was sent; each call to a server that is down would warn
                except Exception as error:
                    self.warn(error)
                    return True
            aborting = self._aborting[0]
        if not aborting.done():
            return False
        try:
            self.check_abort(aborting)
        except errors.NotFoundError:
            pass  # completed after all, or aborted by somebody else
        except Exception as error:
            self.warn(error)
        return True

    def cut(self) -> None:
        """No more patience."""
        self.warn("no answer came in time")
        for op in (*self.parts, *self.creating, *self._aborting):
            op.cancel(force=True)
        self._leftovers.end(self)

    def warn(self, cause: object) -> None:
        """Say that something may have stayed at the server; once."""
        if not self._warned:
            self._warned = True
            log.warning(
                "s3://%s/%s: a multipart upload ended early and may have stayed at the server, which could not be told "
                "to abort it: %s. A lifecycle rule AbortIncompleteMultipartUpload on the bucket removes such uploads",
                self.bucket,
                self.key,
                cause,
            )


class Leftovers:
    """The multipart uploads of one backend."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._closed = False
        self._open: set[Pending] = set()
        self._given_up: dict[Pending, float] = {}  # and until when they have time
        self._thread: threading.Thread | None = None

    def add(self, upload: Pending) -> None:
        with self._lock:
            if self._closed:
                raise errors.ClosedError("the client is closed")
            self._open.add(upload)

    def end(self, upload: Pending) -> None:
        with self._lock:
            self._open.discard(upload)
            self._given_up.pop(upload, None)

    def take(self, upload: Pending) -> None:
        """Bring it to its end in the background."""
        with self._lock:
            if upload not in self._open:
                return
            self._given_up[upload] = time.monotonic() + PATIENCE
            if self._thread is not None:
                return
            # daemon: at the end of Python, close() does what is left to do
            self._thread = threading.Thread(target=self._work, name="objectfs-leftovers", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no thread can be had: close() will do it
                self._thread = None

    def _work(self) -> None:
        pause = threading.Event()
        while True:
            with self._lock:
                uploads = dict(self._given_up)
                if not uploads:
                    self._thread = None
                    return
            for upload, deadline in uploads.items():
                if not upload.settle() and time.monotonic() >= deadline:
                    upload.cut()
            pause.wait(LOOK)

    def close(self, patience: float) -> None:
        """Abort all uploads that are not complete, waiting ``patience`` seconds at most."""
        deadline = time.monotonic() + patience
        pause = threading.Event()
        while True:
            with self._lock:
                self._closed = True
                uploads = tuple(self._open)
            left = [upload for upload in uploads if not upload.settle()]
            if not left:
                return
            if time.monotonic() >= deadline:
                break
            pause.wait(LOOK)
        for upload in left:
            upload.cut()
