"""The end of the process at every stage is silent; a forked child never hangs; Ctrl-C is answered at once."""

from __future__ import annotations

import os
import signal
import time

import pytest

from objectfs.sim import S3Server
from objectfs.sim.network.faults import Fault

from .conftest import run_script, start_script, until

STAGES = {
    "imported": "",
    "made": "crt = make()",
    "engine": "crt = make(); crt.target('bucket')",
    "closed": "crt = make(); crt.target('bucket'); crt.close()",
    "used": "crt = make(); run(crt.put('bucket', 'k', b'data', PutOptions()))",
    "response held": "crt = make(); op = next(crt.head('bucket', 'k', GetOptions())); op.wait(); r = op.result()",
    "get under way": "crt = make(); steps = crt.get('bucket', 'stall', GetOptions()); op = next(steps)",
    "get into under way": """
crt = make(); b = bytearray(100); s = crt.get_into('bucket', 'stall', b, GetOptions()); next(s)
""",
    "put under way": "crt = make(); steps = crt.put('bucket', 'stall', bytes(1 << 20), PutOptions()); op = next(steps)",
    "parts under way": """
crt = make()
steps = crt.put('bucket', 'parts', bytes(40 << 20), PutOptions())
op = next(steps); op.wait(); op = steps.send(op.result())
""",
    "batch under way": """
crt = make()
steps = crt.get_many('bucket', [f'many/{i}' for i in range(500)], 'return', GetOptions()); op = next(steps)
""",
    "an unhandled op in a cycle": """
crt = make(); l = []; l += [l, crt, next(crt.get('bucket', 'stall', GetOptions()))]; del crt, l
""",
    "a daemon thread waits": """
crt = make()
def wait():
    try:
        run(crt.get('bucket', 'stall', GetOptions()))
    except errors.CancelledError:
        pass
threading.Thread(target=wait, daemon=True).start()
while not crt.stats()['operations_in_flight']:
    time.sleep(0.001)
""",
    "daemon threads are busy": """
crt = make()
def work():
    try:
        while True:
            run(crt.put('bucket', 'k', bytes(100000), PutOptions()))
    except errors.ObjectFSError:
        pass
for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
while crt.stats()['meta_requests'] < 50:
    time.sleep(0.001)
""",
    "an engine without a backend": """
crt = make(); engine = crt.target('bucket').engine; crt._engines.clear()
""",
    "an engine of its own with a request under way": """
crt = make(); t = crt.target('bucket'); crt._engines.clear()
op = t.engine.start([_native.Request(b'GetObject', b'GET', t.path('stall'), t.native, t.headers())])
""",
    "an asyncio loop that used it": """
crt = make()
async def main():
    await arun(crt.put('bucket', 'k', b'data', PutOptions()))
asyncio.run(main())
""",
    "a task cancelled by asyncio.run": """
crt = make()
async def main():
    task = asyncio.create_task(arun(crt.get('bucket', 'stall', GetOptions())))
    while not crt.stats()['operations_in_flight']:
        await asyncio.sleep(0)
asyncio.run(main())
""",
    "sys.exit within a thread": """
crt = make(); threading.Thread(target=lambda: (crt.target('bucket'), sys.exit())).start()
""",
}


@pytest.fixture(scope="module")
def server():  # type: ignore[no-untyped-def]
    with S3Server() as server:
        server.faults.add(Fault(key="stall", stall=True, times=None))
        server.faults.add(Fault(operation="UploadPart", stall=True, times=None))
        yield server


@pytest.mark.parametrize("stage", STAGES)
def test_exit_is_silent(server: S3Server, stage: str) -> None:
    # called before the engine's own, which was registered before: the program is over, its end begins
    first = "import atexit; atexit.register(lambda: print(time.monotonic()))\n"
    began = run_script(first + STAGES[stage], server.endpoint_url)
    assert time.monotonic() - float(began) < 9  # not the ten seconds that closing may take


def test_sigterm_needs_no_help(server: S3Server) -> None:
    process = start_script(STAGES["get under way"] + "\nprint('ready', flush=True)\nop.wait()", server.endpoint_url)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (-signal.SIGTERM, "")


