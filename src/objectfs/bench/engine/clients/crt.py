"""awscrt, AWS's own Python package of the same C library: its S3Client with its defaults."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from awscrt import auth, s3
from awscrt import io as crt_io
from awscrt.http import HttpHeaders, HttpRequest

from objectfs.bench.engine.clients import ACCESS_KEY, REGION, SECRET_KEY, Bytes


class Crt:
    def __init__(self, endpoint: str) -> None:
        self._host = urlsplit(endpoint).netloc
        group = crt_io.EventLoopGroup()
        bootstrap = crt_io.ClientBootstrap(group, crt_io.DefaultHostResolver(group))
        credentials = auth.AwsCredentialsProvider.new_static(ACCESS_KEY, SECRET_KEY)
        self._client = s3.S3Client(
            bootstrap=bootstrap,
            region=REGION,
            signing_config=s3.create_default_s3_signing_config(region=REGION, credential_provider=credentials),
            tls_mode=s3.S3RequestTlsMode.DISABLED,
        )

    def _start(
        self, kind: Any, method: str, bucket: str, key: str, body: Any = None, length: int = 0, **rest: Any
    ) -> Any:
        headers = HttpHeaders([("host", self._host)])
        if body is not None:
            headers.add("content-length", str(length))
        request = HttpRequest(method, f"/{bucket}/{key}", headers, body)
        return self._client.make_request(type=kind, request=request, **rest).finished_future

    def get_into(self, bucket: str, key: str, view: memoryview) -> Bytes:
        def on_body(chunk: bytes, offset: int, **_: Any) -> None:
            view[offset : offset + len(chunk)] = chunk

        self._start(s3.S3RequestType.GET_OBJECT, "GET", bucket, key, on_body=on_body).result()
        return view

    def put(self, bucket: str, key: str, data: bytearray) -> None:
        # A reader over the memory: a BytesIO would first copy the bytearray, which is not the peer's cost.
        self._start(s3.S3RequestType.PUT_OBJECT, "PUT", bucket, key, _Reader(memoryview(data)), len(data)).result()

    def get_many(self, bucket: str, keys: Sequence[str], size: int) -> Sequence[Bytes]:
        results: list[list[bytes]] = [[] for _ in keys]

        def start(number: int, key: str) -> Any:
            parts = results[number]

            def on_body(chunk: bytes, offset: int, **_: Any) -> None:
                parts.append(chunk)

            return self._start(s3.S3RequestType.GET_OBJECT, "GET", bucket, key, on_body=on_body)

        for future in [start(number, key) for number, key in enumerate(keys)]:
            future.result()
        return [parts[0] if len(parts) == 1 else b"".join(parts) for parts in results]

    def get_file(self, bucket: str, key: str, path: str) -> None:
        self._start(s3.S3RequestType.GET_OBJECT, "GET", bucket, key, recv_filepath=path).result()

    def close(self) -> None:
        del self._client


class _Reader(io.RawIOBase):
    """A file over memory, as BytesIO is over bytes."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = (0, self._position, len(self._view))[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        part = self._view[self._position : self._position + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)


def make(endpoint: str) -> Crt:
    return Crt(endpoint)
