"""Operations from a seed: the same ones for the same seed, whatever their results are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["KEYS", "LARGE", "PART_SIZE", "Operation", "operations"]

MiB = 1024 * 1024

PART_SIZE = 5 * MiB
"""Of both clients: the least that S3 takes, so that a large object is soon made of parts."""

LARGE = 11 * MiB
"""Bytes of an object of three parts."""

KEYS = (
    "plain",
    "with space",
    " leading and trailing ",
    "plus+plus",
    "percent%20encoded",
    "percent%",
    "question?mark=1&two",
    "hash#tag",
    "amp&amp;<xml>]]>",
    "quotes\"'`",
    "back\\slash",
    "semi;colon,comma=at@dollar$",
    "curly{}|^[]~!*()",
    "umlaut-äöüß",
    "日本語/キー",
    "emoji-😀",
    "combining-e\u0301",
    "composed-é",
    "tab\tnewline\nreturn\r",
    "control\x01\x1f\x7f",
    "dir/",
    "dir/a",
    "dir/b",
    "dir/sub/c",
    "dir//double",
    "dir0",
    "/leading",
    "trailing/",
    "dots/./x",
    "dots/../y",
    "..",
    "...",
    "-dash",
    "long/" + "n" * 200,
    "Case",
    "case",
)
"""Names that a client may get wrong: in a path, a query, a signature, a header or a document."""

MISSING = ("missing", "dir/missing", "nirgendwo-ä")

SIZES = (0, 1, 2, 10, 1000, 4096, 65_536, 100_001)

CONTENT_TYPES = (None, "text/plain", "application/x-odd; charset=utf-8", "a/b")

METADATA = (
    None,
    {"name": "value"},
    {"empty": "", "UPPER-Case": "Kept As It Is", "with-dash": "a, b; c=d"},
    {"spaces": "a  b", "quotes": '"q"', "percent": "%41"},
)

# How often each is chosen, among the sum.
WEIGHTS = {
    "put": 14,
    "put_file": 3,
    "put_stream": 3,
    "put_many": 2,
    "put_large": 1,
    "write": 3,
    "get": 10,
    "get_range": 10,
    "get_conditional": 6,
    "get_into": 5,
    "get_file": 3,
    "get_many": 3,
    "get_ranges": 3,
    "iter_many": 2,
    "head": 6,
    "exists": 2,
    "read": 3,
    "list": 7,
    "list_versions": 2,
    "delete": 4,
    "delete_many": 2,
    "copy": 5,
    "tagging": 3,
    "call_get": 3,
    "upload_by_parts": 1,
    "refused": 6,
    "presign": 2,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What both clients do."""

    number: int
    name: str
    """A method of :class:`objectfs.equivalence.perform.Performer`."""
    args: dict[str, Any] = field(default_factory=dict)
    side: int | None = None
    """Whose objects are read, 0 or 1: both clients read the same ones. None: each works on its own."""

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={_short(value)}" for name, value in self.args.items())
        whose = "" if self.side is None else f" of side {'AB'[self.side]}"
        return f"#{self.number} {self.name}({shown}){whose}"


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text)} characters)"


