"""One recording server and one client of each backend for the whole walk: making them anew for each of a thousand calls
would take minutes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from tests.contract.conftest import BACKENDS, check_memory

import objectfs

from .recorder import Recorder


@pytest.fixture(autouse=True)
def nothing_leaks() -> None:
    """Looked at once, when the clients are closed: see ``clients``."""


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        yield server


def settings(recorder: Recorder, backend: str, **changes: Any) -> dict[str, Any]:
    return {
        "endpoint_url": recorder.url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "max_attempts": 1,
        "backend": backend,
        **changes,
    }


@pytest.fixture(scope="module")
def clients(recorder: Recorder) -> Iterator[dict[str, objectfs.Client]]:
    """A client of each backend, by its name."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(objectfs.Client(**settings(recorder, name))) for name in BACKENDS}
    check_memory()
