"""The report as one HTML page: no script, nothing fetched. The look is the benchmarks' (bench/report/style.css)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from importlib import resources

from objectfs.bench.report import words
from objectfs.soak.measures import BY_NAME, MEASURES, Measure
from objectfs.soak.results import Course, Growth, Report
from objectfs.soak.slope import thin

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_POINTS = 400
_WIDTH, _HEIGHT = 1000.0, 160.0
_STYLE = """
.course svg { height: 160px; border-bottom: 1px solid var(--line); background: var(--card); }
.course polyline { fill: none; stroke-width: 1.6; vector-effect: non-scaling-stroke; }
.course .crt { stroke: var(--crt); } .course .sdk { stroke: var(--limit); }
.course .plot rect.warm { fill: var(--even); y: 0; height: 160px; }
.course .trend { stroke-dasharray: 5 4; opacity: .7; }
.course .ends { display: flex; justify-content: space-between; font-size: .76rem; color: var(--soft); }
.legend i { display: inline-block; width: .8rem; height: .6rem; margin: 0 .3rem 0 .6rem; border-radius: 1px; }
.legend .crt { background: var(--crt); } .legend .sdk { background: var(--limit); }
.steady { color: var(--good); } .grows, .undecided { color: var(--bad); font-weight: 600; }
"""


def page(report: Report) -> str:
    """The whole document."""
    style = resources.files("objectfs.bench.report").joinpath("style.css").read_text(encoding="utf-8")
    title = f"ObjectFS soak, {words.duration(report.seconds)}, {report.created[:10]}"
    charts = "".join(_figure(report, measure) for measure in MEASURES)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>\n{style}{_STYLE}</style>\n</head>\n<body>\n"
        f'<header class="top"><h1>{_text(title)}</h1>{_head(report)}</header>\n<main>\n{_problems(report)}'
        f"<section><h2>What was measured</h2><p>{_legend(report)} The grey part is the warm-up, which is not judged; "
        f"dashes are the slope. The axes do not begin at nought.</p>"
        f'<div class="figures">{charts}</div></section>\n{_growth(report)}{_left(report)}{_verbs(report)}</main>\n'
        "</body>\n</html>\n"
    )


def _text(text: str) -> str:
    return escape(words.printable(text))


def _head(report: Report) -> str:
    machine = report.machine
    said = (
        f"objectfs {report.objectfs_version}{f', commit {report.commit}' if report.commit else ''}. {machine.cpu}, "
        f"{words.plural(machine.cores, 'core')}, {words.size(machine.memory)}, kernel {machine.kernel}, "
        f"Python {machine.python}. {words.moment(report.created)}."
    )
    ended = " It was ended early." if report.interrupted else ""
    faults = f" The server did {words.plural(report.faults, 'thing')} wrong on purpose." if report.faults else ""
    return f'<p class="meta">{_text(said + ended + faults)}</p>'


def _legend(report: Report) -> str:
    marks = "".join(f'<i class="{course.backend}"></i>{_text(course.backend)} ' for course in report.courses)
    return f'<span class="legend">{marks}</span>'


def _problems(report: Report) -> str:
    if not report.problems:
        return '<p class="steady">Nothing grew, and no outcome was wrong.</p>\n'
    return f'<ul class="failures">{"".join(f"<li>{_text(text)}</li>" for text in report.problems)}</ul>\n'


def _figure(report: Report, measure: Measure) -> str:
    series = [
        (
            course,
            [(sample.time, value) for sample in course.samples if (value := getattr(sample, measure.name)) is not None],
        )
        for course in report.courses
    ]
    series = [(course, points) for course, points in series if len(points) > 1]
    if not series:
        return ""
    values = [value for _, points in series for _, value in points]
    low, high = min(values), max(values)
    pad = (high - low) * 0.05 or max(1.0, high * 0.05)
    low, high = low - pad, high + pad
    end = max(points[-1][0] for _, points in series) or 1.0

    def place(time: float, value: float) -> str:
        return f"{_WIDTH * time / end:.1f},{_HEIGHT * (high - value) / (high - low):.1f}"

    warm = max(points[0][0] + report.warm_up * (points[-1][0] - points[0][0]) for _, points in series)
    drawing = f'<rect class="warm" x="0" y="0" width="{_WIDTH * warm / end:.1f}" height="{_HEIGHT}"/>'
    for course, points in series:
        times, heights = thin([time for time, _ in points], [value for _, value in points], _POINTS)
        line = " ".join(place(time, value) for time, value in zip(times, heights, strict=True))
        drawing += f'<polyline class="{course.backend}" points="{line}"/>{_trend(course, measure, points, place)}'
    write = _writer(measure)
    said = "; ".join(
        f"{course.backend} from {write(points[0][1])} to {write(points[-1][1])}" for course, points in series
    )
    return (
        f'<figure class="course"><figcaption>{_text(measure.title)}</figcaption>'
        f'<div class="plot" role="img" aria-label="{escape(f"Chart. {said}")}">'
        f'<div class="ends"><span>{write(high - pad)}</span><span></span></div>'
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none">{drawing}</svg>'
        f'<div class="ends"><span>{write(low + pad)}</span><span>{words.duration(end)}</span></div></div></figure>'
    )


def _trend(
    course: Course, measure: Measure, points: Sequence[tuple[float, float]], place: Callable[[float, float], str]
) -> str:
    """The slope, through the middle of what was judged."""
    found = next((growth for growth in course.growth if growth.measure == measure.name), None)
    if found is None or found.verdict == "undecided":
        return ""
    judged = [point for point in points if point[0] >= points[-1][0] - found.seconds]
    middle = sorted(value - found.slope * time for time, value in judged)[len(judged) // 2]
    ends = " ".join(place(time, middle + found.slope * time) for time in (judged[0][0], judged[-1][0]))
    return f'<polyline class="trend {course.backend}" points="{ends}"/>'


def _writer(measure: Measure) -> Callable[[float], str]:
    return (lambda value: words.size(round(value))) if measure.bytes else (lambda value: words.whole(round(value)))


def rate(growth: Growth, value: float) -> str:
    """A slope by the hour, in the measure's unit."""
    by_hour = value * 3600
    if BY_NAME[growth.measure].bytes:
        return f"{math.copysign(1, by_hour) * abs(by_hour) / (1 << 20):,.2f} MiB/h"
    return f"{by_hour:,.1f}/h"


