"""What an engine's histograms of first bytes' waits tell: from when on an answer is late, and what a connection costs.

See docs/design/0022-hedging.md.
"""

from __future__ import annotations

from objectfs.telemetry import bound

__all__ = ["LATER", "connecting", "late"]

FAR = 0.005
"""Seconds to a first byte, in the median: below it nothing is worth a second request."""

LATE = 0.75
"""Of the answers have come: what has not is late. (Of lognormal answers with S3's tail every fourth is sent twice.)"""

LATER = 1.5
"""Times the median, at least: where answers come evenly, none is late."""

QUICKEST = 0.03
"""Of the waits: what these had to wait for is the network, and not each other."""

ENOUGH = 4
"""Waits of each kind, of which that is said."""


def late(waits: list[int]) -> float:
    """By the counts of first bytes' waits: seconds; 0 from near."""
    median = _quantile(waits, 0.5)
    return max(_quantile(waits, LATE), LATER * median) if median >= FAR else 0.0


def connecting(first: list[int], waits: list[int]) -> float | None:
    """Seconds that a connection's first answer takes longer than others; None before anybody knows.

    ``first``: the waits of connections' first answers, and for the connection itself. ``waits``: of all answers, and
    for these alone.
    """
    # about: one may have another bucket there than here, and either may have become old
    others = [max(every - new, 0) for every, new in zip(waits, first, strict=True)]
    if sum(first) < ENOUGH or sum(others) < ENOUGH:
        return None
    return max(0.0, _quantile(first, QUICKEST) - _quantile(others, QUICKEST))


def _quantile(waits: list[int], share: float) -> float:
    left = share * sum(waits)
    for index, count in enumerate(waits):
        left -= count
        if left <= 0:
            return (bound(max(index - 1, 0)) + bound(min(index, len(waits) - 2))) / 2
    return bound(len(waits) - 2)
