"""Imports go in one direction: docs/design/0001 draws it, this table holds it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "objectfs"

# The parts of the package from the bottom up, and the parts that each may import, itself always included.
# ``cli``, ``bench`` and ``soak`` may import whatever they show or measure; but nobody imports them, save that the last
# two are commands, and that ``soak`` reports as ``bench`` does.
LEAVES = {"errors", "types", "uri", "units", "rollout", "telemetry"}
SETTINGS = LEAVES | {"settings", "config"}
BACKENDS = SETTINGS | {"options", "_native", "_build_info"}
CLIENT = BACKENDS | {"backends", "arguments", "streams", "core", "listing", "clientbase", "verbs", "client", "aio"}
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "types": set(),
    "units": set(),
    "prometheus": {"telemetry"},
    "otel": {"errors", "telemetry"},
    "telemetry": set(),
    "uri": {"errors"},
    "rollout": {"units"},
    "settings": LEAVES,
    "config": LEAVES | {"settings"},
    "_native": set(),
    "_build_info": set(),
    "backends": BACKENDS,
    "options": {"errors"},
    "arguments": LEAVES | {"options", "backends"},
    "streams": LEAVES | {"backends"},
    "core": CLIENT - {"listing", "clientbase", "verbs", "client", "aio"},
    "listing": CLIENT - {"clientbase", "verbs", "client", "aio"},
    "clientbase": CLIENT - {"listing", "verbs", "client", "aio"},
    "verbs": CLIENT - {"client", "aio"},
    "transfer": CLIENT - {"clientbase", "verbs", "client", "aio"},
    "client": CLIENT - {"aio"} | {"transfer"},
    "aio": CLIENT - {"client"} | {"transfer"},
    "fsspec": CLIENT | {"transfer"},
    "mount": CLIENT | {"transfer", "fsspec"},
    "sim": set(),
    "bench": CLIENT | {"__init__", "transfer", "fsspec", "mount", "sim"},
    "soak": CLIENT | {"__init__", "transfer", "sim", "bench"},
    "equivalence": CLIENT - {"aio"} | {"transfer"},
    "cli": CLIENT | {"__init__", "transfer", "fsspec", "mount", "sim", "bench", "soak", "equivalence"},
    "__init__": {"errors", "aio", "backends", "client", "types"},
}
# The embedded server knows nothing of the client, and in ``cli`` only ``serve`` knows the server.
ONLY_SERVE = SOURCE / "cli" / "serve.py"

FILES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "_build_info.py")


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The parts of the package that a file imports, anywhere in it, with the line."""
    names: list[str]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: a relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "objectfs" else [module]
        else:
            continue
        for name in names:
            head, _, rest = name.partition(".")
            if head == "objectfs":
                part = rest.partition(".")[0]
                known = (SOURCE / part).is_dir() or (SOURCE / f"{part}.py").exists() or part in LAYERS
                yield node.lineno, part if part and known else "__init__"


def test_every_part_has_its_place() -> None:
    assert {part_of(path) for path in FILES} <= LAYERS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_imports_go_down(path: Path) -> None:
    part = part_of(path)
    allowed = LAYERS[part] | {part}
    if part == "cli" and path != ONLY_SERVE:
        allowed -= {"sim"}
    wrong = [f"line {line}: {name}" for line, name in imports(path) if name not in allowed]
    assert not wrong, f"{part} may import {sorted(allowed)}"


def test_the_table_has_no_circle() -> None:
    """Each part stands above all that it may import, whatever the table's order."""
    done: set[str] = set()
    left = {part: needs - {part} for part, needs in LAYERS.items()}
    while left:
        ready = {part for part, needs in left.items() if needs <= done}
        assert ready, f"a circle among {sorted(left)}"
        done |= ready
        left = {part: needs for part, needs in left.items() if part not in ready}
