"""Operations on asyncio loops."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable

import pytest

from objectfs import errors
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.crt_watch import _Watcher
from objectfs.backends.drive import arun, run
from objectfs.sim import S3Server
from objectfs.sim.network.faults import Fault


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def test_a_cancelled_task_cancels_the_transfer(crt: CrtBackend, sim: S3Server) -> None:
    fault = sim.faults.add(Fault(stall=True, times=None))
    buffer = bytearray(10)

    async def main() -> None:
        task = asyncio.create_task(arun(crt.get_into("bucket", "key", buffer, GetOptions())))
        await until(lambda: fault.hits)
        task.cancel()
        started = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 1
        assert crt.stats()["operations_in_flight"] == 0

    asyncio.run(main())
    buffer += b"resizable"


def test_a_task_cancelled_twice(crt: CrtBackend, sim: S3Server) -> None:
    fault = sim.faults.add(Fault(stall=True, times=None))
    buffer = bytearray(10)

    async def main() -> None:
        task = asyncio.create_task(arun(crt.get_into("bucket", "key", buffer, GetOptions())))
        await until(lambda: fault.hits)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not crt.stats()["operations_in_flight"])

    asyncio.run(main())
    buffer += b"resizable"


def test_a_timeout(crt: CrtBackend, sim: S3Server) -> None:
    sim.faults.add(Fault(stall=True, times=None))

    async def main() -> None:
        with pytest.raises(errors.TimeoutError):
            await arun(crt.get("bucket", "key", GetOptions()), timeout=0.05)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(arun(crt.get("bucket", "key", GetOptions())), 0.05)
        assert crt.stats()["operations_in_flight"] == 0

    asyncio.run(main())


def test_many_operations_on_one_loop(crt: CrtBackend) -> None:
    async def main() -> None:
        datas = {f"key{i}": bytes([i % 256]) * i for i in range(1000)}
        await asyncio.gather(*(arun(crt.put("bucket", key, data, PutOptions())) for key, data in datas.items()))
        found = await asyncio.gather(*(arun(crt.get("bucket", key, GetOptions())) for key in datas))
        assert [bytes(item) for item in found] == list(datas.values())
        many = await arun(crt.get_many("bucket", list(datas), "raise", GetOptions()))
        assert [bytes(item) for item in many] == list(datas.values())

    asyncio.run(main())


def test_two_loops_at_once(crt: CrtBackend) -> None:
    failures: list[BaseException] = []

    async def main(name: str) -> None:
        for i in range(50):
            data = f"{name}{i}".encode()
            await arun(crt.put("bucket", name, data, PutOptions()))
            assert bytes(await arun(crt.get("bucket", name, GetOptions()))) == data

    def thread(name: str) -> None:
        try:
            asyncio.run(main(name))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=thread, args=(name,)) for name in ("one", "two")]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
        assert not each.is_alive()
    assert failures == []


def test_loops_one_after_the_other(crt: CrtBackend) -> None:
    for i in range(20):
        asyncio.run(arun(crt.put("bucket", "key", bytes(i), PutOptions())))
    gc.collect()
    assert bytes(run(crt.get("bucket", "key", GetOptions()))) == bytes(19)


def test_a_loop_that_closes_early(crt: CrtBackend, sim: S3Server) -> None:
    gate = threading.Event()
    fault = sim.faults.add(Fault(hold=gate, times=None))
    loop = asyncio.new_event_loop()
    op = next(crt.get("bucket", "key", GetOptions()))
    future = loop.run_until_complete(_future(op, loop))
    loop.run_until_complete(until(lambda: fault.hits))
    loop.close()
    gate.set()
    assert op.wait(5)
    assert not future.done()
    del future
    sim.faults.clear()
    with pytest.raises(errors.NotFoundError):
        asyncio.run(arun(crt.get("bucket", "key", GetOptions())))


async def _future(op: object, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    return op.future(loop)  # type: ignore[attr-defined, no-any-return]


def test_a_dropped_coroutine_lets_go(crt: CrtBackend, sim: S3Server) -> None:
    """Also one that is in the middle of an upload in parts, whose clean-up would want to wait."""
    fault = sim.faults.add(Fault(operation="UploadPart", stall=True, times=None))

    async def main() -> None:
        coroutine = arun(crt.put("bucket", "key", bytes(40 << 20), PutOptions()))
        future = coroutine.send(None)
        while not fault.hits:  # drive it by hand
            await until(lambda future=future: fault.hits or future.done())
            if future.done():
                future = coroutine.send(None)
        coroutine.close()
        await until(lambda: not crt.stats()["operations_in_flight"])

    asyncio.run(main())


def test_close_while_tasks_wait(crt: CrtBackend, sim: S3Server) -> None:
    fault = sim.faults.add(Fault(stall=True, times=None))

    async def main() -> None:
        tasks = [asyncio.create_task(arun(crt.get("bucket", "key", GetOptions()))) for _ in range(5)]
        await until(lambda: fault.hits == 5)
        crt.close()
        done, pending = await asyncio.wait(tasks, timeout=5)
        assert not pending
        assert {type(task.exception()) for task in done} == {errors.CancelledError}

    asyncio.run(main())


def test_a_watcher_that_nobody_has_kept_leaves_the_loop_as_it_was(crt: CrtBackend) -> None:
    """Ctrl-C between its making and its keeping: the next one has the same descriptors, and is heard."""

    async def main() -> None:
        _Watcher(crt.target("bucket").engine, asyncio.get_running_loop())
        await asyncio.wait_for(arun(crt.put("bucket", "k", b"content", PutOptions())), 10)

    asyncio.run(main())
