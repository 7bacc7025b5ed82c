"""docs/research-notes.md names files, tests, scripts and options as proof: all of them exist."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "research-notes.md"
TEXT = PAGE.read_text(encoding="utf-8")
CODE = sorted(set(re.findall(r"`([^`\n]+)`", TEXT)))
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()}
LINKS = sorted(set(re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT)))
STATES = {"done", "done, without mocks", "partly", "open", "not here", "not measured"}


def cited() -> list[str]:
    """What is written as code and begins with a path of the project."""
    return [code for code in CODE if code.partition("/")[0] in FOLDERS and "/" in code]


@pytest.mark.parametrize("code", cited())
def test_what_is_cited_exists(code: str) -> None:
    first, *arguments = shlex.split(code)
    path, _, name = first.partition("::")
    assert (ROOT / path).exists(), path
    if name:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {re.escape(name)}\(", source, re.M), f"{path} has no {name}"
    for option in arguments:
        if option.startswith("-"):
            source = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", source), f"{path} knows no {option}"


@pytest.mark.parametrize("code", [code for code in CODE if code.startswith("objectfs ")])
def test_commands_and_their_options_exist(code: str) -> None:
    _, name, *arguments = shlex.split(code)
    command = importlib.import_module(f"objectfs.cli.{name}").command
    known = {option for parameter in command.params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("-")} <= known
    for argument in arguments:
        if argument.startswith("docs/"):
            assert (ROOT / argument).exists()


@pytest.mark.parametrize("link", LINKS)
def test_links_lead_somewhere(link: str) -> None:
    assert (PAGE.parent / link).exists()


def test_there_is_something_to_check() -> None:
    assert len(cited()) > 40
    assert len(LINKS) > 10


def rows() -> Iterator[list[str]]:
    """Of the checklists."""
    lists = TEXT.partition("## The checklists")[2]
    for line in lists.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[1] != "box":
            yield cells


def test_every_box_has_a_state_and_its_proof_or_reason() -> None:
    boxes = list(rows())
    assert len(boxes) == 53  # as many as the document has
    for _, box, state, proof in boxes:
        assert state in STATES, box
        assert proof, box
        if state == "done":
            assert "`" in proof or "](" in proof, f"{box}: done, and nothing shows it"


# What the page says of the figures in the reports: each row's place there, and which of its columns.
REPORT = (ROOT / "docs" / "benchmarks" / "2026-11-26-engine.md").read_text(encoding="utf-8")
SAME = {
    "1 GiB down to memory, CPU": "1 GiB `get_into`",
    "the same, wall": "the same, wall",
    "1 GiB up from memory, CPU": "1 GiB `put`",
    "1,000 x 1 MiB down, CPU": "1,000 x 1 MiB `get_many`",
    "2,000 x 4 KiB down, CPU": "2,000 x 4 KiB `get_many`",
    "1 GiB down to a file, CPU": "1 GiB `get_file` (tmpfs)",
}


def row_of(text: str, name: str) -> list[float]:
    """The first number of each cell after the name."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
    return [float(cell.split()[0]) for cell in cells if re.match(r"[\d.]+(\s|$)", cell)]


@pytest.mark.parametrize("name", SAME)
def test_figures_are_those_of_the_report(name: str) -> None:
    ours, raw, awscrt, obstore, boto3, times = row_of(TEXT, name)
    assert [raw, ours, awscrt, obstore, boto3] == row_of(REPORT, SAME[name])[:5]
    assert times == pytest.approx(boto3 / ours, rel=0.02)
