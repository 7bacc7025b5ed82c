"""A bucket that a person names, on any server: prepared before a run, and cleaned behind it."""

from __future__ import annotations

import contextlib
import http.client
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import objectfs
from objectfs.bench import content
from objectfs.bench.places import Counted
from objectfs.bench.scenarios import Item, Scenario

AWS = "https://s3.{region}.amazonaws.com"


class EndpointPlace:
    """Everything is below a prefix of its own, which is empty again when the context ends.

    ``endpoint`` None is AWS itself. ``options`` are further settings of ``objectfs.Client``.
    """

    profile = "-"

    def __init__(
        self, endpoint: str | None, bucket: str, region: str, keys: tuple[str, str, str | None], ca_file: str | None
    ) -> None:
        self.aws = endpoint is None or bool(re.search(r"\.amazonaws\.com(\.cn)?$", urlsplit(endpoint).hostname or ""))
        url = endpoint or AWS.format(region=region)
        self.tls = url.startswith("https:")
        self.server = "ceph" if not self.aws and _is_ceph(url) else "endpoint"
        self.read = self.warm = self.write = bucket
        self.prefix = f"objectfs-bench-{secrets.token_hex(4)}/"
        self.target: dict[str, Any] = {
            "endpoint": url,
            "region": region,
            "access_key": keys[0],
            "secret_key": keys[1],
            "session_token": keys[2],
            "bucket": bucket,
            "ca_file": ca_file,
            "path_style": not self.aws,
            "signed": True,
        }
        settings: dict[str, Any] = {
            "endpoint_url": endpoint,
            "region": region,
            "access_key_id": keys[0],
            "secret_access_key": keys[1],
            "session_token": keys[2],
            "verify": ca_file,
        }
        self._client = objectfs.Client(**{name: value for name, value in settings.items() if value is not None})

    def prepare(self, scenarios: Sequence[Scenario], scale: float, seed: int, say: Callable[[str], None]) -> None:
        """Write the objects that the scenarios read."""
        items = {item.key: item for scenario in scenarios for item in scenario.plan(scale, seed).sources}
        total = sum(item.size for item in items.values())
        say(f"writing {len(items)} objects, {total / 1e9:.2f} GB, below s3://{self.read}/{self.prefix}")
        large = [item for item in items.values() if item.size > 64 * content.MIB]
        for item in large:
            self._client.put(self.read, self.prefix + item.key, content.fill(item.size))
        small = [item for item in items.values() if item.size <= 64 * content.MIB]

        def pairs() -> Iterator[tuple[str, bytearray]]:
            for item in small:
                yield self.prefix + item.key, content.fill(item.size)

        if small:
            self._client.put_many(self.read, pairs())

    def forget(self) -> None:
        pass

    def count(self) -> Counted:
        return Counted(None, Counter())

    def check(self, bucket: str, items: Sequence[Item], *, whole: bool) -> None:
        for item in items:
            if whole:
                content.check(bytes(self._client.get(bucket, item.key)), item.size, item.key)
            elif (size := self._client.head(bucket, item.key).size) != item.size:
                raise ValueError(f"{item.key} has {size} bytes, not {item.size}")

    def clean(self, bucket: str, items: Sequence[Item]) -> None:
        failures = self._client.delete_many(bucket, [item.key for item in items])
        for error in failures.values():
            raise error

    def __enter__(self) -> EndpointPlace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Delete what is below the prefix, and abort what is pending there. The client is closed."""
        client, bucket = self._client, self.read
        try:
            client.delete_many(bucket, (entry.key for entry in client.list(bucket, self.prefix)))
            answer = client.call("ListMultipartUploads", Bucket=bucket, Prefix=self.prefix)
            for upload in answer.get("Uploads") or ():
                with contextlib.suppress(objectfs.errors.NotFoundError):
                    client.call("AbortMultipartUpload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        finally:
            client.close()


def _is_ceph(url: str) -> bool:
    """By the request ids of RGW, which the others do not have."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return False
    with (
        contextlib.suppress(OSError, http.client.HTTPException),
        contextlib.closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection,
    ):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return bool(re.match(r"tx[0-9a-f]{17,}-", answer.getheader("x-amz-request-id") or ""))
    return False
