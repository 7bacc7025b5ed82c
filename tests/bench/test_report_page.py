"""The HTML page: valid, alone, readable in light and dark, and its figures are those of the report."""

from __future__ import annotations

import re
import statistics
from html.parser import HTMLParser
from importlib import resources

import pytest
from tests.bench.made import HOSTILE, case, odd, report, walls

from objectfs.bench.report import page, words
from objectfs.bench.report.charts import PLAIN, Bar, bars, heat, ticks
from objectfs.bench.report.figures import Spread
from objectfs.bench.results import GIB, Report

VOID = {"meta", "link", "input", "br", "wbr"}
_NAMES = """html head body title style header main section article footer nav figure figcaption details summary h1 h2
h3 p a b i span small strong div dl dt dd ul li label table thead tbody tr th td svg g line rect circle em"""
KNOWN = VOID | set(_NAMES.split())


class Reader(HTMLParser):
    """Fails on whatever a browser would have to guess, and keeps what the tests look at."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.feed(document)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        svg = self.open[-1:] == ["svg"] or "svg" in self.open
        assert tag in KNOWN, tag
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice: {self.get_starttag_text()}"
        self.attributes += [(tag, name, value) for name, value in attrs]
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(found["id"] or "")
        if tag == "a":
            self.links.append(found["href"] or "")
        if tag in ("line", "rect", "circle", "g", "title") and tag != "title":
            assert svg, f"{tag} outside of a drawing"
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            assert self.open[-1] == "tr"
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"<{tag}/> is no HTML"
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> of nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text.append(data)
        if self.open and self.tables and self.tables[-1] and ("td" in self.open or "th" in self.open):
            self.tables[-1][-1][-1] += data

    def table(self, *head: str) -> list[list[str]]:
        """The rows below the first head that begins so."""
        return next(rows[1:] for rows in self.tables if tuple(rows[0][: len(head)]) == head)


REPORTS = {
    "odd": odd(),
    "nothing": report([]),
    "one": report([case("large-down-memory", "objectfs-crt", walls(1.0))]),
    "failed": report([case("large-down-memory", "objectfs-crt", [])]),
}


@pytest.fixture(params=REPORTS)
def made(request: pytest.FixtureRequest) -> Report:
    return REPORTS[request.param]


def test_it_is_valid(made: Report) -> None:
    for document in (page(made), page(made, odd())):
        assert document.startswith("<!DOCTYPE html>\n<html lang=")
        read = Reader(document)
        assert len(set(read.ids)) == len(read.ids), "an id twice"
        assert {link.removeprefix("#") for link in read.links} <= set(read.ids), "a link to nowhere"
        assert "�" not in document


def test_it_loads_nothing(made: Report) -> None:
    read = Reader(page(made, odd()))
    for tag, name, value in read.attributes:
        assert name not in ("src", "srcset", "action", "data", "poster", "background"), (tag, name)
        assert not name.startswith("on"), "a script"
        if name == "href":
            assert value is not None
            assert value.startswith("#") or value == "data:,", value
        if name == "style":
            assert re.fullmatch(r"left:[\d.]+%", value or ""), value
    style = resources.files("objectfs.bench.report").joinpath("style.css").read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|expression\(|https?:", style)


def test_all_text_is_text() -> None:
    document = page(odd(), odd())
    assert "<script" not in document
    assert "\x1b" not in document
    assert "&lt;script src=&quot;https://example.invalid/x.js&quot;&gt;" in document
    # Somewhere the whole of it, with the control characters written out.
    assert words.printable(HOSTILE) in "".join(Reader(document).text)


def test_charts_have_a_text_alternative_and_a_table_behind_them(made: Report) -> None:
    document = page(made)
    read = Reader(document)
    plots = document.count('<div class="plot" role="img" aria-label="Chart. ')
    assert plots == document.count("<figure ") == document.count("</figure>")
    if made.cases:
        assert plots >= 3
        assert any(rows[0][:2] == ["client", "wall s"] for rows in read.tables)


def cells(text: str) -> list[float]:
    """The numbers of ``1.23 (1.20-1.31)``."""
    return [float(part.replace(",", "")) for part in re.findall(r"[\d.,]+", text)]


def test_the_table_says_what_the_report_says() -> None:
    made = odd()
    rows = {row[0]: row for row in Reader(page(made)).table("client", "wall s", "MB/s")}
    for item in made.cases[:4]:
        row, runs = rows[item.client], item.good
        values = [one.wall for one in runs]
        middle = statistics.median(values)
        wanted = [middle] if len(values) == 1 else [middle, min(values), max(values)]
        assert cells(row[1]) == pytest.approx(wanted, rel=0.005)
        assert cells(row[2]) == pytest.approx([statistics.median(GIB / one.wall / 1e6 for one in runs)], rel=0.005)
        cost = [one.user + one.system for one in runs]
        assert cells(row[3])[0] == pytest.approx(statistics.median(cost), rel=0.005)
        assert row[6] == "100 MiB"
        assert cells(row[9])[0] == pytest.approx(middle / 1.2, rel=0.01)
    assert rows["minio"][1] == words.NONE
    assert rows["rclone"][1] == words.NONE


def test_missed_thresholds_come_first_and_say_the_figures() -> None:
    text = "".join(Reader(page(odd())).text)
    places = [text.index(part) for part in ("cheap", "never run", "fast <script")]
    assert places == sorted(places)
    assert "missed: 0.600, must be at most 0.500" in text
    assert "not measured: -, must be at most 1.10" in text
    assert "met: 11.2, must be at least 10.0" in text


def test_a_failure_is_named_with_its_scenario() -> None:
    assert "minio: 1 run of 1 failed, the first with: TimeoutError" in "".join(Reader(page(odd())).text)


@pytest.mark.parametrize(
    "largest", [1e-6, 0.0312, 0.0754, 0.9, 0.999, 1.0, 1.999, 4.99, 5.0, 7.09, 9.9, 18.7, 432.0, 1e9]
)
def test_an_axis_has_a_few_round_values(largest: float) -> None:
    marks = ticks(largest)
    assert 2 <= len(marks) <= 6
    assert marks[0] == 0
    assert marks[-1] <= largest * (1 + 1e-9)
    assert f"{marks[1]:.3e}"[:5] in ("1.000", "2.000", "5.000")
    assert marks == pytest.approx([marks[1] * place for place in range(len(marks))])


def bar(label: str, *values: float) -> Bar:
    return Bar(label, Spread.of(values))


def test_bars_are_as_long_as_their_values() -> None:
    drawn = bars("Wall time", [bar("boto3", 1.0), bar("obstore", 2.0), bar("raw-c", 0.5)])
    widths = [float(found) for found in re.findall(r'<rect class="all" x="0.0%" width="([\d.]+)%"/>', drawn)]
    assert widths == pytest.approx([100 / 2.04, 200 / 2.04, 50 / 2.04], abs=0.1)
    assert "goes on" not in drawn


def test_a_bar_that_would_make_all_others_small_is_torn_and_says_so() -> None:
    drawn = bars("Wall time", [bar("objectfs-crt", 1.0, 1.1, 1.2), bar("obstore", 2.0), bar("minio", 40.0)])
    widths = [float(found) for found in re.findall(r'<rect class="all" x="0.0%" width="([\d.]+)%"/>', drawn)]
    assert widths == pytest.approx([110 / 5.61, 200 / 5.61, 100], abs=0.1), "five times the best of them"
    assert drawn.count('<line class="cut"') == 1
    assert "goes on" in drawn
    assert "minio 40.0 s" in drawn, "the text alternative has all of it"


def test_parts_are_shares_of_the_bar_and_a_torn_one_has_none() -> None:
    parts = (("user", 3.0), ("system", 1.0))
    drawn = bars("CPU", [Bar("obstore", Spread.of([2.0]), parts), Bar("minio", Spread.of([40.0]), parts)], PLAIN)
    places = re.findall(r'<rect class="(\w+)" x="([\d.]+)%" width="([\d.]+)%"/>', drawn)
    assert [kind for kind, _, _ in places] == ["user", "system", "all"]
    full = 5 * 2.0 * 1.02
    assert float(places[0][2]) == pytest.approx(150 / full, abs=0.1)
    assert (float(places[1][1]), float(places[1][2])) == pytest.approx((150 / full, 50 / full), abs=0.1)
    assert places[2][1:] == ("0.0", "100.0")
    assert "user 3.00; system 1.00" in drawn, "the exact figures have them"


def test_a_limit_behind_the_end_of_the_axis_is_not_drawn() -> None:
    assert 'class="limit"' not in bars("Wall time", [bar("objectfs-crt", 1.0), bar("raw-c", 40.0)])
    assert 'class="limit"' in bars("Wall time", [bar("objectfs-crt", 1.0), bar("raw-c", 0.9)])


def test_plain_sockets_do_not_make_a_client_far() -> None:
    assert "goes on" not in bars("CPU", [bar("raw-c", 0.01), bar("objectfs-crt", 1.0), bar("obstore", 7.0)])


def test_an_axis_of_nothing_is_zero() -> None:
    assert ticks(0) == ticks(-1) == ticks(float("nan")) == [0.0]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "none"),
        (0.0, "none"),
        (1.0, "e"),
        (1.04, "e"),
        (1.2, "f1"),
        (2.0, "f2"),
        (8.0, "f5"),
        (100, "f5"),
        (0.5, "s2"),
    ],
)
def test_colours_are_as_strong_as_the_ratio(value: float | None, kind: str) -> None:
    assert heat(value) == kind


# --- colours ----------------------------------------------------------------------------------------------------------


def palettes() -> dict[str, dict[str, str]]:
    style = resources.files("objectfs.bench.report").joinpath("style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\n\s*\}", style, re.S)[:2]
    return {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text))
        for name, text in (("light", light), ("dark", dark))
    }


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read(mode: str) -> None:
    """WCAG 2.2, level AA: 4.5 to 1 for text, 3 to 1 for what a chart is made of."""
    colour = palettes()[mode]
    for text in ("ink", "soft", "crt", "limit", "bad", "good"):
        for ground in ("page", "card"):
            assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
    for ground in ("f1", "f2", "f3", "s1", "s2", "s3", "even"):
        assert contrast(colour["on-light"], colour[ground]) >= 4.5, ground
    for ground in ("f4", "f5", "s4", "s5"):
        assert contrast(colour["on-deep"], colour[ground]) >= 4.5, ground
    assert contrast(colour["tip-ink"], colour["tip"]) >= 4.5
    for bar in ("crt", "sdk", "peer", "limit"):
        assert contrast(colour[bar], colour["card"]) >= 3, bar
