"""One recording server and one client of each backend for the whole walk: making them anew for each of a thousand calls
would take minutes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import objectfs
from objectfs.backends.select import available

from .recorder import Recorder


@pytest.fixture(autouse=True)
def nothing_leaks() -> None:
    """Looked at once, when the clients are closed: see ``clients``."""


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        yield server


def settings(server: Any, backend: str, **changes: Any) -> dict[str, Any]:
    return {
        "endpoint_url": server.url if isinstance(server, Recorder) else server.endpoint_url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "max_attempts": 1,
        "backend": backend,
        **changes,
    }


@pytest.fixture(scope="module")
def clients(recorder: Recorder, memory_check: Callable[[], None]) -> Iterator[dict[str, objectfs.Client]]:
    """A client of each backend, by its name."""
    names = [attempt.name for attempt in available() if attempt.ok]
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(objectfs.Client(**settings(recorder, name))) for name in names}
    memory_check()
