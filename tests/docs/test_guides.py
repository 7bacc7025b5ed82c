"""What the guides show is run: the snippets of ObjectFS on each backend, those of the other libraries where they are
installed.

A snippet's first line says whose it is (``# boto3``). All snippets of one library in one guide run in their order and
in one namespace, against a server of their own. ``expression  # -> value`` in a snippet is compared.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from objectfs import AsyncClient, Client, errors
from objectfs.backends.select import available
from objectfs.options import OPTIONS
from objectfs.options.table import OWN
from objectfs.settings import FIELDS
from objectfs.sim import S3Server

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "guides"
GUIDES = sorted(FOLDER.glob("from-*.md"))
BACKENDS = [attempt.name for attempt in available() if attempt.ok]
ENVIRONMENTS = ("OBJECTFS_CLIENTS", "OBJECTFS_CLIENTS_ASYNC")
CLIENTS = [os.environ.get(name, "") for name in ENVIRONMENTS]
"""The environments of other people's clients: scripts/test --clients makes the first, scripts/bench both. Read here: no
such variable reaches a test."""
REQUIRED = "clients" in os.environ.get("OBJECTFS_REQUIRE", "").split(",")

ENDPOINT = "http://localhost:9000"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
NAMES = {"objectfs": "ObjectFS", "boto3": "boto3", "s3fs": "s3fs", "obstore": "obstore"}
HELPER = "def _same(found, wanted): assert found == wanted, f'{found!r} is not {wanted!r}'"
TYPED_HELPER = "def _same(found: object, wanted: object) -> None: assert found == wanted"


def other_of(guide: Path) -> str:
    return guide.stem.removeprefix("from-")


def program(guide: Path, module: str, server: S3Server) -> str:
    """The library's snippets as one program, each line where it stands in the guide."""
    text = guide.read_text(encoding="utf-8")
    lines = [HELPER] + [""] * text.count("\n")
    for block in BLOCK.finditer(text):
        code = block[1]
        if code.partition("\n")[0] != f"# {NAMES[module]}":
            continue
        first = text.count("\n", 0, block.start(1))
        for number, line in enumerate(code.splitlines(), first):
            line = line.replace(ENDPOINT, server.endpoint_url)
            lines[number] = re.sub(r"^( *)(.+?)  # -> (.+)$", r"\1_same(\2, \3)", line)
    return "\n".join(lines)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    monkeypatch.chdir(tmp_path)
    with S3Server(buckets=("bucket", "other")) as made:
        yield made


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("guide", GUIDES, ids=other_of)
def test_objectfs(guide: Path, backend: str, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTFS_BACKEND", backend)
    namespace: dict[str, Any] = {"__name__": "guide"}
    exec(compile(program(guide, "objectfs", server), str(guide), "exec"), namespace)
    assert namespace["client"].closed
    assert any(request.operation == "PutObject" for request in server.requests)


def python_with(module: str) -> str | None:
    """An interpreter that has it."""
    if importlib.util.find_spec(module):
        return sys.executable
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    for folder in filter(None, CLIENTS):
        python = Path(folder) / "bin" / "python"
        if subprocess.run([python, "-c", code], check=False).returncode == 0:
            return str(python)
    return None


@pytest.mark.parametrize("guide", GUIDES, ids=other_of)
def test_the_other_library(guide: Path, server: S3Server, tmp_path: Path) -> None:
    module = other_of(guide)
    python = python_with(module)
    if python is None:
        # what it depends on excludes boto3's botocore: it has an environment apart, which CI does without
        assert module == "s3fs" or not REQUIRED
        pytest.skip(f"{module} is not in an environment that {' or '.join(ENVIRONMENTS)} names")
    file = tmp_path / "guide.py"
    file.write_text(program(guide, module, server), encoding="utf-8")
    done = subprocess.run([python, file], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert any(request.operation == "PutObject" for request in server.requests)


@pytest.mark.parametrize("guide", GUIDES, ids=other_of)
def test_every_snippet_says_whose_it_is(guide: Path) -> None:
    owners = [block[1].partition("\n")[0] for block in BLOCK.finditer(guide.read_text(encoding="utf-8"))]
    assert set(owners) == {"# ObjectFS", f"# {NAMES[other_of(guide)]}"}


def headings(guide: Path) -> list[str]:
    return re.findall(r"^## (.+)$", guide.read_text(encoding="utf-8"), re.M)


def test_the_guides_have_the_same_tasks() -> None:
    assert len(GUIDES) == 3
    for guide in GUIDES:
        assert headings(guide) == headings(GUIDES[0]), guide.name


@pytest.mark.parametrize("guide", GUIDES, ids=other_of)
def test_the_tables_name_what_there_is(guide: Path) -> None:
    """In the second column of a table stands what ObjectFS has: settings, options, verbs, errors."""
    known = {*FIELDS, *OPTIONS, *OWN, *dir(Client), *dir(AsyncClient), *errors.__all__, "crt", "sdk"}
    known |= {"timeout", "progress", "prefetch", *errors.LocalFileError().fields()}
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", guide.read_text(encoding="utf-8"), re.M)
    named = [name for _, cell in rows for name in re.findall(r"`([A-Za-z_]\w*)(?:`|[=(])", cell)]
    assert len(named) > 20
    assert set(named) <= known


def test_what_boto3_raises_has_the_class_that_the_table_says() -> None:
    """Its exceptions exist; codes of S3 become that class."""
    import boto3.exceptions
    import botocore.exceptions

    text = (FOLDER / "from-boto3.md").read_text(encoding="utf-8")
    table = text[text.index("## Errors") : text.index("## Settings")]
    codes = 0
    for theirs, ours in re.findall(r"^\| (`.+?) \| (.+?) \|$", table, re.M):
        for name in re.findall(r"`(\w+)`", theirs):
            if name.endswith("Error"):
                assert hasattr(botocore.exceptions, name) or hasattr(boto3.exceptions, name), name
                continue
            codes += 1
            found = errors.from_response("GetObject", status=400, code=name, key="key")
            assert type(found).__name__ in re.findall(r"`(\w+)`", ours), name
    assert codes > 10


@pytest.mark.parametrize("guide", GUIDES, ids=other_of)
def test_type_checkers_understand_it(
    guide: Path, server: S3Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As a user's program, against what is installed."""
    pytest.importorskip("mypy", reason="mypy is not installed (dependency group lint)")
    file = tmp_path / "guide.py"
    file.write_text(program(guide, "objectfs", server).replace(HELPER, TYPED_HELPER), encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file=",
            "--check-untyped-defs",
            "--cache-dir",
            tmp_path_factory.getbasetemp() / "mypy",
            file,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
