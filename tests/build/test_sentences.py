"""Each way a build can fail is one sentence that says what to do; nothing is compiled here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from objectfs_build import archive, prefix, toolchain
from objectfs_build.archive import _not_fetched
from objectfs_build.cache import cache_dir
from objectfs_build.errors import BuildError
from objectfs_build.lock import ROOT, Lock
from objectfs_build.report import Report, StepFailed

NO_NATIVE = "OBJECTFS_NATIVE=OFF"


def sentence(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def test_a_given_archive_with_another_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = tmp_path / "awscrt.tar.gz"
    wrong.write_bytes(b"not it")
    monkeypatch.setenv("OBJECTFS_CRT_ARCHIVE", str(wrong))
    with Report() as report, pytest.raises(BuildError) as caught:
        archive.obtain(Lock.read(), cache_dir(), report)
    text = sentence(caught.value)
    assert Lock.read().sha256 in text
    assert str(wrong) in text
    assert NO_NATIVE in text


def test_a_cached_archive_that_was_changed(tmp_path: Path) -> None:
    lock = Lock.read()
    kept = cache_dir() / "archives" / lock.filename
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"truncated")
    with Report() as report, pytest.raises(BuildError, match="remove it"):
        archive.obtain(lock, cache_dir(), report)


def test_a_given_archive_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTFS_CRT_ARCHIVE", "/nonexistent.tar.gz")
    with Report() as report, pytest.raises(BuildError, match="not a file"):
        archive.obtain(Lock.read(), cache_dir(), report)


@pytest.mark.parametrize(
    ("printed", "says"),
    [
        (["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "        Got        abc123"], "sha256 abc123"),
        (["python: No module named pip"], "no pip"),
        (["ERROR: No matching distribution found for awscrt==1"], "No matching distribution"),
        (
            [
                "ERROR: Could not find a version that satisfies the requirement awscrt==1 (from versions: none)",
                "ERROR: No matching distribution found for awscrt==1",
            ],
            "cannot be reached",
        ),
        ([], "could not be fetched"),
    ],
)
def test_what_pip_prints_becomes_a_sentence(printed: list[str], says: str) -> None:
    text = sentence(_not_fetched(StepFailed("download", 1, printed), Lock.read()))
    assert says in text
    assert NO_NATIVE in text


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip itself, told to use no index: what a machine without network gets, without the waiting."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with Report() as report, pytest.raises(BuildError) as caught:
        archive.obtain(Lock.read(), cache_dir(), report)
    text = sentence(caught.value)
    assert "OBJECTFS_CRT_ARCHIVE" in text
    assert NO_NATIVE in text


@pytest.mark.skipif(sys.platform == "win32", reason="Visual Studio is looked for by CMake")
class TestCompiler:
    def test_cc_names_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CC", "/nonexistent")
        with pytest.raises(BuildError) as caught:
            toolchain.compiler_identity()
        assert "/nonexistent" in sentence(caught.value)
        assert NO_NATIVE in str(caught.value)

    def test_cc_cannot_compile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CC", "false")
        with pytest.raises(BuildError, match="cannot build an empty program"):
            toolchain.compiler_identity()

    def test_none_at_all(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(BuildError, match="no C compiler"):
            toolchain.compiler_identity()

    def test_build_crt_says_it_too(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("CC", "/nonexistent")
        script = ROOT / "scripts" / "build-crt"
        done = subprocess.run(
            [sys.executable, str(script), str(tmp_path / "p")],
            check=False,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 1
        assert done.stderr.startswith("build-crt: CC names /nonexistent")
        assert done.stderr.count("\n") == 1


def test_cmake_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(BuildError, match="pip install cmake"):
        toolchain.find_tool("cmake")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell script as a program")
def test_a_cmake_that_does_not_run_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, status in (("broken", 1), ("working", 0)):
        tool = tmp_path / name / "cmake"
        tool.parent.mkdir()
        tool.write_text(f"#!/bin/sh\nexit {status}\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/broken{os.pathsep}{tmp_path}/working")
    assert toolchain.find_tool("cmake") == f"{tmp_path}/working/cmake"


def test_a_prefix_without_the_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OBJECTFS_CRT", str(tmp_path))
    with Report() as report, pytest.raises(BuildError, match="does not hold aws-c-s3"):
        prefix.provide(report)


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.touch()
    monkeypatch.setenv("OBJECTFS_CACHE", str(blocker / "cache"))
    with Report() as report, pytest.raises(BuildError, match="OBJECTFS_CACHE"):
        prefix.provide(report)
