"""The reference pages are what scripts/reference makes of the docstrings, and the docstrings say what a page needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import objectfs

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"
PAGES = sorted(FOLDER.glob("*.md"))


def rows(text: str, section: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    found = re.search(rf"^## {section}\n+((?:.+\n)*?\n)?((?:\|.*\n)+)", text, re.M)
    if not found:
        return []
    lines = found[2].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]


def test_the_pages_are_what_the_script_makes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stderr}\nRun: .venv/bin/python scripts/reference"


def verbs() -> list[str]:
    return [
        name for name in dir(objectfs.Client) if not name.startswith("_") and callable(getattr(objectfs.Client, name))
    ]


@pytest.mark.parametrize("name", verbs())
def test_every_verb_has_a_page_that_says_all(name: str) -> None:
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    empty = [row[0] for row in rows(text, "Arguments") if not row[3]]
    assert not empty, f"the docstring of Client.{name} says nothing of these arguments"
    for title in ("Options", "Options for reading", "Options for writing"):
        empty = [row[0] for row in rows(text, title) if not row[2]]
        assert not empty, "objectfs/options/params.py says nothing of these"
    operations = re.search(r"^## S3 operations\n\n(.*)\n", text, re.M)
    assert operations is not None
    assert operations[1], f"the docstring of Client.{name} names no operation of S3; or 'No request is made'"


@pytest.mark.parametrize("name", [name for name in verbs() if name not in ("close", "stats", "health")])
def test_every_verb_says_what_it_raises(name: str) -> None:
    assert rows((FOLDER / f"{name}.md").read_text(encoding="utf-8"), "Raises")


def test_no_link_leads_nowhere() -> None:
    anchors = {
        path.name: {match.lower() for match in re.findall(r"^##? (\w+)$", path.read_text(encoding="utf-8"), re.M)}
        for path in PAGES
    }
    for path in PAGES:
        for page, anchor in re.findall(r"\]\(([\w.]+)(?:#(\w+))?\)", path.read_text(encoding="utf-8")):
            assert page in anchors, (path.name, page)
            assert not anchor or anchor in anchors[page], (path.name, page, anchor)
