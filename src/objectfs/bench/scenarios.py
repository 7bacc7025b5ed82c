"""What is measured: each scenario as the objects that must be there and the work that a client has to do.

A plan depends on the scale and the seed only, so that the programs that run, serve and verify it make it each for
themselves.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from objectfs.bench.content import GIB, KIB, MIB


@dataclass(frozen=True, slots=True)
class Item:
    """An object, or with ``start`` a range of it. ``put`` is for the mixed scenario: it is written, not read."""

    key: str
    size: int
    start: int | None = None
    put: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of one run. ``sources`` are objects that must be there; ``items`` the work, keys of what is written
    included. ``bytes`` is the content that is moved. ``prefix`` is above the keys of a listing or a tree."""

    sources: tuple[Item, ...]
    items: tuple[Item, ...]
    bytes: int
    prefix: str = ""

    @property
    def uploads(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.put)


@dataclass(frozen=True, slots=True)
class Scenario:
    """``verb`` is the method of a client that does it: :class:`objectfs.bench.clients.Client`."""

    name: str
    title: str
    verb: str
    plan: Callable[[float, int], Plan]


def _scaled(value: int, scale: float, least: int = 1) -> int:
    return max(least, round(value * scale))


def _large(scale: float) -> Item:
    size = _scaled(GIB, scale, 64 * KIB)
    return Item(f"large-{size}", size)


def _large_down(scale: float, seed: int) -> Plan:
    item = _large(scale)
    return Plan((item,), (item,), item.size)


def _large_up(scale: float, seed: int) -> Plan:
    item = Item("large", _large(scale).size, put=True)
    return Plan((), (item,), item.size)


_MEDIUM = (10, 20, 40, 60, 80, 100)


def _medium_down(scale: float, seed: int) -> Plan:
    items = tuple(Item(f"medium/{mib}", _scaled(mib * MIB, scale, 64 * KIB)) for mib in _MEDIUM)
    return Plan(items, items, sum(item.size for item in items))


def _medium_up(scale: float, seed: int) -> Plan:
    items = tuple(Item(item.key, item.size, put=True) for item in _medium_down(scale, seed).items)
    return Plan((), items, sum(item.size for item in items))


def _many(count: int, size: int) -> Callable[[float, int], Plan]:
    def plan(scale: float, seed: int) -> Plan:
        number = _scaled(count, scale, 10)
        # Ten folders: requests are limited for each prefix, and nobody keeps ten thousand objects in one.
        items = tuple(Item(f"many-{size}/{index % 10}/{index:05}", size) for index in range(number))
        return Plan(items, items, number * size)

    return plan


def _log_uniform(source: random.Random, low: int, high: int) -> int:
    return round(math.exp(source.uniform(math.log(low), math.log(high))))


def _mixed(scale: float, seed: int) -> Plan:
    """Three reads and two writes of each five, in random order."""
    source = random.Random(seed)
    count = _scaled(500, scale, 10)
    reads = count * 3 // 5
    items = [
        Item(f"mixed/{index % 10}/{index:05}", _log_uniform(source, KIB, 10 * MIB), put=index >= reads)
        for index in range(count)
    ]
    source.shuffle(items)
    sources = tuple(item for item in items if not item.put)
    return Plan(sources, tuple(items), sum(item.size for item in items))


def _first_byte(scale: float, seed: int) -> Plan:
    item = _large(scale)
    return Plan((item,), (item,) * _scaled(20, scale, 3), 0)


def _random(scale: float, seed: int) -> Plan:
    source = random.Random(seed)
    item, size = _large(scale), 64 * KIB
    count = _scaled(1000, scale, 10)
    items = tuple(Item(item.key, size, source.randrange(0, item.size - size + 1)) for _ in range(count))
    return Plan((item,), items, count * size)


def _list(scale: float, seed: int) -> Plan:
    count = _scaled(100_000, scale, 100)
    items = tuple(Item(f"list/{index // 1000:03}/{index:06}.parquet", 1) for index in range(count))
    return Plan(items, items, 0, "list/")


def _files(scale: float, seed: int) -> Plan:
    """A tree that goes up and comes down again."""
    source = random.Random(seed)
    items = tuple(
        Item(f"tree/{index % 7}/{index:04}.bin", _log_uniform(source, 4 * KIB, 16 * MIB), put=True)
        for index in range(_scaled(200, scale, 5))
    )
    return Plan((), items, 2 * sum(item.size for item in items), "tree/")


SCENARIOS = (
    Scenario("large-down-memory", "1 GiB down to memory", "get", _large_down),
    Scenario("large-down-file", "1 GiB down to a file", "get_file", _large_down),
    Scenario("large-up-memory", "1 GiB up from memory", "put", _large_up),
    Scenario("large-up-file", "1 GiB up from a file", "put_file", _large_up),
    Scenario("medium-down", "10 to 100 MiB down, one after the other", "get_each", _medium_down),
    Scenario("medium-up", "10 to 100 MiB up, one after the other", "put_each", _medium_up),
    Scenario("many-1m", "1,000 x 1 MiB down", "get_many", _many(1000, MIB)),
    Scenario("many-4k", "10,000 x 4 KiB down", "get_many", _many(10_000, 4 * KIB)),
    Scenario("mixed", "500 of 1 KiB to 10 MiB, 60 % down, 40 % up", "mixed", _mixed),
    Scenario("first-byte", "First byte of a 1 GiB stream, 20 times", "first_byte", _first_byte),
    Scenario("random-64k", "1,000 x 64 KiB of a 1 GiB object", "get_ranges", _random),
    Scenario("list-100k", "100,000 keys listed", "list", _list),
    Scenario("file-to-file", "200 files of 4 KiB to 16 MiB up and down again", "trees", _files),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
