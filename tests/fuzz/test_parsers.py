"""A short run of the fuzzer over what reads answers: always the same cases. scripts/fuzz runs as long as wanted."""

from __future__ import annotations

import email.errors
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("objectfs._native", reason="the engine is not built")

from objectfs import errors
from objectfs.backends import answers, crt_answers

from .draw import randomly
from .parsers import PARSERS

CASES = 150
"""Of each target, by hypothesis, which makes what fails smaller, and as many again by numbers, which are wilder."""


def always(check: Callable[[bytes], None]) -> None:
    @settings(
        max_examples=CASES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.binary(min_size=1, max_size=100))
    def holds(data: bytes) -> None:
        check(data)

    holds()
    for number in range(CASES):
        check(randomly(number))


@pytest.mark.parametrize("name", PARSERS)
def test_any_answer_is_read_or_refused(name: str) -> None:
    always(PARSERS[name])


def finds(name: str, error: type[BaseException]) -> None:
    def look() -> None:
        for number in range(2000):
            PARSERS[name](randomly(number))

    with pytest.raises(error):
        look()


def test_it_finds_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    from email.header import decode_header

    monkeypatch.setattr(answers, "_words", lambda value: str(decode_header(value)))
    finds("headers", email.errors.HeaderParseError)


def test_it_finds_a_range_that_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(headers: dict[str, str], start: int, end: int | None) -> Any:
        found = answers.content_range(headers)
        if found is None:
            raise errors.ServerError("no range")
        return found

    monkeypatch.setattr(answers, "check_range", believe)
    finds("headers", AssertionError)


def test_it_finds_an_error_that_passes_for_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crt_answers, "name_of", lambda element: "fine")
    finds("documents", AssertionError)
