"""Prefixes are keyed by everything that shapes them, appear complete, and one build at a time makes one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from objectfs_build import prefix
from objectfs_build.cache import cache_dir, exclusive
from objectfs_build.chain import MANIFEST, Options, relocate
from objectfs_build.lock import Lock
from objectfs_build.report import Report, StepFailed


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("OBJECTFS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_dir().is_relative_to(Path.home() if sys.platform == "darwin" else tmp_path)


def test_the_key_covers_what_shapes_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, plain = Lock.read(), Options()
    variants = {
        prefix.cached_prefix(lock, options)
        for options in (
            plain,
            replace(plain, shared=True),
            replace(plain, debug=True),
            replace(plain, sanitize="address"),
            replace(plain, system_libcrypto=True),
        )
    }
    variants.add(prefix.cached_prefix(replace(lock, sha256="0" * 64), plain))
    monkeypatch.setenv("CFLAGS", "-O1")
    variants.add(prefix.cached_prefix(lock, plain))
    assert len(variants) == 7
    assert prefix.cached_prefix(lock, plain) == prefix.cached_prefix(lock, plain)


def test_a_second_build_waits_for_the_first(tmp_path: Path) -> None:
    path, waited, order = tmp_path / "lock", threading.Event(), []

    def second() -> None:
        with exclusive(path, waited.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with exclusive(path):
        thread.start()
        assert waited.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_the_lock_of_a_killed_build_is_free_again(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = "import sys, os; from pathlib import Path; from objectfs_build.cache import exclusive\n"
    code += "with exclusive(Path(sys.argv[1])): os._exit(9)"
    env = os.environ | {"PYTHONPATH": str(Path(prefix.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False, env=env).returncode == 9
    with exclusive(path, lambda: pytest.fail("still held")):
        pass


def test_relocate_rewrites_paths_and_yields_to_a_complete_prefix(tmp_path: Path) -> None:
    final = tmp_path / "final"
    for name in ("one", "two"):
        staged = tmp_path / name
        (staged / MANIFEST.parent).mkdir(parents=True)
        (staged / MANIFEST).write_text(name)
        (staged / "lib.pc").write_text(f"prefix={staged}\n")
        relocate(staged, final)
        assert not staged.exists()
    assert (final / MANIFEST).read_text() == "one"
    assert (final / "lib.pc").read_text() == f"prefix={final}\n"


def test_pip_is_required_only_to_download(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prefix.needs_download()
    monkeypatch.setenv("OBJECTFS_CRT_ARCHIVE", "some.tar.gz")
    assert not prefix.needs_download()
    monkeypatch.delenv("OBJECTFS_CRT_ARCHIVE")
    manifest = prefix.cached_prefix(Lock.read(), Options()) / MANIFEST
    manifest.parent.mkdir(parents=True)
    manifest.touch()
    assert not prefix.needs_download()


def test_a_failed_step_keeps_its_last_lines_and_the_log_keeps_all(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    with Report(log) as report, pytest.raises(StepFailed) as caught:
        report.run("step", [sys.executable, "-c", "print(*range(100), sep='\\n'); raise SystemExit(3)"])
    assert caught.value.tail[-1] == "99"
    assert len(caught.value.tail) == 40
    assert "\n0\n" in log.read_text()
