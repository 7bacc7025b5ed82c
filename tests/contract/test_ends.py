"""Every way to end a process while everything is under way, on both backends at once: the right exit code, soon, and
nothing said that is not the program's own.

tests/contract/test_exit.py and test_control.py have the single stages; here are all of them together.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from objectfs.sim import Fault, S3Server

from .conftest import BACKENDS
from .processes import HANGS, Program
from .support import until

CODE = """
import asyncio, atexit, threading
arguments = json.loads(sys.argv[1])
clients = [objectfs.Client(**arguments["settings"], backend=name) for name in arguments["backends"]]
path = os.path.join(arguments["folder"], "file")
with open(path, "wb") as file:
    file.write(bytes(12 << 20))

def last():  # registered after ours, so called before it
    for client in clients:
        client.put("bucket", f"last/{client.backend.name}", b"x")
        assert bytes(client.get("bucket", f"last/{client.backend.name}")) == b"x"
    print("last words", flush=True)

def late():
    for client in clients:
        try:
            client.get("bucket", "small")
        except objectfs.errors.ClosedError:
            continue
        raise AssertionError("it was not closed")

def read(client):
    with client.open("bucket", "stall", "rb") as file:
        file.read()

def write(client):
    with client.open("bucket", "written", "wb") as file:
        file.write(bytes(12 << 20))

async def tasks(client):
    async with objectfs.AsyncClient(**arguments["settings"], backend=client.backend.name) as other:
        await asyncio.gather(
            other.get("bucket", "stall"), other.put("bucket", "parts", bytes(12 << 20)),
            other.get_many("bucket", ["stall"] * 3),
        )

WORK = (
    lambda client: client.get("bucket", "stall"),
    lambda client: client.get_into("bucket", "stall", bytearray(10)),
    lambda client: client.get_file("bucket", "stall", path + "." + client.backend.name),
    lambda client: client.get_many("bucket", ["small", "stall"]),
    lambda client: list(client.iter_many("bucket", ["small", "stall"])),
    lambda client: list(client.list("stalled")),
    lambda client: client.put("bucket", "parts", bytes(12 << 20)),
    lambda client: client.put("bucket", "stream", iter([bytes(12 << 20)])),
    lambda client: client.put_file("bucket", "parts", path),
    read,
    write,
    lambda client: asyncio.run(tasks(client)),
)
for client in clients:
    client.put("bucket", "small", b"x")
atexit.register(last)
if arguments["work"]:
    for client in clients:
        for work in WORK:
            threading.Thread(target=work, args=(client,), daemon=True).start()
print("ready", flush=True)
"""

WAYS = {
    "the end of the program": ("sys.stdin.readline()", 0, ""),
    "sys.exit": ("sys.stdin.readline(); sys.exit(3)", 3, ""),
    "an exception": ("sys.stdin.readline(); raise RuntimeError('told')", 1, "RuntimeError: told\n"),
    "os._exit": ("sys.stdin.readline(); os._exit(4)", 4, ""),
    "sys.exit in a coroutine": (
        """
async def main():
    other = objectfs.AsyncClient(**arguments["settings"])
    running = [asyncio.create_task(other.get("bucket", "stall")) for _ in range(3)]
    await asyncio.to_thread(sys.stdin.readline)
    sys.exit(5)
asyncio.run(main())
""",
        5,
        "",
    ),
}


@pytest.fixture
def faults() -> list[Fault]:
    return [
        Fault(key="stall", stall=True, times=None),
        Fault("UploadPart", stall=True, times=None),
        Fault(bucket="stalled", stall=True, times=None),
    ]


@pytest.fixture
def stalling(faults: list[Fault]) -> Iterator[S3Server]:
    with S3Server(buckets=("bucket", "stalled")) as server:
        for fault in faults:
            server.faults.add(fault)
        yield server


def program(sim: S3Server, folder: Path, code: str, **more: Any) -> Program:
    settings = {"endpoint_url": sim.endpoint_url, "region": "us-east-1", "part_size": 5 << 20, "max_attempts": 1}
    settings["max_connections"] = 64  # or who is last would wait for one
    return Program(folder, CODE + code, settings=settings, folder=str(folder), backends=BACKENDS, **more)


@pytest.mark.parametrize("way", WAYS)
def test_everything_is_under_way(stalling: S3Server, faults: list[Fault], tmp_path: Path, way: str) -> None:
    how, code, told = WAYS[way]
    with program(stalling, tmp_path, how, work=True) as process:
        assert process.hear() == "ready"
        # of each backend: six reads and a listing, the first parts of four uploads, and what the tasks of a loop do
        until(lambda: sum(fault.hits for fault in faults) >= 16 * len(BACKENDS), HANGS)
        process.say("go on")
        ended, out, err = process.end()
    assert (ended, out) == (code, "" if code == 4 else "last words\n"), err
    assert (err.count("Traceback"), err[-len(told) :] if told else err) == (bool(told), told), err
    if code != 4:
        assert sorted(os.listdir(tmp_path)) == ["file", "program.py"]


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_nobody_handles(
    stalling: S3Server, faults: list[Fault], tmp_path: Path, number: signal.Signals
) -> None:
    with program(stalling, tmp_path, "clients[0].get('bucket', 'stall')", work=False) as process:
        assert process.hear() == "ready"
        until(lambda: faults[0].hits, HANGS)
        process.process.send_signal(number)
        ended, out, err = process.end()
    assert ended == -number, err
    if number == signal.SIGINT:
        assert (out, err.splitlines()[-1]) == ("last words\n", "KeyboardInterrupt")
    else:
        assert (out, err) == ("", "")


def test_after_the_clients_are_closed(sim: S3Server, tmp_path: Path) -> None:
    """What was registered before objectfs was imported is called after its clients were closed."""
    before = "import atexit\natexit.register(lambda: late())\n"
    with program(sim, tmp_path, "", before=before, work=False) as process:
        assert process.end() == (0, "ready\nlast words\n", "")
