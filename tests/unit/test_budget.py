"""The budget of memory on its own: who gets what, who waits, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from objectfs import errors
from objectfs.backends.base import Op
from objectfs.backends.budget import Budget, Lease
from objectfs.backends.drive import arun, run


class Pending:
    """An operation that ends when a test says so."""

    def __init__(self) -> None:
        self.ended = False

    def done(self) -> bool:
        return self.ended


def moving(budget: Budget, size: int) -> tuple[Lease, Any]:
    """Memory under a request."""
    lease, op = budget.lease("parts"), Pending()
    assert lease.ask(size) is None
    lease.watch(op)  # type: ignore[arg-type]
    return lease, op


def asked(lease: Lease, size: int) -> Iterator[Any]:
    gate = lease.ask(size)
    if gate is not None:
        yield gate


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_what_is_given_back_is_there_for_others() -> None:
    budget = Budget(1000, apart=200)
    a, b = budget.lease("a"), budget.lease("b")
    assert budget.room == 800
    assert a.take(700)
    assert not b.take(1)  # the last eighth is for those who must have something
    assert b.ask(100) is None
    b.force(50)
    assert budget.describe() == {
        "limit": 1000,
        "apart": {"apart": 200},
        "held": 850,
        "held_by": {"a": 700, "b": 150},
        "holders": {"a": 1, "b": 1},
        "waiters": 0,
        "peak": 850,
        "waits": 0,
        "beyond_limit": 1,
    }
    a.give(300)
    assert b.take(100)
    a.close()
    a.close()
    del b
    gc.collect()
    assert (budget.describe()["held"], budget.describe()["holders"]) == (0, {})


def test_those_who_wait_come_in_their_order() -> None:
    budget = Budget(100)
    first, op = moving(budget, 100)
    order: list[int] = []

    def wait(number: int, size: int) -> None:
        lease = budget.lease("x")
        run(asked(lease, size))  # type: ignore[arg-type]
        order.append(number)
        lease.close()

    threads = []
    for number, size in enumerate((95, 10, 50)):  # beside the first there is no room for the second
        threads.append(threading.Thread(target=wait, args=(number, size)))
        threads[-1].start()
        until(lambda n=number: budget.describe()["waiters"] == n + 1)
    assert not budget.lease("y").take(1)
    first.give(20)  # enough for the second, which is not its turn
    assert budget.describe()["waiters"] == 3
    op.ended = True
    first.close()
    for thread in threads:
        thread.join(10)
    assert order[0] == 0
    assert sorted(order) == [0, 1, 2]
    assert budget.describe()["beyond_limit"] == 0


def test_nobody_waits_for_what_a_program_may_keep() -> None:
    """All is held, and no request is under way that would give anything back: the first is let through, soon."""
    budget = Budget(100)
    held = budget.lease("readers")
    held.force(100)
    held.since = 0.0
    lease = budget.lease("x")
    began = time.monotonic()
    run(asked(lease, 40))  # type: ignore[arg-type]
    assert time.monotonic() - began < 5
    assert (lease.held, budget.describe()["held"], budget.describe()["beyond_limit"]) == (40, 140, 1)


def test_a_request_under_way_is_waited_for() -> None:
    budget = Budget(100)
    first, op = moving(budget, 100)
    first.since = 0.0
    lease = budget.lease("x")
    with pytest.raises(errors.TimeoutError):
        run(asked(lease, 1), timeout=0.4)  # type: ignore[arg-type]
    assert (lease.held, budget.describe()["waiters"]) == (0, 0)
    op.ended = True  # and yet nobody gives it back
    first.since = 0.0
    run(asked(lease, 1), timeout=10)  # type: ignore[arg-type]
    assert lease.held == 1


def test_awaited_and_cancelled() -> None:
    budget = Budget(100)

    async def scenario() -> None:
        first, _ = moving(budget, 100)
        one, two = budget.lease("x"), budget.lease("x")
        gone = asyncio.ensure_future(arun(asked(one, 60)))  # type: ignore[arg-type]
        stays = asyncio.ensure_future(arun(asked(two, 60)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert budget.describe()["waiters"] == 2
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert budget.describe()["waiters"] == 1
        threading.Thread(target=first.close).start()
        await asyncio.wait_for(stays, 10)
        assert (one.held, two.held) == (0, 60)

    asyncio.run(scenario())


def test_who_waits_hears_of_the_end() -> None:
    budget = Budget(100)
    first, _ = moving(budget, 100)
    lease = budget.lease("x")
    gate = lease.ask(1)
    assert gate is not None
    budget.close()
    assert gate.wait(10)
    with pytest.raises(errors.ClosedError):
        gate.result()
    with pytest.raises(errors.ClosedError):
        lease.ask(1)
    first.close()
    assert budget.describe()["held"] == 0


def test_ctrl_c_while_waiting() -> None:
    budget = Budget(100)
    _first, _ = moving(budget, 100)
    lease = budget.lease("x")
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run(asked(lease, 1))  # type: ignore[arg-type]
    timer.join()
    assert (lease.held, budget.describe()["waiters"]) == (0, 0)


def test_read_ahead_has_half_and_each_its_share() -> None:
    budget = Budget(800)
    hog, poor = budget.lease("readers"), budget.lease("readers")
    assert budget.share("readers") == 200
    assert hog.take_ahead(300)  # more than its share, while nobody wants it
    assert hog.take_ahead(100)
    assert not hog.take_ahead(1)  # half of the room
    assert not poor.take_ahead(100)
    hog.give(250)
    assert not hog.take_ahead(100)  # it would be above its share again, and one below went without
    assert poor.take_ahead(200)


def test_steps_count_as_under_way() -> None:
    budget = Budget(100)
    op: Any = Pending()

    def inner() -> Iterator[Any]:
        try:
            got = yield op
        except ValueError as error:
            got = error
        return got

    for thrown in (False, True):
        seen: list[Lease] = []

        def make(lease: Lease, seen: list[Lease] = seen) -> Any:
            seen.append(lease)
            return inner()

        steps = budget.lend("files", 10, make)
        assert next(steps) is op
        assert seen[0].ops == [op]
        assert seen[0].moves()
        with pytest.raises(StopIteration) as stop:
            steps.throw(ValueError("x")) if thrown else steps.send(5)
        assert (stop.value.value == 5) is not thrown
        assert budget.describe()["held"] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_gives_nothing_back() -> None:
    budget = Budget(100)
    lease = budget.lease("x")
    lease.force(60)
    budget._lock.acquire()  # as another thread may have it at the fork
    holder: list[Op[Any] | None] = []
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            thread = threading.Thread(target=lambda: (lease.give(10), lease.close()))
            thread.start()
            thread.join(5)
            code = int(thread.is_alive() or lease.held != 60)
            try:
                holder.append(lease.ask(1))
                code = 2
            except errors.ClosedError:
                pass
        finally:
            os._exit(code)
    budget._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert budget.describe()["held"] == 60
