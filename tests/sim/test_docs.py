"""docs/server.md says what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from objectfs.sim import PROFILES, Limits
from objectfs.sim.body import MIN_AWS_CHUNK
from objectfs.sim.http import MAX_FIELDS
from objectfs.sim.network.plan import parse_plan
from objectfs.sim.network.profile import parse, shape_fields
from objectfs.sim.network.rules import API_ONLY, RULES
from objectfs.sim.operations.table import HANDLERS
from objectfs.sim.record import LOG_BYTES
from objectfs.sim.service import MAX_DOCUMENT
from objectfs.sim.store.blobs import FIRST_SEGMENT
from objectfs.sim.xml import MAX_DEPTH, MAX_ELEMENTS

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
    # PostObject is for browsers: boto3 only signs its forms.
    assert HANDLERS.keys() - {"PostObject"} <= set(session.get_session().get_service_model("s3").operation_names)


def test_the_table_of_bounds() -> None:
    limits = Limits()
    rows = dict(cells(line) for line in TEXT.splitlines() if line.startswith("| ") and len(cells(line)) == 2)

    def row(start: str) -> str:
        return next(value for name, value in rows.items() if name.startswith(start))

    assert row("connections").startswith(f"{limits.connections:,},")
    assert row("idle") == f"{limits.idle:g} s"
    assert row("from the first byte of a head") == f"{limits.head:g} s"
    assert row("in which 1 KiB") == f"{limits.stall:g} s"
    assert limits.progress == 1024
    assert row("fields of a head") == f"{MAX_FIELDS >> 10} KiB"
    assert row("a document").startswith(f"{MAX_DOCUMENT >> 20} MiB, {MAX_ELEMENTS:,} elements, {MAX_DEPTH} levels")
    assert row("chunks of aws-chunked") == f"at least {MIN_AWS_CHUNK >> 10} KiB"
    assert row("the log of requests").startswith(f"{LOG_BYTES >> 20} MiB")
    assert row("memory for a body") == f"{FIRST_SEGMENT >> 10} KiB"
