"""Memory of dropped buffers, which is kept for the next ones (native/kept.c), by itself and in an engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from objectfs import _native
from objectfs.backends import machine
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run

ROOT = Path(__file__).resolve().parents[2]
MiB = 1024 * 1024
SECOND = 1_000_000_000
LONG = 3600 * SECOND

# What of the C library's headers kept.c uses; the installed package does not have them.
HEADERS = {
    "common/clock.h": "#include <stdint.h>\nint aws_high_res_clock_get_ticks(uint64_t *now);\n",
    "common/task_scheduler.h": """
enum aws_task_status { AWS_TASK_STATUS_RUN_READY, AWS_TASK_STATUS_CANCELED };
struct aws_task;
typedef void(aws_task_fn)(struct aws_task *task, void *arg, enum aws_task_status status);
struct aws_task { aws_task_fn *fn; void *arg; };
void aws_task_init(struct aws_task *task, aws_task_fn *fn, void *arg, const char *tag);
""",
    "io/event_loop.h": """
#include <stdint.h>
struct aws_event_loop;
int aws_event_loop_current_clock_time(const struct aws_event_loop *loop, uint64_t *now);
void aws_event_loop_schedule_task_future(struct aws_event_loop *loop, struct aws_task *task, uint64_t at);
""",
}

# Within scripts/sanitize another sanitizer's runtime is loaded into each process that does not say no.
CLEAN = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD" and not name.endswith("SAN_OPTIONS")}

by_itself = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None, reason="needs cc and its sanitizers"
)


def stress(tmp_path: Path, *options: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    for name, text in HEADERS.items():
        path = tmp_path / "aws" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sources = [str(ROOT / "tests/native/c/kept_stress.c"), str(ROOT / "native/kept.c")]
    always = ["-std=gnu11", "-O1", "-g", f"-I{tmp_path}", f"-I{ROOT / 'native'}", "-pthread"]
    program = str(tmp_path / "stress")
    subprocess.run(["cc", *always, *options, *sources, "-o", program], check=True, env=CLEAN)

    def run_it(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, env=CLEAN, timeout=600)

    return run_it


@by_itself
def test_blocks_on_several_threads(tmp_path: Path) -> None:
    stressed = stress(tmp_path, "-fsanitize=thread")
    done = stressed()
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    canary = stressed("race")
    assert canary.returncode != 0
    assert "data race" in canary.stderr


@by_itself
def test_nobody_has_what_another_has(tmp_path: Path) -> None:
    stressed = stress(tmp_path, "-fsanitize=undefined", "-fno-sanitize-recover")
    done = stressed()
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert stressed("twice").returncode != 0


@by_itself
def test_forks_at_any_moment(tmp_path: Path) -> None:
    done = stress(tmp_path)("fork")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.fixture
def engine(make: Callable[..., CrtBackend]) -> CrtBackend:
    backend = make()
    run(backend.put("bucket", "k", bytes(20 * MiB), PutOptions()))
    _native.trim()
    drop(2 * MiB)
    if not _native.kept_bytes():
        pytest.skip("this build keeps nothing: each block is malloc's, for a sanitizer to see")
    _native.trim()
    return backend


def drop(*sizes: int) -> None:
    buffers = [_native.Buffer(size, keep=True) for size in sizes]
    for buffer in buffers:
        memoryview(buffer)[-1] = 1  # to the end of it


def test_a_download_has_the_memory_of_the_one_before(engine: CrtBackend) -> None:
    for _ in range(3):
        assert bytes(run(engine.get("bucket", "k", GetOptions()))) == bytes(20 * MiB)
        assert _native.kept_bytes() == 20 * MiB
    found = run(engine.get("bucket", "k", GetOptions()))
    assert _native.kept_bytes() == 0  # it is in use
    assert engine.stats()["memory_kept"] == 0
    del found
    assert engine.stats()["memory_kept"] == 20 * MiB


def test_it_goes_after_a_while(engine: CrtBackend) -> None:
    drop(20 * MiB, 150 * MiB, MiB)
    assert _native.debug_kept_expire(0)
    assert _native.kept_bytes() == (20 + 160 + 1) * MiB  # in steps of a quarter of a power of two
    left = []
    while _native.debug_kept_expire(LONG):
        left.append(_native.kept_bytes() // MiB)
    assert left == [20 + 96 + 1, 20 + 32 + 1]  # 64 MiB at a time or as many blocks, for sockets wait meanwhile


def test_one_that_is_going_is_given_to_nobody(engine: CrtBackend) -> None:
    drop(160 * MiB)
    _native.debug_kept_expire(LONG)
    assert _native.kept_bytes() == 96 * MiB
    drop(96 * MiB)
    assert _native.kept_bytes() == (96 + 96) * MiB
    drop(96 * MiB)
    assert _native.kept_bytes() == (96 + 96) * MiB


def test_the_loop_does_it(engine: CrtBackend) -> None:
    """With no request to remind it."""
    import time

    drop(3 * MiB)
    end = time.monotonic() + 30
    while _native.kept_bytes() and time.monotonic() < end:
        time.sleep(0.2)  # there is no event: nobody is told
    assert _native.kept_bytes() == 0


def test_no_more_than_a_share(make: Callable[..., CrtBackend], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_available", lambda: 8 * 64 * MiB)
    backend = make()
    backend.target("bucket")
    drop(2 * MiB)
    if not _native.kept_bytes():
        pytest.skip("this build keeps nothing: each block is malloc's, for a sanitizer to see")
    drop(80 * MiB)
    assert _native.kept_bytes() == 2 * MiB  # that one is more than all that is kept
    drop(*[20 * MiB] * 4)
    assert _native.kept_bytes() == 60 * MiB  # the oldest went


def test_nothing_with_a_limit_of_memory(make: Callable[..., CrtBackend]) -> None:
    backend = make(memory_limit=256 * MiB)
    run(backend.put("bucket", "k", bytes(20 * MiB), PutOptions()))
    assert len(run(backend.get("bucket", "k", GetOptions()))) == 20 * MiB
    assert _native.kept_bytes() == 0


def test_nothing_without_an_engine(make: Callable[..., CrtBackend], engine: CrtBackend) -> None:
    drop(5 * MiB)
    late = run(engine.get("bucket", "k", GetOptions()))
    second = make()
    second.target("bucket")
    engine.close()
    assert _native.kept_bytes() == 5 * MiB  # the other one's loops are the same
    second.close()
    assert _native.kept_bytes() == 0
    assert bytes(late) == bytes(20 * MiB)
    del late
    assert _native.kept_bytes() == 0


def test_shrunk(engine: CrtBackend) -> None:
    buffer = _native.Buffer(20 * MiB, keep=True)
    memoryview(buffer)[:] = bytes(range(256)) * (20 * MiB // 256)
    buffer._shrink(19 * MiB)  # not worth it
    del buffer
    assert _native.kept_bytes() == 20 * MiB
    buffer = _native.Buffer(20 * MiB, keep=True)
    memoryview(buffer)[:] = bytes(range(256)) * (20 * MiB // 256)
    buffer._shrink(3 * MiB + 5)
    assert buffer == (bytes(range(256)) * (4 * MiB // 256))[: 3 * MiB + 5]
    buffer._shrink(0)
    assert bytes(buffer) == b""
    del buffer
    assert _native.kept_bytes() == 0  # it is of no size any more that anybody asks for


def test_memory_that_there_is_not(engine: CrtBackend) -> None:
    drop(30 * MiB)
    with pytest.raises(MemoryError):
        _native.Buffer(1 << 49, keep=True)
    with pytest.raises(MemoryError):
        _native.Buffer((1 << 64) - 1, keep=True)
    assert _native.kept_bytes() == 0  # what was kept might have been what was missing
