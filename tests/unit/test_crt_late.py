"""From when on an answer counts as late: backends/crt_late.py."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from objectfs.backends import crt_late
from objectfs.backends.crt_late import JUDGED, KNOWN, LONGEST_PAUSE, PAUSE, START, UNPAID, Lateness
from objectfs.backends.crt_waits import LATER, late
from objectfs.telemetry import BUCKETS, bucket


def waits(*seconds: float) -> list[int]:
    counts = [0] * BUCKETS
    for wait in seconds:
        counts[bucket(round(wait * 1e9))] += 1
    return counts


def s3(count: int, seed: int = 1) -> list[float]:
    """Log-normal, 30 ms in the median and 300 in the 99th percentile."""
    rng = random.Random(seed)
    return [rng.lognormvariate(-3.5, 0.99) for _ in range(count)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(crt_late.time, "monotonic", lambda: now.seconds)
    return now


class Engine:
    network: Any

    def __init__(self, counts: list[int]) -> None:
        self.waits = counts
        self.hedged = (0, 0)
        self.slowed = 0
        self.measured_again = 0

    @property
    def pace(self) -> tuple[int, ...]:
        return (0, 0, 0, 0, self.slowed)

    def forget_waits(self) -> None:
        self.waits = [0] * BUCKETS

    def forget_first_waits(self) -> None:
        self.measured_again += 1


def lateness(
    counts: list[int], *, wanted: bool = True, far: bool = True, near: bool = False, **network: float
) -> tuple[Lateness, Any]:
    engine = Engine(counts)
    told = SimpleNamespace(far=far, near=near, **{"slowness": 0.0, "latency": 0.0, "connecting": 0.0, **network})
    told.forget_connecting = lambda: setattr(told, "connecting", 0.0)
    engine.network = told
    return Lateness(engine, wanted, told), engine


def test_every_fourth_answer_of_s3_is_late() -> None:
    drawn = s3(4000)
    after = late(waits(*drawn))
    assert 0.2 < sum(wait > after for wait in drawn) / len(drawn) < 0.3


def test_and_three_of_five_where_an_object_waits_for_some() -> None:
    drawn = s3(4000)
    after = late(waits(*drawn), one_of_few=True)
    assert 0.5 < sum(wait > after for wait in drawn) / len(drawn) < 0.7


@pytest.mark.parametrize("usual", [0.006, 0.08, 0.15])
def test_where_answers_come_evenly_none_is(usual: float) -> None:
    drawn = [usual * random.Random(i).uniform(0.95, 1.05) for i in range(500)]
    assert late(waits(*drawn)) > max(drawn)
    assert late(waits(*drawn), one_of_few=True) > max(drawn)


def test_from_near_none_is() -> None:
    near = waits(*[0.0002] * 90, *[0.3] * 10)
    assert late(near) == late(near, one_of_few=True) == 0


@pytest.mark.usefixtures("clock")
def test_where_answers_wait_for_each_other_none_is() -> None:
    found, _ = lateness(waits(*s3(100)), near=True)
    assert found.after() == 0
    assert not found.far


@pytest.mark.usefixtures("clock")
def test_before_anybody_knows() -> None:
    few = waits(*[0.03] * (KNOWN - 1))
    assert lateness(few)[0].after() == lateness(few)[0].after(one_of_few=True) == START
    known, _ = lateness(waits(*s3(KNOWN)))
    assert 0 < known.after(one_of_few=True) < known.after()
    assert lateness(few, far=False)[0].after() == 0
    assert 0 < lateness(waits(*[0.03] * KNOWN), far=False)[0].after() < START


@pytest.mark.usefixtures("clock")
def test_what_another_process_has_told_of_first_bytes() -> None:
    """From another continent everything would be late after what S3 takes from near."""
    assert lateness(waits(), latency=0.03)[0].after() == START
    assert lateness(waits(), latency=0.19)[0].after() == pytest.approx(0.19 * LATER)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("connecting", "pays"), [(0.005, True), (0.27, False)])
def test_not_where_a_new_connection_takes_too_long(connecting: float, pays: bool) -> None:
    found, _ = lateness(waits(*s3(100)), connecting=connecting)
    assert (found.after() > 0) == pays
    assert found.far  # which is worth knowing all the same


def test_what_a_new_connection_costs_is_measured_again(clock: SimpleNamespace) -> None:
    """It may have been the resolver that took so long. If not, it is asked more and more seldom."""
    found, engine = lateness(waits(*s3(100)), connecting=0.27)
    pauses = []
    for again in range(1, 8):
        began = clock.seconds
        while not found.after():
            assert engine.measured_again == again - 1
            clock.seconds += 1
        assert engine.measured_again == again
        pauses.append(clock.seconds - began)
        clock.seconds += 1
        assert found.after() > 0  # nobody knows
        engine.network.connecting = 0.27
        clock.seconds += 1
    assert pauses[:2] == [pytest.approx(PAUSE, abs=2), pytest.approx(2 * PAUSE, abs=2)]
    assert max(pauses) == pytest.approx(LONGEST_PAUSE, abs=2)


@pytest.mark.usefixtures("clock")
def test_not_wanted() -> None:
    found, _ = lateness(waits(*s3(100)), wanted=False)
    assert found.after() == 0
    assert found.far  # which is worth knowing all the same


@pytest.mark.usefixtures("clock")
def test_what_is_long_is_not_late() -> None:
    found, _ = lateness(waits(*s3(100)), slowness=1e-8)
    assert found.after(8_000_000) == pytest.approx(found.after() + 0.08)
    assert lateness(waits(), far=False, slowness=1e-8)[0].after(8_000_000) == 0


def test_not_after_slow_down(clock: SimpleNamespace) -> None:
    found, engine = lateness(waits(*s3(100)))
    assert found.after() > 0
    engine.slowed = 1
    clock.seconds += 1
    assert found.after() == 0
    clock.seconds += PAUSE - 1
    assert found.after() == 0
    clock.seconds += 2
    assert found.after() > 0


def test_a_burst_of_slow_down_is_one(clock: SimpleNamespace) -> None:
    """Not one pause for each time that somebody looks while it lasts, each twice as long."""
    found, engine = lateness(waits(*s3(100)))
    began = clock.seconds
    for _ in range(20):
        engine.slowed += 1
        clock.seconds += 0.2
        assert found.after() == 0
    while not found.after():
        clock.seconds += 1
    assert clock.seconds - began == pytest.approx(PAUSE, abs=2)


def test_not_where_it_does_not_pay(clock: SimpleNamespace) -> None:
    """A server that is slow with everything does not become faster by more requests."""
    found, engine = lateness(waits(*s3(100)))
    pauses = []
    for _ in range(10):
        engine.hedged = (engine.hedged[0] + JUDGED, engine.hedged[1] + 2)
        clock.seconds += 1
        began = clock.seconds
        assert found.after() == 0
        while not found.after():
            clock.seconds += 1
        pauses.append(clock.seconds - began)
    assert pauses[0] == pytest.approx(UNPAID, abs=2)
    assert pauses[1] == pytest.approx(2 * UNPAID, abs=2)
    assert max(pauses) == pytest.approx(LONGEST_PAUSE, abs=2)
    engine.hedged = (engine.hedged[0] + JUDGED, engine.hedged[1] + JUDGED // 2)  # it pays again
    clock.seconds += 1
    assert found.after() > 0
    engine.hedged = (engine.hedged[0] + JUDGED, engine.hedged[1])
    clock.seconds += 1
    assert found.after() == 0
    clock.seconds += UNPAID + 2
    assert found.after() > 0


def test_what_was_known_before_a_busy_transfer_holds_on(clock: SimpleNamespace) -> None:
    """It says nothing of the network, and does not change it."""
    found, engine = lateness(waits(*s3(200)))
    before = found.after(), found.after(one_of_few=True)
    assert 0 < before[1] < before[0] < START
    found.transferred(busy=True)
    assert sum(engine.waits) == 0
    assert (found.after(), found.after(one_of_few=True)) == before
    engine.waits = waits(*[3 * wait for wait in s3(200)])
    clock.seconds += 1
    assert found.after() > START


def test_not_while_the_processor_is_the_limit(clock: SimpleNamespace) -> None:
    found, engine = lateness(waits(*[0.5] * 100))
    found.transferred(busy=True)  # a process's first one: new connections, new memory
    assert sum(engine.waits) == 0
    assert found.after() == START
    found.transferred(busy=True)
    assert found.after() == 0
    found.transferred(busy=False)
    assert found.after() == START
