"""boto3 as its documentation shows it: managed transfers for large objects, 16 threads for many small
ones."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from objectfs.bench.engine.clients import ACCESS_KEY, REGION, SECRET_KEY, Bytes

THREADS = 16


class Boto:
    def __init__(self, endpoint: str) -> None:
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(max_pool_connections=THREADS, s3={"addressing_style": "path"}),
        )
        # Without this, boto3 would hand the transfer to awscrt where that is installed: the other peer.
        self._transfer = TransferConfig(preferred_transfer_client="classic")

    def get_into(self, bucket: str, key: str, view: memoryview) -> Bytes:
        file = io.BytesIO()
        self._client.download_fileobj(bucket, key, file, Config=self._transfer)
        return file.getbuffer()

    def put(self, bucket: str, key: str, data: bytearray) -> None:
        self._client.upload_fileobj(io.BytesIO(data), bucket, key, Config=self._transfer)

    def get_many(self, bucket: str, keys: Sequence[str], size: int) -> Sequence[Bytes]:
        def one(key: str) -> bytes:
            body: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
            return body

        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(one, keys))

    def get_file(self, bucket: str, key: str, path: str) -> None:
        self._client.download_file(bucket, key, path, Config=self._transfer)

    def close(self) -> None:
        self._client.close()


def make(endpoint: str) -> Boto:
    return Boto(endpoint)
