"""The oldest versions that pyproject.toml allows are ones that work."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from objectfs_build.lock import ROOT


def oldest() -> list[str]:
    with open(ROOT / "pyproject.toml", "rb") as file:
        wanted = tomllib.load(file)["project"]["dependencies"]
    return [requirement.replace(">=", "==") for requirement in wanted]


@pytest.mark.slow  # makes an environment and fetches a dozen distributions: half a minute
def test_oldest_dependencies(project: Path, tmp_path: Path, round_trip: Callable[..., list[str]]) -> None:
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    environment = os.environ | {"OBJECTFS_NATIVE": "OFF"}
    for command in (
        [sys.executable, "-m", "venv", str(tmp_path / "env")],
        [str(python), "-m", "pip", "install", "--quiet", *oldest(), str(project)],
        [str(python), "-m", "pip", "check"],
    ):
        done = subprocess.run(command, check=False, env=environment, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr
    assert round_trip(python, "sdk") == ["same bytes"]
