"""obstore, the Python package of Rust's object_store: its documented calls with their defaults."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from obstore.store import S3Store

from objectfs.bench.engine.clients import ACCESS_KEY, REGION, SECRET_KEY, Bytes


class Obstore:
    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._stores: dict[str, S3Store] = {}

    def _store(self, bucket: str) -> S3Store:
        if bucket not in self._stores:
            self._stores[bucket] = S3Store(
                bucket,
                endpoint=self._endpoint,
                access_key_id=ACCESS_KEY,
                secret_access_key=SECRET_KEY,
                region=REGION,
                virtual_hosted_style_request=False,
                client_options={"allow_http": True},
            )
        return self._stores[bucket]

    def get_into(self, bucket: str, key: str, view: memoryview) -> Bytes:
        return self._store(bucket).get(key).bytes()

    def put(self, bucket: str, key: str, data: bytearray) -> None:
        self._store(bucket).put(key, memoryview(data))

    def get_many(self, bucket: str, keys: Sequence[str], size: int) -> Sequence[Bytes]:
        store = self._store(bucket)

        async def one(key: str) -> Bytes:
            return await (await store.get_async(key)).bytes_async()

        async def all_of_them() -> list[Bytes]:
            return await asyncio.gather(*map(one, keys))

        return asyncio.run(all_of_them())

    def get_file(self, bucket: str, key: str, path: str) -> None:
        with open(path, "wb", buffering=0) as file:
            for chunk in self._store(bucket).get(key).stream(min_chunk_size=10 * 1024 * 1024):
                file.write(chunk)

    def close(self) -> None:
        self._stores.clear()


def make(endpoint: str) -> Obstore:
    return Obstore(endpoint)
