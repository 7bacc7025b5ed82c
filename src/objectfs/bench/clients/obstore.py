"""obstore, the Python package of Rust's object_store: its coroutines, all at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from objectfs.bench.clients.base import PART, Bytes, Looped, Note, Target, files, ignore, local_path
from objectfs.bench.scenarios import Item

TOGETHER = 64


class Obstore(Looped):
    concurrency: int | None = TOGETHER

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(TOGETHER)
        options: dict[str, object] = {"allow_http": True}
        if target.ca_file:
            options["root_certificate"] = Path(target.ca_file).read_bytes()
        token = {"session_token": target.session_token} if target.session_token else {}

        @cache
        def store(bucket: str) -> S3Store:
            return S3Store(
                bucket,
                endpoint=target.endpoint,
                access_key_id=target.access_key,
                secret_access_key=target.secret_key,
                region=target.region,
                virtual_hosted_style_request=False,
                client_options=options,
                **token,
            )

        self._store = store

    async def aget(self, bucket: str, item: Item) -> Bytes:
        return await (await self._store(bucket).get_async(item.key)).bytes_async()

    async def aput(self, bucket: str, item: Item, data: bytes) -> None:
        await self._store(bucket).put_async(item.key, data)

    async def aget_range(self, bucket: str, item: Item) -> Bytes:
        return await self._store(bucket).get_range_async(item.key, start=item.start or 0, length=item.size)

    def get(self, bucket: str, item: Item) -> Bytes:
        """In ranges at the same time; they stay the pieces that they arrive as. (Its get_ranges makes one request of
        ranges that touch each other, whatever its ``coalesce`` is; with its coroutines the ranges of one object take
        several times as long as in threads.)"""
        return self._pieces(bucket, item, lambda start, piece: piece)

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        """Likewise: its stream is one connection."""
        with open(path, "wb", buffering=0) as file:
            descriptor = file.fileno()
            self._pieces(bucket, item, lambda start, piece: os.pwrite(descriptor, piece, start))

    def _pieces(self, bucket: str, item: Item, use: Callable[[int, Bytes], object]) -> Sequence[Any]:
        store = self._store(bucket)

        def piece(start: int) -> object:
            return use(start, store.get_range(item.key, start=start, length=min(PART, item.size - start)))

        if item.size <= PART:
            return [use(0, store.get(item.key).bytes())]
        return list(self._threads.map(piece, range(0, item.size, PART)))

    def close(self) -> None:
        self._threads.shutdown()
        super().close()

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        self._store(bucket).put(item.key, data)

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        self._store(bucket).put(item.key, Path(path))

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        starts, lengths = [item.start or 0 for item in items], [item.size for item in items]
        found: Sequence[Bytes] = self._store(bucket).get_ranges(items[0].key, starts=starts, lengths=lengths)
        return found

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        # Kept by the caller's closing it: the stream ends when it is dropped.
        stream = [iter(self._store(bucket).get(item.key).stream(min_chunk_size=1))]
        return bytes(next(stream[0]))[:1], stream.clear

    def list(self, bucket: str, prefix: str) -> int:
        return sum(len(page) for page in self._store(bucket).list(prefix, chunk_size=1000))

    def upload_tree(self, bucket: str, prefix: str, folder: str) -> None:
        store = self._store(bucket)

        async def one(name: str) -> None:
            await store.put_async(prefix + name, Path(folder, name))

        self.together([partial(one, name) for name, _ in files(folder)], ignore)

    def download_tree(self, bucket: str, prefix: str, folder: str) -> None:
        store = self._store(bucket)

        async def one(key: str) -> None:
            answer = await store.get_async(key)
            with open(local_path(folder, key, prefix), "wb", buffering=0) as file:  # noqa: ASYNC230 - as it documents
                async for chunk in answer.stream(min_chunk_size=10 << 20):
                    file.write(chunk)

        keys = [entry["path"] for page in store.list(prefix, chunk_size=1000) for entry in page]
        self.together([partial(one, key) for key in keys], ignore)


def version() -> str:
    return str(obstore.__version__)


def make(target: Target) -> Obstore:
    return Obstore(target)
