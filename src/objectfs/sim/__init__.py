"""An embedded S3 server for tests and benchmarks: real sockets, real signatures, planned failures.

    with S3Server(buckets=("bucket",)) as server:
        client = objectfs.Client(endpoint_url=server.endpoint_url, ...)

It imports nothing else of objectfs, so that a mistake in the client cannot hide in its test server. The names below
are imported with their first use: pytest imports this package in every run, for its plugin.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from objectfs.sim.network.faults import Fault, Faults, Injection
    from objectfs.sim.network.profile import PROFILES, Profile, ProfileError
    from objectfs.sim.network.rules import FaultError
    from objectfs.sim.record import Request
    from objectfs.sim.server import S3Server
    from objectfs.sim.sockets.limits import Limits
    from objectfs.sim.store.blobs import synthetic_bytes

_HOMES = {
    "PROFILES": "network.profile",
    "Fault": "network.faults",
    "FaultError": "network.rules",
    "Faults": "network.faults",
    "Injection": "network.faults",
    "Limits": "sockets.limits",
    "Profile": "network.profile",
    "ProfileError": "network.profile",
    "Request": "record",
    "S3Server": "server",
    "synthetic_bytes": "store.blobs",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def main(argv: Sequence[str] | None = None) -> int:
    """Serve from the command line until SIGINT or SIGTERM; see ``python -m objectfs.sim --help``."""
    from objectfs.sim.cli import main as run

    return run(argv)


__all__ = [
    "PROFILES",
    "Fault",
    "FaultError",
    "Faults",
    "Injection",
    "Limits",
    "Profile",
    "ProfileError",
    "Request",
    "S3Server",
    "main",
    "synthetic_bytes",
]
