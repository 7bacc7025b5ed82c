"""The Markdown report: well-formed tables, text that is only text, and the figures of the report."""

from __future__ import annotations

import re
import statistics

import pytest
from tests.bench.made import HOSTILE, case, odd, report, walls

from objectfs.bench.report import markdown
from objectfs.bench.report.markdown import escape
from objectfs.bench.results import Report


def tables(text: str) -> list[list[list[str]]]:
    """Every table as rows of cells; AssertionError if one is not well-formed."""
    found: list[list[list[str]]] = []
    before = ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                assert before == "", "a table begins after an empty line"
                found.append([])
            assert line.startswith("| ")
            assert line.endswith(" |")
            found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        else:
            assert line == "" or not before.startswith("|"), "a table ends with an empty line"
        before = line
    for rows in found:
        assert len({len(row) for row in rows}) == 1, rows[0]
        assert all(re.fullmatch(r"-+:?", cell) for cell in rows[1])
        assert all(cell for row in rows[2:] for cell in row[:2]), "an empty cell says nothing"
    return found


@pytest.mark.parametrize(
    "made", [odd(), report([]), report([case("mixed", "boto3", [])])], ids=["odd", "none", "failed"]
)
def test_tables_are_well_formed(made: Report) -> None:
    for text in (markdown(made), markdown(made, odd())):
        assert tables(text)
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert "\n\n\n" not in text


def test_the_table_says_what_the_report_says() -> None:
    made = odd()
    rows = {row[0]: row for row in next(rows for rows in tables(markdown(made)) if rows[0][:2] == ["client", "wall s"])}
    boto3 = next(item for item in made.cases if item.client == "boto3")
    walls_ = [run.wall for run in boto3.good]
    assert rows["boto3"][1] == f"{statistics.median(walls_):.1f} ({min(walls_):.1f}-{max(walls_):.1f})"
    assert rows["boto3"][2] == f"{(1 << 30) / 12 / 1e6:.1f}"
    assert rows["boto3"][9:12] == ["10.0x", "7.06x", "10.0x"]
    assert rows["raw-c"][1] == "0.900"


def test_text_is_only_text() -> None:
    text = markdown(odd(), odd())
    assert not re.search(r"(?<!\\)<", text)
    assert "\x1b" not in text
    assert escape("a|b <c> `d` *e* _f_ g_h [i](j)") == r"a\|b \<c\> \`d\` \*e\* \_f\_ g_h \[i\](j)"
    assert escape("two\nlines") == r"two\\nlines"
    assert escape(HOSTILE) in text


def test_it_says_how_and_with_what() -> None:
    text = markdown(odd())
    for wanted in ("a processor", "8 GiB", "3.11.2", "not installed", "was the fastest client in 2 of 2"):
        assert wanted in text
    assert "| raw-c |" in text
    assert text.count("What clients could not do") == 1


def test_an_older_report_is_compared() -> None:
    old = report([case("mixed", "objectfs-crt", walls(2.0, 2.1, 2.2, 2.3, 2.4))])
    text = markdown(report([case("mixed", "objectfs-crt", walls(1.0, 1.1, 1.2, 1.3, 1.4))]), old)
    assert "## Since 2026-01-02" in text
    assert "| 0.55x | better |" in text
