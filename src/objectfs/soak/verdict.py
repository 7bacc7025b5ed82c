"""Whether a measure grew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from objectfs.soak.measures import MEASURES, Measure, Sample
from objectfs.soak.results import Growth, Left
from objectfs.soak.slope import slope

WARM_UP = 1 / 3
"""Share of the time at the beginning that is not judged: pools, caches and arenas fill."""

CONFIDENCE = 0.99

LEAST = 16
"""Samples behind the warm-up with which something is decided: with fewer the interval is too wide to say anything."""


def judge(samples: Sequence[Sample], warm_up: float = WARM_UP, confidence: float = CONFIDENCE) -> tuple[Growth, ...]:
    """One verdict for each measure that the samples have."""
    found = []
    for measure in MEASURES:
        points = [(sample.time, value) for sample in samples if (value := getattr(sample, measure.name)) is not None]
        if points:
            found.append(_judge(measure, points, warm_up, confidence))
    return tuple(found)


def behind(points: Sequence[tuple[float, Any]], warm_up: float) -> list[tuple[float, Any]]:
    """Those after the warm-up, by the clock."""
    start = points[0][0] + warm_up * (points[-1][0] - points[0][0])
    return [point for point in points if point[0] >= start]


def enough(times: Sequence[float], warm_up: float) -> bool:
    """Whether samples of these times can be judged."""
    return bool(times) and len(behind([(time, None) for time in times], warm_up)) >= LEAST


def _judge(measure: Measure, points: list[tuple[float, int]], warm_up: float, confidence: float) -> Growth:
    judged = behind(points, warm_up)
    seconds = judged[-1][0] - judged[0][0]
    if len(judged) < LEAST or seconds <= 0:
        first, last = judged[0][1], judged[-1][1]
        return Growth(measure.name, first, last, 0.0, 0.0, 0.0, 0.0, len(judged), seconds, "undecided")
    found = slope([time for time, _ in judged], [value for _, value in judged], confidence)
    limit = measure.room / seconds
    return Growth(
        measure=measure.name,
        first=judged[0][1],
        last=judged[-1][1],
        slope=found.middle,
        low=found.low,
        high=found.high,
        limit=limit,
        points=len(judged),
        seconds=seconds,
        verdict="grows" if found.low > limit else "steady",
    )


def left(before: Sample, after: Sample) -> tuple[Left, ...]:
    """What is there after all clients were closed, beside what was there before the first was made.

    The C libraries must hold nothing. Descriptors and threads are those from before; what Python itself and botocore
    open once and keep has been opened by then.
    """
    found = []
    if after.native is not None:
        found.append(Left("native bytes", after.native, 0))
    if after.descriptors is not None and before.descriptors is not None:
        found.append(Left("descriptors", after.descriptors, before.descriptors))
    found.append(Left("threads", after.threads, before.threads))
    return tuple(found)
