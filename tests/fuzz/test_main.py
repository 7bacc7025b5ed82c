"""How scripts/fuzz searches with hypothesis: a finding ends it, and is kept at its smallest."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

from . import main


def test_a_finding_is_made_small_and_kept(tmp_path: Path) -> None:
    def check(data: bytes) -> None:
        assert len(data) < 3 or data[2] < 200

    assert main.searched(check, 400, 600, 1, tmp_path, "thing") == 1
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("thing-")
    assert kept.read_bytes() == b"\0\0\xc8"


def test_it_searches_until_the_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(main, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(main, "SEARCH", 100)
    tried: list[bytes] = []
    assert main.searched(tried.append, 400, 1000, 1, tmp_path, "thing") == 0
    assert len(tried) > 3 * main.SEARCH, "one search, and no other"
    assert any(len(data) > 200 for data in tried)
    assert len({data for data in tried if len(data) > 200}) > main.SEARCH, "each search was the same"
    assert not list(tmp_path.iterdir())
