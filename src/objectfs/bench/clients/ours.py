"""ObjectFS itself, with either backend, and without the checksums that many of the others have not either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import objectfs
from objectfs.bench.clients.base import Bytes, Note, Target, Threaded
from objectfs.bench.scenarios import Item

SETTINGS: dict[str, dict[str, Any]] = {
    "objectfs-crt": {"backend": "crt"},
    "objectfs-sdk": {"backend": "sdk"},
    "objectfs-crt-unchecked": {"backend": "crt", "checksum": "off"},
}


class Ours(Threaded):
    def __init__(self, target: Target) -> None:
        super().__init__()  # threads for trees and the mixed work; the rest are calls for many objects
        self.concurrency = None
        given: dict[str, Any] = {
            "session_token": target.session_token,
            "verify": target.ca_file,
            "addressing_style": "path" if target.path_style else None,
        }
        self._client = objectfs.Client(
            endpoint_url=target.endpoint,
            region=target.region,
            access_key_id=target.access_key,
            secret_access_key=target.secret_key,
            **SETTINGS[target.client],
            **{name: value for name, value in given.items() if value is not None},
        )

    def get(self, bucket: str, item: Item) -> Bytes:
        return self._client.get(bucket, item.key)

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        self._client.get_file(bucket, item.key, path)

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        self._client.put(bucket, item.key, data)

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        self._client.put_file(bucket, item.key, path)

    def get_many(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        return self._client.get_many(bucket, [item.key for item in items])

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        spans = [(item.start or 0, (item.start or 0) + item.size) for item in items]
        return self._client.get_ranges(bucket, items[0].key, spans)

    def mixed(self, read: str, write: str, items: Sequence[Item], data: Sequence[bytes], note: Note) -> Sequence[Bytes]:
        writes = dict(zip([item.key for item in items if item.put], data, strict=True))
        writing = self._pool.submit(self._client.put_many, write, writes)
        results = self._client.get_many(read, [item.key for item in items if not item.put])
        writing.result()
        return results

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        file = self._client.open(bucket, item.key, "rb")
        return file.read(1), file.close

    def list(self, bucket: str, prefix: str) -> int:
        return sum(1 for _ in self._client.list(bucket, prefix))

    def keys(self, bucket: str, prefix: str) -> Sequence[tuple[str, int]]:
        return [(info.key, info.size) for info in self._client.list(bucket, prefix)]

    def close(self) -> None:
        super().close()
        self._client.close()


def version() -> str:
    return objectfs.__version__


def make(target: Target) -> Ours:
    return Ours(target)
