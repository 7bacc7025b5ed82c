"""A short run of the fuzzer, its past findings, and that it finds what is there to be found."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from objectfs.sim.auth import verifier
from objectfs.sim.body import Chunked
from objectfs.sim.http import Head
from objectfs.sim.operations import context
from objectfs.sim.service import Service
from objectfs.sim.sockets import connection

from .fuzzing import CORPUS, ERRORS, Fuzzer, check_wire
from .mutate import REQUESTS

SECONDS = 8.0


@pytest.fixture
def fuzzer(tmp_path: Path) -> Iterator[Fuzzer]:
    yield Fuzzer(tmp_path)
    logging.getLogger("objectfs.sim").removeHandler(ERRORS)


def test_the_first_thousands_of_inputs(fuzzer: Fuzzer) -> None:
    end = time.monotonic() + SECONDS
    number = 0
    while time.monotonic() < end or number < 1000:
        data = fuzzer.run(number)
        assert data is None, f"input {number}: {data!r}"
        number += 1
    assert len(fuzzer.counts) == 5


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.http")), ids=lambda path: path.stem)
def test_past_findings(fuzzer: Fuzzer, path: Path) -> None:
    for step in (1, 2, 3, 10, 100):
        assert fuzzer.holds(lambda step=step: check_wire(fuzzer.memory, path.read_bytes(), step))  # type: ignore[misc]


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_seeds(fuzzer: Fuzzer, number: int) -> None:
    for step in (1, 7):
        assert fuzzer.holds(lambda step=step: check_wire(fuzzer.memory, REQUESTS[number], step))  # type: ignore[misc]


def finds_something(fuzzer: Fuzzer, only: str | None = None, inputs: int = 5000) -> bool:
    return any(fuzzer.run(number, only) is not None for number in range(inputs))


def test_it_finds_an_exception(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> Head:
        if b"\0" in data:
            raise KeyError(data)
        return parse(data)

    parse = connection.parse_head
    monkeypatch.setattr(connection, "parse_head", broken)
    assert finds_something(fuzzer)


def test_it_finds_an_internal_error(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: context.Context, name: str, default: int, maximum: int) -> int:
        return int(self.query.get(name) or default)

    # The server logs it, which would fail any test.
    monkeypatch.setattr(logging.getLogger("objectfs.sim"), "propagate", False)
    monkeypatch.setattr(context.Context, "integer", broken)
    assert finds_something(fuzzer)


def test_it_finds_a_signature_that_covers_too_little(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    canonical = verifier.canonical_path
    monkeypatch.setattr(verifier, "canonical_path", lambda path: canonical(path.replace("//", "/")))
    assert finds_something(fuzzer, "signature", 30_000)


def test_it_finds_a_coding_that_depends_on_how_bytes_arrive(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Chunked, data: memoryview) -> tuple[bytes | None, int]:
        found = take(self, data)
        return (found[0][:1], found[1]) if found[0] and len(data) < 3 else found

    take = Chunked._take_line
    monkeypatch.setattr(Chunked, "_take_line", broken)
    assert finds_something(fuzzer)


def test_it_finds_an_answer_that_is_not_whole(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    render = Service.render
    monkeypatch.setattr(
        Service, "render", lambda *given: render(*given).replace(b"Content-Length: ", b"Content-Length: 9")
    )
    assert finds_something(fuzzer)
