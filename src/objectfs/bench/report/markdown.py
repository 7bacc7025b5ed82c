"""The report as Markdown, to be committed beside what it measured."""

from __future__ import annotations

import re

from objectfs.bench.report import tables, words
from objectfs.bench.report.comparing import Comparison, compare
from objectfs.bench.report.figures import Section, sections, summary
from objectfs.bench.report.tables import Table
from objectfs.bench.results import Report

# What Markdown or HTML would read as markup. An underscore is markup only at the edge of a word.
_MARKUP = re.compile(r"[\\`*\[\]<>|~&#]|(?<!\w)_|_(?!\w)")


def markdown(report: Report, old: Report | None = None) -> str:
    """The whole report; with an older one, what changed since comes first."""
    parts = sections(report)
    blocks = [f"# Benchmark of S3 clients, {report.created[:10]}", _head(report), *_summary(report, parts)]
    if tables.scaled(report):
        blocks.insert(2, f"**{escape(tables.scaled(report))}**")
    if old is not None:
        blocks += comparison_blocks(compare(old, report))
    if report.thresholds:
        blocks += ["## Thresholds", table(tables.thresholds(report))]
    for part in parts:
        blocks += _section(part)
    blocks += ["## Clients", table(tables.clients(report))]
    absent = tables.absent(report)
    if absent.rows:
        blocks += ["## Clients that were not measured", table(absent)]
    missed = tables.missed(report)
    if missed.rows:
        blocks += ["## What clients could not do", table(missed)]
    blocks += ["## Machine and settings", table(tables.facts(report))]
    return "\n\n".join(blocks) + "\n"


def comparison_blocks(found: Comparison) -> list[str]:
    """What changed since an older report, under a heading of its own."""
    blocks = [f"## Since {escape(found.old.created[:10])}", "\n".join(map(escape, tables.comparison_sentences(found)))]
    if found.differences:
        blocks.append(table(tables.differences(found)))
    if found.lines:
        blocks.append(table(tables.comparison(found)))
    return blocks


def _head(report: Report) -> str:
    commit = f", commit {report.commit}" if report.commit else ""
    said = f"objectfs {report.objectfs_version}{commit}; {words.moment(report.created)}; schema {report.schema}."
    return (
        f"{escape(said)}\n"
        "Medians over the runs, the lowest and the highest in parentheses. Figures compare within this report only."
    )


def _summary(report: Report, parts: list[Section]) -> list[str]:
    return ["\n".join(f"- {escape(sentence)}" for sentence in tables.summary_sentences(summary(report, parts)))]


def _section(part: Section) -> list[str]:
    blocks = [
        f"## {escape(words.title(part.scenario))}: {escape(part.conditions)}",
        escape(tables.load(part)),
        table(tables.section(part)),
    ]
    failed = tables.failures(part)
    if failed:
        blocks.append("\n".join(f"- {escape(sentence)}" for sentence in failed))
    return blocks


def table(content: Table) -> str:
    head = [escape(column.title) for column in content.columns]
    rule = ["---:" if column.right else "---" for column in content.columns]
    rows = [head, rule, *([escape(cell) for cell in row] for row in content.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def escape(text: str) -> str:
    """Text that is only text in Markdown, on one line."""
    return _MARKUP.sub(lambda found: "\\" + found[0], " ".join(words.printable(text).split()))
