"""Charts as HTML and SVG that need neither a script nor anything from elsewhere.

A row of a chart is an SVG as wide as its place, with positions in percent and no text in it: so letters stay as large
on a phone as on a desk, and nothing has to be measured.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from objectfs.bench.report import words
from objectfs.bench.report.figures import Row, Spread, is_limit

FAR, NEAR = 8, 5  # so many times the best: one that is farther makes the axis end, at the second
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Bar:
    """One client. ``parts`` are stacked and add up to about the median; without them the bar is of one piece."""

    label: str
    spread: Spread | None
    parts: tuple[tuple[str, float], ...] = ()
    note: str = ""  # what stands in place of a bar, or is added to its exact figures


def css_class(client: str) -> str:
    """What a client is drawn as: ours stands out, the limit is an outline, all others look alike."""
    if client == "objectfs-crt":
        return "crt"
    if client.startswith("objectfs"):
        return "sdk"
    return "raw" if is_limit(client) else "peer"


def ticks(largest: float, unit: float = 1.0) -> list[float]:
    """Round values from zero to at most the largest: multiples of 1, 2 or 5 times a power of ten, in a unit."""
    if largest <= 0 or not math.isfinite(largest):
        return [0.0]
    power = 10.0 ** math.floor(math.log10(largest / unit))
    for part in (0.1, 0.2, 0.5, 1, 2):
        step = power * part * unit
        count = math.floor(largest / step + 1e-9)
        if count <= 4:
            return [step * place for place in range(count + 1)]
    return [0.0, largest]


@dataclass(frozen=True, slots=True)
class Scale:
    """How the values of a chart are written, and in which unit its axis counts."""

    write: Callable[[float], str]
    unit: float = 1.0
    name: str = ""


def seconds(largest: float) -> Scale:
    """The scale of times up to the largest."""
    unit, name = (1.0, "s") if largest >= 1 else (1e-3, "ms") if largest >= 1e-3 else (1e-6, "µs")
    return Scale(words.seconds, unit, name)


def largest(spreads: Iterable[Spread | None]) -> float:
    return max((spread.high for spread in spreads if spread), default=0.0)


PLAIN = Scale(words.number)
MEMORY = Scale(words.mebibytes, 1 << 20, "MiB")


def bars(title: str, rows: Sequence[Bar], scale: Scale | None = None, *, legend: str = "") -> str:
    """A figure with a bar for each row, a line from the lowest to the highest run and a dot for each run.

    Without a scale the values are seconds. ``legend`` is HTML.
    """
    highest = _cut(rows)
    scale = scale or seconds(highest)
    write = scale.write
    full = 1.02 * highest or 1.0
    limit = min((row.spread.median for row in rows if row.spread and is_limit(row.label)), default=None)
    torn = any(row.spread.median > full for row in rows if row.spread)
    body = "".join(_row(row, full, write) for row in rows)
    said = "; ".join(f"{row.label} {write(row.spread.median) if row.spread else row.note}" for row in rows)
    return _figure(
        "bars", title, legend, f"{title}: {said}", _back(full, scale, limit) + body + _axis(full, scale, torn)
    )


def _cut(rows: Sequence[Bar]) -> float:
    """Where the axis ends: at the largest value, or where some clients are that far behind, with those that are near.

    Bars that go on are drawn torn. Without that the differences between the fast ones could not be seen.
    """
    everything = largest(row.spread for row in rows)
    best = min((row.spread.median for row in rows if row.spread and not is_limit(row.label)), default=0.0)
    if not best or everything <= FAR * best:
        return everything
    near = largest(row.spread for row in rows if row.spread and row.spread.median <= NEAR * best)
    return max(near, NEAR * best)


def _figure(kind: str, title: str, legend: str, said: str, body: str) -> str:
    caption = f"<figcaption>{escape(title)}{legend}</figcaption>" if title else ""
    return (
        f'<figure class="{kind}">{caption}'
        f'<div class="plot" role="img" aria-label="{escape(f"Chart. {said}")}">{body}</div></figure>'
    )


def _back(full: float, scale: Scale, limit: float | None = None) -> str:
    """Behind all rows: a line for each value of the axis, and one where plain sockets are."""
    lines = "".join(_line("grid", place / full) for place in ticks(full, scale.unit))
    if limit is not None and limit <= full:
        lines += _line("limit", limit / full)
    return f'<div class="back">{_svg(lines)}</div>'


def _axis(full: float, scale: Scale, torn: bool = False) -> str:
    places = ticks(full, scale.unit)
    names = [f"{place / scale.unit:g}" for place in places]
    names[-1] = f"{names[-1]} {scale.name}".strip()
    marks = "".join(
        f'<span style="left:{_x(place / full)}">{escape(name)}</span>'
        for place, name in zip(places, names, strict=True)
    )
    note = '<em><i class="cut"></i>goes on</em>' if torn else ""
    return f'<div class="axis"><div>{marks}</div>{note}</div>'


def _svg(drawing: str) -> str:
    return f"<svg>{drawing}</svg>"


def _row(row: Bar, full: float, write: Callable[[float], str]) -> str:
    if row.spread is None:
        return _line_of_text(row.label, "", row.note, row.note)
    tip = _tip(row.spread, write) + "".join(f"; {part} {write(share)}" for part, share in row.parts) + row.note
    return _line_of_text(row.label, _drawing(row, row.spread, full), write(row.spread.median), tip)


def _line_of_text(label: str, drawing: str, value: str, tip: str) -> str:
    return (
        f'<div class="row {css_class(label)}"><span class="label">{escape(label)}</span>{_svg(drawing)}'
        f'<span class="value">{escape(value)}</span><span class="tip"><b>{escape(label)}</b> {escape(tip)}</span></div>'
    )


def _drawing(row: Bar, spread: Spread, full: float) -> str:
    pieces = []
    start = 0.0
    # Medians of the parts need not add up to the median of the sums: they are shares of it.
    whole = sum(share for _, share in row.parts)
    parts = [("all", min(spread.median, full))]
    if whole and spread.median <= full:  # of a torn bar they could not be told
        parts = [(part, spread.median * share / whole) for part, share in row.parts]
    for part, share in parts:
        pieces.append(f'<rect class="{escape(part)}" x="{_x(start / full)}" width="{_x(share / full)}"/>')
        start += share
    if spread.median > full:
        pieces.append('<line class="cut" x1="92%" x2="94%" y1="22" y2="4"/>')
    elif len(spread.values) > 1:
        low, high = _x(spread.low / full), _x(spread.high / full)
        pieces.append(f'<line class="whisker" x1="{low}" x2="{high}" y1="13" y2="13"/>')
        pieces += [f'<circle class="run" cx="{_x(value / full)}"/>' for value in spread.values if value <= full]
    return "".join(pieces)


def _tip(spread: Spread, write: Callable[[float], str]) -> str:
    if len(spread.values) == 1:
        return f"{write(spread.median)}, one run"
    return f"median {write(spread.median)}, {write(spread.low)} to {write(spread.high)} in {len(spread.values)} runs"


def _line(kind: str, share: float) -> str:
    return f'<line class="{kind}" x1="{_x(share)}" x2="{_x(share)}" y1="0" y2="100%"/>'


def _x(share: float) -> str:
    """Percent of the width."""
    return f"{100 * min(max(share, 0.0), 1.0):.1f}%"


def pairs(title: str, rows: Sequence[tuple[str, Spread | None, Spread | None]], note: str) -> str:
    """Median and 99th percentile of latencies, joined by a line."""
    highest = max((high.median for _, _, high in rows if high), default=0.0)
    full, scale = 1.02 * highest or 1.0, seconds(highest)
    body, said = "", []
    for label, low, high in rows:
        drawing, value, tip = "", note, note
        if low is not None and high is not None:
            left, right = _x(low.median / full), _x(high.median / full)
            drawing = (
                f'<line class="span" x1="{left}" x2="{right}" y1="13" y2="13"/>'
                f'<circle class="p99" cx="{right}"/><circle class="p50" cx="{left}"/>'
            )
            value = f"{words.seconds(low.median)} / {words.seconds(high.median)}"
            tip = f"p50: {_tip(low, words.seconds)}; p99: {_tip(high, words.seconds)}"
        said.append(f"{label} {value}")
        body += _line_of_text(label, drawing, value, tip)
    content = _back(full, scale) + body + _axis(full, scale)
    return _figure("bars pairs", title, "", f"{title}: {'; '.join(said)}", content)


def ratio(value: float | None) -> str:
    """As elsewhere, with a proper sign."""
    return words.ratio(value).replace("x", TIMES)


def strip(rows: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> str:
    """A line for each client with a dot for each scenario: its ratio to objectfs-crt, on a logarithmic scale."""
    values = [value for _, dots in rows for _, value in dots if value > 0]
    if not values:
        return ""
    low = math.floor(math.log2(min(*values, 1.0) * 0.98))
    high = max(math.ceil(math.log2(max(values) * 1.02)), 1)

    def place(value: float) -> str:
        return _x((math.log2(value) - low) / (high - low))

    step = 1 if high - low <= 8 else 2
    marks = [2.0**power for power in range(low, high + 1) if power % step == 0]
    lines = "".join(
        f'<line class="{"one" if mark == 1 else "grid"}" x1="{place(mark)}" x2="{place(mark)}" y1="0" y2="100%"/>'
        for mark in marks
    )
    axis = "".join(
        f'<span style="left:{place(mark)}">{f"{mark:g}" if mark >= 1 else f"1/{1 / mark:g}"}{TIMES}</span>'
        for mark in marks
    )
    body, said = "", []
    for label, dots in rows:
        known = [(name, value) for name, value in dots if value > 0]
        if not known:
            continue
        middle = statistics.median(value for _, value in known)
        drawing = "".join(
            f'<circle class="dot" cx="{place(value)}"><title>{escape(f"{name}: {ratio(value)}")}</title></circle>'
            for name, value in known
        )
        drawing += f'<line class="middle" x1="{place(middle)}" x2="{place(middle)}" y1="5" y2="21"/>'
        said.append(f"{label} {ratio(middle)}")
        lowest, highest = min(known, key=lambda dot: dot[1]), max(known, key=lambda dot: dot[1])
        tip = f"median {ratio(middle)}; least {ratio(lowest[1])}, {lowest[0]}; "
        tip += f"most {ratio(highest[1])}, {highest[0]}"
        body += _line_of_text(label, drawing, ratio(middle), tip)
    content = f'<div class="back">{_svg(lines)}</div>{body}<div class="axis"><div>{axis}</div></div>'
    return _figure("bars strip", "", "", f"Median over the scenarios: {'; '.join(said)}", content)


def heat(value: float | None) -> str:
    """The class of a ratio's colour: ``f`` where objectfs-crt needs less, ``s`` where it needs more, by halves of a
    doubling; ``e`` where the two are within 5 %."""
    if value is None or value <= 0:
        return "none"
    if abs(math.log(value)) < math.log(1.05):
        return "e"
    steps = min(5, 1 + int(abs(math.log2(value)) / 0.75))
    return f"{'f' if value > 1 else 's'}{steps}"


def failed(row: Row) -> str:
    """What stands where a client has no bar."""
    return "failed" if row.failed else words.NONE


def swing(value: float | None, verdict: str) -> str:
    """A ratio of new to old as a line from the middle, on a logarithmic scale from a quarter to four times."""
    if value is None or value <= 0:
        return ""
    share = 0.5 + min(max(math.log2(value), -2.0), 2.0) / 4
    left, right = sorted((0.5, share))
    return (
        f'<svg class="swing {slug(verdict)}" aria-hidden="true" width="100%" height="20">'
        f'<line class="grid" x1="50%" x2="50%" y1="0" y2="20"/>'
        f'<rect x="{_x(left)}" width="{_x(right - left)}"/><circle cx="{_x(share)}"/></svg>'
    )


def slug(verdict: str) -> str:
    """The class of a verdict."""
    return escape(verdict.replace(" ", "-"))
