"""What the tasks of an event loop do: the verbs of :class:`objectfs.AsyncClient`, and tasks that are cancelled."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from objectfs.soak.content import WrongBytesError, fill
from objectfs.soak.outcomes import MAY_BE, Failed
from objectfs.soak.stage import DEADLINE, LARGE, PART, Play


async def one(play: Play) -> None:
    """put, head, get, a range, get_into, delete."""
    key, size, client, bucket = play.key(), play.size(), play.aclient, play.bucket
    with play.verb("async put"):
        await client.put(bucket, key, fill(key, size), timeout=DEADLINE)
    with play.verb("async head"):
        await client.head(bucket, key, timeout=DEADLINE)
    with play.verb("async get"):
        play.check(key, size, await client.get(bucket, key, timeout=DEADLINE))
    if size:
        start, end = play.range(size)
        with play.verb("async get range"):
            play.check(key, size, await client.get(bucket, key, start, end, timeout=DEADLINE), start, end)
    buffer = bytearray(size)
    with play.verb("async get_into"):
        await client.get_into(bucket, key, buffer, timeout=DEADLINE)
        play.check(key, size, buffer)
    with play.verb("async delete"):
        await client.delete(bucket, key, timeout=DEADLINE)


async def many(play: Play) -> None:
    """put_many, get_many, iter_many left early, list, delete_many."""
    sizes = {play.key(): play.size() for _ in range(play.random.randint(1, 12))}
    client, bucket = play.aclient, play.bucket
    with play.verb("async put_many"):
        await client.put_many(bucket, {key: fill(key, size) for key, size in sizes.items()}, timeout=DEADLINE)
    with play.verb("async get_many"):
        found = await client.get_many(bucket, list(sizes), timeout=DEADLINE)
        for (key, size), data in zip(sizes.items(), found, strict=True):
            play.check(key, size, data)
    items: Any = client.iter_many(bucket, list(sizes), timeout=DEADLINE)
    with play.verb("async iter_many"):
        async with aclosing(items):
            async for key, data in items:
                play.check(key, sizes[key], data)
                if play.random.random() < 0.2:
                    break
    with play.verb("async list"):
        listed = [entry.key async for entry in client.list(bucket, play.prefix, timeout=DEADLINE)]
        if listed != list(sizes):
            raise WrongBytesError(f"{play.prefix}: {len(listed)} keys and not {len(sizes)}")
    with play.verb("async delete_many"):
        for error in (await client.delete_many(bucket, sizes, timeout=DEADLINE)).values():
            if not isinstance(error, MAY_BE):
                raise error


async def files(play: Play) -> None:
    """put_file, copy, get_file."""
    key, copy, size = play.key(), play.key(), play.random.choice((play.size(), LARGE))
    play.write_file(key, size)
    with play.verb("async put_file"):
        await play.aclient.put_file(play.bucket, key, play.path, timeout=DEADLINE)
    with play.verb("async copy"):
        await play.aclient.copy(
            play.bucket, key, play.bucket, copy, multipart_threshold=PART, part_size=PART, timeout=DEADLINE
        )
    with play.verb("async get_file"):
        await play.aclient.get_file(play.bucket, copy, play.path, timeout=DEADLINE)
        play.check_file(key, size)


async def opened(play: Play) -> None:
    """open() to write and to read."""
    key, size = play.key(), play.random.choice((play.size(), LARGE))
    data = fill(key, size)
    with play.verb("async open wb"):
        async with await play.aclient.open(play.bucket, key, "wb", timeout=DEADLINE) as file:
            for start in range(0, size, 700_001):
                await file.write(data[start : start + 700_001])
    with play.verb("async open rb"):
        async with await play.aclient.open(play.bucket, key, timeout=DEADLINE) as file:
            play.check(key, size, await file.read())


async def cancelled(play: Play) -> None:
    """Tasks that are cancelled at any moment."""

    async def work() -> None:
        key = play.key()
        with play.verb("async put, cancelled", cancelled=True):
            await play.aclient.put(play.bucket, key, fill(key, LARGE), timeout=DEADLINE)
        with play.verb("async get, cancelled", cancelled=True):
            play.check(key, LARGE, await play.aclient.get(play.bucket, key, timeout=DEADLINE))

    task = asyncio.create_task(work())
    await asyncio.sleep(play.random.random() * 0.2)
    task.cancel()
    try:
        await task
    except (Failed, asyncio.CancelledError):  # the second where it had not begun
        if (current := asyncio.current_task()) is not None and current.cancelling():
            raise


ASYNC_SCENES = (one, many, files, opened, cancelled)
