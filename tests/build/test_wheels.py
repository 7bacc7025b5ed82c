"""What the wheels hold: the pure one, the one that fell back to it, and (slow) the native ones."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectfs_build.lock import LIBRARIES, ROOT, Lock

pytest.importorskip("scikit_build_core", reason="the build requirements are in the dependency group 'build'")


Hook = Callable[..., "subprocess.CompletedProcess[str]"]


# The offline way to the sources, if the caller has it; tests that compile are given it back.
ARCHIVE = {k: v for k, v in os.environ.items() if k == "OBJECTFS_CRT_ARCHIVE"}


def only_wheel(tmp_path: Path) -> Path:
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    return wheel


def build_info(wheel: Path) -> dict[str, Any]:
    with zipfile.ZipFile(wheel) as archive:
        source = archive.read("objectfs/_build_info.py").decode()
    values: dict[str, Any] = {}
    exec(source, values)
    return values


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_off_makes_a_pure_wheel(hook: Hook, project: Path, tmp_path: Path) -> None:
    (project / "src" / "objectfs" / "_native.so").write_bytes(b"left by somebody's editable build")
    done = hook(OBJECTFS_NATIVE="OFF", CC="/nonexistent")
    assert done.returncode == 0, done.stdout + done.stderr
    wheel = only_wheel(tmp_path)
    assert wheel.name.endswith("-py3-none-any.whl")
    built = [name for name in names(wheel) if re.search(r"\.(so|pyd|dylib|pyx|pxd|c)$", name)]
    assert built == ["objectfs/bench/clients/raw.c"]  # what the bench compiles itself, where it is run
    info = build_info(wheel)
    assert (info["NATIVE"], info["REASON"], info["VERSIONS"]) == (False, "OBJECTFS_NATIVE=OFF", {})
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(path))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Version"] == info["VERSION"]
    licences = {Path(name).name for name in metadata.get_all("License-File") or []}
    assert {"LICENSE", "NOTICE", *(f"{library}-LICENSE.txt" for library in LIBRARIES)} <= licences


@pytest.mark.skipif(sys.platform == "win32", reason="Visual Studio is looked for by CMake")
def test_auto_falls_back_says_so_and_remembers(hook: Hook, tmp_path: Path) -> None:
    done = hook(CC="/dollar$sign")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING: the native engine was NOT built" in done.stdout
    wheel = only_wheel(tmp_path)
    assert wheel.name.endswith("-py3-none-any.whl")
    info = build_info(wheel)
    assert not info["NATIVE"]
    assert info["REASON"].startswith("CC names /dollar$sign")


@pytest.mark.skipif(sys.platform == "win32", reason="Visual Studio is looked for by CMake")
def test_on_fails_with_one_sentence(hook: Hook, tmp_path: Path) -> None:
    done = hook(OBJECTFS_NATIVE="ON", CC="/nonexistent")
    assert done.returncode == 1
    errors = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert errors[0].startswith("objectfs: ERROR: CC names /nonexistent")
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "wheels").iterdir())


def test_an_unknown_mode_is_refused(hook: Hook) -> None:
    done = hook(OBJECTFS_NATIVE="PERHAPS")
    assert done.returncode == 1
    assert "it has to be AUTO, ON or OFF" in done.stderr


def test_the_sdist_has_what_a_build_needs(hook: Hook, tmp_path: Path) -> None:
    done = hook("build_sdist")
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = (tmp_path / "wheels").glob("*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path / "unpacked")
    (top,) = (tmp_path / "unpacked").iterdir()
    for path in (
        "pyproject.toml",
        "CMakeLists.txt",
        "cmake/Crt.cmake",
        "third_party/crt.lock",
        "scripts/build-crt",
    ):
        assert (top / path).is_file(), path
    assert (top / "build_backend" / "objectfs_build" / "hooks.py").is_file()
    assert not (top / "build").exists()


@pytest.mark.slow  # compiles eleven C libraries: one to three minutes each
@pytest.mark.parametrize("link", ["static", "shared"])
def test_a_prefix_and_a_wheel_from_nothing(
    link: str, hook: Hook, tmp_path: Path, round_trip: Callable[..., list[str]]
) -> None:
    prefix = tmp_path / "prefix"
    argv = [sys.executable, str(ROOT / "scripts" / "build-crt"), str(prefix)]
    done = subprocess.run([*argv, "--shared"] if link == "shared" else argv, check=False, env=os.environ | ARCHIVE)
    assert done.returncode == 0
    done = hook(OBJECTFS_NATIVE="ON", OBJECTFS_CRT=str(prefix))
    assert done.returncode == 0, done.stdout + done.stderr
    wheel = only_wheel(tmp_path)
    info = build_info(wheel)
    assert (info["NATIVE"], info["VERSIONS"]) == (True, Lock.read().versions)
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert round_trip(sys.executable, "crt", PYTHONPATH=str(site)) == [f"{link} {site / 'objectfs'}", "same bytes"]
