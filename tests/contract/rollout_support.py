"""Servers that treat one backend badly."""

from __future__ import annotations

from typing import Any

from objectfs.backends.rollout.routing import place
from objectfs.sim import Fault, S3Server

SETTINGS: dict[str, Any] = {
    "access_key_id": "test",
    "secret_access_key": "testtest",
    "region": "us-east-1",
    "max_attempts": 1,
}


def engine(request: Any) -> bool:
    """Whether a request on the server's record came from the engine."""
    return bool(request.headers["user-agent"].startswith("objectfs"))


class EngineFault(Fault):
    """A fault that hits requests of the engine only: what the other backend would not have."""

    def matches(self, request: Any) -> bool:
        return engine(request) and super().matches(request)


def by_backend(sim: S3Server, operation: str) -> tuple[set[str], set[str]]:
    """The keys that the engine, and the trusted backend, made requests of that operation for."""
    made = [request for request in sim.requests if request.operation == operation]
    ours = {request.key for request in made if engine(request)}
    return ours, {request.key for request in made if not engine(request)}


def keys_of(bucket: str, canary: float, count: int, *, inside: bool) -> list[str]:
    """Keys that are canaries, or that are none."""
    names = (f"key-{number}" for number in range(100_000))
    found = []
    for name in names:
        if (place(bucket, name) < canary) == inside:
            found.append(name)
            if len(found) == count:
                break
    return found
