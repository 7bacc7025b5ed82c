"""``scripts/bench-server``: what it measures, what it says of it, and that it ends when a server misbehaves."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from objectfs.sim import S3Server
from objectfs.sim.bench import client
from objectfs.sim.bench.report import Row, table
from objectfs.sim.bench.run import main
from objectfs.sim.bench.servers import start

CASES = [
    "GET from memory",
    "GET from the directory",
    "GET, synthetic, ranges",
    "PUT to memory",
    "PUT to the directory",
    "PUT, discarded",
    "GET of 4 KiB, signatures off",
    "GET of 4 KiB, signatures on",
    "list of 1,200 objects in memory",
    "list of 1,200 objects in the directory",
    "peak memory, 4 objects of 16 MiB put and read",
]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads /proc for the servers' memory")
def test_a_short_run_of_everything(tmp_path: Path) -> None:
    """In a process of its own, for it binds itself to a processor. How fast anything is does not matter here."""
    short = ["--rounds", "1", "--seconds", "0.05", "--connections", "2", "--keys", "1200", "--large", "16"]
    page = tmp_path / "page.md"
    done = subprocess.run(
        [sys.executable, "-m", "objectfs.sim.bench", *short, "--folder", str(tmp_path), "--report", str(page)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in done.stdout.splitlines() if line.startswith("| ")}
    assert set(CASES) <= set(rows), done.stdout + done.stderr
    missed = [name for name, line in rows.items() if line.endswith("| **missed** |")]
    assert done.returncode == (1 if missed else 0), done.stderr
    assert ("missed: " in done.stderr) == bool(missed)
    assert "The index of 1,200 objects in memory" in done.stdout
    text = page.read_text(encoding="utf-8")
    assert all(line in text for line in rows.values())
    assert (f"Missed: {'; '.join(missed)}." if missed else "All that was wanted is met.") in text
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]  # stores and objects are gone


def test_groups_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--only", "everything"])
    assert end.value.code == 2
    assert "invalid choice: 'everything'" in capsys.readouterr().err


def test_verdicts() -> None:
    limit = Row("limit", "GB/s", [2.0, 3.0, 1.0])
    enough = Row("a", "GB/s", [1.3], at_least=1.2, share=0.85, of=limit)
    near = Row("b", "GB/s", [1.7], at_least=1.8, share=0.85, of=limit)
    slow = Row("c", "GB/s", [1.6], at_least=1.8, share=0.85, of=limit)
    big = Row("d", "MiB", [100], below=100)
    small = Row("e", "MiB", [99.9], below=100)
    assert [row.met for row in (limit, enough, near, slow, big, small)] == [None, True, True, False, False, True]
    assert slow.wanted() == "≥ 1.80, or 85% of limit: 1.70"
    assert Row("f", "requests/s", [5000], at_least=4000).wanted() == "≥ 4,000"
    lines = table([limit, slow, big]).splitlines()
    assert lines[2] == "| limit | GB/s | 2.00 | 1.00 to 3.00 |  |  |"
    assert lines[4] == "| d | MiB | 100 |  | < 100 | **missed** |"


def test_listing_of_several_pages() -> None:
    with S3Server(buckets=("bucket",), verify_signatures=False) as server:
        address = ("127.0.0.1", server.port)
        client.fill(address, "bucket", (f"k+/{number:05d}" for number in range(1234)))
        assert client.list_all(address, "bucket", sign=True) == 1234
        assert [entry.key for entry in server.requests if entry.method == "PUT"] == [f"k+/{n:05d}" for n in range(1234)]


def test_a_server_that_refuses() -> None:
    with S3Server(buckets=("bucket",), verify_signatures=False) as server:
        address = ("127.0.0.1", server.port)
        with pytest.raises(RuntimeError, match=r"unexpected answer: b'HTTP/1\.1 404"):
            client.fill(address, "other", iter(["key"]))
        missing = client.request("GET", "/bucket/missing")
        with pytest.raises(RuntimeError, match="unexpected answer"):
            client.requests_per_second(address, missing, connections=1, seconds=60)
        with pytest.raises(RuntimeError, match="a connection failed") as found:
            client.bytes_per_second(address, [missing], None, connections=2, seconds=60)
        assert "404" in str(found.value.__cause__)


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[client.Address]:
    """A server that gives one connection this answer to the first that it hears, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        thread.join()


def test_an_answer_that_is_cut_off() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc") as address:
        made = client.Client(address)
        with pytest.raises(RuntimeError, match="closed in an answer"):
            made.exchange(client.request("GET", "/bucket/key"))
        made.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"])
@pytest.mark.parametrize(
    "work",
    [
        lambda address: client.requests_per_second(address, client.request("GET", "/k"), connections=1, seconds=60),
        lambda address: client.list_all(address, "bucket", sign=False),
        lambda address: client.fill(address, "bucket", iter(["a", "b"])),
    ],
    ids=["small", "list", "fill"],
)
def test_a_connection_that_is_closed(answer: bytes, work: Callable[[client.Address], object]) -> None:
    """It is said, and not read from for ever."""
    with answering(answer) as address, pytest.raises(RuntimeError, match="the connection was closed"):
        work(address)


@pytest.mark.parametrize("keys", [(), ("b", "a"), ("", "a")])
def test_a_listing_that_is_wrong(keys: tuple[str, ...]) -> None:
    page = "".join(f"<Key>{key}</Key>" for key in keys).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)
    with answering(answer) as address, pytest.raises(RuntimeError, match="empty or out of order"):
        client.list_all(address, "bucket", sign=False)


def test_a_server_that_does_not_start(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RuntimeError, match="the sim server did not start"):
        start("sim", None, store=str(tmp_path / "file" / "store"), synthetic=0)
    assert "file" in capfd.readouterr().err
