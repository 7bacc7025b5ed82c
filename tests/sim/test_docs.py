"""docs/server.md says what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from objectfs.sim import PROFILES
from objectfs.sim.operations import HANDLERS
from objectfs.sim.plan import parse_plan
from objectfs.sim.profile import parse, shape_fields
from objectfs.sim.rules import API_ONLY, RULES

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "server.md").read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_profiles() -> None:
    head = next(line for line in TEXT.splitlines() if line.startswith("| value |"))
    names = [cell.strip("`") for cell in cells(head)[1:]]
    assert names == list(PROFILES)
    for item in shape_fields():
        row = cells(next(line for line in TEXT.splitlines() if line.startswith(f"| `{item.name}`")))
        for name, cell in zip(names, row[1:], strict=True):
            value = getattr(PROFILES[name], item.name)
            if not cell:
                # ``stall_time`` and ``slow_start_bytes`` mean nothing where there are none of these.
                assert value == item.default, (name, item.name)
            elif cell.endswith("%"):
                assert float(cell.rstrip(" %")) / 100 == value
            else:
                assert parse(item.name, item.metadata["kind"], cell.replace(",", "")) == value, (name, item.name)


@pytest.mark.parametrize("name", [*RULES, *API_ONLY])
def test_every_field_of_a_fault_is_described(name: str) -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and f"`{name}`" in cells(line)[0]]
    assert rows, f"docs/server.md has no row of {name}"


def test_the_example_of_a_plan() -> None:
    import tomllib

    match = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert match is not None
    seed, faults = parse_plan(tomllib.loads(match[1]))
    assert (seed, len(faults)) == (7, 2)


def test_the_tables_of_operations_name_each_that_there_is_once() -> None:
    tables = TEXT[TEXT.index("## What is supported") :].splitlines()
    named = [name for line in tables if line.startswith("| `") for name in re.findall(r"`(\w+)`", cells(line)[0])]
    assert sorted(named) == sorted(HANDLERS)


def test_operations_have_the_names_that_boto3_knows() -> None:
    session = pytest.importorskip("botocore.session")
    assert HANDLERS.keys() <= set(session.get_session().get_service_model("s3").operation_names)
