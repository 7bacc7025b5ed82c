"""Plans of faults in TOML, which say the same as ``Fault(...)`` does and are checked the same way."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from objectfs.sim.network.faults import Fault
from objectfs.sim.network.rules import RULES, FaultError, check_value


def load_plan(path: Path) -> tuple[int | None, list[Fault]]:
    """The seed of a plan, if it has one, and its faults. Raises FaultError, or OSError."""
    try:
        plan = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FaultError(f"{path}: no TOML: {error}") from None
    try:
        return parse_plan(plan)
    except FaultError as error:
        raise FaultError(f"{path}: {error}") from None


def parse_plan(plan: dict[str, Any]) -> tuple[int | None, list[Fault]]:
    """As ``load_plan``, of the file's content."""
    for name in plan:
        if name not in ("seed", "fault"):
            raise FaultError(f"{name}: there is no such key; allowed are seed, and tables [[fault]]")
    seed = plan.get("seed")
    if seed is not None:
        check_value("seed", seed)
    tables = plan.get("fault", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise FaultError("fault: must be tables, each headed [[fault]]")
    faults = []
    for number, table in enumerate(tables, 1):
        try:
            for name, value in table.items():
                check_value(name, value, RULES)
            faults.append(Fault(**table))
        except FaultError as error:
            raise FaultError(f"fault {number}: {error}") from None
    return seed, faults
