"""What came of each call: success, an error that may be, or something that must not be."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from objectfs import errors
from objectfs.soak.results import Verb

MAY_BE = (
    errors.ThrottledError,
    errors.ServerError,
    errors.ConnectionFailedError,
    errors.TruncatedError,
    errors.ChecksumError,
    errors.TimeoutError,
    errors.AccessDeniedError,
)
"""What a faulty server and network are told as. NotFoundError is not among them: objects are read after their upload
has succeeded, and nobody else deletes them."""

_WRONG_KEPT = 50
_NEVER = 30


class Failed(Exception):
    """A call failed as it may; what would follow from it cannot be played."""


class Outcomes:
    """Counts them. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._succeeded: Counter[str] = Counter()
        self._cancelled: Counter[str] = Counter()
        self._errors: dict[str, Counter[str]] = {}
        self._may_fail: set[str] = set()
        self.wrong: list[str] = []
        self.bytes = 0

    @contextmanager
    def verb(self, name: str, *also: type[BaseException], cancelled: bool = False) -> Iterator[None]:
        """Count what comes of the block. Failed is raised for errors that may be: :data:`MAY_BE`, and ``also``.

        ``cancelled`` says that it was cut short on purpose: then CancelledError, asyncio's too, may be as well.
        """
        allowed: tuple[type[BaseException], ...] = (*MAY_BE, *also)
        if also or cancelled:
            self._may_fail.add(name)
        try:
            yield
        except Failed:
            raise
        except allowed as error:
            self._error(name, error)
            raise Failed from error
        except (errors.CancelledError, asyncio.CancelledError) as error:
            if not cancelled:
                self.note(name, error)
            with self._lock:
                self._cancelled[name] += 1
            raise Failed from error
        except Exception as error:
            self.note(name, error)
            raise Failed from error
        with self._lock:
            self._succeeded[name] += 1

    @contextmanager
    def refused(self, name: str, *wanted: type[BaseException]) -> Iterator[None]:
        """As :meth:`verb`, for a call that must be refused with one of these."""
        self._may_fail.add(name)
        try:
            yield
        except wanted as error:
            self._error(name, error)
            return
        except MAY_BE as error:
            self._error(name, error)
            return
        except Exception as error:
            self.note(name, error)
            return
        self.note(name, None)

    def moved(self, count: int) -> None:
        """So many bytes were compared."""
        with self._lock:
            self.bytes += count

    def note(self, name: str, error: BaseException | None) -> None:
        """An outcome that must not be; the first ones are kept with where they were."""
        if error is None:
            text = f"{name}: succeeded and should have been refused"
        else:
            where = "; ".join(
                f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
                for frame in traceback.extract_tb(error.__traceback__)
            )
            text = f"{name}: {type(error).__name__}: {error} ({where})"
        with self._lock:
            if len(self.wrong) < _WRONG_KEPT:
                self.wrong.append(text)
            elif len(self.wrong) == _WRONG_KEPT:
                self.wrong.append("and more")

    def _error(self, name: str, error: BaseException) -> None:
        with self._lock:
            self._errors.setdefault(name, Counter())[type(error).__name__] += 1

    @property
    def operations(self) -> int:
        with self._lock:
            counted = self._succeeded.total() + self._cancelled.total()
            return counted + sum(found.total() for found in self._errors.values())

    def never(self) -> list[str]:
        """What was tried often and did not succeed once: nothing would be shown by a server that refuses all."""
        return [
            f"{verb.name} did not succeed once: {verb.errors}"
            for verb in self.verbs()
            if verb.name not in self._may_fail and not verb.succeeded and sum(verb.errors.values()) >= _NEVER
        ]

    def verbs(self) -> tuple[Verb, ...]:
        with self._lock:
            names = sorted({*self._succeeded, *self._cancelled, *self._errors})
            return tuple(
                Verb(name, self._succeeded[name], self._cancelled[name], dict(self._errors.get(name, {})))
                for name in names
            )
