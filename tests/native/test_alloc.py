"""The allocator by itself, under sanitizers: in sanitized builds of the module it is off, so as to hide nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None, reason="needs cc and its sanitizers"
)

# What of the C library's header the allocator uses; the installed package does not have that header.
HEADER = """
#include <stddef.h>
struct aws_allocator {
    void *(*mem_acquire)(struct aws_allocator *allocator, size_t size);
    void (*mem_release)(struct aws_allocator *allocator, void *ptr);
    void *(*mem_realloc)(struct aws_allocator *allocator, void *oldptr, size_t oldsize, size_t newsize);
    void *(*mem_calloc)(struct aws_allocator *allocator, size_t num, size_t size);
    void *impl;
};
struct aws_allocator *aws_default_allocator(void);
"""


# Within scripts/sanitize another sanitizer's runtime is loaded into each process that does not say no.
CLEAN = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD" and not name.endswith("SAN_OPTIONS")}


def build(tmp_path: Path, *options: str) -> Path:
    include = tmp_path / "aws" / "common"
    include.mkdir(parents=True)
    (include / "allocator.h").write_text(HEADER)
    program = tmp_path / "stress"
    native = ROOT / "native"
    sources = [str(ROOT / "tests/native/c/alloc_stress.c"), str(native / "alloc.c")]
    always = ["-std=gnu11", "-O1", "-g", f"-I{tmp_path}", f"-I{native}", "-pthread"]
    subprocess.run(["cc", *always, *options, *sources, "-o", str(program)], check=True, env=CLEAN)
    return program


@pytest.mark.parametrize(
    ("sanitizer", "mistake", "report"),
    [("thread", "race", "data race"), ("address,undefined", "after-free", "heap-use-after-free")],
)
def test_blocks_cross_threads(tmp_path: Path, sanitizer: str, mistake: str, report: str) -> None:
    program = build(tmp_path, f"-fsanitize={sanitizer}")
    done = subprocess.run([program], capture_output=True, text=True, env=CLEAN, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    canary = subprocess.run([program, mistake], capture_output=True, text=True, env=CLEAN, timeout=600)
    assert canary.returncode != 0
    assert report in canary.stderr


def test_a_forked_child_goes_on(tmp_path: Path) -> None:
    program = build(tmp_path)
    for _ in range(10):
        done = subprocess.run([program, "fork"], capture_output=True, text=True, env=CLEAN, timeout=300)
        assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_what_a_thread_keeps_is_bounded(tmp_path: Path) -> None:
    """Whatever sizes were in use one after the other; and the size that is in use now is kept nevertheless. A soak
    found a list of up to 31 blocks for each of 22 sizes: 120 MiB for each event loop, beside ``memory_limit``."""
    program = build(tmp_path)
    done = subprocess.run([program, "kept"], capture_output=True, text=True, env=CLEAN, timeout=300)
    assert done.returncode == 0, done.stderr
    most, made = map(int, done.stdout.split())
    assert 1 << 20 < most < 16 << 20
    assert made == 0
