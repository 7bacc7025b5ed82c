"""What is learned beside what is given: the judgement, and one measurement from end to end."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("objectfs._native", reason="the engine is not built")

from objectfs.bench.grid import __main__ as grid
from objectfs.bench.grid.__main__ import measure, server, settings_for, verdicts
from objectfs.bench.grid.case import MIB


def judge(learned: dict[str, float], fixed: dict[str, dict[str, float]]) -> tuple[str, bool]:
    found = {
        profile: {"learned": [rate], **{name: [rates[profile]] for name, rates in fixed.items()}}
        for profile, rate in learned.items()
    }
    lines, good = verdicts({"1 MiB": found})
    return "\n".join(lines), good


def test_good_enough() -> None:
    text, good = judge({"near": 95, "far": 100}, {"few": {"near": 100, "far": 50}, "many": {"near": 60, "far": 90}})
    assert good
    assert "| 1 MiB | near | few | 0.95 |" in text
    assert "everywhere: none" in text


def test_below_the_best() -> None:
    text, good = judge({"near": 80, "far": 100}, {"few": {"near": 100, "far": 50}})
    assert not good
    assert "| 1 MiB | near | few | **0.80**, below 0.9 |" in text


def test_a_fixed_setting_that_is_faster_everywhere() -> None:
    text, good = judge({"near": 95, "far": 95}, {"few": {"near": 100, "far": 96}})
    assert not good
    assert "everywhere: few" in text


def test_a_fixed_setting_that_is_faster_everywhere_has_parts_only_where_objects_have() -> None:
    """A setting of "8" for objects of one part, and of "8 x 5 MiB" for larger ones, is one."""
    small = {"near": {"learned": [95.0], "8": [100.0], "25": [96.0]}}
    large = {"near": {"learned": [95.0], "8 x 5 MiB": [99.0], "8 x 8 MiB": [90.0], "25 x 5 MiB": [94.0]}}
    lines, good = verdicts({"1 MiB": small, "64 MiB": large})
    assert not good
    assert "Fixed settings that are faster everywhere: 8 x 5 MiB." in lines
    large["near"]["8 x 5 MiB"] = [94.0]
    lines, good = verdicts({"1 MiB": small, "64 MiB": large})
    assert good
    assert "Fixed settings that are faster everywhere: none." in lines


def test_measured() -> None:
    asked = argparse.Namespace(warm=0.0, seconds=0.0, cpus=None)
    with server("express", None) as endpoint:
        small = measure(endpoint, 4096, settings_for(4096)["25"], asked)
        large = measure(endpoint, 64 * MIB, settings_for(64 * MIB)["learned"], asked)
    assert 0 < small["rate"] < 100e9
    assert 0 < large["rate"] < 100e9
    assert large["pace"]["first_byte"] >= 0.002  # seconds: the profile's median is 0.004


@pytest.mark.parametrize(("learned", "code"), [(105e6, 0), (85e6, 1)])
def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, learned: float, code: int
) -> None:
    """All settings take turns, their medians are shown, and the exit code is the judgement."""
    asked: list[dict[str, int]] = []
    rates = iter([1e6, learned, 200e6] * 100)

    def measured(endpoint: str, size: int, settings: dict[str, int], options: argparse.Namespace) -> dict[str, Any]:
        assert endpoint.startswith("http://127.0.0.1:")
        assert (size, options.seconds) == (4096, 0.5)
        asked.append(settings)
        return {"rate": 100e6 if settings else next(rates), "pace": {"connections": 25}}

    monkeypatch.setattr(grid, "measure", measured)
    out = tmp_path / "grid.md"
    arguments = ["--size", "4 KiB", "--profile", "loopback", "--runs", "3", "--seconds", "0.5", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["bench-grid", *arguments])
    with pytest.raises(SystemExit) as end:
        grid.main()
    assert end.value.code == code
    assert asked == list(settings_for(4096).values()) * 3
    shown = capsys.readouterr()
    assert f"| learned | {learned / 1e6:.0f} |" in shown.out
    assert "| 128 | 100 |" in shown.out
    assert shown.out == out.read_text(encoding="utf-8") + "\n"
    assert "4 KiB, loopback, learned: 200 MB/s  {'connections': 25}" in shown.err


def test_a_server_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(SystemExit, match="did not start"), server("loopback", None):
        pass
