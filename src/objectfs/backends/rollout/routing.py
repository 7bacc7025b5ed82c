"""Where a request goes, and what follows when the engine fails at it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from objectfs import errors
from objectfs.backends.base import Backend, Steps
from objectfs.backends.rollout.blame import blame
from objectfs.backends.rollout.breaker import Circuit, Circuits
from objectfs.backends.rollout.ledger import Ledger
from objectfs.backends.session import Session
from objectfs.rollout import Rollout

__all__ = ["Route", "Router", "place"]

T = TypeVar("T")


def place(bucket: str | None, key: str | None) -> float:
    """Where a key stands, from 0 to 100: the same in every process and version, so that raising ``canary`` adds keys
    and takes none away."""
    name = f"{bucket or ''}/{key or ''}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") / 2**64 * 100


@dataclass(frozen=True, slots=True)
class Route:
    """Where one request goes."""

    engine: bool
    operation: str
    bucket: str | None
    key: str | None
    circuit: Circuit | None = None
    probe: object | None = None


class Router:
    """Decides, and holds what was decided."""

    def __init__(self, rules: Rollout, session: Session, trusted: Backend) -> None:
        self._rules = rules
        self._session = session
        self._trusted = trusted
        self.ledger = Ledger()
        self.circuits = None if rules.breaker is None else Circuits(rules.breaker)

    def is_canary(self, bucket: str | None, key: str | None) -> bool:
        """Whether requests about that key go to the engine."""
        return place(bucket, key) < self._rules.canary

    def route(self, operation: str, bucket: str | None, key: str | None) -> Route:
        """Where a request goes. ``key`` is a prefix for listings, so that all pages come from one backend."""
        if not self.is_canary(bucket, key):
            self.ledger.note("not-canary", operation, bucket, key)
            return Route(False, operation, bucket, key)
        if self.circuits is None:
            self.ledger.note("canary", operation, bucket, key)
            return Route(True, operation, bucket, key)
        circuit = self.circuits.circuit(operation, self._endpoint(bucket))
        admitted, probe = circuit.admit()
        reason = "breaker-open" if not admitted else "canary" if probe is None else "breaker-probe"
        self.ledger.note(reason, operation, bucket, key)
        return Route(admitted, operation, bucket, key, circuit if admitted else None, probe)

    def _endpoint(self, bucket: str | None) -> str:
        try:
            endpoint = self._session.endpoint(bucket)
        except errors.ObjectFSError:  # the verb says it better
            return ""
        return f"{endpoint.scheme}://{endpoint.host_header}"

    def guarded(
        self,
        route: Route,
        ask: Callable[[Backend], Steps[T]],
        engine: Backend,
        *,
        repeats: bool,
        calls_back: bool = False,
    ) -> Steps[T]:
        """A verb on the engine; where that fails, on the trusted backend, if the setting ``breaker`` is there.

        Args:
            repeats: the request can be made once more, whatever has become of it.
            calls_back: it calls what the caller gave: exceptions that are none of ours are the caller's.
        """
        circuit = route.circuit
        if circuit is None:
            return (yield from ask(engine))
        try:
            result = yield from ask(engine)
        except Exception as error:
            failure = error
            whose = blame(error)
            if calls_back and not isinstance(error, errors.ObjectFSError):
                whose = "nobody"
        except BaseException:
            circuit.told_nothing(route.probe)
            raise
        else:
            self.went_well(route)
            return result
        try:
            if whose == "request":
                self.went_well(route)
                raise failure
            if whose == "nobody":
                circuit.told_nothing(route.probe)
                raise failure
            if not repeats:
                yield from self._not_repeated(route, failure, whose)
                raise failure
            return (yield from self._again(route, failure, whose, ask))
        finally:
            circuit.told_nothing(route.probe)  # if nothing else was said of it
            del failure  # its traceback refers to this frame

    def went_well(self, route: Route) -> None:
        """The engine did what it was asked, or brought the server's refusal."""
        circuit = route.circuit
        if circuit is not None and circuit.went_well(route.probe):
            self.ledger.note("breaker-closed", route.operation, route.bucket, None, circuit.endpoint)

    def _went_wrong(self, route: Route) -> None:
        circuit = route.circuit
        if circuit is not None and circuit.went_wrong(route.probe):
            detail = f"{circuit.endpoint}, {circuit.failed} failures so far"
            self.ledger.note("breaker-opened", route.operation, route.bucket, None, detail)

    def _again(self, route: Route, failure: Exception, whose: str, ask: Callable[[Backend], Steps[T]]) -> Steps[T]:
        note = (route.operation, route.bucket, route.key, summary(failure))
        try:
            result = yield from ask(self._trusted)
        except Exception as error:
            if whose == "engine":
                theirs = blame(error)
                if theirs == "request":  # that is an answer, and the engine had none
                    self.ledger.note("fallback", *note)
                    self._went_wrong(route)
                elif theirs == "engine":
                    self.ledger.note("both-failed", *note)
            raise
        if whose == "unsupported":
            self.ledger.note("fallback-unsupported", *note)
        else:
            self.ledger.note("fallback", *note)
            self._went_wrong(route)
        return result

    def returned(self, route: Route, key: str, failure: Exception, again: Any) -> None:
        """The engine returned a failure in a key's place; ``again`` is the trusted backend's result or failure."""
        reason = "both-failed" if isinstance(again, Exception) and blame(again) != "request" else "fallback"
        self.ledger.note(reason, route.operation, route.bucket, key, summary(failure))
        if reason == "fallback":
            self._went_wrong(route)

    def _not_repeated(self, route: Route, failure: Exception, whose: str) -> Steps[None]:
        """Find out whether the failure is the engine's alone: what cannot be repeated cannot be compared."""
        if whose != "engine":
            return
        reached = yield from self._reaches(route.bucket)
        reason = "not-repeated" if reached else "not-repeated-unreachable"
        self.ledger.note(reason, route.operation, route.bucket, route.key, summary(failure))
        if reached:
            self._went_wrong(route)

    def _reaches(self, bucket: str | None) -> Steps[bool]:
        """Whether the trusted backend gets an answer there (HeadBucket)."""
        if bucket is None:
            return False
        try:
            yield from self._trusted.call("HeadBucket", {"Bucket": bucket})
        except errors.ObjectFSError as error:
            return error.status is not None
        except Exception:
            return False
        return True

    def failed(self, route: Route, error: BaseException) -> Steps[None]:
        """A step of an upload on the engine raised; it cannot be repeated, for what came before is gone."""
        if route.circuit is None:
            return
        whose = blame(error) if isinstance(error, Exception) else "nobody"
        if whose == "request":
            self.went_well(route)
        elif whose == "engine" and isinstance(error, Exception):
            yield from self._not_repeated(route, error, whose)
        route.circuit.told_nothing(route.probe)

    def describe(self) -> dict[str, Any]:
        circuits = None if self.circuits is None else self.circuits.describe()
        return {"settings": str(self._rules), **self.ledger.describe(), "circuits": circuits}


def summary(error: Exception) -> str:
    """An error in a line: its class and what names it, not its words, which may hold anything."""
    name = type(error).__name__
    if not isinstance(error, errors.ObjectFSError):
        return name
    more = error.crt_error or error.code or error.status
    return name if more is None else f"{name} {more}"
