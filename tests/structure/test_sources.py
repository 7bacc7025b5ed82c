"""Rules about the sources that no linter knows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 400

PYTHON = sorted(path for folder in ("src", "build_backend", "tests") for path in (ROOT / folder).rglob("*.py"))
CYTHON = sorted((ROOT / "native").rglob("*.p[yx][xid]"))
C = sorted(path for folder in ("native", "tests/native") for path in (ROOT / folder).rglob("*.[ch]"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def without_comments(path: Path) -> str:
    """The code, with the lines where they were."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'"""(?:.|\n)*?"""', lambda found: "\n" * found[0].count("\n"), text)
    return re.sub(r"#.*", "", text)


@pytest.mark.parametrize("path", PYTHON + CYTHON, ids=name_of)
def test_no_file_is_long(path: Path) -> None:
    """Past this there is a second thing hiding in the file. Docstrings, comments and blank lines do not count: what
    explains a file must not be what makes it too long."""
    lines = sum(1 for line in without_comments(path).splitlines() if line.strip())
    assert lines <= LIMIT, f"{lines} lines of code"


@pytest.mark.parametrize("path", C, ids=name_of)
def test_no_line_of_c_is_long(path: Path) -> None:
    """Of Python and Cython the linters say so."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > 120] == []


@pytest.mark.parametrize("path", CYTHON, ids=name_of)
def test_no_foreign_thread_takes_the_gil(path: Path) -> None:
    """``with gil`` is how a thread of the C library would come to run Python."""
    code = without_comments(path)
    found = [code.count("\n", 0, match.start()) + 1 for match in re.finditer(r"\bwith\s+gil\b", code)]
    assert not found, f"with gil in line {found}"


def callbacks() -> list[tuple[str, str]]:
    """Every C function of ``callbacks.pyx``, and those with a callback's name elsewhere: name and what follows the
    arguments."""
    found = []
    for path in CYTHON:
        pattern = re.compile(r"^cdef [^\n]*?\b(\w+)\((?:[^()]|\n)*\)([^:\n]*):", re.M)
        found += [
            (f"{path.name}:{match[1]}", match[2])
            for match in pattern.finditer(without_comments(path))
            if path.name == "callbacks.pyx" or match[1].startswith("_on_")
        ]
    return found


@pytest.mark.parametrize(("name", "qualifiers"), callbacks())
def test_callbacks_cannot_touch_python(name: str, qualifiers: str) -> None:
    assert "noexcept" in qualifiers, f"{name}: an exception has nowhere to go in a thread of the C library"
    assert "nogil" in qualifiers, name


def test_there_are_callbacks_to_check() -> None:
    """Otherwise the test above would be content with nothing."""
    assert len(callbacks()) >= 8


PUBLIC = {
    "AsyncClient",
    "Attempt",
    "BackendInfo",
    "BucketInfo",
    "Buffer",
    "Client",
    "ObjectFSError",
    "ObjectInfo",
    "ObjectVersion",
    "Prefix",
    "PresignedPost",
    "PresignedUrl",
    "PutResult",
    "__version__",
    "errors",
}


def test_public_names() -> None:
    import objectfs

    assert set(objectfs.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(objectfs, name) is not None
        assert name in dir(objectfs)


@pytest.mark.parametrize(
    ("statement", "late"),
    [
        ("import objectfs", {"boto3", "botocore", "numpy", "asyncio", "attrs", "objectfs._native"}),
        ("import objectfs.sim", {"boto3", "botocore", "objectfs.client", "objectfs._native"}),
        ("import objectfs; objectfs.Client", {"boto3", "botocore", "numpy"}),
    ],
)
def test_what_an_import_does_not_import(statement: str, late: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not late & set(done.stdout.split())
