"""The differential tester behind ``objectfs compare-backends``: the same operations on both backends, what differs.

``plan`` makes the operations from a seed, ``perform`` does one of them with a client, ``outcome`` brings what came of
it into a form that can be compared, ``tester`` does it all.
"""

from __future__ import annotations

from objectfs.equivalence.tester import Difference, Tester

__all__ = ["Difference", "Tester"]
