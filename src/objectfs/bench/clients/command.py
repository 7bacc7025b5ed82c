"""What the clients that are programs have in common: each call is a new process, from files to files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

from objectfs.bench.clients.base import Base, Bytes, Missing, Target
from objectfs.bench.scenarios import Item


def find(name: str) -> str:
    """The program, of the environment or of the system. OSError if there is none."""
    beside = os.path.join(os.path.dirname(sys.executable), name)
    found = beside if os.path.exists(beside) else shutil.which(name)
    if not found:
        raise OSError(f"there is no program {name}")
    return found


def output(*arguments: str) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=20).stdout


class Program(Base):
    environment: Mapping[str, str]

    def __init__(self, target: Target) -> None:
        self.target = target
        self.folder = os.path.join(target.folder, "many")

    def run(self, arguments: Sequence[str], text: str | None = None) -> bytes:
        """Its output. ConnectionError with its last words if it fails."""
        done = subprocess.run(
            arguments,
            env=os.environ | self.environment,
            input=text.encode() if text is not None else None,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
        )
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
            raise ConnectionError(words[-1])
        return done.stdout

    def places(self, items: Sequence[Item]) -> list[str]:
        """Where the objects go: new files in a folder, by their keys."""
        return [os.path.join(self.folder, *item.key.split("/")) for item in items]

    def get(self, bucket: str, item: Item) -> Bytes:
        raise Missing("it knows files only; see the scenarios with files")

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        raise Missing("it knows files only; see the scenarios with files")
