"""One client on a hundred threads, and async clients on several event loops at once: every byte is compared."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import objectfs
from objectfs.sim import S3Server

from .conftest import Make
from .support import MiB, ramp

THREADS = 100
LONG = 240


def together(count: int, work: Callable[[int], None]) -> None:
    """Run it on so many threads, which begin at the same time; what one of them raises is raised."""
    start = threading.Barrier(count)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait(LONG)
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


def test_a_hundred_threads(connect: Make, tmp_path: Path) -> None:
    client = connect(part_size=5 * MiB, max_attempts=3)
    shared = {f"shared/{number}": ramp(1000 + number, number) for number in range(10)}
    client.put_many("bucket", shared)
    large = ramp(6 * MiB)
    client.put("bucket", "large", large)

    def get_large(number: int) -> None:
        assert bytes(client.get("bucket", "large")) == large

    def get_into(number: int) -> None:
        target = bytearray(len(large))
        assert client.get_into("bucket", "large", target) == len(large)
        assert target == large

    def put_large(number: int) -> None:
        content = ramp(6 * MiB, number)
        client.put("bucket", f"large/{number}", content)
        assert bytes(client.get("bucket", f"large/{number}")) == content

    def files(number: int) -> None:
        path = tmp_path / str(number)
        client.get_file("bucket", f"shared/{number % 10}", path)
        assert path.read_bytes() == shared[f"shared/{number % 10}"]
        client.put_file("bucket", f"file/{number}", path)
        assert client.head("bucket", f"file/{number}").size == path.stat().st_size

    def many(number: int) -> None:
        assert dict(zip(shared, map(bytes, client.get_many("bucket", list(shared))), strict=True)) == shared

    def some(number: int) -> None:
        for key, answer in client.iter_many("bucket", list(shared)):
            assert bytes(answer) == shared[key]

    def opened(number: int) -> None:
        with client.open("bucket", f"opened/{number}", "wb") as file:
            file.write(ramp(2000, number))
        with client.open("bucket", f"opened/{number}", "rb") as file:
            assert file.read() == ramp(2000, number)

    def ranges(number: int) -> None:
        first, second = client.get_ranges("bucket", "large", [(number, number + 100), (3 * MiB, 3 * MiB + number + 1)])
        assert bytes(first) == large[number : number + 100]
        assert bytes(second) == large[3 * MiB : 3 * MiB + number + 1]

    mixed = (files, many, ranges, opened, some, files, many, ranges, opened, get_large, get_into, put_large)

    def work(number: int) -> None:
        own, content = f"own/{number:03}", ramp(500 + number, number)
        client.put("bucket", own, content)
        mixed[number % len(mixed)](number)
        assert bytes(client.get("bucket", own)) == content
        assert [entry.key for entry in client.list("bucket", own)] == [own]
        client.delete("bucket", own)
        assert not client.exists("bucket", own)

    together(THREADS, work)
    assert len(list(client.list("bucket", "own/"))) == 0
    assert len(list(client.list("bucket", "opened/"))) == len([n for n in range(THREADS) if n % len(mixed) in (3, 8)])
    stats = client.stats()
    assert (stats["budget"]["held"], stats["budget"]["waiters"]) == (0, 0)


def settings(sim: S3Server, backend: str) -> dict[str, Any]:
    return {
        "endpoint_url": sim.endpoint_url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "backend": backend,
        "part_size": 5 * MiB,
    }


async def use(client: objectfs.AsyncClient, name: str, seed: int) -> None:
    """Several verbs at once on the loop that runs."""
    small, large = ramp(3000, seed), ramp(6 * MiB, seed)
    await asyncio.gather(*(client.put("bucket", f"{name}/{index}", small) for index in range(10)))
    await client.put("bucket", f"{name}/large", large)
    keys = [f"{name}/{index}" for index in range(10)]
    one, many, whole = await asyncio.gather(
        client.get("bucket", keys[3]), client.get_many("bucket", keys), client.get("bucket", f"{name}/large")
    )
    assert bytes(one) == small
    assert [bytes(each) for each in many] == [small] * 10
    assert bytes(whole) == large
    assert [entry.key async for entry in client.list("bucket", f"{name}/")] == [*keys, f"{name}/large"]


def test_several_loops_at_once(sim: S3Server, backend: str) -> None:
    """Each thread has a loop, which has a client of its own and uses one that all of them use."""
    shared = objectfs.AsyncClient(**settings(sim, backend))

    async def main(number: int) -> None:
        async with objectfs.AsyncClient(**settings(sim, backend)) as own:
            await asyncio.gather(use(own, f"own{number}", number), use(shared, f"shared{number}", number + 100))

    together(4, lambda number: asyncio.run(main(number)))
    asyncio.run(use(shared, "another", 1))
    shared.close()


def test_a_file_goes_from_loop_to_loop(sim: S3Server, backend: str) -> None:
    """One after the other: what one loop has begun to read ahead, another takes."""
    content = ramp(12 * MiB)
    client = objectfs.AsyncClient(**settings(sim, backend))

    async def begin() -> Any:
        await client.put("bucket", "k", content)
        file = await client.open("bucket", "k", "rb")
        return file, await file.read(MiB), await file.read(3 * MiB)

    file, first, second = asyncio.run(begin())

    async def go_on() -> bytes:
        async with file:
            return bytes(await file.read())

    assert first + second + asyncio.run(go_on()) == content
    listing = client.list("bucket")
    assert asyncio.run(anext(listing)).key == "k"
    client.close()
