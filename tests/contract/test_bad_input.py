"""Every verb with arguments that cannot be: refused before anything is sent, in words that say what is wrong."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.options import GROUPS
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
    "src_version_id": [5, ""],
    "src_if_match": [5, "", "a\nb"],
    "src_if_none_match": [5, ""],
    "src_if_modified_since": [5, "today", datetime(2031, 1, 1)],
    "src_if_unmodified_since": [5, "today", datetime(2031, 1, 1)],
    "src_sse_customer_key": [5, b"short", "x"],
    "src_expected_bucket_owner": [5, "12 34"],
    "multipart_threshold": [b"1", "much", -1, 1.5],
    "part_size": [b"1", "much", -1, 0, 1.5],
    "coalesce": ["1", 1.5, -1, True],
    "max_in_flight": ["1", 1.5, 0, -1, True],
    "max_memory": [b"1", "much", 0, -1, 1.5],
    "key_marker": [5, b"k", "x" * 1025, "\ud800"],
    "version_id_marker": [5, "", "of no key"],
    "buffering": ["1", 1.5, -2],
    "encoding": [5, "no-such", "utf-8"],
    "errors": [5, "no-such", "strict"],
    "newline": [5, "x", ""],
    "prefetch": [b"1", "much", -1, 1.5],
    "fields": [5, "x", {"a": 5}, {5: "a"}],
    "conditions": [5, "x", [5]],
    "min_size": ["1", 1.5, -1, True],
    "max_size": ["1", 1.5, -1, True],
    "upload_id": [5, ""],
    "part_number": ["1", 1.5, 0, 10_001, True],
    "request_payer": [5, "me"],
    "expected_bucket_owner": [5, "12 34"],
    "headers": [5, {"a": 5}, {"a\n": "b"}, {"a": "b\n"}],
    "if_none_match": [5, ""],
    "if_modified_since": [5, "today", datetime(2031, 1, 1)],
    "if_unmodified_since": [5, "today", datetime(2031, 1, 1)],
    "response_expires": [5, "today", datetime(2031, 1, 1)],
    **{f"response_{what}": [5, "a\nb"] for what in ("cache_control", "content_disposition", "content_encoding")},
    **{f"response_{what}": [5, "a\nb"] for what in ("content_language", "content_type")},
    "expected_checksum": [5, "x", ("MD4", "x"), ("SHA256", "x"), ("SHA256",)],
    "checksum_mode": [5, "on"],
    **{what: [5, "a\nb"] for what in ("cache_control", "content_disposition", "content_encoding")},
    **{what: [5, "a\nb"] for what in ("content_language", "content_type", "storage_class")},
    "website_redirect_location": [5, "other"],
    "acl": [5, "public"],
    **{f"grant_{what}": [5, "a\nb"] for what in ("full_control", "read", "read_acp", "write_acp")},
    "server_side_encryption": [5, "aes256"],
    "sse_kms_key_id": [5, "of no server_side_encryption"],
    "sse_kms_encryption_context": [5, {"a": 5}],
    "bucket_key_enabled": [5, "true"],
    "object_lock_mode": [5, "MAYBE"],
    "object_lock_retain_until": [5, "today", datetime(2031, 1, 1)],
    "object_lock_legal_hold": [5, "MAYBE"],
    "bypass_governance_retention": [5, "true"],
    "mfa": [5, "a\nb"],
    "resume": [5, "true"],
    "if_match_last_modified_time": [5, "today", datetime(2031, 1, 1)],
    "if_match_size": ["1", 1.5, -1, True],
    "fetch_owner": [5, "true"],
    "optional_object_attributes": [5, "RestoreStatus", [5]],
}

ANYTHING = {"ordered", "params"}
"""A truth value, and what is botocore's to check (tests/contract/test_call.py)."""

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
    if not name.startswith("_") and name not in ("close", "stats", "trace")
)


BY_MODE = {"open": "RangesParams", "presign": "GetParams"}
"""Verbs whose options depend on an argument: those of the arguments below."""


def options_of(verb: str) -> frozenset[str]:
    """The names that its ``**options`` may have."""
    if verb in BY_MODE:
        return GROUPS[BY_MODE[verb]]
    found = inspect.signature(getattr(objectfs.Client, verb)).parameters.get("options")
    return frozenset() if found is None else GROUPS[str(found.annotation).removeprefix("Unpack[").rstrip("]")]


def takes(verb: str, argument: str) -> bool:
    if argument == "no_such_option":
        return True
    if argument in inspect.signature(getattr(objectfs.Client, verb)).parameters:
        return argument != "params"
    if argument in OPTIONS:
        return verb in OPTIONS[argument]
    # they go through one table: one verb is enough of those that take it
    return verb == next((verb for verb in VERBS if argument in options_of(verb)), None)


OPTIONS = {
    "version_id": ("get", "get_into", "get_file", "head", "delete", "open"),
    "if_match": ("get", "get_into", "get_file", "head", "put", "put_file", "open"),
    "sse_customer_key": ("get", "get_into", "get_file", "head", "put", "put_file", "open"),
    "metadata": ("put", "put_file", "put_many", "copy"),
    "tags": ("put", "put_file", "put_many", "copy"),
    "checksum": ("put", "put_file", "put_many", "get", "open"),
    "resume": ("get_file", "put_file"),
    "request_payer": ("get", "put", "delete", "delete_many", "list", "list_versions", "iter_many", "open"),
}
"""Those that are tried with several verbs."""

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


def test_every_argument_is_tried() -> None:
    """Of every verb of both clients, so that one that is added later is tried too."""
    for kind in (objectfs.Client, objectfs.AsyncClient):
        verbs = [name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")]
        assert set(verbs) - {"close", "aclose", "stats", "trace"} == set(VERBS)
        for verb in VERBS:
            names = set(inspect.signature(getattr(kind, verb)).parameters) - {"self", "options"}
            assert names | options_of(verb) <= WRONG.keys() | ANYTHING, verb
    tried = {case.values[:2] for case in CASES}
    for argument in WRONG:
        assert any((verb, argument) in tried for verb in VERBS), argument
    assert set().union(*GROUPS.values()) <= WRONG.keys()


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
