"""ObjectFS itself, with either backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import objectfs
from objectfs.bench.engine.clients import ACCESS_KEY, REGION, SECRET_KEY, Bytes


class Ours:
    def __init__(self, endpoint: str, backend: str, **settings: Any) -> None:
        self._client = objectfs.Client(
            backend=backend,
            endpoint_url=endpoint,
            region=REGION,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            **settings,
        )

    def get_into(self, bucket: str, key: str, view: memoryview) -> Bytes:
        return view[: self._client.get_into(bucket, key, view)]

    def put(self, bucket: str, key: str, data: bytearray) -> None:
        self._client.put(bucket, key, data)

    def get_many(self, bucket: str, keys: Sequence[str], size: int) -> Sequence[Bytes]:
        return self._client.get_many(bucket, keys)

    def get_file(self, bucket: str, key: str, path: str) -> None:
        self._client.get_file(bucket, key, path)

    def close(self) -> None:
        self._client.close()


def make_crt(endpoint: str, **settings: Any) -> Ours:
    return Ours(endpoint, "crt", **settings)


def make_sdk(endpoint: str, **settings: Any) -> Ours:
    return Ours(endpoint, "sdk", **settings)
