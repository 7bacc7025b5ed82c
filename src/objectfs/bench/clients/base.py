"""What each client of the benchmarks does, and what those of threads and those of asyncio have in common."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from objectfs.bench.content import MIB
from objectfs.bench.scenarios import Item

Bytes = Any
"""An object with a buffer, or a list of them; the path of a file, of clients that know only files; or
:class:`Elsewhere`."""

Note = Callable[[float], None]
"""Takes the seconds that one object or request took."""

THREADS = 16
PART = 8 * MIB


@dataclass(frozen=True, slots=True)
class Target:
    """The server, and what a client has to know for it. ``client`` is the name that the client was asked for by,
    ``folder`` is where files may be. ``signed``: requests without a signature are refused."""

    client: str
    endpoint: str
    region: str
    access_key: str
    secret_key: str
    bucket: str
    session_token: str | None = None
    ca_file: str | None = None
    folder: str = "."
    path_style: bool = True
    signed: bool = False

    @property
    def tls(self) -> bool:
        return self.endpoint.startswith("https:")


class Elsewhere:
    """What was read is in the memory of a program that has checked it there; its length is known here."""

    def __init__(self, size: int) -> None:
        self.size = size


class Missing(Exception):
    """The client has no way to do this; the text says why."""


class Client(Protocol):
    """One way to talk to S3. Keys are whole, ``bucket`` says where. What is returned is checked after the clock has
    stopped. ``concurrency`` is how many objects it works on at a time where there are many, None where that is its own
    affair. A method that the client has no means for raises :class:`Missing`."""

    concurrency: int | None
    checking: bool
    """Set for the first run, in which programs of their own check the content of what they read."""

    def get(self, bucket: str, item: Item) -> Bytes:
        """A whole object in memory."""

    def get_file(self, bucket: str, item: Item, path: str) -> None: ...

    def put(self, bucket: str, item: Item, data: bytes) -> None: ...

    def put_file(self, bucket: str, item: Item, path: str) -> None: ...

    def get_many(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        """Whole objects, all kept, as many at a time as is good for the client."""

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        """Ranges of one object, likewise."""

    def mixed(self, read: str, write: str, items: Sequence[Item], data: Sequence[bytes], note: Note) -> Sequence[Bytes]:
        """Reads from one bucket and writes to another, likewise. Returns what was read, in the order of the items;
        ``data`` is what is written, likewise."""

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        """A stream of the object: its first byte, and how to close it."""

    def list(self, bucket: str, prefix: str) -> int:
        """The number of keys below."""

    def upload_tree(self, bucket: str, prefix: str, folder: str) -> None:
        """All files below a folder, under their relative paths. The prefix ends in a slash."""

    def download_tree(self, bucket: str, prefix: str, folder: str) -> None: ...

    def close(self) -> None: ...


class Base:
    """A client that can do nothing yet."""

    concurrency: int | None = None
    checking = False
    missing = "it has no such call"

    def get(self, bucket: str, item: Item) -> Bytes:
        raise Missing(self.missing)

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        raise Missing(self.missing)

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        raise Missing(self.missing)

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        raise Missing(self.missing)

    def get_many(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        raise Missing(self.missing)

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        raise Missing(self.missing)

    def mixed(self, read: str, write: str, items: Sequence[Item], data: Sequence[bytes], note: Note) -> Sequence[Bytes]:
        raise Missing(self.missing)

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        raise Missing(self.missing)

    def list(self, bucket: str, prefix: str) -> int:
        raise Missing(self.missing)

    def upload_tree(self, bucket: str, prefix: str, folder: str) -> None:
        raise Missing(self.missing)

    def download_tree(self, bucket: str, prefix: str, folder: str) -> None:
        raise Missing(self.missing)

    def close(self) -> None:
        pass


class Threaded(Base):
    """Blocking calls, in threads where there are many objects."""

    concurrency: int | None = THREADS

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.concurrency or THREADS)

    def get_range(self, bucket: str, item: Item) -> Bytes:
        raise Missing(self.missing)

    def keys(self, bucket: str, prefix: str) -> Sequence[tuple[str, int]]:
        """Keys and sizes of the objects below."""
        raise Missing(self.missing)

    def each(self, work: Callable[[int], Any], count: int, note: Note) -> Sequence[Any]:
        def timed(index: int) -> Any:
            start = time.perf_counter()
            result = work(index)
            note(time.perf_counter() - start)
            return result

        return list(self._pool.map(timed, range(count)))

    def get_many(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        return self.each(lambda index: self.get(bucket, items[index]), len(items), note)

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        return self.each(lambda index: self.get_range(bucket, items[index]), len(items), note)

    def mixed(self, read: str, write: str, items: Sequence[Item], data: Sequence[bytes], note: Note) -> Sequence[Bytes]:
        bodies = iter(data)
        queue = [(item, next(bodies) if item.put else b"") for item in items]

        def work(index: int) -> Bytes | None:
            item, body = queue[index]
            if item.put:
                self.put(write, item, body)
                return None
            return self.get(read, item)

        results = self.each(work, len(queue), note)
        return [result for result, item in zip(results, items, strict=True) if not item.put]

    def list(self, bucket: str, prefix: str) -> int:
        return len(self.keys(bucket, prefix))

    def upload_tree(self, bucket: str, prefix: str, folder: str) -> None:
        found = files(folder)
        self.each(
            lambda index: self.put_file(
                bucket, Item(prefix + found[index][0], found[index][1]), os.path.join(folder, found[index][0])
            ),
            len(found),
            ignore,
        )

    def download_tree(self, bucket: str, prefix: str, folder: str) -> None:
        found = self.keys(bucket, prefix)
        paths = [local_path(folder, key, prefix) for key, _ in found]
        self.each(lambda index: self.get_file(bucket, Item(*found[index]), paths[index]), len(found), ignore)

    def close(self) -> None:
        self._pool.shutdown()


class Looped(Base):
    """Coroutines, on one loop that lives as long as the client, so that connections are kept from run to run."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    async def aget(self, bucket: str, item: Item) -> Bytes:
        raise Missing(self.missing)

    async def aput(self, bucket: str, item: Item, data: bytes) -> None:
        raise Missing(self.missing)

    async def aget_range(self, bucket: str, item: Item) -> Bytes:
        raise Missing(self.missing)

    def together(self, works: Sequence[Callable[[], Coroutine[Any, Any, Any]]], note: Note) -> Sequence[Any]:
        async def all_of_them() -> Sequence[Any]:
            limit = asyncio.Semaphore(self.concurrency or len(works) or 1)

            async def timed(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
                async with limit:
                    start = time.perf_counter()
                    result = await work()
                    note(time.perf_counter() - start)
                    return result

            return await asyncio.gather(*map(timed, works))

        found: Sequence[Any] = self.run(all_of_them())
        return found

    def get_many(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        return self.together([partial(self.aget, bucket, item) for item in items], note)

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        return self.together([partial(self.aget_range, bucket, item) for item in items], note)

    def mixed(self, read: str, write: str, items: Sequence[Item], data: Sequence[bytes], note: Note) -> Sequence[Bytes]:
        bodies = iter(data)

        def work(item: Item) -> Callable[[], Coroutine[Any, Any, Any]]:
            if item.put:
                return partial(self.aput, write, item, next(bodies))
            return partial(self.aget, read, item)

        results = self.together([work(item) for item in items], note)
        return [result for result, item in zip(results, items, strict=True) if not item.put]

    def close(self) -> None:
        self._runner.close()


def ignore(seconds: float) -> None:
    """For calls whose latencies are nobody's business."""


def files(folder: str) -> Sequence[tuple[str, int]]:
    """Relative paths and sizes of all files below."""
    found = []
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            found.append((os.path.relpath(path, folder).replace(os.sep, "/"), os.path.getsize(path)))
    return sorted(found)


def local_path(folder: str, key: str, prefix: str) -> str:
    """Where an object of a tree goes; the folder is made."""
    path = os.path.join(folder, *key.removeprefix(prefix).split("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path
