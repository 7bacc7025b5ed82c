"""The bar, where the standard error is a terminal: it counts what is moved, and messages stay readable beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import objectfs

pty = pytest.importorskip("pty", reason="terminals are a Unix thing")

MiB = 1 << 20


def on_a_terminal(*arguments: str | Path) -> tuple[int, str]:
    """The exit code of a command, and what its terminal was sent."""
    ours, theirs = pty.openpty()
    shown = b""

    def read() -> None:
        nonlocal shown
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux's way to say that nobody has the other end any more
                return
            if not data:
                return
            shown += data

    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    command = [sys.executable, "-m", "objectfs.cli", *map(str, arguments)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    reader = threading.Thread(target=read)
    reader.start()
    code = process.wait()
    reader.join()
    os.close(ours)
    return code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "some"
    made.mkdir()
    for number in range(3):
        (made / f"[bold]{number}").write_bytes(bytes(MiB))
    return made


def test_a_tree_up_and_down(client: objectfs.Client, folder: Path, tmp_path: Path) -> None:
    code, shown = on_a_terminal("cp", "-r", "-v", folder, "s3://bucket/t/")
    assert code == 0
    assert "copying" in shown
    assert "3.0/3.0 MiB" in shown  # the last that it shows
    assert "[bold]1" in shown  # a name and not markup
    assert re.search(r"3 objects, 3(\.0)? MiB in ", shown.splitlines()[-1]), shown
    code, shown = on_a_terminal("cp", "-r", "s3://bucket/t/", tmp_path / "back")
    assert code == 0
    assert "3.0/3.0 MiB" in shown
    assert sorted(path.name for path in (tmp_path / "back").rglob("*")) == [f"[bold]{number}" for number in range(3)]


def test_to_a_stream(client: objectfs.Client) -> None:
    client.put("bucket", "k", bytes(2 * MiB))
    code, shown = on_a_terminal("cp", "s3://bucket/k", "-")
    assert code == 0
    assert "2.0/2.0 MiB" in shown


def test_a_failure_stays_readable(client: objectfs.Client, folder: Path) -> None:
    code, shown = on_a_terminal("cp", "-r", folder, "s3://nobodys/t/")
    assert code == 1
    lines = [line for line in re.split(r"[\r\n]+", shown) if line.startswith("objectfs: ")]
    assert len(lines) >= 1
    assert all("NoSuchBucket" in line or "nobodys" in line for line in lines)


def test_quiet(client: objectfs.Client, folder: Path) -> None:
    assert on_a_terminal("cp", "-r", "-q", folder, "s3://bucket/t/") == (0, "")
