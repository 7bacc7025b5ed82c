"""The command as a process: exit codes, signals, pipes, start-up."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest

import objectfs
from objectfs.backends.select import available

COMMAND = [sys.executable, "-m", "objectfs.cli"]


def test_help_imports_no_command_and_no_engine() -> None:
    code = (
        "import sys\nfrom objectfs.cli.main import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "late = {'rich', 'boto3', 'botocore', 'objectfs._native', 'objectfs.client', 'objectfs.cli.cp'}\n"
        "assert not late & set(sys.modules), late & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Commands:" in done.stdout


def test_version() -> None:
    done = subprocess.run([*COMMAND, "version", "-v"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("objectfs ")
    assert "botocore " in done.stdout


def test_doctor_shows_origins_and_no_secret(settings: dict[str, str]) -> None:
    environment = os.environ | settings | {"OBJECTFS_ACCESS_KEY_ID": "id", "OBJECTFS_SECRET_ACCESS_KEY": "hidden"}
    done = subprocess.run([*COMMAND, "doctor"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert settings["OBJECTFS_ENDPOINT_URL"] in done.stdout
    assert "environment variable OBJECTFS_ENDPOINT_URL" in done.stdout
    backend = settings["OBJECTFS_BACKEND"]
    assert re.search(rf"in use +{backend}\b", done.stdout)
    why = {"crt": "the engine .* passes its self-check", "sdk": "botocore "}
    assert re.search(rf"{backend} +ok: {why[backend]}", done.stdout)
    assert "hidden" not in done.stdout + done.stderr
    assert settings["AWS_SECRET_ACCESS_KEY"] not in done.stdout.replace("test", "")


def test_doctor_with_a_wrong_setting() -> None:
    done = subprocess.run(
        [*COMMAND, "doctor"], capture_output=True, text=True, env=os.environ | {"OBJECTFS_PART_SIZE": "big"}
    )
    assert done.returncode == 2
    assert "OBJECTFS_PART_SIZE" in done.stdout


def test_a_closed_pipe_is_no_traceback(client: objectfs.Client, settings: dict[str, str]) -> None:
    client.put("bucket", "large", bytes(40 * 1024 * 1024))
    line = f"{sys.executable} -m objectfs.cli cat s3://bucket/large | head -c 1"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=30)
    assert done.stdout == "\0"
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize("backend", [attempt.name for attempt in available() if attempt.ok])
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_leaves_no_file(
    client: objectfs.Client,
    settings: dict[str, str],
    server: object,
    tmp_path: Path,
    stop: signal.Signals,
    code: int,
    backend: str,
) -> None:
    server.store.add_synthetic("bucket", "huge", 64 << 30)  # type: ignore[attr-defined]
    command = [*COMMAND, "cp", "--backend", backend, "s3://bucket/huge", tmp_path / "file"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(tmp_path.iterdir()), "the download did not begin"
    process.send_signal(stop)
    _, errors = process.communicate(timeout=10)
    client.delete("bucket", "huge")
    assert process.returncode == code, errors
    assert b"Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("tls", [False, True])
def test_serve(tmp_path: Path, stop: signal.Signals, code: int, tls: bool) -> None:
    """The lines that it prints work when they are pasted."""
    process = subprocess.Popen(
        [*COMMAND, "serve", tmp_path / "data", "--bucket", "mine", *(["--tls"] if tls else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        text = "".join(iter(process.stdout.readline, "Ctrl-C stops it.\n"))
        script = "".join(line for line in text.splitlines(keepends=True) if line.startswith("  export "))
        script += "exec " + " ".join(map(shlex.quote, [*COMMAND, "ls"]))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(["sh", "-c", script], env=clean, capture_output=True, text=True, check=True)
        assert "s3://mine" in done.stdout
        call = next(line for line in text.splitlines() if "boto3.client('s3', endpoint_url=" in line)
        names = {"boto3": boto3}
        exec(call.strip(), names)
        assert [bucket["Name"] for bucket in names["s3"].list_buckets()["Buckets"]] == ["mine"]
        names["s3"].close()
        process.send_signal(stop)
        rest, errors = process.communicate(timeout=10)
        assert (process.returncode, rest, errors) == (code, "", "")
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [["version", "-v"], ["doctor"], ["ls", "s3://bucket"], ["cat", "s3://bucket/k"]])
def test_output_that_cannot_be_written(settings: dict[str, str], arguments: list[str]) -> None:
    """A full disk behind ``>`` is one sentence, not a traceback."""
    environment = os.environ | settings
    subprocess.run([*COMMAND, "cp", "-", "s3://bucket/k"], input=b"content", env=environment, check=True)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr == "objectfs: No space left on device\n"


def test_a_report_has_what_is_needed_and_no_secret(settings: dict[str, str], tmp_path: Path) -> None:
    proxy = {"ALL_PROXY": "socks://someone:password-of-proxy@127.0.0.1:1"}
    environment = (
        os.environ | settings | proxy | {"OBJECTFS_SECRET_ACCESS_KEY": "hidden-key", "OBJECTFS_ACCESS_KEY_ID": "id"}
    )
    done = subprocess.run(
        [*COMMAND, "doctor", "--report", tmp_path / "report"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "report").read_text()
    for section in ("installation", "machine", "settings", "backends", "process", "environment", "self-check", "stats"):
        assert re.search(f"^{section}$", text, re.M), section
    assert "CRC64NVME" in text
    assert "WRONG" not in text
    assert '"memory_limit"' in text
    assert "hidden-key" not in text + done.stdout
    assert "password-of-proxy" not in text
    assert settings["OBJECTFS_ENDPOINT_URL"] in text


def test_a_report_of_a_wrong_setting(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "doctor", "--report", "-"],
        capture_output=True,
        text=True,
        env=os.environ | {"OBJECTFS_PART_SIZE": "big"},
    )
    assert done.returncode == 2
    assert "not usable" in done.stdout
    assert "self-check" in done.stdout
