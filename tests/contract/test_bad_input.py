"""Every verb with arguments that cannot be: refused before anything is sent, in words that say what is wrong."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import S3Server

NAN, INFINITY = float("nan"), float("inf")

BUCKETS = [None, 5, b"bucket", "", "a/b", "a b", "x" * 300, "b\u00fccket", "a\0"]
KEYS = [None, 5, b"k", "", "x" * 1025, "\ud800"]

WRONG: dict[str, list[Any]] = {
    "bucket": BUCKETS,
    "src_bucket": BUCKETS,
    "key": KEYS,
    "src_key": KEYS,
    "prefix": [5, b"p", "x" * 1025, "\ud800"],
    "delimiter": [5, b"/"],
    "start_after": [5, b"k", "x" * 1025],
    "limit": ["1", 1.5, -1, True],
    "start": ["0", 1.5, True],
    "end": ["0", 1.5, -1],
    "keys": [None, 5, "k", [None], [5], [""], ["x" * 1025]],
    "ranges": [None, 5, [(0,)], [("a", "b")], [(5, 1)], [(-1, 2)], [None]],
    "path": [None, 5, "a\0b"],
    "buffer": [None, 5, b"read only", "text", [1], memoryview(bytearray(10))[::2]],
    "data": [None, 5, "text", [1], object(), memoryview(bytearray(10))[::2]],
    "items": [None, 5, {"k": None}, {"k": "text"}, {5: b""}, {"": b""}],
    "operation": [None, 5, "", "Nope", "get_object", "GetObject; DROP"],
    "timeout": ["1", -1, NAN, INFINITY, True],
    "progress": [5, "x"],
    "mode": [None, 5, "", "rw", "q", "r+b", "ab"],
    "method": [None, 5, "", "patch"],
    "expires": [0, -1, 604_801, "1", 1.5, True],
    "on_error": [None, "ignore", 5],
    "no_such_option": ["x"],
    "version_id": [5, ""],
    "if_match": [5, "", "a\nb"],
    "metadata": [5, {"a": 5}, {"a\n": "b"}, {"a": "x" * 3000}],
    "sse_customer_key": [5, b"short", "x"],
    "tags": [5, {"a": 5}],
    "checksum": [5, "MD4"],
}

GOOD: dict[str, Any] = {
    "bucket": "bucket",
    "src_bucket": "bucket",
    "key": "k",
    "src_key": "k",
    "keys": ["k"],
    "ranges": [(0, 1)],
    "buffer": bytearray(10),
    "data": b"data",
    "items": {"k": b"data"},
    "operation": "ListBuckets",
    "method": "get",
}

VERBS = sorted(
    name
    for name, verb in inspect.getmembers(objectfs.Client, callable)
    if not name.startswith("_") and name not in ("close", "stats")
)


def takes(verb: str, argument: str) -> bool:
    if argument == "no_such_option":
        return True
    if argument in inspect.signature(getattr(objectfs.Client, verb)).parameters:
        return argument != "params"
    return argument in OPTIONS.get(verb, ())


OPTIONS = {
    "get": ("version_id", "if_match", "sse_customer_key"),
    "get_into": ("version_id", "if_match", "sse_customer_key"),
    "get_file": ("version_id", "if_match", "sse_customer_key"),
    "head": ("version_id", "if_match", "sse_customer_key"),
    "put": ("if_match", "metadata", "sse_customer_key", "tags", "checksum"),
    "put_file": ("if_match", "metadata", "sse_customer_key", "tags", "checksum"),
    "put_many": ("metadata", "tags", "checksum"),
    "copy": ("metadata", "tags"),
    "delete": ("version_id",),
}

CASES = [
    pytest.param(verb, argument, value, id=f"{verb}-{argument}-{index}")
    for verb in VERBS
    for argument, values in WRONG.items()
    if takes(verb, argument) and not (verb == "call" and argument == "no_such_option")
    for index, value in enumerate(values)
]


def arguments(verb: str, path: Path) -> tuple[list[Any], dict[str, Any]]:
    """What the verb can be called with."""
    given: dict[str, Any] = {}
    positional = []
    for name, parameter in inspect.signature(getattr(objectfs.Client, verb)).parameters.items():
        if name != "self" and parameter.default is parameter.empty and parameter.kind not in (2, 4):
            value = str(path / "file") if name == "path" else GOOD[name]
            if parameter.kind == parameter.POSITIONAL_ONLY:
                positional.append(value)
            else:
                given[name] = value
    return positional, given


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server(buckets=("bucket",)) as made:
        yield made


def settings(server: S3Server, backend: str) -> dict[str, Any]:
    return {
        "backend": backend,
        "endpoint_url": server.endpoint_url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "max_attempts": 1,
    }


_clients: dict[str, objectfs.Client] = {}


@pytest.fixture(scope="module", autouse=True)
def closing() -> Iterator[None]:
    yield
    for client in _clients.values():
        client.close()
    _clients.clear()


@pytest.fixture
def bad(server: S3Server, backend: str) -> objectfs.Client:
    """One client for all of these, for none of them does anything."""
    if backend not in _clients:
        _clients[backend] = objectfs.Client(**settings(server, backend))
    return _clients[backend]


@pytest.fixture(autouse=True)
def nothing_leaks() -> None:
    """Looked at when the client has been closed: by the tests that follow."""


def use(result: Any) -> None:
    """Have what is lazy do something."""
    if hasattr(result, "read"):
        result.read()
    elif hasattr(result, "__next__"):
        next(result, None)


@pytest.mark.parametrize(("verb", "argument", "value"), CASES)
def test_refused(bad: objectfs.Client, server: S3Server, tmp_path: Path, verb: str, argument: str, value: Any) -> None:
    before = len(server.requests)
    positional, given = arguments(verb, tmp_path)
    if argument == "path" and verb == "put_file":
        (tmp_path / "file").write_bytes(b"x")
    if argument == "operation":
        positional = [value]
    else:
        given[argument] = value
    with pytest.raises((TypeError, ValueError, errors.ObjectFSError)) as caught:
        use(getattr(bad, verb)(*positional, **given))
    assert len(server.requests) == before, "it was sent"
    assert not isinstance(caught.value, (errors.ServerError, errors.NotFoundError))
    said = str(caught.value).lower()
    hints = {argument, argument.rstrip("s"), argument.removeprefix("src_"), type(value).__name__, str(value)[:20]}
    assert any(hint and hint.lower() in said for hint in hints) or argument in SAID_OTHERWISE, said


SAID_OTHERWISE = {"end", "start", "ranges", "data", "buffer", "items", "path", "mode", "metadata", "tags", "if_match"}
"""Arguments that a message may call by another word: the range, the object's content, the file."""


@pytest.mark.parametrize("verb", VERBS)
def test_closed(server: S3Server, backend: str, tmp_path: Path, verb: str) -> None:
    client = objectfs.Client(**settings(server, backend))
    client.close()
    positional, given = arguments(verb, tmp_path)
    if verb == "put_file":
        Path(given["path"]).write_bytes(b"x")
    before = len(server.requests)
    with pytest.raises(errors.ClosedError) as caught:
        use(getattr(client, verb)(*positional, **given))
    assert "closed" in str(caught.value)
    assert len(server.requests) == before


@pytest.mark.parametrize("verb", VERBS)
def test_closed_async(server: S3Server, backend: str, tmp_path: Path, verb: str) -> None:
    async def work() -> None:
        client = objectfs.AsyncClient(**settings(server, backend))
        client.close()
        positional, given = arguments(verb, tmp_path)
        result = getattr(client, verb)(*positional, **given)
        if hasattr(result, "__anext__"):
            await anext(result)
        elif inspect.isawaitable(result):
            opened = await result
            if verb == "open":
                await opened.read()

    if verb == "put_file":
        (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(errors.ClosedError):
        asyncio.run(work())
