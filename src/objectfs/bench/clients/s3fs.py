"""s3fs, fsspec's file system over aiobotocore: its coroutines on a loop of our own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import aiobotocore
import s3fs
from s3fs import S3FileSystem

from objectfs.bench.clients.base import Bytes, Looped, Note, Target
from objectfs.bench.scenarios import Item

TOGETHER = 64


class S3fs(Looped):
    concurrency: int | None = TOGETHER

    def __init__(self, target: Target) -> None:
        super().__init__()

        async def make() -> S3FileSystem:
            system = S3FileSystem(
                key=target.access_key,
                secret=target.secret_key,
                token=target.session_token,
                endpoint_url=target.endpoint,
                client_kwargs={"region_name": target.region, "verify": target.ca_file},
                config_kwargs={
                    "max_pool_connections": TOGETHER,
                    "s3": {"addressing_style": "path" if target.path_style else "virtual"},
                },
                asynchronous=True,
                use_listings_cache=False,
                skip_instance_cache=True,
            )
            await system.set_session()
            return system

        self._system = self.run(make())

    async def aget(self, bucket: str, item: Item) -> Bytes:
        return await self._system._cat_file(f"{bucket}/{item.key}")

    async def aput(self, bucket: str, item: Item, data: bytes) -> None:
        await self._system._pipe_file(f"{bucket}/{item.key}", data)

    async def aget_range(self, bucket: str, item: Item) -> Bytes:
        start = item.start or 0
        return await self._system._cat_file(f"{bucket}/{item.key}", start=start, end=start + item.size)

    def get(self, bucket: str, item: Item) -> Bytes:
        return self.run(self.aget(bucket, item))

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        self.run(self._system._get_file(f"{bucket}/{item.key}", path))

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        self.run(self.aput(bucket, item, data))

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        self.run(self._system._put_file(path, f"{bucket}/{item.key}"))

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        paths = [f"{bucket}/{item.key}" for item in items]
        starts = [item.start or 0 for item in items]
        ends = [start + item.size for start, item in zip(starts, items, strict=True)]
        found: Sequence[Bytes] = self.run(self._system._cat_ranges(paths, starts, ends, on_error="raise"))
        return found

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        async def begin() -> tuple[bytes, Any]:
            file = await self._system.open_async(f"{bucket}/{item.key}", "rb")
            return await file.read(1), file

        byte, file = self.run(begin())
        return byte, lambda: self.run(file.close())

    def list(self, bucket: str, prefix: str) -> int:
        return len(self.run(self._system._find(f"{bucket}/{prefix}")))

    def upload_tree(self, bucket: str, prefix: str, folder: str) -> None:
        self.run(self._system._put(f"{folder}/", f"{bucket}/{prefix}", recursive=True))

    def download_tree(self, bucket: str, prefix: str, folder: str) -> None:
        self.run(self._system._get(f"{bucket}/{prefix}", f"{folder}/", recursive=True))

    def close(self) -> None:
        self.run(self._system._s3.close())
        super().close()


def version() -> str:
    return f"{s3fs.__version__}, aiobotocore {aiobotocore.__version__}"


def make(target: Target) -> S3fs:
    return S3fs(target)
