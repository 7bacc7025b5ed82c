"""What the build's tests share: an environment free of settings, and a copy of the project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from objectfs_build.lock import ROOT

PARTS = ("pyproject.toml", "CMakeLists.txt", "LICENSE", "NOTICE", "README.md", ".gitignore")
TREES = ("build_backend", "cmake", "native", "scripts", "src", "third_party")

Hook = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("OBJECTFS_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("OBJECTFS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OBJECTFS_QUIET", "1")  # the developer's terminal is not the place for this


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what a source distribution holds, so that builds leave the checkout alone."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in PARTS:
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, copy / name)
    for name in TREES:
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    return copy


@pytest.fixture
def hook(project: Path, tmp_path: Path) -> Hook:
    """Calls one hook of the build backend in the copy, the way pip does: in a process of its own."""

    def call(name: str = "build_wheel", **environment: str) -> subprocess.CompletedProcess[str]:
        wheels = tmp_path / "wheels"
        wheels.mkdir(exist_ok=True)
        code = "import sys; sys.path.insert(0, 'build_backend'); import objectfs_build as backend; "
        code += f"backend.{name}({str(wheels)!r})"
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=project,
            env=os.environ | environment,
            check=False,
            capture_output=True,
            encoding="utf-8",
            timeout=900,
        )

    return call
