"""What an engine begins with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from objectfs.backends import machine
from objectfs.backends.crt import CrtBackend

Make = Callable[..., CrtBackend]


@pytest.mark.parametrize(
    ("scheme", "cores", "given", "connections"),
    [
        ("http", 1, {}, 64),
        ("https", 1, {}, 12),
        ("https", 2, {}, 24),
        ("https", 8, {}, 64),
        ("https", 1, {"max_connections": 40}, 40),  # an order
        ("https", 1, {"max_connections": 4}, 4),
    ],
)
def test_connections_of_the_first_upload(
    make: Make, monkeypatch: pytest.MonkeyPatch, scheme: str, cores: int, given: dict[str, Any], connections: int
) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    backend = make(endpoint_url=f"{scheme}://127.0.0.1:1", **given)
    assert backend.target("bucket").engine.paces.describe()["upload"] == connections
