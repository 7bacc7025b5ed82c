"""What counts as wrong, and that wrong bytes are seen."""

from __future__ import annotations

import asyncio

import pytest

from objectfs import errors
from objectfs.soak import content
from objectfs.soak.outcomes import Failed, Outcomes


def test_content_is_the_keys_own() -> None:
    for size in (0, 1, 1000, 3_000_000):
        data = content.fill("a", size)
        assert len(data) == size
        content.check("a", size, data)
    content.check("a", 3_000_000, memoryview(content.fill("a", 3_000_000))[5:2_000_000], 5, 2_000_000)


@pytest.mark.parametrize("place", [0, 1_500_000, 2_999_999])
def test_one_wrong_byte_is_seen(place: int) -> None:
    data = bytearray(content.fill("a", 3_000_000))
    data[place] ^= 1
    with pytest.raises(content.WrongBytesError, match=f"at {place} of"):
        content.check("a", 3_000_000, data)


def test_other_bytes_are_seen() -> None:
    data = content.fill("a", 3_000_000)
    for wrong in (data[:-1], data + b"x", content.fill("b", 3_000_000), data[5 << 20 :] + data[: 5 << 20][1:] + b"x"):
        with pytest.raises(content.WrongBytesError):
            content.check("a", 3_000_000, wrong)
    with pytest.raises(content.WrongBytesError):
        content.check("a", 3_000_000, data[1000:2000], 1001, 2001)


def raise_(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "also", "cancelled", "wrong"),
    [
        (errors.ThrottledError("x"), (), False, False),
        (errors.NotFoundError("x"), (), False, True),
        (errors.NotFoundError("x"), (errors.NotFoundError,), False, False),
        (content.WrongBytesError("x"), (), False, True),
        (ZeroDivisionError("x"), (), False, True),
        (errors.CancelledError("x"), (), False, True),
        (errors.CancelledError("x"), (), True, False),
        (asyncio.CancelledError(), (), True, False),
    ],
)
def test_which_errors_may_be(
    error: BaseException, also: tuple[type[BaseException], ...], cancelled: bool, wrong: bool
) -> None:
    outcomes = Outcomes()
    with pytest.raises(Failed), outcomes.verb("get", *also, cancelled=cancelled):
        raise_(error)
    assert bool(outcomes.wrong) == wrong
    if wrong:
        assert type(error).__name__ in outcomes.wrong[0]
        assert "test_outcomes.py" in outcomes.wrong[0]


def test_what_is_not_refused_is_wrong() -> None:
    outcomes = Outcomes()
    with outcomes.refused("get", errors.NotFoundError):
        raise_(errors.NotFoundError("x"))
    with outcomes.refused("get", errors.NotFoundError):
        raise_(errors.ServerError("a fault, and no answer to the question"))
    assert outcomes.wrong == []
    with outcomes.refused("get", errors.NotFoundError):
        pass
    with outcomes.refused("put", errors.NotFoundError):
        raise_(ValueError("x"))
    assert [text.split(":")[0] for text in outcomes.wrong] == ["get", "put"]


def test_what_never_succeeds_is_told() -> None:
    outcomes = Outcomes()
    for _ in range(30):
        for name, also in (("get", ()), ("put", (errors.ClosedError,))):
            with pytest.raises(Failed), outcomes.verb(name, *also):
                raise_(errors.ServerError("x"))
        with outcomes.refused("head", errors.NotFoundError):
            raise_(errors.NotFoundError("x"))
    assert [text.split(" ")[0] for text in outcomes.never()] == ["get"]
    with outcomes.verb("get"):
        pass
    assert outcomes.never() == []
    assert outcomes.operations == 91
