"""The S3 client of Amazon's connector for PyTorch, which is Mountpoint's, in Rust over the C library.

The package around it wants PyTorch when it is imported, and adds nothing to a transfer but a buffer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import metadata

from s3torchconnectorclient._mountpoint_s3_client import MountpointS3Client

from objectfs.bench.clients.base import Bytes, Missing, Target, Threaded
from objectfs.bench.scenarios import Item

CHUNK = 8 << 20


class Connector(Threaded):
    def __init__(self, target: Target) -> None:
        super().__init__()
        os.environ["AWS_ACCESS_KEY_ID"] = target.access_key
        os.environ["AWS_SECRET_ACCESS_KEY"] = target.secret_key
        if target.session_token:
            os.environ["AWS_SESSION_TOKEN"] = target.session_token
        self._client = MountpointS3Client(
            region=target.region, endpoint=target.endpoint, force_path_style=target.path_style
        )

    def get(self, bucket: str, item: Item) -> Bytes:
        return b"".join(self._client.get_object(bucket, item.key))

    def get_range(self, bucket: str, item: Item) -> Bytes:
        start = item.start or 0
        return b"".join(self._client.get_object(bucket, item.key, start, start + item.size))

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        with open(path, "wb", buffering=0) as file:
            for chunk in self._client.get_object(bucket, item.key):
                file.write(chunk)

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        stream = self._client.put_object(bucket, item.key)
        for start in range(0, len(data), CHUNK):
            stream.write(data[start : start + CHUNK] if len(data) > CHUNK else data)
        stream.close()

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        stream = self._client.put_object(bucket, item.key)
        with open(path, "rb", buffering=0) as file:
            while data := file.read(CHUNK):
                stream.write(data)
        stream.close()

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        stream = [self._client.get_object(bucket, item.key)]
        return bytes(next(stream[0]))[:1], stream.clear

    def keys(self, bucket: str, prefix: str) -> Sequence[tuple[str, int]]:
        pages = self._client.list_objects(bucket, prefix)
        return [(entry.key, entry.size) for page in pages for entry in page.object_info]


def version() -> str:
    return metadata.version("s3torchconnectorclient")


def make(target: Target) -> Connector:
    if target.tls and target.ca_file and not os.environ.get("SSL_CERT_FILE"):
        raise Missing("it takes certificates of one's own from SSL_CERT_FILE only")
    return Connector(target)
