"""``objectfs soak`` from end to end: a minute of everything, and that leaks are found.

The minute runs beside the other tests: whatever else the machine does, a clean run is clean.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from objectfs.backends.select import available
from objectfs.cli.main import cli

OURS = [attempt.name for attempt in available() if attempt.ok]
SLOWEST = 600
"""Seconds after which a run has hung; the machine may be as slow as it likes."""

QUIETLY = ("--no-faults", "--threads", "1", "--tasks", "1", "-q")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    # Programs that a shell has put into the background are born with SIGINT ignored, and so are theirs.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from objectfs.cli.main import main; main()"
    )
    command = [sys.executable, "-c", program, "soak", "--out", str(folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "soak.json").read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    folder = tmp_path_factory.mktemp("minute")
    with start(folder, "--duration", "60s", "-q") as process:  # which closes its pipes, whoever has read them
        yield process, folder
        process.kill()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--duration", "soon"), "'soon' is no time"),
        (("--endpoint-url", "http://127.0.0.1:1"), "need --bucket"),
        (("--backend", "other"), "'other' is not one of"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(cli, ["soak", *arguments])
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize("backend", OURS[:1])
def test_leaks_are_found(minute: object, tmp_path: Path, backend: str) -> None:
    """The canary: one of each, after each round."""
    process = start(tmp_path, "--duration", "4s", "--leak", "all", "--backend", backend, *QUIETLY)
    out, err = process.communicate(timeout=SLOWEST)
    assert process.returncode == 1, out + err
    (course,) = read(tmp_path)["courses"]
    grown = {growth["measure"] for growth in course["growth"] if growth["verdict"] == "grows"}
    wanted = {"rss", "native", "descriptors", "threads", "objects", "blocks"}
    assert grown == (wanted if backend == "crt" else wanted - {"native"})
    for name in grown:
        assert f"{backend}: {name} grows by at least" in out
    assert course["wrong"] == []
    assert {left["measure"] for left in course["left"] if left["left"] > left["allowed"]} >= {"descriptors", "threads"}


def test_ctrl_c_reports(minute: object, tmp_path: Path) -> None:
    process = start(tmp_path, "--duration", "3m", "--backend", OURS[-1], *QUIETLY[:-1])
    assert process.stderr is not None
    assert "operations" in process.stderr.readline()  # it is under way
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SLOWEST)
    assert process.returncode == 130, out + err
    assert "ending with this round" in err
    report = read(tmp_path)
    assert report["interrupted"]
    (course,) = report["courses"]
    assert course["samples"]
    assert course["wrong"] == []
    assert all(left["left"] <= left["allowed"] for left in course["left"])
    assert "It was ended early" in (tmp_path / "soak.html").read_text(encoding="utf-8")


def test_a_minute_of_everything(minute: tuple[subprocess.Popen[str], Path]) -> None:
    process, folder = minute
    out, err = process.communicate(timeout=SLOWEST)
    assert process.returncode == 0, out + err
    report = read(folder)
    assert [course["backend"] for course in report["courses"]] == sorted(OURS)
    assert report["faults"] > 0
    for course in report["courses"]:
        assert course["wrong"] == []
        assert {growth["verdict"] for growth in course["growth"]} == {"steady"}
        assert all(left["left"] <= left["allowed"] for left in course["left"])
        assert course["bytes"] > 0
        # Some of each kind, however slow the machine was.
        succeeded = {verb["name"] for verb in course["verbs"] if verb["succeeded"]}
        assert {"put", "get", "async put", "async get", "open rb", "open wb", "list", "copy"} <= succeeded
        assert any(verb["cancelled"] for verb in course["verbs"])
        assert any(verb["errors"] for verb in course["verbs"])
    assert "Traceback" not in err
