"""Processes that come of others: fork, forkserver and spawn, with clients of the parent's, and while it is busy."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from objectfs.sim import S3Server

from .conftest import BACKENDS, ROLLOUTS
from .processes import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
THREADS = pytest.mark.not_under("thread", "a child of a fork has threads")


def settings(sim: S3Server, **more: Any) -> dict[str, Any]:
    return {"endpoint_url": sim.endpoint_url, "region": "us-east-1", "part_size": 5 << 20, "max_attempts": 2, **more}


# -- locks ---------------------------------------------------------------------------------------------------------

WORST = """
# Every lock of ours, and of what we use, is taken by another thread in the moment of the fork.
import threading
recorded = []
ready, over = threading.Event(), threading.Event()
THEIRS = tuple(os.sep + name + os.sep for name in ("objectfs", "botocore", "urllib3"))
BETWEEN = (threading.__file__, os.path.join(os.path.dirname(threading.__file__), "queue.py"))

def recording(make):
    def made(*arguments, **options):
        lock, frame = make(*arguments, **options), sys._getframe(1)
        while frame is not None and frame.f_code.co_filename in BETWEEN:
            frame = frame.f_back
        if frame is not None and any(name in frame.f_code.co_filename for name in THEIRS):
            recorded.append((lock, f"{frame.f_code.co_filename}:{frame.f_lineno}"))
        return lock
    return made

LOCKS = (type(threading.Lock()), type(threading.RLock()))
threading.Lock, threading.RLock = recording(threading.Lock), recording(threading.RLock)

def hold():
    for name, module in tuple(sys.modules.items()):
        if name.partition(".")[0] in ("objectfs", "botocore", "urllib3"):
            recorded.extend((value, f"{name}.{what}") for what, value in tuple(vars(module).items())
                            if isinstance(value, LOCKS))
    held = [(lock, where) for lock, where in recorded if lock.acquire(blocking=False)]
    print(len(held), flush=True)
    ready.set()
    over.wait()
    for lock, _ in reversed(held):
        lock.release()

def use(client):
    content = ramp(1000)
    client.put("bucket", "own", content)
    assert bytes(client.get("bucket", "own")) == content
    assert [bytes(each) for each in client.get_many("bucket", ["own"] * 3)] == [content] * 3
    assert "own" in [entry.key for entry in client.list("bucket")]
    with client.open("bucket", "own", "rb") as file:
        assert file.read() == content
    assert "own" in str(client.presign("get", "bucket", "own"))
    client.stats()

client = objectfs.Client(**json.loads(sys.argv[1]))
use(client)
trace = client.trace()
file = client.open("bucket", "own", "rb")
use(client)
threading.Thread(target=hold, daemon=True).start()
ready.wait()
child = os.fork()
if not child:
    faulthandler.dump_traceback_later(200, exit=True)
    assert "own" in str(client.presign("get", "bucket", "own"))  # before there is a backend
    use(client)
    assert len(list(trace)) <= 100  # what it had; no more comes
    trace.close()
    file.close()
    client.close()
    sys.exit(7)
_, status = os.waitpid(child, 0)
over.set()
assert os.waitstatus_to_exitcode(status) == 7
use(client)
assert file.read() == ramp(1000)
file.close()
client.close()
"""


@THREADS
@pytest.mark.parametrize("kind", [*BACKENDS, *(ROLLOUTS if {"crt", "sdk"} <= set(BACKENDS) else ())])
def test_no_lock_of_the_parents_is_waited_for(sim: S3Server, tmp_path: Path, kind: str) -> None:
    how = {"rollout": ROLLOUTS[kind]} if kind in ROLLOUTS else {"backend": kind}
    code, out, err = run(tmp_path, WORST, **settings(sim, **how))
    assert (code, err) == (0, "")
    assert int(out) > 20  # locks were held


# -- a loader ------------------------------------------------------------------------------------------------------

LOADER = """
# As PyTorch's DataLoader: for each epoch new processes, which take indices of a data set out of a queue and put what
# they have read into another, while threads of the parent transfer with the same clients.
import multiprocessing, threading

arguments = json.loads(sys.argv[1])
WORKERS, EPOCHS, ITEMS = 2, 2 if arguments["method"] == "fork" else 1, 8
LARGE = ramp(12 << 20)

