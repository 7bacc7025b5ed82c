"""With one core, the C library's callbacks run on the process's only event loop (``native/linked.c``)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from objectfs import _native
from objectfs.backends import machine
from objectfs.sim import S3Server

from .conftest import run_script

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no process can be pinned to a core here")

ROOT = Path(__file__).resolve().parents[2]
ONE_CORE = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
MOVE = """
crt = make()
engine = crt.target('bucket').engine
data = os.urandom(20 << 20)
for _ in range(2):
    run(crt.put('bucket', 'big', data, PutOptions()))
    into = bytearray(len(data))
    run(crt.get_into('bucket', 'big', into, GetOptions()))
    assert into == data
    many = run(crt.get_many('bucket', ['big'] * 3, 'raise', GetOptions()))
    assert all(bytes(item) == data for item in many)
    del many
lent = engine.debug_lent
threads = sum('AwsEventLoop' in open(f'/proc/self/task/{t}/comm').read() for t in os.listdir('/proc/self/task'))
crt.close()
print(lent, threads, _native.debug_outstanding_bytes())
"""


@pytest.fixture
def _static() -> None:
    if _native.debug_linked() is False:
        pytest.skip("the C library is linked shared, or the linker has no --wrap")


@pytest.mark.usefixtures("_static")
def test_one_loop_does_all(sim: S3Server) -> None:
    """The second is the one for files, which the library makes whether there are any or not."""
    assert run_script(ONE_CORE + MOVE, sim.endpoint_url) == "True 2 0\n"


@pytest.mark.usefixtures("_static")
@pytest.mark.skipif(machine.usable_cores() < 2, reason="there is one core")
def test_more_cores_have_more_loops(sim: S3Server) -> None:
    lent, threads, outstanding = run_script(MOVE, sim.endpoint_url).split()
    assert (lent, outstanding) == ("False", "0")
    assert int(threads) >= 4


@pytest.mark.usefixtures("_static")
def test_several_clients_borrow_the_loop(sim: S3Server) -> None:
    code = """
clients = [make() for _ in range(5)]
for crt in clients:
    run(crt.put('bucket', 'k', b'data', PutOptions()))
assert all(crt.target('bucket').engine.debug_lent for crt in clients)
for crt in clients[::2]:
    crt.close()
assert bytes(run(clients[1].get('bucket', 'k', GetOptions()))) == b'data'
for crt in clients:
    crt.close()
print(_native.debug_outstanding_bytes())
"""
    assert run_script(ONE_CORE + code, sim.endpoint_url) == "0\n"


@pytest.mark.usefixtures("_static")
def test_cancel_and_exit_hold_there_too() -> None:
    """The tests that everybody else's cores run, once more in a process that has one."""
    tests = [str(ROOT / "tests/native" / name) for name in ("test_cancel.py", "test_exit.py", "test_asyncio.py")]
    code = f"import os, sys\n{ONE_CORE}import pytest\nsys.exit(pytest.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "-q", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="the kernel knows no transparent large pages"
)
@pytest.mark.parametrize("verb", ["get", "get_file"])
def test_large_blocks_are_large_pages(sim: S3Server, tmp_path: Path, verb: str) -> None:
    """Of the memory that 64 MiB go through, a good part is asked for in pages of 2 MiB.

    Whether the kernel has such pages at that moment is the machine's affair: the flags of the mappings are looked at.
    """
    if verb == "get_file" and not _native.debug_linked():
        pytest.skip("the C library is linked shared, or the linker has no --wrap")
    sim.store.add_synthetic("bucket", "big", 64 << 20)
    code = f"""
import re
_native.file_sink = lambda *_: None  # as where the C library writes files itself, from buffers of its pool
crt = make()
kept = run(crt.{verb}('bucket', 'big', {"" if verb == "get" else "os.environ['FILE'], "}GetOptions()))
whole, large = 0, 2 << 20
for mapping in re.split(r'(?m)^(?=[0-9a-f]+-)', open('/proc/self/smaps').read())[1:]:
    start, end = (int(n, 16) for n in mapping.split()[0].split('-'))
    if 'hg' in re.search(r'(?m)^VmFlags:(.*)$', mapping).group(1).split():
        whole += max(0, end // large - -(-start // large)) * large
print(whole)
crt.close()
"""
    os.environ["FILE"] = str(tmp_path / "file")
    try:
        whole = int(run_script(code, sim.endpoint_url))
    finally:
        del os.environ["FILE"]
    assert whole >= 16 << 20
