"""The command line of the server."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from objectfs.sim import S3Server, cli
from objectfs.sim.network.profile import shape_fields

from .conftest import Wire, connect

COMMAND = [sys.executable, "-m", "objectfs.sim"]


@contextlib.contextmanager
def running(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], S3Server, str]]:
    """A process that serves, a stand-in with its address, and what it printed."""
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            text = "".join(iter(process.stdout.readline, "Ctrl-C stops it.\n"))
            word, url = text.splitlines()[0].split()
            assert word == "endpoint"
            server = S3Server()
            server.port = int(url.rpartition(":")[2])
            yield process, server, text
        finally:
            process.kill()


@pytest.mark.parametrize(("end", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_serves_until_a_signal_comes(tmp_path: Path, end: signal.Signals, code: int) -> None:
    with running(tmp_path, "--bucket", "one", "--bucket", "two") as (process, server, _):
        s3 = connect(server)
        assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["one", "two"]
        s3.close()
        process.send_signal(end)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (code, "", "")


def test_network_faults_and_synthetic_objects(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[fault]]\noperation = "GetObject"\nnth = 2\nstatus = 429\n')
    arguments = ["--no-verify", "--synthetic", "bucket/k=1000000", "--faults", plan, "--profile", "s3"]
    with running(*arguments, "--latency", "1ms", "--latency-p99", "2ms", "--bandwidth", "2MB") as (_, server, _text):
        wire = Wire(server)
        get = b"GET /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n"
        import time

        start = time.monotonic()
        assert len(wire.send(get).response()[2]) == 1_000_000
        assert time.monotonic() - start > 0.47
        assert wire.send(get).response()[0] == 429
        assert wire.send(b"HEAD /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n").sock.recv(1000).startswith(b"HTTP/1.1 200")
        wire.close()


def test_every_shape_has_its_option() -> None:
    text = cli.build_parser("x").format_help()
    for item in shape_fields():
        assert f"--{item.name.replace('_', '-')} " in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "s4"], "invalid choice: 's4'"),
        (["--bandwidth", "fast"], "--bandwidth 'fast': must be a number above 0"),
        (["--latency-p99", "1ms"], "--latency-p99 0.001: must be at least latency (0.0)"),
        (["--synthetic", "x"], "--synthetic x: expected BUCKET/KEY=SIZE"),
        (["--bucket", "No"], "bucket 'No': The specified bucket is not valid"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0 can be reached from other machines: it needs --access-key"),
        (["--host", "::"], "can be reached from other machines"),
        (["--host", "0.0.0.0", "--access-key", "a"], "can be reached from other machines"),
        (["--host", "0.0.0.0", "--access-key", "a", "--secret-key", "testtest"], "can be reached"),
        (["--host", "0.0.0.0", "--access-key", "a", "--secret-key", "b", "--anonymous"], "can be reached"),
        (["--host", "0.0.0.0", "--access-key", "a", "--secret-key", "b", "--no-verify"], "can be reached"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_wrong_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text("[[fault]]\nprobability = 2\n")
    with pytest.raises(SystemExit):
        cli.main(["--faults", str(plan)])
    assert f"--faults {plan}: fault 1: probability = 2: must be a number from 0 to 1" in capsys.readouterr().err
    assert cli.main(["--faults", str(tmp_path / "none")], "serve") == 1
    assert capsys.readouterr().err == f"serve: {tmp_path / 'none'}: No such file or directory\n"


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert cli.main(["--port", str(port)], "serve") == 1
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert f"serve: cannot listen on 127.0.0.1:{port}: " in capsys.readouterr().err


def test_a_directory_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    assert cli.main([str(file)], "serve") == 1
    assert f"serve: {file}" in capsys.readouterr().err


def test_what_is_open_to_others_shows_no_secret() -> None:
    options = cli.build_parser("x").parse_args(["--host", "0.0.0.0", "--access-key", "a", "--secret-key", "hidden"])
    text = cli._greeting(cli._make_server(options), ["bucket"])
    assert "hidden" not in text
    assert "AWS_ACCESS_KEY_ID=a" in text