@pytest.mark.skipif(os.name == "nt", reason="no such signal there")
@pytest.mark.parametrize("verb", ["get", "put", "wait", "parts"])
def test_ctrl_c_is_answered_within_200_ms(server: S3Server, verb: str) -> None:
    call = {
        "get": "run(crt.get('bucket', 'stall', GetOptions()))",
        "put": "run(crt.put('bucket', 'stall', bytes(1 << 20), PutOptions()))",
        "wait": "next(crt.get('bucket', 'stall', GetOptions())).wait()",
        "parts": "run(crt.put('bucket', 'parts', bytes(40 << 20), PutOptions()))",
    }[verb]
    code = f"""
crt = make()
crt.target('bucket')
run(crt.put('bucket', 'k', b'', PutOptions()))
print('ready', flush=True)
try:
    {call}
except KeyboardInterrupt:
    print(time.monotonic(), crt.stats()['operations_in_flight'], flush=True)
"""
    fault = (
        Fault(stall=True, times=None, operation="UploadPart")
        if verb == "parts"
        else Fault(key="stall", stall=True, times=None)
    )
    server.faults.clear()
    server.faults.add(fault)
    # longer than the clean-up is given: that it did not end is not what the caller is told
    server.faults.add(Fault(operation="AbortMultipartUpload", delay=0.5))
    process = start_script(code, server.endpoint_url)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until(lambda: fault.hits)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        answer = process.stdout.readline().split()
        out, err = process.communicate(timeout=10)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, ""), out
    print(f"{verb}: {(float(answer[0]) - sent) * 1000:.0f} ms")
    assert float(answer[0]) - sent < 0.2
    if verb != "wait":
        assert answer[1] == ("1" if verb == "parts" else "0")  # the abort goes on


FORK = """
import warnings
warnings.simplefilter('ignore')  # 3.12+ warns of any fork with threads
crt = make()
run(crt.put('bucket', 'k', b'data', PutOptions()))
old = crt.target('bucket').engine
t = crt.target('bucket')
stalled = next(crt.get('bucket', 'stall', GetOptions()))
done = next(crt.get('bucket', 'k', GetOptions())); done.wait()
done_too = next(crt.get('bucket', 'k', GetOptions()))
def closed(call):
    try:
        call()
    except errors.ClosedError:
        return
    raise AssertionError(call)
pid = os.fork()
if pid == 0:
    code = 1
    try:
        closed(lambda: run(crt.get('bucket', 'k', GetOptions())))
        closed(lambda: stalled.wait())
        closed(lambda: stalled.wait(0))
        closed(lambda: stalled.advance())
        closed(lambda: old.start([_native.Request(b'GetObject', b'GET', t.path('k'), t.native, t.headers())]))
        closed(lambda: old.set_credentials('a', 'b', None))
        assert stalled.done() is False
        assert done.done() is True and done.result()[0].status in (200, 206)
        stalled.cancel()
        stalled.transferred
        old.close(); crt.close()
        del crt, stalled, done, done_too, old, t
        gc.collect()
        new = make()
        assert bytes(run(new.get('bucket', 'k', GetOptions()))) == b'data'
        run(new.put('bucket', 'k2', bytes(20 << 20), PutOptions()))
        MORE
        new.close()
        code = 0
    finally:
        HOW(code)
_, status = os.waitpid(pid, 0)
assert status == 0, status
assert bytes(run(crt.get('bucket', 'k', GetOptions()))) == b'data'
stalled.cancel()
assert stalled.wait(5)
crt.close()
assert _native.debug_outstanding_bytes() == 0
print('fine')
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.not_under("thread", "a child of a fork has threads")
@pytest.mark.parametrize("how", ["os._exit", "sys.exit"])
def test_a_forked_child(server: S3Server, how: str) -> None:
    server.faults.clear()
    server.faults.add(Fault(key="stall", stall=True, times=None))
    assert run_script(FORK.replace("HOW", how).replace("MORE", "pass"), server.endpoint_url).endswith("fine\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.not_under("thread", "a child of a fork has threads")
def test_a_child_of_a_forked_child(server: S3Server) -> None:
    server.faults.clear()
    server.faults.add(Fault(key="stall", stall=True, times=None))
    more = """
        second = os.fork()
        if second == 0:
            third = make()
            ok = bytes(run(third.get('bucket', 'k', GetOptions()))) == b'data'
            third.close()
            os._exit(0 if ok else 1)
        assert os.waitpid(second, 0)[1] == 0
"""
    assert run_script(FORK.replace("HOW", "os._exit").replace("MORE", more), server.endpoint_url) == "fine\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_fork_by_a_signal_handler_during_a_wait(server: S3Server) -> None:
    """The child returns into the very wait that its parent is in."""
    server.faults.clear()
    server.faults.add(Fault(key="stall", stall=True, times=None))
    code = """
import warnings
warnings.simplefilter('ignore')
crt = make()
pids = []
signal.signal(signal.SIGALRM, lambda *_: pids.append(os.fork()))
op = next(crt.get('bucket', 'stall', GetOptions()))
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    while not pids:
        op.wait(0.3)
    if pids[0] == 0:
        op.wait()
except errors.ClosedError:
    os._exit(7)
assert os.waitpid(pids[0], 0)[1] == 7 << 8
"""
    run_script(code, server.endpoint_url)
