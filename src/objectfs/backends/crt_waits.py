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

ONE_OF_FEW = 0.4
"""Likewise, where a whole object waits for each of some ranges, and answers have such a tail. (It takes a sixth less
time, for two fifths more requests: docs/design/0022-hedging.md.)"""

LATER = 1.5
"""Times the median, at least: where answers come evenly, none is late."""

ENOUGH = 8
"""Waits of new connections, and of others: of S3's, the quickest of four takes 35 ms or more once in 25 times."""

QUICKEST = 1 / 32
"""Of the waits, at least (of few, one): what these had to wait for is the network, and not each other."""


def late(waits: list[int], one_of_few: bool = False) -> float:
    """By the counts of first bytes' waits: seconds; 0 from near. ``one_of_few``: of an object's ranges."""
    median, most = _quantile(waits, 0.5), _quantile(waits, LATE)
    if median < FAR:
        return 0.0
    if one_of_few and most >= LATER * median:
        return _quantile(waits, ONE_OF_FEW)
    return max(most, LATER * median)


def connecting(first: list[int], waits: list[int]) -> float | None:
    """Seconds that a new connection costs its first request: the quickest of these beside the quickest of as many
    others. None before anybody knows.

    ``first``: the waits of connections' first answers, and for the connection itself. ``waits``: of all answers, for
    their first byte.
    """
    new = sum(first)
    if new < ENOUGH or sum(waits) - new < ENOUGH:
        return None
    share = max(1 / (new + 1), QUICKEST)
    return max(0.0, _quantile(first, share) - _quantile(waits, share))


def _quantile(waits: list[int], share: float) -> float:
    left = share * sum(waits)
    for index, count in enumerate(waits):
        left -= count
        if left <= 0:
            return (bound(max(index - 1, 0)) + bound(min(index, len(waits) - 2))) / 2
    return bound(len(waits) - 2)
