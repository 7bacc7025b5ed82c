"""An embedded S3 server for tests and benchmarks: real sockets, real signatures, planned failures.

    with S3Server(buckets=("bucket",)) as server:
        client = objectfs.Client(endpoint_url=server.endpoint_url, ...)

It imports nothing else of objectfs, so that a mistake in the client cannot hide in its test server.
"""

from __future__ import annotations

from collections.abc import Sequence

from objectfs.sim.blobs import synthetic_bytes
from objectfs.sim.faults import Fault, Faults
from objectfs.sim.limits import Limits
from objectfs.sim.record import Request
from objectfs.sim.server import S3Server


def main(argv: Sequence[str] | None = None) -> int:
    """Serve from the command line until SIGINT or SIGTERM; see ``python -m objectfs.sim --help``."""
    from objectfs.sim.cli import main as run

    return run(argv)


__all__ = ["Fault", "Faults", "Limits", "Request", "S3Server", "main", "synthetic_bytes"]