def _growth(report: Report) -> str:
    rows = "".join(
        f"<tr><th scope=row>{_text(BY_NAME[item.measure].title)}</th><td>{course.backend}</td>"
        f'<td class="num">{_writer(BY_NAME[item.measure])(item.first)}</td>'
        f'<td class="num">{_writer(BY_NAME[item.measure])(item.last)}</td><td class="num">{rate(item, item.slope)}</td>'
        f'<td class="num">{rate(item, item.low)} to {rate(item, item.high)}</td>'
        f'<td class="num">{rate(item, item.limit)}</td>'
        f'<td class="{item.verdict}">{item.verdict}</td></tr>'
        for course in report.courses
        for item in course.growth
    )
    rooms = "".join(
        f"<li>{_text(measure.title)}: {_writer(measure)(measure.room)}; {_text(measure.why)}</li>"
        for measure in MEASURES
    )
    return (
        '<section><h2>Slopes</h2><div class="scroll"><table><thead><tr><th>Measure</th><th>Backend</th>'
        '<th class="num">First</th><th class="num">Last</th><th class="num">Slope</th>'
        f'<th class="num">{report.confidence:.0%} interval</th><th class="num">Limit</th><th>Verdict</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div><p>A measure grows where all of the interval is above the limit: what it "
        f"may rise by in the measured time, divided by that time.</p><ul>{rooms}</ul></section>\n"
    )


def _left(report: Report) -> str:
    rows = "".join(
        f'<tr><td>{course.backend}</td><td>{_text(item.measure)}</td><td class="num">{item.left:,}</td>'
        f'<td class="num">{item.allowed:,}</td></tr>'
        for course in report.courses
        for item in course.left
    )
    return (
        "<section><h2>After all clients were closed</h2><table><thead><tr><th>Backend</th><th>What</th>"
        f'<th class="num">Left</th><th class="num">Allowed</th></tr></thead><tbody>{rows}</tbody></table></section>\n'
    )


def _verbs(report: Report) -> str:
    rows = "".join(
        f'<tr><td>{course.backend}</td><td>{_text(verb.name)}</td><td class="num">{verb.succeeded:,}</td>'
        f'<td class="num">{verb.cancelled:,}</td>'
        f"<td>{_text(', '.join(f'{name} {count:,}' for name, count in sorted(verb.errors.items())))}</td></tr>"
        for course in report.courses
        for verb in course.verbs
    )
    return (
        '<section><h2>What was done</h2><div class="scroll"><table><thead><tr><th>Backend</th><th>Verb</th>'
        '<th class="num">Succeeded</th><th class="num">Cancelled</th><th>Errors</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>\n"
    )
