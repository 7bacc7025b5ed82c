"""s5cmd, in Go: many commands in one process."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from objectfs.bench.clients.base import THREADS, Bytes, Missing, Note, Target
from objectfs.bench.clients.command import Program, find, output
from objectfs.bench.scenarios import Item

LARGE = ("--concurrency", str(THREADS), "--part-size", "16")


class S5cmd(Program):
    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._command = [find("s5cmd"), "--endpoint-url", target.endpoint, "--log", "error"]
        self._sources: dict[str, str] = {}
        self.environment = {
            "AWS_ACCESS_KEY_ID": target.access_key,
            "AWS_SECRET_ACCESS_KEY": target.secret_key,
            "AWS_REGION": target.region,
        }
        if target.session_token:
            self.environment = {**self.environment, "AWS_SESSION_TOKEN": target.session_token}

    def _run(self, *arguments: str, text: str | None = None) -> bytes:
        return self.run([*self._command, *arguments], text)

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        self._run("cp", *LARGE, f"s3://{bucket}/{item.key}", path)

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        self._run("cp", *LARGE, path, f"s3://{bucket}/{item.key}")

    def get_many(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        # A wildcard: a list of commands, which is the other way, needs three times the CPU for small objects.
        above = os.path.commonpath([item.key for item in items])
        self._run("cp", f"s3://{bucket}/{above}/*", f"{os.path.join(self.folder, *above.split('/'))}/")
        return self.places(items)

    def mixed(self, read: str, write: str, items: Sequence[Item], data: Sequence[bytes], note: Note) -> Sequence[Bytes]:
        bodies = iter(data)
        lines, paths = [], []
        for item, path in zip(items, self.places(items), strict=True):
            if item.put:
                lines.append(f"cp {shlex.quote(self._source(item, next(bodies)))} s3://{write}/{item.key}")
            else:
                lines.append(f"cp s3://{read}/{item.key} {shlex.quote(path)}")
                paths.append(path)
        self._run("run", text="\n".join(lines))
        return paths

    def _source(self, item: Item, data: bytes) -> str:
        """A file with what is to be sent: made in the first run, which is not measured."""
        if item.key not in self._sources:
            path = os.path.join(self.target.folder, "sources", *item.key.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            self._sources[item.key] = path
        return self._sources[item.key]

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        raise Missing("it reads whole objects only")

    def list(self, bucket: str, prefix: str) -> int:
        # The level that its listing is logged at.
        return self._run("--log", "info", "ls", f"s3://{bucket}/{prefix}*").count(b"\n")

    def upload_tree(self, bucket: str, prefix: str, folder: str) -> None:
        self._run("cp", f"{folder}/", f"s3://{bucket}/{prefix}")

    def download_tree(self, bucket: str, prefix: str, folder: str) -> None:
        self._run("cp", f"s3://{bucket}/{prefix}*", f"{folder}/")


def version() -> str:
    return output(find("s5cmd"), "version").strip()


def make(target: Target) -> S5cmd:
    return S5cmd(target)
