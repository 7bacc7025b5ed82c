"""How many requests of a batch are under way: wide where latency rules, narrow where that costs nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from objectfs import _native
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import run
from objectfs.sim import Fault, S3Server


def latency(seconds: float, most: float = 1e9) -> Callable[[int], float]:
    """Requests per second of a server that answers after ``seconds``, and does at most ``most`` a second."""
    return lambda width: min(width / seconds, most)


def noisy(rate: Callable[[int], float], spread: float, seed: int) -> Callable[[int], float]:
    """The same as a busy machine shows it."""
    chance = random.Random(seed)
    return lambda width: rate(width) * chance.uniform(1 - spread, 1 + spread)


def share(widths: list[tuple[int, int]], wanted: Callable[[int], bool]) -> float:
    """Of the requests, how many ended under such a width."""
    return sum(count for width, count in widths if wanted(width)) / sum(count for _, count in widths)


def test_narrow_where_the_machine_is_the_limit() -> None:
    widths = _native.debug_window(256, 2_000, latency(0.0002, 15_000))
    assert widths[0][0] == 256
    assert widths[-1][0] == 32


@pytest.mark.parametrize("seed", range(20))
def test_narrow_in_spite_of_noise(seed: int) -> None:
    widths = _native.debug_window(256, 100_000, noisy(latency(0.0002, 15_000), 0.12, seed))
    assert share(widths, lambda width: width <= 64) > 0.8


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("spread", [0.0, 0.12])
def test_wide_where_latency_is(seed: int, spread: float) -> None:
    widths = _native.debug_window(256, 100_000, noisy(latency(0.03), spread, seed))
    assert share(widths, lambda width: width == 256) > 0.7
    assert share(widths, lambda width: width < 128) < 0.02


def test_what_does_not_pay_is_tried_less_and_less_often() -> None:
    widths = _native.debug_window(256, 100_000, latency(0.03))
    assert [width for width, _ in widths[:8]].count(128) == 2, "it is tried"
    assert share(widths, lambda width: width == 256) > 0.97, "latency alone rules"
    somewhat = _native.debug_window(256, 100_000, lambda width: {256: 10_000, 128: 8_000}.get(width, 4_000))
    tries = [at for at, (width, _) in enumerate(somewhat) if width < 256]
    pauses = [after - before for before, after in pairwise(tries) if after - before > 1]
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 4 * pauses[0]


def test_a_try_that_the_batch_did_not_outlast_has_shown_nothing() -> None:
    """The next batch may get the same memory: it took the try for one of its own, which had paid."""

    def rate(width: int) -> float:
        return {256: 10_000, 128: 7_500}.get(width, 4_000)

    alone = _native.debug_window(256, 100_000, rate)
    tries = [at for at, (width, _) in enumerate(alone) if width < 256]
    second = next(at for at in tries if at - 1 not in tries and at > tries[0])
    cut = sum(count for _, count in alone[: second + 1])  # it ends when the second try has just begun
    after = _native.debug_window(256, cut, rate, 2)
    assert after[-1][0] == 256, "none so soon after one that has failed"


def test_parts_of_a_transfer_say_nothing_of_small_requests() -> None:
    """After an upload of 10 GiB, batches from far away had a width of 32 for the rest of the engine's life."""
    widths = _native.debug_window(256, 100_000, latency(0.03), parts=1_280)
    assert share(widths, lambda width: width == 256) > 0.7


@pytest.mark.parametrize(("seconds", "most"), [(0.005, 15_000), (0.01, 10_000), (0.03, 3_000)])
def test_no_wider_than_it_helps(seconds: float, most: float) -> None:
    rate = latency(seconds, most)
    widths = _native.debug_window(256, 100_000, rate)
    settled = max({width for width, _ in widths}, key=lambda width: share(widths, lambda other: other == width))
    assert rate(settled) >= 0.8 * most
    assert settled <= 2 * seconds * most


