"""What a server's headers say of an object."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from objectfs.backends.answers import object_info


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun, 06 Nov 1994 08:49:37 +0000", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("6 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun, 31 Feb 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 25:49:37 GMT", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_last_modified(text: str, date: datetime | None) -> None:
    found = object_info("bucket", "key", {"last-modified": text, "content-length": "3"})
    assert (found.last_modified, found.size) == (date, 3)
