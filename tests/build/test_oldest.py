"""The oldest versions that pyproject.toml allows are ones that work."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from objectfs_build.lock import ROOT

ROUND_TRIP = """
import os
import objectfs
from objectfs.sim import S3Server

keys = {"access_key_id": "test", "secret_access_key": "testtest", "region": "us-east-1"}
with S3Server() as server, objectfs.Client(backend="sdk", endpoint_url=server.endpoint_url, **keys) as client:
    for size in (0, 1, 20 * 1024 * 1024):
        data = os.urandom(size)
        client.put("bucket", "key", data)
        assert bytes(client.get("bucket", "key")) == data
    assert [entry.key for entry in client.list("bucket")] == ["key"]
print("same bytes")
"""


def oldest() -> list[str]:
    with open(ROOT / "pyproject.toml", "rb") as file:
        wanted = tomllib.load(file)["project"]["dependencies"]
    return [requirement.replace(">=", "==") for requirement in wanted]


@pytest.mark.slow  # makes an environment and fetches a dozen distributions: half a minute
def test_oldest_dependencies(project: Path, tmp_path: Path) -> None:
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    environment = os.environ | {"OBJECTFS_NATIVE": "OFF"}
    for command in (
        [sys.executable, "-m", "venv", str(tmp_path / "env")],
        [str(python), "-m", "pip", "install", "--quiet", *oldest(), str(project)],
        [str(python), "-m", "pip", "check"],
    ):
        done = subprocess.run(command, check=False, env=environment, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run([str(python), "-c", ROUND_TRIP], check=False, capture_output=True, encoding="utf-8")
    assert done.stdout.strip() == "same bytes", done.stderr
