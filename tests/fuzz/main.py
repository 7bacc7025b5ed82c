"""Runs the targets for a time: scripts/fuzz.

Guided, atheris makes the bytes, by the code that they reach; searched, hypothesis does, and makes what fails smaller;
else they are drawn, mutated and combined here.
Ends with 1 when there is a finding, which is then in the folder that ``--out`` names.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Check = Callable[[bytes], None]

EVERY = 50
"""Cases of the whole client between two looks at what is left."""
SEARCH = 1000
"""Cases of a search of hypothesis, which remembers what it has tried: then another begins."""


@contextlib.contextmanager
def target_of(name: str) -> Iterator[tuple[Check, int]]:
    """What a case of that target does, and the most bytes that one needs."""
    from . import parsers

    if name in parsers.PARSERS:
        yield parsers.PARSERS[name], 400
        return
    from . import whole
    from .server import HostileServer

    backend = name.removeprefix("client-")
    _patient()
    with tempfile.TemporaryDirectory(prefix="objectfs-fuzz-") as folder, HostileServer() as server:
        world = whole.World(backend, Path(folder), server)
        world.__enter__()
        done = 0
        descriptors = 0

        def check(data: bytes) -> None:
            nonlocal done, descriptors
            done += 1
            world.run(data)
            if done % EVERY == 0:
                world.__exit__()
                assert not (left := whole.left()), left
                deadline = time.monotonic() + 30
                while server.connections and time.monotonic() < deadline:
                    time.sleep(0.01)
                now = len(os.listdir("/proc/self/fd"))
                descriptors = descriptors or now
                assert now <= descriptors + 8, f"{now - descriptors} descriptors are left"
                world.__enter__()

        yield check, whole.LONGEST
        world.__exit__()


def _patient() -> None:
    """What is tried again is tried at once."""
    from objectfs.backends import sdk_wire

    sdk_wire.BACKOFF_CAP = 0.02


def drawn(check: Check, longest: int, seconds: float, start: int, findings: Path, name: str) -> int:
    """Bytes out of numbers, and of changes to some of the last: the findings."""
    found = done = 0
    recent: list[bytes] = []
    began = shown = time.monotonic()
    number = start
    while time.monotonic() - began < seconds:
        rng = random.Random(number)
        data = rng.randbytes(rng.randrange(1, longest))
        if recent and rng.random() < 0.5:
            data = _changed(rng, rng.choice(recent), data)
        try:
            check(data)
        except Exception as error:
            found += 1
            _keep(findings, name, data, error)
        recent = [*recent[-200:], data]
        number += 1
        done += 1
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            print(f"{name}: {shown - began:.0f} s, {done} cases, {found} findings", flush=True)
    print(f"{name}: drawn, {time.monotonic() - began:.0f} s, {done} cases, {found} findings", flush=True)
    return found


def _changed(rng: random.Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            changed[at : at + 1] = bytes((rng.randrange(256),))
        elif kind == 1:
            del changed[at : at + rng.randrange(8)]
        elif kind == 2:
            changed[at:at] = other[: rng.randrange(12)]
        else:
            changed[at:] = other[at:]
    return bytes(changed)


def searched(check: Check, longest: int, seconds: float, start: int, findings: Path, name: str) -> int:
    """With hypothesis: one search after another, each from a number of its own, until the first finding."""
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    done = 0
    failing = b""
    began = shown = time.monotonic()

    # by itself it draws six bytes, seldom more
    @given(st.integers(1, longest).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
    @settings(
        max_examples=SEARCH,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    def holds(data: bytes) -> None:
        nonlocal done, failing, shown
        if not failing and time.monotonic() - began >= seconds:
            return  # what is left of this search is over at once
        done += 1
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            print(f"{name}: {shown - began:.0f} s, {done} cases", flush=True)
        try:
            check(data)
        except Exception:
            failing = data
            raise

    found = 0
    number = start
    while not found and time.monotonic() - began < seconds:
        try:
            seed(number)(holds)()
        except Exception as error:
            found = 1
            _keep(findings, name, failing, error)
        number += 1
    print(f"{name}: searched, {time.monotonic() - began:.0f} s, {done} cases, {found} findings", flush=True)
    return found


def _keep(findings: Path, name: str, data: bytes, error: BaseException) -> None:
    import traceback

    findings.mkdir(parents=True, exist_ok=True)
    path = findings / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    print(f"{name}: a finding, in {path}:", flush=True)
    traceback.print_exception(error)
    sys.stderr.flush()


def guided(name: str, seconds: int, findings: Path, corpus: Path) -> int:
    """With atheris. libFuzzer ends the process itself: with 77 after a finding."""
    import atheris

    # what is imported in here is watched
    with atheris.instrument_imports(include=["objectfs.backends", "objectfs.errors", "objectfs.types", "fuzz"]):
        from . import draw, parsers, whole  # noqa: F401
    context = target_of(name)
    check, longest = context.__enter__()
    findings.mkdir(parents=True, exist_ok=True)
    corpus.mkdir(parents=True, exist_ok=True)
    for number in range(50):
        (corpus / f"seed-{number}").write_bytes(draw.randomly(number, longest))

    def once(data: bytes) -> None:
        try:
            check(data)
        except Exception as error:
            _keep(findings, name, data, error)
            raise

    arguments: list[Any] = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={seconds}",
        f"-max_len={longest}",
        f"-artifact_prefix={findings}/{name}-",
        "-timeout=1200",
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    atheris.Setup(arguments, once)
    atheris.Fuzz()
    return 0


def main() -> int:
    faulthandler.enable()
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("target", help="a parser, client-crt or client-sdk; see --list")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--start", type=int, default=random.Random().randrange(10**9), help="the first number")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--guided", action="store_true", help="with atheris")
    how.add_argument("--searched", action="store_true", help="with hypothesis")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--again", type=Path, help="run one kept finding instead")
    options = parser.parse_args()
    if options.again is not None:
        with target_of(options.target) as (check, _):
            check(options.again.read_bytes())
        return 0
    if options.guided:
        return guided(options.target, options.seconds, options.out, options.out / f"corpus-{options.target}")
    with target_of(options.target) as (check, longest):
        print(f"{options.target}: from number {options.start} on", flush=True)
        make = searched if options.searched else drawn
        found = make(check, longest, options.seconds, options.start, options.out, options.target)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
