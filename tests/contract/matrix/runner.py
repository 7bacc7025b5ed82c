"""One case: the call, and all that must hold afterwards."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import objectfs
from objectfs import errors
from objectfs.sim import Fault, S3Server

from .awake import Awake
from .cases import Case
from .kinds import ATTEMPTS, Kind
from .verbs import MOST, Verb
from .world import FLIP, LARGE, PART, SMALL, World, uploads, wait_for

__all__ = ["Runner"]


class Runner:
    """Runs cases on one backend, one after the other, each with a client of its own."""

    def __init__(self, server: S3Server, world: World, settings: dict[str, Any], memory: Callable[[], int]) -> None:
        self.server, self.world, self.settings, self.memory = server, world, settings, memory
        self.dirty = True
        self.lost = 0
        """Bytes that engines have kept whose close() ran out of time while the process was stopped."""

    def problems(self, case: Case) -> list[str]:
        """What did not hold; empty where all is well. Once more where the process was stopped meanwhile: its timeouts
        count that."""
        for _ in range(5):
            with Awake() as awake:
                found = self._problems(case, awake)
            if not found or not awake.slept:
                break
            self.lost = self.memory()
        return found

    def _problems(self, case: Case, awake: Awake) -> list[str]:
        server, world = self.server, self.world
        server.faults.clear()
        if self.dirty:
            with objectfs.Client(**self.settings) as setup:
                world.fill(setup)
            self.dirty = False
        world.clear()
        server.clear_requests()
        # short only where it is what ends the case: a busy machine answers late, too
        world.settings = {**self.settings, "read_timeout": 2 if case.kind.slow else 60}
        found: list[str] = []
        with objectfs.Client(**world.settings) as client:
            world.client = client
            fault = server.faults.add(_fault(case))
            started, slept = time.monotonic(), awake.slept
            got, error = _call(case.verb, world)
            took = time.monotonic() - started - (awake.slept - slept)
            server.faults.clear()
            log = server.requests
            found += [f"it was not struck, by {len(log)} requests"] if not fault.hits else []
            found += [f"it took {took:.1f} s"] if took >= MOST else []
            found += self._outcome(case, got, error, fault)
            found += _attempts(case, log)
            if case.kind.name.startswith("replaced"):
                self.dirty = True
            else:
                found += _works_on(client)
            got = None
        lost = fault.hits if case.operation == "CreateMultipartUpload" and case.kind.loses else 0
        if not wait_for(lambda: uploads(server) <= lost):
            found.append(f"{uploads(server)} uploads are left")
        if files := world.leftovers():
            found.append(f"files are left: {files}")
        del error
        world.client = None
        if self._kept() > 0 and not wait_for(lambda: gc.collect() < 0 or self._kept() <= 0, 60):
            found.append(f"{self._kept()} bytes of the engine's are left")
        return found

    def _kept(self) -> int:
        return self.memory() - self.lost

    def _outcome(self, case: Case, got: Any, error: BaseException | None, fault: Fault) -> Iterator[str]:
        verb, kind = case.verb, case.kind
        strikes = case.strikes
        if error is None and isinstance(got, list):
            error = next((each for each in got if isinstance(each, Exception)), None)
        enough = strikes is not None and strikes < ATTEMPTS
        wanted = {
            "retried": "right" if enough else "error",
            "refused": "error",
            "harmless": "right",
            "either": "either",
        }[kind.outcome]
        if error is not None:
            yield from _check_error(verb, kind, error)
            own = kind.loses and "may have been done" in str(error)
            if wanted == "right" and not own:
                yield f"it failed with {type(error).__name__}: {error}"
        elif wanted == "error" and fault.hits:
            yield "it did not fail"
        yield from self._content(case, got, error)

    def _content(self, case: Case, got: Any, error: BaseException | None) -> Iterator[str]:
        verb, world = case.verb, self.world
        replaced = case.kind.name.startswith("replaced")
        wrong = verb.right is not None and got != verb.right
        if error is None and wrong and not (replaced and _is_other(got, verb.right)):
            yield f"wrong: {str(got)[:100]}"
        if verb.makes:
            data = world.content(verb.makes)
            if data is None and error is None:
                yield "nothing was stored"
            if data is not None and data != verb.data and not (replaced and _is_other(data, verb.data)):
                yield f"{len(data)} wrong bytes were stored"
        if verb.file:
            path = world.folder / "got"
            file = path.read_bytes() if path.exists() else None
            if file is None and error is None:
                yield "no file"
            if file is not None and file != verb.file and not (replaced and _is_other(file, verb.file)):
                yield f"a file with {len(file)} wrong bytes"
            if file is not None and error is not None:
                yield "a file in spite of the error"
        if error is None and any(key in world.objects() for key in verb.deletes):
            yield "nothing was deleted"


def _fault(case: Case) -> Fault:
    if case.strikes is None:
        when: dict[str, Any] = {"after": case.nth - 1, "times": None}
    else:
        when = {"after": case.nth - 1, "times": case.strikes}
    return case.kind.make(case.operation, when)


def _call(verb: Verb, world: World) -> tuple[Any, BaseException | None]:
    try:
        return verb.answers(verb.run(world)), None
    except Exception as error:
        error.__traceback__ = error.__context__ = None  # its frames hold what the call used
        return None, error


def _check_error(verb: Verb, kind: Kind, error: BaseException) -> Iterator[str]:
    if not isinstance(error, errors.ObjectFSError):
        yield f"it raised {type(error).__name__}: {error}"
        return
    own = "may have been done" in (error.hint or "")  # a condition that an earlier attempt made true
    if not isinstance(error, kind.classes) and not own:
        yield f"it raised {type(error).__name__}: {error}"
    if error.operation is None or (error.bucket is None and error.operation != "ListBuckets"):
        yield f"the error does not say what it was about: {error}"


def _attempts(case: Case, log: list[Any]) -> Iterator[str]:
    """No request is sent more often than there are attempts."""
    seen = Counter(
        (each.operation, each.key, each.query.get("partNumber"), str(each.range), each.query.get("uploadId"))
        for each in log
    )
    for what, count in seen.items():
        # a few are asked for by two ways, the second when the first has failed
        if count > 2 * ATTEMPTS:
            yield f"{what} was sent {count} times"


def _works_on(client: objectfs.Client) -> Iterator[str]:
    """Whatever a fault left on a connection is no other request's business."""
    try:
        if bytes(client.get("bucket", "small", timeout=MOST)) != SMALL:
            yield "the next answer was wrong"
    except objectfs.ObjectFSError as error:
        yield f"the next request failed: {error}"


def _is_other(got: Any, right: Any) -> bool:
    """Whether all of it, or each item, is of the object that replaced it, and nothing mixed."""
    if isinstance(right, list):
        return (
            isinstance(got, list)
            and len(got) == len(right)
            and all(one == each or _is_other(one, each) for one, each in zip(got, right, strict=True))
        )
    if not isinstance(got, bytes):
        return False
    return got in (right.translate(FLIP), b"other", b"other"[100:])


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


__all__ += ["LARGE", "PART", "descriptors"]
