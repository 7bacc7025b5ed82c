"""Two backends behind one contract: the trusted one (sdk) and the one that is being rolled out (crt).

Made only where the setting ``rollout`` asks for it (``backends/select.py``): a client without it does not come by here.
docs/design/0019-rollout.md has the rules.
"""

from __future__ import annotations

from objectfs.backends.rollout.routed import RoutedBackend

__all__ = ["RoutedBackend"]
