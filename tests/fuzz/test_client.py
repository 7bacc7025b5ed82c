"""A short run of the fuzzer over the whole client, on both backends: always the same cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("objectfs._native", reason="the engine is not built")

from objectfs import errors
from objectfs.backends import answers, crt_answers
from objectfs.backends.select import available

from . import whole
from .draw import randomly
from .lies import CUT
from .server import LIES_TOLD, SIZE, HostileServer

CASES = 40
SMALL = [verb.name for verb in whole.VERBS if "large" not in verb.name]


@pytest.fixture(params=[attempt.name for attempt in available() if attempt.ok])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[whole.World]:
    monkeypatch.setattr("objectfs.backends.sdk_wire.BACKOFF_CAP", 0.02)  # seconds between attempts; as crt's first
    with HostileServer() as server:
        with whole.World(request.param, tmp_path, server) as made:
            yield made
        assert not (left := whole.left()), left


def test_right_bytes_or_an_error_of_ours(world: whole.World) -> None:
    @settings(
        max_examples=CASES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(
        st.sampled_from(SMALL),
        st.lists(st.binary(min_size=SIZE, max_size=SIZE), max_size=LIES_TOLD).map(b"".join),
    )
    def holds(verb: str, lies: bytes) -> None:
        world.run(whole.case_of(verb, lies))

    holds()


@pytest.mark.parametrize("verb", [verb.name for verb in whole.VERBS])
def test_an_honest_server(world: whole.World, verb: str) -> None:
    """Without it, all of the above could end in errors."""
    assert world.run(whole.case_of(verb, b"")) == f"{verb}: right"


@pytest.mark.parametrize("verb", ["get", "put", "list"])
def test_a_connection_that_ends_anywhere(world: whole.World, verb: str) -> None:
    """The answers of both attempts end there."""
    for cut in range(0, 1000, 40):  # thousandths of the answer
        lie = bytes((1, CUT, 1, cut >> 8, cut & 255))
        world.run(whole.case_of(verb, b"".join(lie.ljust(SIZE, b"\0") for _ in range(2))))


def test_it_finds_a_range_that_is_believed(world: whole.World, monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(headers: dict[str, str], start: int, end: int | None) -> tuple[int, int, int]:
        found = answers.content_range(headers)
        if found is None:
            raise errors.UnsupportedError("no range")
        return found

    if world.backend == "crt":
        monkeypatch.setattr(crt_answers, "check_range", believe)
    else:
        monkeypatch.setattr(answers, "check_range", believe)

    def look() -> None:
        for number in range(400):
            world.run(whole.case_of("get-range", randomly(number, LIES_TOLD * SIZE)))

    with pytest.raises(AssertionError, match="wrong bytes"):
        look()
