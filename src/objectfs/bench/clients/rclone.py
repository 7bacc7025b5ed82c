"""rclone, in Go: whole folders with one command."""

from __future__ import annotations

import os
from collections.abc import Sequence

from objectfs.bench.clients.base import THREADS, Bytes, Missing, Note, Target
from objectfs.bench.clients.command import Program, find, output
from objectfs.bench.scenarios import Item

MANY = str(THREADS)
FAST = (
    *("--transfers", MANY, "--checkers", MANY, "--multi-thread-streams", MANY, "--multi-thread-cutoff", "32M"),
    *("--s3-upload-concurrency", MANY, "--s3-chunk-size", "16M", "--s3-upload-cutoff", "32M"),
    *("--s3-no-check-bucket", "--no-traverse", "--fast-list"),
)


class Rclone(Program):
    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._command = [find("rclone"), "--config", os.devnull, *FAST]
        if target.ca_file:
            self._command += ["--ca-cert", target.ca_file]
        values = {
            "TYPE": "s3",
            "PROVIDER": "Other" if target.path_style else "AWS",
            "ACCESS_KEY_ID": target.access_key,
            "SECRET_ACCESS_KEY": target.secret_key,
            "SESSION_TOKEN": target.session_token or "",
            "ENDPOINT": target.endpoint,
            "REGION": target.region,
        }
        self.environment = {f"RCLONE_CONFIG_BENCH_{name}": value for name, value in values.items()}

    def _run(self, *arguments: str) -> bytes:
        return self.run([*self._command, *arguments])

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        self._run("copyto", f"bench:{bucket}/{item.key}", path)

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        self._run("copyto", path, f"bench:{bucket}/{item.key}")

    def get_many(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        above = os.path.commonpath([item.key for item in items])
        self._run("copy", f"bench:{bucket}/{above}", os.path.join(self.folder, *above.split("/")))
        return self.places(items)

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        raise Missing("it reads whole objects only")

    def mixed(self, read: str, write: str, items: Sequence[Item], data: Sequence[bytes], note: Note) -> Sequence[Bytes]:
        raise Missing("it copies in one direction at a time")

    def list(self, bucket: str, prefix: str) -> int:
        return self._run("lsf", "--recursive", "--files-only", f"bench:{bucket}/{prefix}").count(b"\n")

    def upload_tree(self, bucket: str, prefix: str, folder: str) -> None:
        self._run("copy", folder, f"bench:{bucket}/{prefix}")

    def download_tree(self, bucket: str, prefix: str, folder: str) -> None:
        self._run("copy", f"bench:{bucket}/{prefix}", folder)


def version() -> str:
    return output(find("rclone"), "version").split("\n")[0].removeprefix("rclone ")


def make(target: Target) -> Rclone:
    return Rclone(target)