def test_widens_when_times_change() -> None:
    calls = iter(range(10**9))
    fast, slow = latency(0.0002, 15_000), latency(0.03)
    widths = _native.debug_window(256, 100_000, lambda width: (fast if next(calls) < 40 else slow)(width))
    assert widths[39][0] == 32
    assert 256 in [width for width, _ in widths[40:50]]
    assert share(widths[40:], lambda width: width == 256) > 0.7


@pytest.mark.parametrize("window", [1, 2, 31, 32])
def test_a_small_window_stays(window: int) -> None:
    assert _native.debug_window(window, 10_000, latency(0.0002, 15_000)) == []


def test_a_batch_with_latency_stays_wide(crt: CrtBackend, sim: S3Server) -> None:
    """Over sockets: 1,500 objects, 30 ms each."""
    keys = [f"k{number}" for number in range(1500)]
    run(crt.put_many("bucket", {key: key.encode() for key in keys}, PutOptions()))
    assert crt.target("bucket").engine.width <= 256
    slow = CrtBackend(crt.session, crt.config)
    try:
        sim.faults.add(Fault("GetObject", times=None, delay=0.03))
        found = run(slow.get_many("bucket", keys, "raise", GetOptions()))
        assert [bytes(item) for item in found] == [key.encode() for key in keys]
        assert slow.target("bucket").engine.width in (0, 128, 256)
    finally:
        slow.close()


def test_the_next_batch_starts_with_what_was_found(crt: CrtBackend) -> None:
    run(crt.put("bucket", "k", b"x", PutOptions()))
    engine = crt.target("bucket").engine
    assert engine.width == 0
    for _ in range(10):  # a machine with other things to do may make up its mind late
        assert len(run(crt.get_many("bucket", ["k"] * 3000, "raise", GetOptions()))) == 3000
        if engine.width:
            break
    assert 32 <= engine.width <= 256
    assert bytes(run(crt.get("bucket", "k", GetOptions()))) == b"x"


def test_large_downloads_go_past_the_caches(crt: CrtBackend) -> None:
    """The linker sent the C library's copies to ours: a silent failure of that would only cost time."""
    before = _native.debug_streamed_bytes()
    if before is None:
        pytest.skip("the C library is linked shared, or this is no x86-64 ELF system")
    data = bytes(range(251)) * 100_000
    run(crt.put("bucket", "k", data, PutOptions()))
    target = bytearray(len(data) + 3)
    for offset in (0, 1, 3):  # aligned or not
        view = memoryview(target)[offset : offset + len(data)]
        assert run(crt.get_into("bucket", "k", view, GetOptions())) == len(data)
        assert bytes(view) == data
    after = _native.debug_streamed_bytes()
    assert after is not None
    assert after - before > len(data)


def test_the_size_of_messages_is_in_force(make: Callable[..., CrtBackend]) -> None:
    """Read back from the library: an assignment in Cython can make a local name without a word."""
    plain = make()
    plain.target("bucket")
    assert _native.debug_fragment_size() == 512 * 1024
    with S3Server(tls=True) as server:
        secure = make(server.endpoint_url, verify=str(server.ca_file))
        secure.target("bucket")
        assert _native.debug_fragment_size() == 512 * 1024  # the first one decided
        plain.close()
        secure.close()
        secure = make(server.endpoint_url, verify=str(server.ca_file))
        run(secure.put("bucket", "k", bytes(20 << 20), PutOptions()))
        assert _native.debug_fragment_size() == 64 * 1024
        assert bytes(run(secure.get("bucket", "k", GetOptions()))) == bytes(20 << 20)


@pytest.mark.parametrize(("window", "narrow"), [(256, 128), (256, 32), (64, 32), (32, 256), (1, 1), (3, 2)])
def test_who_waits_sleeps_until_there_is_room(window: int, narrow: int) -> None:
    """More may be under way than a window that has just become narrow allows. Who waits was then told to look again at
    once, and did so until the next request ended, with the processor that it needed to end."""
    feeds, spins = _native.debug_feeds(window, narrow, 4000)
    assert spins == 0
    assert feeds <= 4 * 4000 / min(window, narrow) + 4  # a quarter of a window at a time, before a rate is known
