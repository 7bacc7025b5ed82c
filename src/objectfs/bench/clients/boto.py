"""boto3's plain operations, one request for each object."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import boto3
from botocore.config import Config

from objectfs.bench.clients.base import THREADS, Bytes, Target, Threaded
from objectfs.bench.scenarios import Item


def make_client(target: Target) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=target.endpoint,
        region_name=target.region,
        aws_access_key_id=target.access_key,
        aws_secret_access_key=target.secret_key,
        aws_session_token=target.session_token,
        verify=target.ca_file,
        config=Config(
            max_pool_connections=THREADS, s3={"addressing_style": "path" if target.path_style else "virtual"}
        ),
    )


class Boto(Threaded):
    def __init__(self, target: Target) -> None:
        super().__init__()
        self._client = make_client(target)

    def get(self, bucket: str, item: Item) -> Bytes:
        return self._client.get_object(Bucket=bucket, Key=item.key)["Body"].read()

    def get_range(self, bucket: str, item: Item) -> Bytes:
        start = item.start or 0
        span = f"bytes={start}-{start + item.size - 1}"
        return self._client.get_object(Bucket=bucket, Key=item.key, Range=span)["Body"].read()

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        with open(path, "wb", buffering=0) as file:
            for chunk in self._client.get_object(Bucket=bucket, Key=item.key)["Body"].iter_chunks(1 << 20):
                file.write(chunk)

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        self._client.put_object(Bucket=bucket, Key=item.key, Body=data)

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        with open(path, "rb") as file:
            self._client.put_object(Bucket=bucket, Key=item.key, Body=file, ContentLength=os.path.getsize(path))

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        body = self._client.get_object(Bucket=bucket, Key=item.key)["Body"]
        return body.read(1), body.close

    def keys(self, bucket: str, prefix: str) -> Sequence[tuple[str, int]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [(entry["Key"], entry["Size"]) for page in pages for entry in page.get("Contents", ())]

    def close(self) -> None:
        super().close()
        self._client.close()


def version() -> str:
    return str(boto3.__version__)


def make(target: Target) -> Boto:
    return Boto(target)
