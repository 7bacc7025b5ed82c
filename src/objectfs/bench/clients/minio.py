"""minio-py, MinIO's Python client: one client for all threads, with as many pooled connections."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import minio
import urllib3
from minio import Minio

from objectfs.bench.clients.base import PART, THREADS, Bytes, Target, Threaded
from objectfs.bench.scenarios import Item

PARALLEL = 10


class MinioPy(Threaded):
    def __init__(self, target: Target) -> None:
        super().__init__()
        # The threads of an upload's parts are its own, beside ours.
        pool = urllib3.PoolManager(maxsize=THREADS + PARALLEL, ca_certs=target.ca_file)
        self._client = Minio(
            urlsplit(target.endpoint).netloc,
            access_key=target.access_key,
            secret_key=target.secret_key,
            session_token=target.session_token,
            secure=target.tls,
            region=target.region,
            http_client=pool,
        )

    def _read(self, bucket: str, key: str, **span: int) -> Bytes:
        answer = self._client.get_object(bucket, key, **span)
        try:
            return answer.read()
        finally:
            answer.close()
            answer.release_conn()

    def get(self, bucket: str, item: Item) -> Bytes:
        return self._read(bucket, item.key)

    def get_range(self, bucket: str, item: Item) -> Bytes:
        return self._read(bucket, item.key, offset=item.start or 0, length=item.size)

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        self._client.fget_object(bucket, item.key, path)

    def _put(self, bucket: str, item: Item, data: Any, length: int) -> None:
        self._client.put_object(bucket, item.key, data, length, part_size=PART, num_parallel_uploads=PARALLEL)

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        self._put(bucket, item, io.BytesIO(data), len(data))

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        self._client.fput_object(bucket, item.key, path, part_size=PART, num_parallel_uploads=PARALLEL)

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        answer = self._client.get_object(bucket, item.key)

        def close() -> None:
            answer.close()
            answer.release_conn()

        return answer.read(1), close

    def keys(self, bucket: str, prefix: str) -> Sequence[tuple[str, int]]:
        found = self._client.list_objects(bucket, prefix, recursive=True)
        return [(entry.object_name, entry.size) for entry in found]


def version() -> str:
    return str(minio.__version__)


def make(target: Target) -> MinioPy:
    return MinioPy(target)
