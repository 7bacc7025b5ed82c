"""Signals while a verb waits: a handler that raises ends it, one that returns does not, and the client goes on.

tests/contract/test_interrupted.py raises at each place of our code; here are real signals, in real processes.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from objectfs.sim import Fault, S3Server

from .processes import HANGS, Program
from .support import until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such signals")

CODE = """
import warnings
# what has just been made when a handler raises is closed by the count of references (as in test_interrupted)
warnings.simplefilter("ignore", ResourceWarning)
arguments = json.loads(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
signal.signal(signal.SIGUSR1, lambda *_: print("noted", flush=True))
SMALL, LARGE = ramp(1000), ramp(12 << 20)
client = objectfs.Client(**arguments["settings"])
client.put_many("bucket", {"small": SMALL, "large": LARGE, "more/1": SMALL, "more/2": SMALL})
path = os.path.join(arguments["folder"], "file")
with open(path, "wb") as file:
    file.write(LARGE)

def get_file():
    client.get_file("bucket", "small", path + ".new")
    with open(path + ".new", "rb") as file:
        return file.read() == SMALL

def get_into():
    target = bytearray(len(SMALL))
    return client.get_into("bucket", "small", target) == len(SMALL) and target == SMALL

def put(key, content, send):
    send(key)
    return bytes(client.get("bucket", key)) == content

def read():
    with client.open("bucket", "small", "rb") as file:
        return file.read() == SMALL

def write():
    with client.open("bucket", "written", "wb") as file:
        file.write(LARGE)
    return bytes(client.get("bucket", "written")) == LARGE

CALLS = {
    "get": lambda: bytes(client.get("bucket", "small")) == SMALL,
    "get_into": get_into,
    "get_file": get_file,
    "get_many": lambda: [bytes(each) for each in client.get_many("bucket", ["more/1", "more/2"])] == [SMALL] * 2,
    "iter_many": lambda: len(list(client.iter_many("bucket", ["more/1", "more/2"]))) == 2,
    "head": lambda: client.head("bucket", "small").size == len(SMALL),
    "list": lambda: [entry.key for entry in client.list("bucket", "more/")] == ["more/1", "more/2"],
    "put": lambda: put("put", SMALL, lambda key: client.put("bucket", key, SMALL)),
    "put large": lambda: put("put", LARGE, lambda key: client.put("bucket", key, LARGE)),
    "put stream": lambda: put("put", LARGE, lambda key: client.put("bucket", key, iter([LARGE]))),
    "put_file": lambda: put("put", LARGE, lambda key: client.put_file("bucket", key, path)),
    "copy": lambda: client.copy("bucket", "small", "bucket", "copy") and client.exists("bucket", "copy"),
    "delete_many": lambda: client.delete_many("bucket", ["no/1", "no/2"]) is not False,
    "call": lambda: "TagSet" in client.call("GetObjectTagging", Bucket="bucket", Key="small"),
    "read": read,
    "write": write,
}
for line in sys.stdin:
    try:
        said = CALLS[line.strip()]()
    except (KeyboardInterrupt, SystemExit) as error:
        said = type(error).__name__
    print(said, flush=True)
client.close()
print("closed", flush=True)
"""

OPERATIONS = {
    "get": "GetObject",
    "get_into": "GetObject",
    "get_file": "GetObject",
    "get_many": "GetObject",
    "iter_many": "GetObject",
    "head": "HeadObject",
    "list": "ListObjectsV2",
    "put": "PutObject",
    "put large": "UploadPart",
    "put stream": "UploadPart",
    "put_file": "UploadPart",
    "copy": "CopyObject",
    "delete_many": "DeleteObjects",
    "call": "GetObjectTagging",
    "read": "GetObject",
    "write": "UploadPart",
}


def settings(sim: S3Server, backend: str, **more: Any) -> dict[str, Any]:
    return {"endpoint_url": sim.endpoint_url, "region": "us-east-1", "part_size": 5 << 20, "backend": backend, **more}


def test_signals(sim: S3Server, backend: str, tmp_path: Path) -> None:
    with Program(tmp_path, CODE, settings=settings(sim, backend), folder=str(tmp_path)) as program:
        for number, (verb, operation) in enumerate(OPERATIONS.items()):
            # a handler that raises
            stall = Fault(operation, stall=True, times=None)
            sim.faults.add(stall)
            program.say(verb)
            until(lambda stall=stall: stall.hits, HANGS)
            program.process.send_signal(signal.SIGTERM if number % 2 else signal.SIGINT)
            assert program.hear() == ("SystemExit" if number % 2 else "KeyboardInterrupt"), verb
            sim.faults.clear()
            # one that returns: the call goes on where it was, and the client with it
            held = Fault(operation, hold=threading.Event())
            sim.faults.add(held)
            program.say(verb)
            until(lambda held=held: held.hits, HANGS)
            program.process.send_signal(signal.SIGUSR1)
            assert program.hear() == "noted", verb
            assert held.hold is not None
            held.hold.set()
            assert program.hear() == "True", verb
            sim.faults.clear()
        assert program.process.stdin is not None
        program.process.stdin.close()
        assert program.hear() == "closed"
        program.process.stdin = None
        assert program.end() == (0, "", "")
    until(lambda: not sim.store.buckets["bucket"].uploads)
