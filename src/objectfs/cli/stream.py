"""An object as a stream of blocks: for pipes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from objectfs.client import Client

BLOCK = 16 * 1024 * 1024
"""Of one request. Two are in memory: the one being written and the one on its way. Twice the part size, so
that each is fetched over more than one connection."""


def blocks(client: Client, bucket: str, key: str) -> Iterator[memoryview]:
    """The object's bytes in order, the next block on its way while one is consumed.

    All blocks are of the same object: ObjectChangedError or PreconditionFailedError if it is replaced
    meanwhile.
    """
    first: Any = client.get(bucket, key, 0, BLOCK)
    info = first.info or client.head(bucket, key)
    with ThreadPoolExecutor(1, thread_name_prefix="objectfs-cat") as pool:
        block = first
        for start in range(BLOCK, info.size + BLOCK, BLOCK):
            ahead = None
            if start < info.size:
                ahead = pool.submit(client.get, bucket, key, start, start + BLOCK, if_match=info.etag)
            yield memoryview(block)
            if ahead is not None:
                block = ahead.result()


def write_all(target: Any, data: memoryview) -> None:
    """Write every byte to an unbuffered file; pipes take less than they are given."""
    while len(data):
        count = target.write(data)
        data = data[count:]
