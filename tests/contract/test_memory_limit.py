"""``memory_limit`` holds for everything that runs on a client: what a process of its own comes to use at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from objectfs.sim import S3Server
from objectfs.sim.store.blobs import DiscardedBlob
from objectfs.sim.store.records import Record

from .support import MiB

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of a process")

ALLOWANCE = 100 * MiB
"""Beyond the limit: the interpreter, its modules, the C library's threads, sockets, what the allocator has not given
back."""

PROLOGUE = """
    import json, sys, threading
    from concurrent.futures import ThreadPoolExecutor
    import objectfs

    url, backend, limit, count, size, folder = sys.argv[1:4] + [int(sys.argv[4]), int(sys.argv[5]), sys.argv[6]]
    client = objectfs.Client(
        endpoint_url=url, access_key_id="test", secret_access_key="testtest", backend=backend, memory_limit=int(limit)
    )
    BLOCK = 1 << 20

    def side_by_side(work, n):
        with ThreadPoolExecutor(n) as pool:
            for _ in pool.map(work, range(count)):
                pass
"""

EPILOGUE = """
    budget = client.stats()["budget"]
    client.close()
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps({"peak": peak << 10, "budget": budget}))
"""

SCENARIOS = {
    "downloads": """
        import os
        def work(i):
            path = os.path.join(folder, str(i))
            assert client.get_file("bucket", str(size), path).size == size
            assert os.path.getsize(path) == size
            os.unlink(path)
        side_by_side(work, 64)
    """,
    "downloads to a device": """
        def work(i):
            assert client.get_file("bucket", str(size), "/dev/null").size == size
        side_by_side(work, 64)
    """,
    "readers": """
        files = [client.open("bucket", str(size)) for _ in range(count)]
        def work(i):
            total = 0
            while got := files[i].read(BLOCK if i % 2 else 100_000):
                total += len(got)
            assert total == size
        side_by_side(work, 16)
        for file in files:
            file.close()
    """,
    "readers in turn": """
        files = [client.open("bucket", str(size)) for _ in range(count)]
        for position in range(0, size, BLOCK):
            for file in files:
                assert len(file.read(BLOCK)) == min(BLOCK, size - position)
        for file in files:
            file.close()
    """,
    "writers": """
        files = [client.open("sink", str(i), "wb") for i in range(count)]
        block = bytes(range(256)) * 4096
        def work(i):
            for _ in range(size // BLOCK):
                assert files[i].write(block) == BLOCK
            files[i].close()
        side_by_side(work, 32)
        assert client.head("sink", "0").size == size
    """,
    "writers in turn": """
        files = [client.open("sink", str(i), "wb") for i in range(count)]
        block = bytes(range(256)) * 4096
        for _ in range(size // BLOCK):
            for file in files:
                file.write(block)
        for file in files:
            file.close()
        assert client.head("sink", "0").size == size
    """,
    "iterators": """
        def work(i):
            for key, found in client.iter_many("bucket", [str(size)] * 40):
                assert len(found) == size
        side_by_side(work, count)
    """,
    "streams": """
        class Zeros:
            left = size
            def read(self, n):
                n = min(n, self.left)
                self.left -= n
                return bytes(n)
        def work(i):
            zeros = Zeros()
            zeros.left = size
            client.put("sink", str(i), zeros)
        side_by_side(work, count)
        assert client.head("sink", "0").size == size
    """,
}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    # What is written is counted, not kept: the writers' 8 GiB of one backend would lie beside those of the other.
    with S3Server(buckets=("bucket", "sink"), discard=True) as server:
        yield server


def offer(server: S3Server, size: int) -> None:
    """An object of that size, whose name is its size, and which takes no memory."""
    blob = DiscardedBlob(size)
    server.run(lambda: server.store.put(server.store.buckets["bucket"], Record(str(size), blob, str(size))))


def peak(
    server: S3Server, folder: Path, backend: str, scenario: str, limit: int, count: int, size: int
) -> dict[str, Any]:
    """Run it in a process of its own: what that came to use, in bytes, and its budget."""
    offer(server, size)
    code = "\n".join(textwrap.dedent(part) for part in (PROLOGUE, SCENARIOS[scenario], EPILOGUE))
    command = [sys.executable, "-W", "error", "-c", code, server.endpoint_url, backend, str(limit), str(count)]
    done = subprocess.run(
        [*command, str(size), str(folder)], check=False, capture_output=True, encoding="utf-8", timeout=1200
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"{backend} {scenario} {count} x {size // MiB} MiB: {found['peak'] / MiB:.0f} MiB, {found['budget']}")
    assert found["budget"]["held"] == 0
    assert not found["budget"]["waiters"]
    if tool := os.environ.get("OBJECTFS_SANITIZER"):
        pytest.skip(f"it ran, and gave all back; how much the process came to use, {tool} has a part in")
    return found


@pytest.mark.parametrize(
    ("scenario", "count", "size"),
    [
        ("downloads to a device", 1, 512),
        ("downloads to a device", 64, 24),
        ("downloads", 64, 16),
        ("readers", 200, 1),
        ("writers", 32, 16),
        ("streams", 32, 16),
        ("iterators", 8, 2),
    ],
)
def test_memory_limit_holds(
    server: S3Server, tmp_path: Path, backend: str, scenario: str, count: int, size: int
) -> None:
    limit = 256 * MiB
    found = peak(server, tmp_path, backend, scenario, limit, count, size * MiB)
    assert found["peak"] <= limit + ALLOWANCE


@pytest.mark.slow  # moves 150 GB, and needs 16 GiB of disk
@pytest.mark.parametrize(
    ("scenario", "count", "size"),
    [
        ("downloads to a device", 1, 8192),
        ("downloads", 1, 8192),
        ("downloads to a device", 64, 256),
        ("downloads", 64, 256),
        ("readers", 200, 16),
        ("readers in turn", 200, 16),
        ("writers", 32, 256),
        ("writers in turn", 32, 64),
        ("streams", 64, 64),
        ("iterators", 16, 8),
    ],
)
def test_memory_limit_holds_at_full_size(
    server: S3Server, tmp_path: Path, backend: str, scenario: str, count: int, size: int
) -> None:
    limit = 512 * MiB
    found = peak(server, tmp_path, backend, scenario, limit, count, size * MiB)
    assert found["peak"] <= limit + ALLOWANCE
