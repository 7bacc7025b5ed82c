"""The C program beside this: epoll, recv and send, and nothing above them. Compiled when it is first needed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from objectfs.bench.clients.base import PART, THREADS, Base, Bytes, Elsewhere, Missing, Note, Target, ignore
from objectfs.bench.clients.raw_parts import Parts
from objectfs.bench.scenarios import Item

SOURCE = Path(__file__).parent / "raw.c"


@cache
def program() -> str:
    """The path of the program. OSError where there is no compiler, or it fails."""
    wanted = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    compiler = shutil.which(wanted) or shutil.which("cc")
    if not compiler:
        raise OSError(f"no C compiler: neither {wanted} nor cc is there")
    mark = hashlib.sha256(SOURCE.read_bytes() + compiler.encode()).hexdigest()[:16]
    path = os.path.join(tempfile.gettempdir(), f"objectfs-bench-{os.getuid()}-{mark}")
    if not os.path.exists(path):
        mine = f"{path}.{os.getpid()}"
        done = subprocess.run([compiler, "-O2", "-o", mine, str(SOURCE)], capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"{SOURCE.name} does not compile: {done.stderr.strip()[-200:]}")
        os.replace(mine, path)  # whole, or not there, whoever else compiles it
    return path


class RawC(Base):
    """Each call is a run of the program, with a list of jobs on its standard input. With a path the program reads or
    writes that file; else what it reads stays in its memory, where it checks it."""

    concurrency: int | None = THREADS

    def __init__(self, target: Target) -> None:
        if target.tls:
            raise Missing("it has no TLS; see raw-ssl")
        if target.signed:
            raise Missing("it signs nothing, and this server wants signatures")
        url = urlsplit(target.endpoint)
        self._target = target
        self._command = [program(), str(url.hostname), str(url.port or 80), str(THREADS)]

    def _run(self, jobs: Sequence[str], note: Note = ignore, path: str | None = None) -> None:
        command = [*self._command, str(int(self.checking)), *([path] if path else [])]
        done = subprocess.run(command, input="\n".join([*jobs, ""]), capture_output=True, text=True)
        if done.returncode:
            raise ConnectionError(done.stderr.strip() or f"exit code {done.returncode}")
        for line in done.stdout.split():
            note(float(line))

    @staticmethod
    def _ranges(bucket: str, item: Item) -> list[str]:
        return [
            f"G /{bucket}/{item.key} {start} {min(PART, item.size - start)} r" for start in range(0, item.size, PART)
        ]

    @staticmethod
    def _whole(method: str, bucket: str, item: Item) -> str:
        return f"{method} /{bucket}/{item.key} 0 {item.size} w"

    def get(self, bucket: str, item: Item) -> Bytes:
        self._run(self._ranges(bucket, item))
        return Elsewhere(item.size)

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        self._run(self._ranges(bucket, item), path=path)

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        self._upload(bucket, item)

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        self._upload(bucket, item, path)

    def _upload(self, bucket: str, item: Item, path: str | None = None) -> None:
        if item.size <= PART:
            self._run([self._whole("P", bucket, item)], path=path)
            return
        parts = Parts(self._target, bucket, item)
        self._run([f"P {target} {start} {size} w" for target, start, size in parts.targets], path=path)
        parts.finish()

    def get_many(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        self._run([self._whole("G", bucket, item) for item in items], note)
        return [Elsewhere(item.size) for item in items]

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        self._run([f"G /{bucket}/{item.key} {item.start} {item.size} r" for item in items], note)
        return [Elsewhere(item.size) for item in items]

    def mixed(self, read: str, write: str, items: Sequence[Item], data: Sequence[bytes], note: Note) -> Sequence[Bytes]:
        jobs = [self._whole("P", write, item) if item.put else self._whole("G", read, item) for item in items]
        self._run(jobs, note)
        return [Elsewhere(item.size) for item in items if not item.put]

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        raise Missing("each of its runs is a new process with a new connection; see raw-python")

    def list(self, bucket: str, prefix: str) -> int:
        raise Missing("it does not read XML")

    def upload_tree(self, bucket: str, prefix: str, folder: str) -> None:
        raise Missing("it knows one file at a time")


def version() -> str:
    program()
    return "-"


def make(target: Target) -> RawC:
    return RawC(target)
