"""The report as one HTML page: no script, nothing fetched, light and dark, for a desk and for a phone.

docs/design/0014-report.md says why it is made by hand. Every text of the report goes through :func:`html.escape`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html import escape
from importlib import resources

from objectfs.bench.report import charts, tables, words
from objectfs.bench.report.charts import Bar
from objectfs.bench.report.comparing import Change, Comparison, compare
from objectfs.bench.report.figures import OURS, Row, Section, Spread, cpu, memory, sections, summary, wall
from objectfs.bench.report.tables import Table
from objectfs.bench.results import Report, Threshold

# With what a browser is told to load nothing, whatever a text of the report might contain.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_LEGEND_LIMIT = '<span class="legend"><i class="dash"></i>plain sockets, the limit</span>'
_LEGEND_CPU = '<span class="legend"><i class="user"></i>user<i class="system"></i>system</span>'


def page(report: Report, old: Report | None = None) -> str:
    """The whole document; with an older report, what changed since is part of it."""
    parts = sections(report)
    found = compare(old, report) if old is not None else None
    blocks = [_overview(parts)]
    if found is not None:
        blocks.append(_comparison(found))
    blocks += [_thresholds(report.thresholds), _scenarios(parts), _clients(report), _machine(report)]
    title = f"S3 clients from Python, {report.created[:10]}"
    style = resources.files("objectfs.bench.report").joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{_text(title)}</title>\n<link rel="icon" href="data:,">\n<style>\n{style}</style>\n</head>\n<body>\n'
        f"{_head(report, title, parts, found)}\n<main>\n{''.join(blocks)}</main>\n{_foot(report)}\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    return escape(words.printable(text))


def _head(report: Report, title: str, parts: list[Section], found: Comparison | None) -> str:
    machine = report.machine
    commit = f", commit {report.commit}" if report.commit else ""
    said = (
        f"objectfs {report.objectfs_version}{commit}. {machine.cpu}, {words.plural(machine.cores, 'core')}, "
        f"{words.size(machine.memory)}, kernel {machine.kernel}, Python {machine.python}. "
        f"{words.moment(report.created)}."
    )
    scaled = tables.scaled(report)
    links = [("overview", "Overview"), ("thresholds", "Thresholds"), ("scenarios", "Scenarios")]
    links += [("clients", "Clients"), ("machine", "Machine and settings")]
    if found is not None:
        links.insert(1, ("since", "Since the old report"))
    if not report.thresholds:
        links.remove(("thresholds", "Thresholds"))
    nav = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name in links)
    return (
        f'<header class="top">\n<h1>{_text(title)}</h1>\n<p class="meta">{_text(said)}</p>\n'
        + (f"<p><strong>{_text(scaled)}</strong></p>\n" if scaled else "")
        + _tiles(report, parts)
        + f'<nav aria-label="Parts of the report">{nav}</nav>\n</header>'
    )


def _tiles(report: Report, parts: list[Section]) -> str:
    found = summary(report, parts)
    tiles = []
    if found.compared:
        tiles.append((f"{found.fastest} <small>of {found.compared}</small>", f"scenarios in which {OURS} was fastest"))
    if found.speed is not None:
        tiles.append(
            (_text(charts.ratio(found.speed)), f"is what the best other client took, {OURS} being 1 (median wall time)")
        )
    if found.cpu is not None:
        tiles.append(
            (_text(charts.ratio(found.cpu)), f"is what {OURS} took, the most frugal other client being 1 (median CPU)")
        )
    if found.thresholds:
        tiles.append((f"{found.met} <small>of {found.thresholds}</small>", "thresholds met"))
    body = "".join(f"<div><dt>{_text(name)}</dt><dd>{value}</dd></div>" for value, name in tiles)
    return f'<dl class="tiles">{body}</dl>\n' if tiles else f"<p>{_text(tables.summary_sentences(found)[0])}</p>\n"


# --- the overview -------------------------------------------------------------------------------------------------


def _overview(parts: list[Section]) -> str:
    names = _clients_in_order(parts)
    tabs: list[tuple[str, Callable[[Row], Spread | None], Callable[[float | None], str]]] = [
        ("Wall time", wall, words.seconds),
        ("CPU", cpu, words.number),
        ("Peak memory", memory, words.mebibytes),
    ]
    inputs = "".join(
        f'<input type="radio" name="overview" id="tab{place}"{" checked" if place == 0 else ""}>'
        f'<label for="tab{place}">{name}</label>'
        for place, (name, _, _) in enumerate(tabs)
    )
    panels = "".join(
        f'<div class="panel">{_strip(parts, names, figure)}{_heat(parts, names, name, figure, write)}</div>'
        for name, figure, write in tabs
    )
    less, more = (
        "".join(f'<i class="{kind}"></i>' for kind in kinds.split()) for kinds in ("s5 s4 s3 s2 s1", "f1 f2 f3 f4 f5")
    )
    key = (
        f'<div class="key"><span>{less}needs less than {OURS}</span><span><i class="e"></i>the same, within 5 %</span>'
        f"<span>{more}needs more; 8 times as much and above is strongest</span></div>"
    )
    said = (
        f"How many times as much as {OURS} each client needs: above 1, {OURS} needs less. Each dot is a scenario, "
        f"the stroke their median; the table has the figures."
    )
    switch = f'<div class="tabs">{inputs}{panels}</div>'
    return f'<section id="overview">\n<h2>Overview</h2>\n<p>{said}</p>\n{switch}{key}</section>\n'


def _clients_in_order(parts: list[Section]) -> list[str]:
    """Ours and the limit first, then other people's as they were in most scenarios."""
    ranks: dict[str, list[float]] = {}
    for part in parts:
        for row in part.rows:
            ranks.setdefault(row.client, []).append(part.against_ours(row, wall) or float("inf"))
    order = {"crt": 0, "sdk": 1, "raw": 2, "peer": 3}
    return sorted(ranks, key=lambda name: (order[charts.css_class(name)], sorted(ranks[name])[len(ranks[name]) // 2]))


def _strip(parts: list[Section], names: list[str], figure: Callable[[Row], Spread | None]) -> str:
    rows = []
    for name in names:
        dots = []
        for part in parts:
            row = part.row(name)
            value = part.against_ours(row, figure) if row else None
            if value is not None and name != OURS:
                dots.append((words.printable(f"{words.title(part.scenario)}, {part.conditions}"), value))
        rows.append((words.printable(name), dots))
    return charts.strip(rows)


def _heat(
    parts: list[Section],
    names: list[str],
    title: str,
    figure: Callable[[Row], Spread | None],
    write: Callable[[float | None], str],
) -> str:
    head = "".join(f'<th scope="col">{_breakable(name)}</th>' for name in names)
    body, conditions = "", ""
    for place, part in enumerate(parts):
        if part.conditions != conditions:
            conditions = part.conditions
            body += f'<tr><th scope="rowgroup" colspan="{len(names) + 1}">{_text(conditions)}</th></tr>'
        cells = "".join(_cell(part, name, figure, write) for name in names)
        body += f'<tr><th scope="row"><a href="#case{place}">{_text(words.title(part.scenario))}</a></th>{cells}</tr>'
    table = (
        f'<table class="heat"><thead><tr><th scope="col">{escape(title)}</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
    return _scroll(table, f"{title} of each client")


def _breakable(name: str) -> str:
    """A client's name that may be broken where a reader would."""
    return re.sub(r"(?<=\w)(connector|botocore|transfer)|(?<=[-_])(?=\w)", r"<wbr>\1", _text(name))


def _cell(
    part: Section, name: str, figure: Callable[[Row], Spread | None], write: Callable[[float | None], str]
) -> str:
    row = part.row(name)
    spread = figure(row) if row else None
    if row is None or spread is None:
        return f'<td class="none">{charts.failed(row) if row else words.NONE}</td>'
    value = part.against_ours(row, figure)
    exact = _text(f"{name}: {write(spread.median)}")
    if name == OURS:
        return f'<td class="self" title="{exact}">{_text(write(spread.median))}</td>'
    return f'<td class="{charts.heat(value)}" title="{exact}">{_text(charts.ratio(value))}</td>'


# --- thresholds, comparison -----------------------------------------------------------------------------------------


def _thresholds(items: Iterable[Threshold]) -> str:
    ordered = sorted(items, key=lambda item: item.met)  # what is missed first
    if not ordered:
        return ""
    signs = {"met": "✓", "missed": "✗", "not measured": "?"}
    body = ""
    for item in ordered:
        verdict = tables.verdict(item)
        body += (
            f'<li class="{charts.slug(verdict)}"><b aria-hidden="true">{signs[verdict]}</b><span>{_text(item.text)}'
            f"<small><strong>{verdict}</strong>: {_text(words.number(item.measured))}, must be "
            f"{_text(tables.must(item))}</small></span></li>"
        )
    met = sum(item.met for item in ordered)
    return (
        f'<section id="thresholds">\n<h2>Thresholds</h2>\n<p>{met} of {len(ordered)} met.</p>\n'
        f'<ul class="checks">{body}</ul></section>\n'
    )


_COMPARED = (
    ("client", False),
    ("wall s, old", True),
    ("wall s, new", True),
    ("wall, new / old", True),
    (f"\N{VULGAR FRACTION ONE QUARTER}{charts.TIMES} to 4{charts.TIMES}", False),
    ("wall", False),
    ("CPU, new / old", True),
    ("CPU", False),
    ("memory, new / old", True),
    ("memory", False),
)


def _change(change: Change, draw: bool = False) -> str:
    drawing = f"<td>{charts.swing(change.ratio, change.verdict)}</td>" if draw else ""
    return (
        f'<td class="num">{_text(charts.ratio(change.ratio))}</td>{drawing}'
        f'<td class="{charts.slug(change.verdict)}">{_text(change.verdict)}</td>'
    )


def _comparison(found: Comparison) -> str:
    sentences = "".join(f"<p>{_text(sentence)}</p>" for sentence in tables.comparison_sentences(found))
    head = "".join(f'<th scope="col"{" class=num" if right else ""}>{_text(title)}</th>' for title, right in _COMPARED)
    rows, heading = "", ""
    for line in found.lines:
        now = f"{words.title(line.section.scenario)}: {line.section.conditions}"
        if now != heading:
            heading = now
            rows += f'<tr><th scope="rowgroup" colspan="{len(_COMPARED)}">{_text(heading)}</th></tr>'
        rows += (
            f'<tr><th scope="row">{_text(line.client)}</th><td class="num">{_text(tables.spread(line.wall.old))}</td>'
            f'<td class="num">{_text(tables.spread(line.wall.new))}</td>{_change(line.wall, draw=True)}'
            f"{_change(line.cpu)}{_change(line.memory)}</tr>"
        )
    table = f'<table class="changes"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    other = f"<details><summary>What else differs</summary>{_table(tables.differences(found))}</details>"
    return (
        f'<section id="since">\n<h2>Since the old report, {_text(found.old.created[:10])}</h2>\n{sentences}'
        f"{_scroll(table, 'Old and new figures') if found.lines else ''}"
        f"{other if found.differences else ''}</section>\n"
    )


# --- scenarios ------------------------------------------------------------------------------------------------------


def _scenarios(parts: list[Section]) -> str:
    body, conditions = "", ""
    for place, part in enumerate(parts):
        if part.conditions != conditions:
            conditions = part.conditions
            anchor = "" if body else ' id="scenarios"'
            body += f"<h2{anchor}>{_text(conditions[:1].upper() + conditions[1:])}</h2>\n"
        body += _card(part, place)
    return body or '<h2 id="scenarios">Scenarios</h2>\n<p>None was measured.</p>\n'


def _card(part: Section, place: int) -> str:
    limit = _LEGEND_LIMIT if any(row.limit and row.wall for row in part.rows) else ""
    times = [
        _bar(row, row.wall, note=f"; {words.number(row.rate.median / 1e6)} MB/s" if row.rate else "")
        for row in part.rows
    ]
    cpus = [_bar(row, row.cpu, _parts(row)) for row in part.rows]
    memories = [_bar(row, row.memory) for row in part.rows]
    first = [
        charts.bars("Wall time", times, legend=limit),
        charts.bars("CPU seconds per GiB" if part.per_gib else "CPU seconds", cpus, charts.PLAIN, legend=_LEGEND_CPU),
        charts.bars("Peak memory", memories, charts.MEMORY),
    ]
    second = []
    if any(row.first_byte for row in part.rows):
        second.append(charts.bars("First byte", [_bar(row, row.first_byte) for row in part.rows]))
    if any(row.p50 for row in part.rows):
        latencies = [(words.printable(row.client), row.p50, row.p99) for row in part.rows]
        second.append(charts.pairs("Latency: median ● and 99th percentile ○", latencies, words.NONE))
    failed = "".join(f"<li>{_text(sentence)}</li>" for sentence in tables.failures(part))
    return (
        f'<article class="card" id="case{place}">\n<h3>{_text(words.title(part.scenario))}</h3>\n'
        f'<p class="load">{_text(tables.load(part))}</p>\n<div class="figures three">{"".join(first)}</div>\n'
        + (f'<div class="figures">{"".join(second)}</div>\n' if second else "")
        + (f'<ul class="failures">{failed}</ul>\n' if failed else "")
        + f"<details><summary>All figures</summary>{_table(tables.section(part))}</details>\n</article>\n"
    )


def _bar(row: Row, spread: Spread | None, parts: tuple[tuple[str, float], ...] = (), note: str = "") -> Bar:
    return Bar(words.printable(row.client), spread, parts, note if spread else charts.failed(row))


def _parts(row: Row) -> tuple[tuple[str, float], ...]:
    if row.user is None or row.system is None:
        return ()
    return (("user", row.user.median), ("system", row.system.median))


# --- the rest -------------------------------------------------------------------------------------------------------


def _clients(report: Report) -> str:
    body = _table(tables.clients(report), wide={2})
    absent, missed = tables.absent(report), tables.missed(report)
    if absent.rows:
        body += f"<h3>Not measured</h3>{_table(absent, wide={1})}"
    if missed.rows:
        body += f"<h3>What clients could not do</h3>{_table(missed, wide={2})}"
    return f'<section id="clients">\n<h2>Clients</h2>\n{body}</section>\n'


def _machine(report: Report) -> str:
    return (
        f'<section id="machine">\n<h2>Machine and settings</h2>\n{_table(tables.facts(report), wide={1})}</section>\n'
    )


def _foot(report: Report) -> str:
    return (
        f"<footer>Bars are medians, dots the runs, a line joins the lowest and the highest. Figures compare "
        f"within this report only. The same in full: report.json (schema {_text(report.schema)}).</footer>"
    )


def _scroll(table: str, name: str) -> str:
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">{table}</div>'


def _table(content: Table, wide: Iterable[int] = ()) -> str:
    kinds = [
        "num" if column.right else "wide" if place in set(wide) else "" for place, column in enumerate(content.columns)
    ]
    classes = [f' class="{kind}"' if kind else "" for kind in kinds]
    head = "".join(
        f'<th scope="col"{kind}>{_text(column.title)}</th>'
        for kind, column in zip(classes, content.columns, strict=True)
    )
    body = ""
    for row in content.rows:
        cells = "".join(f"<td{kind}>{_text(cell)}</td>" for kind, cell in zip(classes[1:], row[1:], strict=True))
        body += f'<tr><th scope="row">{_text(row[0])}</th>{cells}</tr>'
    name = ", ".join(column.title for column in content.columns if column.title)
    return _scroll(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", name)