class Data:
    def __init__(self):
        self.clients = [objectfs.Client(**arguments["settings"], backend=name) for name in arguments["backends"]]

    def __getitem__(self, index):
        client = self.clients[index % len(self.clients)]
        one = bytes(client.get("bucket", f"item/{index}"))
        many = client.get_many("bucket", [f"item/{each}" for each in range(index)])
        assert [len(each) for each in many] == [1000 + each for each in range(index)]
        client.put("bucket", f"seen/{index}", one)
        return one, client.backend.name

def work(data, indices, results):
    faulthandler.dump_traceback_later(200, exit=True)
    for index in iter(indices.get, None):
        results.put((index, *data[index]))
    for client in data.clients[1:]:  # one is left open
        client.close()

def transfer(client, name, stop, failures):
    try:
        target = bytearray(len(LARGE))
        while not stop.is_set():
            client.put("bucket", name, LARGE)
            assert client.get_into("bucket", name, target) == len(LARGE)
            assert target == LARGE
            assert len(list(client.list("bucket", "item/"))) == ITEMS
            assert bytes(client.get("bucket", "item/3")) == ramp(1003, 3)
    except BaseException as error:
        failures.append(error)
        raise

def main():
    context = multiprocessing.get_context(arguments["method"])
    if arguments["method"] == "forkserver":
        context.set_forkserver_preload(["objectfs.client", "objectfs.backends.select"])
    data = Data()
    for client in data.clients:
        client.put_many("bucket", {f"item/{index}": ramp(1000 + index, index) for index in range(ITEMS)})
    stop, failures = threading.Event(), []
    threads = [threading.Thread(target=transfer, args=(client, f"large/{number}", stop, failures))
               for number, client in enumerate(data.clients * 2)]
    for thread in threads:
        thread.start()
    for epoch in range(EPOCHS):
        indices, results = context.Queue(), context.Queue()
        processes = [context.Process(target=work, args=(data, indices, results)) for _ in range(WORKERS)]
        for process in processes:
            process.start()
        for index in range(ITEMS):
            indices.put(index)
        for _ in processes:
            indices.put(None)
        seen = {}
        for _ in range(ITEMS):
            index, content, backend = results.get(timeout=200)
            assert content == ramp(1000 + index, index), index
            assert backend == arguments["backends"][index % len(data.clients)]
            seen[index] = content
        assert len(seen) == ITEMS
        for process in processes:
            process.join(200)
            assert process.exitcode == 0, process
        assert all(thread.is_alive() for thread in threads), failures
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    client = data.clients[0]
    assert len(list(client.list("bucket", "seen/"))) == ITEMS
    for each in data.clients:
        each.close()
    print("fine")

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("method", [pytest.param("fork", marks=THREADS), "forkserver", "spawn"])
def test_a_loader_with_processes(sim: S3Server, tmp_path: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this platform")
    done = run(tmp_path, LOADER, method=method, backends=BACKENDS, settings=settings(sim))
    assert done == (0, "fine\n", "")


# -- what stays of the parent's threads ----------------------------------------------------------------------------

ENDED = """
# The parent had clients, whose threads have ended, and the child has clients that come and go.
def threads():
    return len(os.listdir("/proc/self/task"))

def wait(count):
    import time
    while threads() > count:
        time.sleep(0.01)

arguments = json.loads(sys.argv[1])
with objectfs.Client(**arguments) as client:
    client.put("bucket", "k", b"x")
wait(1)
client = objectfs.Client(**arguments)
assert bytes(client.get("bucket", "k")) == b"x"
child = os.fork()
if not child:
    faulthandler.dump_traceback_later(200, exit=True)
    assert bytes(client.get("bucket", "k")) == b"x"
    before = threads()
    for _ in range(2):
        with objectfs.Client(**arguments) as other:
            assert bytes(other.get("bucket", "k")) == b"x"
        wait(before)
    client.close()
    wait(2)  # faulthandler has one
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert bytes(client.get("bucket", "k")) == b"x"
client.close()
wait(1)
"""


@THREADS
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are not counted here")
def test_threads_of_the_parents_that_have_ended(sim: S3Server, tmp_path: Path, backend: str) -> None:
    assert run(tmp_path, ENDED, **settings(sim, backend=backend)) == (0, "", "")