def operations(seed: int, count: int) -> Iterator[Operation]:
    """``count`` operations; the first ones store something to begin with."""
    planner = _Planner(random.Random(seed))
    names, weights = list(WEIGHTS), list(WEIGHTS.values())
    for number in range(count):
        name = "put" if number < min(10, count // 4) else planner.rng.choices(names, weights)[0]
        args = getattr(planner, name)()
        side = planner.rng.choice((0, 1)) if name in READS else None
        yield Operation(number, name, args, side)


READS = frozenset(
    (
        "get",
        "get_range",
        "get_conditional",
        "get_into",
        "get_file",
        "get_many",
        "get_ranges",
        "iter_many",
        "head",
        "exists",
        "read",
        "list",
        "list_versions",
        "call_get",
    )
)


class _Planner:
    """A method for each operation: what it is asked with. Keeps in mind which keys should be there, so that most reads
    find something."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._there: list[str] = []

    def _key(self, *, written: bool = False) -> str:
        if written:
            key = self.rng.choice(KEYS)
            if key not in self._there:
                self._there.append(key)
            return key
        if self._there and self.rng.random() < 0.9:
            return self.rng.choice(self._there)
        return self.rng.choice(MISSING)

    def _content(self) -> dict[str, int]:
        return {"size": self.rng.choice(SIZES), "salt": self.rng.randrange(1000)}

    def _described(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "content_type": self.rng.choice(CONTENT_TYPES),
            "metadata": self.rng.choice(METADATA),
            "cache_control": self.rng.choice((None, None, "max-age=60")),
            "content_disposition": self.rng.choice((None, None, 'attachment; filename="a b.txt"')),
            "content_language": self.rng.choice((None, None, "de, en")),
            "tags": self.rng.choice((None,) * 6 + ({"a": "1", "b c": "ü="},) * 2 + ({"not": "&allowed"},)),
        }
        return {name: value for name, value in found.items() if value is not None}

    def put(self) -> dict[str, Any]:
        condition = self.rng.choice((None,) * 6 + ("*",))
        options = self._described()
        if condition:
            options["if_none_match"] = condition
        return {"key": self._key(written=True), **self._content(), "options": options}

    def put_file(self) -> dict[str, Any]:
        return {"key": self._key(written=True), **self._content(), "options": self._described()}

    def put_stream(self) -> dict[str, Any]:
        return {
            "key": self._key(written=True),
            **self._content(),
            "piece": self.rng.choice((1000, 70_000)),
            "options": self._described(),
        }

    def put_many(self) -> dict[str, Any]:
        return {"keys": [self._key(written=True) for _ in range(self.rng.randint(1, 8))], **self._content()}

    def put_large(self) -> dict[str, Any]:
        return {
            "key": self._key(written=True),
            "size": LARGE + self.rng.randrange(3),
            "salt": self.rng.randrange(1000),
            "how": self.rng.choice(("memory", "file", "stream", "open")),
            "options": self._described(),
        }

    def write(self) -> dict[str, Any]:
        return {"key": self._key(written=True), **self._content(), "text": self.rng.random() < 0.3}

    def get(self) -> dict[str, Any]:
        return {"key": self._key()}

    def _range(self) -> tuple[int | None, int | None]:
        return self.rng.choice(
            (
                (0, 1),
                (0, 10),
                (1, 5),
                (5, 1),
                (3, 3),
                (-5, None),
                (-1, None),
                (0, 10**9),
                (999, 1001),
                (4095, 70_000),
                (10**9, None),
                (2, None),
                (None, 7),
                (0, 0),
            )
        )

    def get_range(self) -> dict[str, Any]:
        start, end = self._range()
        return {"key": self._key(), "start": start, "end": end}

    def get_conditional(self) -> dict[str, Any]:
        return {
            "key": self._key(),
            "condition": self.rng.choice(("if_match", "if_none_match", "if_modified_since", "if_unmodified_since")),
            "holds": self.rng.random() < 0.5,
            "head": self.rng.random() < 0.4,
        }

    def get_into(self) -> dict[str, Any]:
        start, end = self.rng.choice(((None, None), (None, None), (1, 5), (0, 10**9)))
        return {"key": self._key(), "room": self.rng.choice((0, 5, 1000, 200_000)), "start": start, "end": end}

    def get_file(self) -> dict[str, Any]:
        start, end = self.rng.choice(((None, None), (1, 5), (10**9, None)))
        return {"key": self._key(), "start": start, "end": end}

    def get_many(self) -> dict[str, Any]:
        return {
            "keys": [self._key() for _ in range(self.rng.randint(0, 8))],
            "on_error": self.rng.choice(("raise", "return", "return")),
        }

    def iter_many(self) -> dict[str, Any]:
        return self.get_many()

    def get_ranges(self) -> dict[str, Any]:
        ranges = [self._range() for _ in range(self.rng.randint(0, 4))]
        return {
            "key": self._key(),
            "ranges": [(start or 0, end) for start, end in ranges if end is not None and (start or 0) >= 0],
        }

    def head(self) -> dict[str, Any]:
        return {"key": self._key()}

    def exists(self) -> dict[str, Any]:
        return {"key": self._key()}

    def read(self) -> dict[str, Any]:
        return {
            "key": self._key(),
            "text": self.rng.random() < 0.2,
            "steps": [
                (self.rng.choice((0, 1, 100, 5000)), self.rng.choice((0, 1, 10, 3000, -1)))
                for _ in range(self.rng.randint(1, 4))
            ],
        }

    def list(self) -> dict[str, Any]:
        return {
            "prefix": self.rng.choice(("", "", "dir", "dir/", "d", "umlaut-ä", "percent%", "nothing", "日")),
            "delimiter": self.rng.choice((None, None, "/", "/", "i", " ", "//")),
            "start_after": self.rng.choice((None, None, "dir/a", "plus+plus", "zzz")),
            "limit": self.rng.choice((None, None, 0, 1, 5)),
            "page": self.rng.choice((None, 1, 3)),
        }

    def list_versions(self) -> dict[str, Any]:
        return {
            "prefix": self.rng.choice(("", "dir/", "nothing")),
            "delimiter": self.rng.choice((None, "/")),
            "limit": self.rng.choice((None, 5)),
        }

    def delete(self) -> dict[str, Any]:
        key = self._key()
        if key in self._there:
            self._there.remove(key)
        return {"key": key}

    def delete_many(self) -> dict[str, Any]:
        keys = [self._key() for _ in range(self.rng.randint(0, 5))]
        self._there = [key for key in self._there if key not in keys]
        return {"keys": keys}

    def copy(self) -> dict[str, Any]:
        return {
            "source": self._key(),
            "key": self._key(written=True),
            "options": self.rng.choice(({}, {}, {"metadata": {"new": "one"}}, {"content_type": "x/y"}, {"tags": {}})),
        }

    def tagging(self) -> dict[str, Any]:
        return {"key": self._key(), "tags": self.rng.choice(({}, {"k": "v"}, {"a b": "c+d", "ü": ""}))}

    def call_get(self) -> dict[str, Any]:
        return {
            "operation": self.rng.choice(("HeadObject", "GetObject", "GetObjectTagging", "GetObjectAcl")),
            "key": self._key(),
        }

    def upload_by_parts(self) -> dict[str, Any]:
        return {
            "key": self._key(written=True),
            "ends": self.rng.choice(("complete", "complete", "abort", "wrong etag", "no parts")),
        }

    def refused(self) -> dict[str, Any]:
        return {
            "what": self.rng.choice(
                (
                    "get of no bucket",
                    "put into no bucket",
                    "list of no bucket",
                    "head of no bucket",
                    "delete from no bucket",
                    "wrong secret",
                    "unknown key id",
                    "anonymous",
                    "empty key",
                    "long key",
                    "bad bucket name",
                    "no such upload",
                    "no such operation",
                    "missing parameter",
                    "wrong checksum",
                    "wrong type",
                    "no such version",
                    "no such file",
                    "folder in the way",
                )
            )
        }

    def presign(self) -> dict[str, Any]:
        return {"method": self.rng.choice(("get", "put", "head", "delete")), "key": self._key()}
