"""Random sequences of operations against the reference, on both stores.

``OBJECTFS_MODEL_EXAMPLES`` runs more than the few hundred operations that fit into a normal run; what was found stays
as tests below.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Operations, WithRestarts
from .site import Site

# Read at import: no variable of this name reaches a test.
EXAMPLES = int(os.environ.get("OBJECTFS_MODEL_EXAMPLES", "12"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    # The same sequences each time: a normal run must not fail by chance. A longer one looks for others.
    derandomize="OBJECTFS_MODEL_EXAMPLES" not in os.environ,
    database=None,
    # Shrinking takes many minutes of a machine with I/O: it is for whoever looks into a failure.
    phases=[Phase.generate, *([Phase.shrink] if "OBJECTFS_MODEL_SHRINK" in os.environ else [])],
    suppress_health_check=list(HealthCheck),
)


def run(machine: type[Operations], folder: Path | None) -> None:
    site = Site(folder)
    try:
        run_state_machine_as_test(type(machine.__name__, (machine,), {"site": site}), settings=SETTINGS)
    finally:
        site.close()


def test_memory() -> None:
    run(Operations, None)


def test_directory_with_restarts(tmp_path: Path) -> None:
    run(WithRestarts, tmp_path / "store")
    # Nothing is left of buckets that were emptied and deleted.
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
