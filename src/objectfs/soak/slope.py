"""How fast a series grows, and how sure that is: Theil and Sen's slope with Sen's interval.

The slope is the median of the slopes between all pairs of points. A few wild values do not move it, and one step moves
it little; nothing is assumed of how the values scatter. The interval has the ranks that Kendall's statistic gives. It
takes the points to be independent: those of a process are not quite, so of many points neighbours are put together
first (:func:`thin`), and what is judged is not whether the slope differs from nought but whether all of the interval is
above a limit (verdict.py).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

POINTS = 120
"""More of them cost time with their square, and lie so close that they are not independent."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Units per second; the interval is two-sided."""

    middle: float
    low: float
    high: float


def thin(times: Sequence[float], values: Sequence[float], points: int = POINTS) -> tuple[list[float], list[float]]:
    """At most so many points: medians of neighbours, of as many for each as possible."""
    count = len(times)
    if count <= points:
        return list(times), list(values)
    edges = [round(place * count / points) for place in range(points + 1)]
    pieces = [slice(start, end) for start, end in itertools.pairwise(edges)]
    return [median(times[piece]) for piece in pieces], [median(values[piece]) for piece in pieces]


def slope(times: Sequence[float], values: Sequence[float], confidence: float = 0.99) -> Slope:
    """The slope of at least two points. Raises ValueError for fewer, and where all have the same time."""
    times, values = thin(times, values)
    pairs = sorted(
        (values[later] - values[earlier]) / (times[later] - times[earlier])
        for later in range(len(times))
        for earlier in range(later)
        if times[later] != times[earlier]
    )
    if not pairs:
        raise ValueError("a slope needs two points of different times")
    count = len(times)
    spread = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(_variance(count, values))
    # The ranks on both sides of the middle, from 1; with few points the interval is all that there is.
    low = math.floor((len(pairs) - spread) / 2)
    high = math.ceil((len(pairs) + spread) / 2) + 1
    return Slope(median(pairs), pairs[max(low, 1) - 1], pairs[min(high, len(pairs)) - 1])


def _variance(count: int, values: Sequence[float]) -> float:
    """Of Kendall's statistic where there is no trend, less for values that are there more than once."""
    ties = sum(same * (same - 1) * (2 * same + 5) for same in Counter(values).values())
    return (count * (count - 1) * (2 * count + 5) - ties) / 18
