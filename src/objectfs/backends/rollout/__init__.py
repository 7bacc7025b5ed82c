"""Two backends behind one contract: the trusted one (sdk) and the one that is being rolled out (crt).

Made only where the setting ``rollout`` asks for it (``backends/select.py``): a client without it does not come by here.
docs/design/0019-rollout.md has the rules.
"""

from __future__ import annotations

from typing import Any

from objectfs.backends.rollout.ledger import Ledger
from objectfs.backends.rollout.routed import RoutedBackend
from objectfs.rollout import Rollout

__all__ = ["RoutedBackend", "without_engine"]


def without_engine(rules: Rollout, reason: str) -> dict[str, Any]:
    """What ``stats()["rollout"]`` says where the engine cannot be used, and the trusted backend does all by itself."""
    ledger = Ledger()
    ledger.note("no-engine", None, detail=reason)
    return {"settings": str(rules), **ledger.describe(), "circuits": None, "shadow": None}
