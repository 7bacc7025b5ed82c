"""``scripts/demo``: a round trip of real files that says so only if every byte came back."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from objectfs.backends.select import available
from objectfs.bench import demo

OURS = [attempt.name for attempt in available() if attempt.ok]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands in the place of the standard library, which has thousands of files."""
    folder = tmp_path / "lib"
    (folder / "package" / "__pycache__").mkdir(parents=True)
    (folder / "package" / "empty.py").write_bytes(b"")
    (folder / "package" / "two words.py").write_text("x = 1\n", encoding="utf-8")
    (folder / "package" / "__pycache__" / "left out.pyc").write_bytes(b"x")
    (folder / "site-packages").mkdir()
    (folder / "site-packages" / "left out.py").write_bytes(b"x")
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(folder)})
    return folder


def test_a_round_trip(library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["demo", "--size", "17000001"])
    assert demo.main() == 0
    out = capsys.readouterr().out
    assert "\n3 files, 0.02 GiB; server at http://127.0.0.1:" in out
    for backend in OURS:
        assert f"{backend}: up, down, every SHA-256 compared" in out
    rows = [line.split() for line in out.splitlines() if line.strip().startswith(tuple(OURS)) and ":" not in line]
    assert [row[0] for row in rows] == OURS
    assert all(len(row) == 7 and min(map(float, row[1:])) >= 0 for row in rows)
    assert all(float(peak) > 1 for row in rows for peak in row[5:])
    assert out.splitlines()[-1].startswith("All verified: 3 files")


def test_sources_are_always_the_same(library: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        demo.make_sources(tmp_path / name, 20_000_000)
    found = demo.digests(tmp_path / "a")
    assert sorted(found) == ["one-gib.bin", "stdlib/package/empty.py", "stdlib/package/two words.py"]
    assert found == demo.digests(tmp_path / "b")
    assert (tmp_path / "a" / "one-gib.bin").stat().st_size == 20_000_000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "a").unlink(), "a is missing"),
        (lambda folder: (folder / "c").write_bytes(b""), "c is too much"),
        (lambda folder: (folder / "b").write_bytes(b"2\n"), "b differs"),
    ],
)
def test_what_is_not_the_same(tmp_path: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]
    for name in "ab":
        (tmp_path / name).write_bytes(b"1\n")
    wanted = demo.digests(tmp_path)
    demo.compare(wanted, tmp_path, "crt")
    change(tmp_path)
    with pytest.raises(RuntimeError, match=f"backend crt: {said} after the round trip"):
        demo.compare(wanted, tmp_path, "crt")


def test_a_command_that_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with demo.server() as endpoint, pytest.raises(RuntimeError, match=r"objectfs rm .* --backend \w+ ended with 1"):
        demo.run(endpoint, OURS[-1], "rm", "s3://nobodys/key")
    assert "NoSuchBucket" in capfd.readouterr().err


def test_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["demo", "--size", str(1 << 60)])
    with pytest.raises(RuntimeError, match=r"GiB free in .*; set TMPDIR"):
        demo.main()


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(RuntimeError, match="did not start"), demo.server():
        pass
