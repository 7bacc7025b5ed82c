"""awscrt, AWS's own Python package of the C library that ObjectFS is built on: its S3Client with its defaults."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import awscrt
from awscrt import auth, s3
from awscrt import io as crt_io
from awscrt.http import HttpHeaders, HttpRequest

from objectfs.bench.clients.base import Base, Bytes, Missing, Note, Target, ignore
from objectfs.bench.scenarios import Item

GET, PUT = s3.S3RequestType.GET_OBJECT, s3.S3RequestType.PUT_OBJECT


class Crt(Base):
    """Requests for many objects are all started at once: the library has a queue of its own."""

    def __init__(self, target: Target) -> None:
        url = urlsplit(target.endpoint)
        self._host = url.netloc
        group = crt_io.EventLoopGroup()
        bootstrap = crt_io.ClientBootstrap(group, crt_io.DefaultHostResolver(group))
        keys = (target.access_key, target.secret_key, target.session_token)
        credentials = auth.AwsCredentialsProvider.new_static(*keys)
        options: dict[str, Any] = {"tls_mode": s3.S3RequestTlsMode.DISABLED}
        if target.tls:
            context = crt_io.TlsContextOptions()
            if target.ca_file:
                context.override_default_trust_store_from_path(None, target.ca_file)
            connection = crt_io.ClientTlsContext(context).new_connection_options()
            connection.set_server_name(str(url.hostname))
            options = {"tls_mode": s3.S3RequestTlsMode.ENABLED, "tls_connection_options": connection}
        self._client = s3.S3Client(
            bootstrap=bootstrap,
            region=target.region,
            signing_config=s3.create_default_s3_signing_config(region=target.region, credential_provider=credentials),
            **options,
        )

    def _start(
        self,
        kind: Any,
        bucket: str,
        item: Item,
        *,
        body: Any = None,
        length: int | None = None,
        note: Note = ignore,
        **rest: Any,
    ) -> Any:
        headers = HttpHeaders([("host", self._host)])
        if length is not None:
            headers.add("content-length", str(length))
        if item.start is not None:
            headers.add("range", f"bytes={item.start}-{item.start + item.size - 1}")
        request = HttpRequest("GET" if kind == GET else "PUT", f"/{bucket}/{item.key}", headers, body)
        start = time.perf_counter()

        def on_done(**_: Any) -> None:
            note(time.perf_counter() - start)

        return self._client.make_request(type=kind, request=request, on_done=on_done, **rest)

    def _get(self, bucket: str, item: Item, note: Note = ignore) -> tuple[bytearray, Any]:
        data = bytearray(item.size)
        view, first = memoryview(data), item.start or 0

        def on_body(chunk: bytes, offset: int, **_: Any) -> None:
            # Of a range, the library tells the place in the object.
            view[offset - first : offset - first + len(chunk)] = chunk

        return data, self._start(GET, bucket, item, note=note, on_body=on_body).finished_future

    def _put(self, bucket: str, item: Item, data: bytes, note: Note = ignore) -> Any:
        # A BytesIO over bytes copies nothing.
        return self._start(PUT, bucket, item, body=io.BytesIO(data), length=len(data), note=note).finished_future

    def get(self, bucket: str, item: Item) -> Bytes:
        data, future = self._get(bucket, item)
        future.result()
        return data

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        self._start(GET, bucket, item, recv_filepath=path).finished_future.result()

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        self._put(bucket, item, data).result()

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        self._start(PUT, bucket, item, length=os.path.getsize(path), send_filepath=path).finished_future.result()

    def get_many(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        started = [self._get(bucket, item, note) for item in items]
        for _, future in started:
            future.result()
        return [data for data, _ in started]

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        return self.get_many(bucket, items, note)

    def mixed(self, read: str, write: str, items: Sequence[Item], data: Sequence[bytes], note: Note) -> Sequence[Bytes]:
        bodies = iter(data)
        reads, futures = [], []
        for item in items:
            if item.put:
                futures.append(self._put(write, item, next(bodies), note))
            else:
                buffer, future = self._get(read, item, note)
                reads.append(buffer)
                futures.append(future)
        for future in futures:
            future.result()
        return reads

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        came = threading.Event()
        first: list[bytes] = []

        def on_body(chunk: bytes, offset: int, **_: Any) -> None:
            if not first:
                first.append(chunk[:1])
                came.set()

        request = self._start(GET, bucket, item, on_body=on_body)
        if not came.wait(60):
            request.finished_future.result(0)

        def close() -> None:
            request.cancel()
            request.finished_future.exception()

        return first[0], close

    def list(self, bucket: str, prefix: str) -> int:
        raise Missing("its S3Client lists nothing")

    def upload_tree(self, bucket: str, prefix: str, folder: str) -> None:
        raise Missing("its S3Client lists nothing, so it cannot fetch a tree")

    def close(self) -> None:
        del self._client


def version() -> str:
    return str(awscrt.__version__)


def make(target: Target) -> Crt:
    return Crt(target)
