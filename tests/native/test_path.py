"""Keys in request paths: what Python's own quoting says."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from objectfs import _native


@given(
    st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["", "/bucket"]), st.sampled_from(["", "a=1"])
)
def test_as_python_quotes(key: str, base: str, query: str) -> None:
    expected = f"{base}/{quote(key, safe='/-_.~')}" + (f"?{query}" if query else "")
    assert _native.object_path(base, key, query) == expected.encode()


def test_every_byte() -> None:
    key = "".join(map(chr, range(256)))
    assert _native.object_path("", key) == f"/{quote(key, safe='/-_.~')}".encode()


def test_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        _native.object_path("", "\ud800")
