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


ROUND_TRIP = """
import os, sys
import objectfs
from objectfs.sim import S3Server

keys = {"access_key_id": "test", "secret_access_key": "testtest", "region": "us-east-1"}
with S3Server() as server, objectfs.Client(backend=sys.argv[1], endpoint_url=server.endpoint_url, **keys) as client:
    for size in (0, 1, 20 * 1024 * 1024):
        data = os.urandom(size)
        client.put("bucket", "key", data)
        assert bytes(client.get("bucket", "key")) == data
    assert [entry.key for entry in client.list("bucket")] == ["key"]
    for operation in ("GetObject", "PutObject", "HeadObject"):  # botocore's checks have changed their order
        try:
            client.call(operation, Bucket="bucket", Key=5)
        except objectfs.errors.InvalidRequestError:
            continue
        raise AssertionError(operation + " took a key that is a number")
if sys.argv[1] == "crt":
    from objectfs import _native
    print(_native.CRT_LINK, os.path.dirname(_native.__file__))
print("same bytes")
"""


@pytest.fixture
def round_trip() -> Callable[..., list[str]]:
    """Runs a real transfer with an installation, given its python and a backend: the lines that it prints."""

    def run(python: Path | str, backend: str, **environment: str) -> list[str]:
        command = [str(python), "-c", ROUND_TRIP, backend]
        done = subprocess.run(
            command, check=False, env=os.environ | environment, capture_output=True, encoding="utf-8", timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


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
