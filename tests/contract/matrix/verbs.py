"""The verbs: what each does to the world, which requests it makes for that, and how to tell that it did right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import objectfs

from .world import LARGE, MANY, PART, SMALL, World

__all__ = ["VERBS", "Verb"]

MOST = 100.0
"""Seconds for a call: beyond, it hangs. (A fault that goes on takes ten at most, on a machine that is free.)"""


@dataclass(frozen=True)
class Verb:
    """``requests`` says how many of each operation a run without faults makes, at least. ``makes`` is an object that
    is to have ``data`` afterwards; ``file`` the same of a file."""

    name: str
    run: Callable[[World], Any]
    requests: dict[str, int]
    answers: Callable[[Any], Any] = lambda result: None
    right: Any = None
    makes: str = ""
    data: bytes = b""
    file: bytes = b""
    deletes: tuple[str, ...] = ()
    ranged: bool = False
    """No checksum tells of the bytes of a range."""


def _bytes(result: Any) -> bytes:
    return bytes(result)


def _list(result: Any) -> list[Any]:
    return [bytes(item) if not isinstance(item, Exception) else item for item in result]


def _into(world: World, key: str, size: int) -> bytes:
    buffer = bytearray(size + 1)
    return bytes(buffer[: world.client.get_into("bucket", key, buffer, timeout=MOST)])


def _entries(result: Any) -> list[Any]:
    return [(entry.key, entry.size) for entry in result]


def _file(world: World, key: str) -> None:
    world.client.get_file("bucket", key, world.folder / "got", timeout=MOST)


def _read(world: World, key: str, piece: int) -> bytes:
    with world.client.open("bucket", key, timeout=MOST) as file:
        found = b""
        while part := file.read(piece):
            found += part
        return found


def _write(world: World) -> None:
    with world.client.open("bucket", "new", "wb", timeout=MOST) as file:
        for start in range(0, len(LARGE), 3_000_000):
            file.write(LARGE[start : start + 3_000_000])


def _pieces(data: bytes) -> Any:
    return iter([data[start : start + 2_000_000] for start in range(0, len(data), 2_000_000)])


def _delete(world: World, *keys: str) -> None:
    """What is to be deleted is put there by the server itself."""

    def make() -> None:
        store = world.server.store
        bucket = store.buckets["bucket"]
        for key in keys:
            import dataclasses

            source = bucket.objects["small"]
            store.put(bucket, dataclasses.replace(source, key=key, blob=store.share(bucket, source.blob)))

    world.server.run(make)


def _delete_one(world: World) -> None:
    _delete(world, "old")
    world.client.delete("bucket", "old", timeout=MOST)


def _delete_many(world: World) -> Any:
    _delete(world, "old", "old2")
    return world.client.delete_many("bucket", ["old", "old2"], timeout=MOST)


def _async(call: Callable[[Any], Any]) -> Callable[[World], Any]:
    def run(world: World) -> Any:
        async def main() -> Any:
            async with objectfs.AsyncClient(**world.settings) as client:
                return await call(client)

        return asyncio.run(main())

    return run


async def _alist(client: Any) -> list[Any]:
    return [entry async for entry in client.list("bucket", "many/", timeout=MOST)]


GET, PUT, HEAD, LIST = "GetObject", "PutObject", "HeadObject", "ListObjectsV2"
PARTS = {"CreateMultipartUpload": 1, "UploadPart": 3, "CompleteMultipartUpload": 1}
ENTRIES = [(key, len(data)) for key, data in MANY.items()]
RANGES = [(0, 100), (500, 900), (PART, PART + 100)]
CUT = [LARGE[start:end] for start, end in RANGES]
TAGS: dict[str, Any] = {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}

VERBS = [
    Verb("get", lambda w: w.client.get("bucket", "small", timeout=MOST), {GET: 1}, _bytes, SMALL),
    Verb("get-large", lambda w: w.client.get("bucket", "large", timeout=MOST), {GET: 3}, _bytes, LARGE),
    Verb(
        "get-range",
        lambda w: w.client.get("bucket", "large", 100, 5000, timeout=MOST),
        {GET: 1},
        _bytes,
        LARGE[100:5000],
        ranged=True,
    ),
    Verb("get_into", lambda w: _into(w, "small", len(SMALL)), {GET: 1}, _bytes, SMALL),
    Verb("get_into-large", lambda w: _into(w, "large", len(LARGE)), {GET: 3}, _bytes, LARGE),
    Verb("get_file", lambda w: _file(w, "small"), {GET: 1}, file=SMALL),
    Verb("get_file-large", lambda w: _file(w, "large"), {GET: 3}, file=LARGE),
    Verb(
        "get_many",
        lambda w: w.client.get_many("bucket", list(MANY), timeout=MOST),
        {GET: 5},
        _list,
        list(MANY.values()),
    ),
    Verb(
        "get_many-return",
        lambda w: w.client.get_many("bucket", list(MANY), on_error="return", timeout=MOST),
        {GET: 5},
        _list,
        list(MANY.values()),
    ),
    Verb(
        "iter_many",
        lambda w: w.client.iter_many("bucket", list(MANY), ordered=True, timeout=MOST),
        {GET: 5},
        lambda result: [bytes(data) for _, data in result],
        list(MANY.values()),
    ),
    Verb(
        "get_ranges",
        lambda w: w.client.get_ranges("bucket", "large", RANGES, timeout=MOST),
        {GET: 2},
        _list,
        CUT,
        ranged=True,
    ),
    Verb("open-read", lambda w: _read(w, "large", 400_000), {GET: 3}, _bytes, LARGE, ranged=True),
    Verb("open-read-small", lambda w: _read(w, "small", -1), {GET: 1}, _bytes, SMALL, ranged=True),
    Verb(
        "head",
        lambda w: w.client.head("bucket", "small", timeout=MOST),
        {HEAD: 1},
        lambda info: info.size,
        len(SMALL),
    ),
    Verb("exists", lambda w: w.client.exists("bucket", "small", timeout=MOST), {HEAD: 1}, bool, True),
    Verb("list", lambda w: list(w.client.list("bucket", "many/", timeout=MOST)), {LIST: 1}, _entries, ENTRIES),
    Verb(
        "list_versions",
        lambda w: list(w.client.list_versions("bucket", "many/", timeout=MOST)),
        {"ListObjectVersions": 1},
        _entries,
        ENTRIES,
    ),
    Verb(
        "list_buckets",
        lambda w: list(w.client.list_buckets(timeout=MOST)),
        {"ListBuckets": 1},
        lambda found: [bucket.name for bucket in found],
        ["bucket"],
    ),
    Verb("put", lambda w: w.client.put("bucket", "new", SMALL, timeout=MOST), {PUT: 1}, makes="new", data=SMALL),
    Verb(
        "put-if-none-match",
        lambda w: w.client.put("bucket", "new", SMALL, if_none_match="*", timeout=MOST),
        {PUT: 1},
        makes="new",
        data=SMALL,
    ),
    Verb("put-large", lambda w: w.client.put("bucket", "new", LARGE, timeout=MOST), PARTS, makes="new", data=LARGE),
    Verb(
        "put-stream",
        lambda w: w.client.put("bucket", "new", _pieces(LARGE), timeout=MOST),
        PARTS,
        makes="new",
        data=LARGE,
    ),
    Verb(
        "put_file",
        lambda w: w.client.put_file("bucket", "new", w.folder / "small.src", timeout=MOST),
        {PUT: 1},
        makes="new",
        data=SMALL,
    ),
    Verb(
        "put_file-large",
        lambda w: w.client.put_file("bucket", "new", w.folder / "large.src", timeout=MOST),
        PARTS,
        makes="new",
        data=LARGE,
    ),
    Verb(
        "put_many",
        lambda w: w.client.put_many("bucket", {"new": SMALL, "new2": SMALL, "new3": SMALL}, timeout=MOST),
        {PUT: 3},
        makes="new",
        data=SMALL,
    ),
    Verb("open-write", _write, PARTS, makes="new", data=LARGE),
    Verb(
        "copy",
        lambda w: w.client.copy("bucket", "small", "bucket", "new", timeout=MOST),
        {"HeadObject": 1, "CopyObject": 1},
        makes="new",
        data=SMALL,
    ),
    Verb(
        "copy-large",
        lambda w: w.client.copy(
            "bucket", "large", "bucket", "new", multipart_threshold=PART, part_size=PART, timeout=MOST
        ),
        {"HeadObject": 1, "CreateMultipartUpload": 1, "UploadPartCopy": 3, "CompleteMultipartUpload": 1},
        makes="new",
        data=LARGE,
    ),
    Verb("delete", _delete_one, {"DeleteObject": 1}, deletes=("old",)),
    Verb("delete_many", _delete_many, {"DeleteObjects": 1}, dict, {}, deletes=("old", "old2")),
    Verb(
        "call",
        lambda w: w.client.call("GetObjectTagging", Bucket="bucket", Key="small", timeout=MOST),
        {"GetObjectTagging": 1},
        lambda answer: answer.get("TagSet", []),
        [],
    ),
    Verb(
        "call-put",
        lambda w: w.client.call("PutObjectTagging", Bucket="bucket", Key="many/0", timeout=MOST, **TAGS),
        {"PutObjectTagging": 1},
    ),
    Verb(
        "call-get",
        lambda w: w.client.call("GetObject", Bucket="bucket", Key="small", timeout=MOST),
        {GET: 1},
        lambda answer: bytes(answer["Body"].read()) if hasattr(answer["Body"], "read") else bytes(answer["Body"]),
        SMALL,
    ),
    Verb("async-get", _async(lambda c: c.get("bucket", "small", timeout=MOST)), {GET: 1}, _bytes, SMALL),
    Verb(
        "async-get_many",
        _async(lambda c: c.get_many("bucket", list(MANY), timeout=MOST)),
        {GET: 5},
        _list,
        list(MANY.values()),
    ),
    Verb("async-get-large", _async(lambda c: c.get("bucket", "large", timeout=MOST)), {GET: 3}, _bytes, LARGE),
    Verb(
        "async-put-large",
        _async(lambda c: c.put("bucket", "new", LARGE, timeout=MOST)),
        PARTS,
        makes="new",
        data=LARGE,
    ),
    Verb("async-list", _async(_alist), {LIST: 1}, _entries, ENTRIES),
]
