"""A real transfer, checked: the running Python's standard library and one file of 1 GiB, there and back.

``scripts/demo`` makes the environment and runs this. Everything goes through the ``objectfs`` command, one
process for each transfer, so that the figures are those that a user sees; the server is the embedded one, in
its own process.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from objectfs.backends.select import available

GIB = 1 << 30
BUCKET = "demo"


@dataclass(frozen=True, slots=True)
class Cost:
    seconds: float
    cpu: float
    peak: int


def run(endpoint: str, backend: str, *arguments: str) -> Cost:
    """One ``objectfs`` command in its own process. RuntimeError if it fails."""
    command = [sys.executable, "-m", "objectfs.cli", *arguments, "--quiet"]
    command += ["--backend", backend, "--endpoint-url", endpoint, "--region", "us-east-1"]
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest"}
    start = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | keys)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"objectfs {' '.join(arguments)} --backend {backend} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def make_sources(folder: Path, size: int) -> None:
    """The standard library without what changes while it is read, and a file that does not compress."""
    shutil.copytree(
        sysconfig.get_paths()["stdlib"],
        folder / "stdlib",
        ignore=shutil.ignore_patterns("site-packages", "dist-packages", "__pycache__"),
        ignore_dangling_symlinks=True,
    )
    source = random.Random(0)
    with open(folder / "one-gib.bin", "wb") as file:
        for start in range(0, size, 1 << 24):
            file.write(source.randbytes(min(1 << 24, size - start)))


def digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with open(path, "rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


@contextmanager
def server() -> Iterator[str]:
    """The embedded server in its own process, on a free port of the loopback interface."""
    command = [sys.executable, "-m", "objectfs.sim", "--bucket", BUCKET]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        words = process.stdout.readline().split()
        if len(words) != 2:
            raise RuntimeError("the embedded server did not start")
        yield words[1]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def compare(wanted: dict[str, str], folder: Path, backend: str) -> None:
    """RuntimeError unless the folder has the same files with the same contents."""
    found = digests(folder)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            kind = "is missing" if name not in found else "is too much" if name not in wanted else "differs"
            raise RuntimeError(f"backend {backend}: {name} {kind} after the round trip")


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=GIB, help="of the one large file, in bytes (default: 1 GiB)")
    options = parser.parse_args()
    backends = []
    for attempt in available():
        if attempt.ok:
            backends.append(attempt.name)
        else:
            print(f"backend {attempt.name} is left out: {attempt.reason}")
    with tempfile.TemporaryDirectory(prefix="objectfs-demo-") as name, server() as endpoint:
        work = Path(name)
        free = shutil.disk_usage(work).free
        if free < 2.5 * options.size:
            raise RuntimeError(f"needs {2.5 * options.size / GIB:.1f} GiB free in {work.parent}; set TMPDIR")
        source = work / "source"
        source.mkdir()
        print("making the files…", flush=True)
        make_sources(source, options.size)
        wanted = digests(source)
        total = sum((source / path).stat().st_size for path in wanted)
        print(f"{len(wanted)} files, {total / GIB:.2f} GiB; server at {endpoint}", flush=True)
        head = ["up MB/s", "down MB/s", "up CPU s/GiB", "down CPU s/GiB", "peak MiB up", "peak MiB down"]
        rows = [["backend", *head]]
        for backend in backends:
            there, back = f"s3://{BUCKET}/{backend}/", work / "back"
            up = run(endpoint, backend, "cp", "-r", str(source), there)
            down = run(endpoint, backend, "cp", "-r", there, str(back))
            compare(wanted, back, backend)
            shutil.rmtree(back)
            run(endpoint, backend, "rm", "-r", there)
            costs = (up, down)
            rows.append(
                [backend]
                + [f"{total / cost.seconds / 1e6:.0f}" for cost in costs]
                + [f"{cost.cpu / (total / GIB):.2f}" for cost in costs]
                + [f"{cost.peak / (1 << 20):.0f}" for cost in costs]
            )
            print(f"{backend}: up, down, every SHA-256 compared", flush=True)
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        print()
        for row in rows:
            print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
        print()
    both = " and ".join(backends)
    print(f"All verified: {len(wanted)} files, {total / GIB:.2f} GiB, up and down with {both}, equal by SHA-256.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        sys.exit(f"demo: {error}")
