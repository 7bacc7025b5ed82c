"""What the documentation lists by name is what there is: loggers, metrics, reasons of a rollout."""

from __future__ import annotations

import re
from pathlib import Path

from objectfs import otel, prometheus
from objectfs.backends.rollout.ledger import REASONS

ROOT = Path(__file__).resolve().parents[2]
DOCS, SOURCE = ROOT / "docs", ROOT / "src" / "objectfs"
LOGGER = re.compile(r"getLogger\(f?\"(objectfs[a-z_.]*)")


def section(page: str, title: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_loggers() -> None:
    ours = {name for path in SOURCE.rglob("*.py") for name in LOGGER.findall(path.read_text(encoding="utf-8"))}
    ours = {name.removesuffix(".") for name in ours}
    assert {"objectfs.sdk", "objectfs.crt", "objectfs.resume"} <= ours
    told = set(re.findall(r"`(objectfs\.[a-z]+)(?:\.[a-z0-9]+)?`", section("debugging.md", "Logs")))
    assert {".".join(name.split(".")[:2]) for name in ours} == told


def test_metrics() -> None:
    told = section("debugging.md", "Dashboards")
    ours = {name for name, *_ in prometheus._METRICS + prometheus._ROLLOUT_METRICS}
    assert ours == set(re.findall(r"`(objectfs_[a-z_]+)`", told))
    text = (SOURCE / "otel.py").read_text(encoding="utf-8")
    for name in re.findall(r'PREFIX \+ "([a-z._]+)"', text):
        assert f"`{otel.PREFIX}{name}`" in told or f"`.{name}`" in told, name


def test_reasons_of_a_rollout() -> None:
    rows = re.findall(r"^\| (`.*) \|.*\|$", section("rollout.md", "How to see it"), re.MULTILINE)
    assert {name for names in rows for name in re.findall(r"`([a-z-]+)`", names.partition(" | ")[0])} == set(REASONS)
