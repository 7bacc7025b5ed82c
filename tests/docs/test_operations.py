"""The S3 operations that a page names are those that the server sees."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import objectfs
from objectfs.backends.select import available
from objectfs.sim import S3Server

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
BACKENDS = [attempt.name for attempt in available() if attempt.ok]
LARGE = 11 * 1024 * 1024
"""More than two parts of the least size."""

KEYS = ["empty", "small", "large"]
Use = Callable[[objectfs.Client, Path], Any]

USES: dict[str, list[Use]] = {
    "call": [],
    "close": [],
    "copy": [
        lambda c, _: c.copy("bucket", "small", "bucket", "copied"),
        lambda c, _: c.copy("bucket", "large", "bucket", "copied", multipart_threshold=1, part_size="5 MiB"),
    ],
    "delete": [lambda c, _: c.delete("bucket", "nothing")],
    "delete_many": [lambda c, _: c.delete_many("bucket", ["nothing", "control\x01"])],
    "exists": [lambda c, _: c.exists("bucket", "small")],
    "get": [lambda c, _, key=key: c.get("bucket", key) for key in KEYS],
    "get_file": [lambda c, folder, key=key: c.get_file("bucket", key, folder / "got") for key in KEYS],
    "get_into": [lambda c, _, key=key: c.get_into("bucket", key, bytearray(LARGE)) for key in KEYS],
    "get_many": [lambda c, _: c.get_many("bucket", KEYS)],
    "get_ranges": [lambda c, _: c.get_ranges("bucket", "large", [(0, 5), (5, 5), (LARGE - 5, LARGE)])],
    "head": [lambda c, _: c.head("bucket", "small")],
    "health": [lambda c, _: c.health()],
    "iter_many": [lambda c, _: list(c.iter_many("bucket", KEYS))],
    "list": [lambda c, _: list(c.list("bucket"))],
    "list_buckets": [lambda c, _: list(c.list_buckets())],
    "list_versions": [lambda c, _: list(c.list_versions("bucket"))],
    "open": [
        *(lambda c, _, key=key: read(c, key) for key in KEYS),
        lambda c, _: write(c, 1),
        lambda c, _: write(c, LARGE),
    ],
    "presign": [lambda c, _: c.presign("get", "bucket", "small")],
    "presign_post": [lambda c, _: c.presign_post("bucket", "small")],
    "put": [
        lambda c, _: c.put("bucket", "put", b"x"),
        lambda c, _: c.put("bucket", "put", bytes(LARGE), tags={"a": "b"}),
        lambda c, _: c.put("bucket", "put", io.BytesIO(bytes(LARGE))),
        lambda c, _: broken(c),
    ],
    "put_file": [lambda c, folder: put_file(c, folder, 1), lambda c, folder: put_file(c, folder, LARGE)],
    "put_many": [lambda c, _: c.put_many("bucket", {"put": b"x", "other": bytes(LARGE)})],
    "stats": [lambda c, _: c.stats()],
    "trace": [lambda c, _: c.trace().close()],
}
"""Each in as many ways as make different requests. What is missing here is caught below."""


def read(client: objectfs.Client, key: str) -> None:
    with client.open("bucket", key) as file:
        file.read()


def write(client: objectfs.Client, size: int) -> None:
    with client.open("bucket", "written", "wb") as file:
        file.write(bytes(size))


def put_file(client: objectfs.Client, folder: Path, size: int) -> None:
    (folder / "file").write_bytes(bytes(size))
    client.put_file("bucket", "put", folder / "file", tags={"a": "b"})


def broken(client: objectfs.Client) -> None:
    """A stream that fails after two parts: the upload is aborted."""

    def stream() -> Any:
        yield bytes(LARGE)
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError):
        client.put("bucket", "put", stream())


def named(verb: str) -> set[str]:
    text = (FOLDER / f"{verb}.md").read_text(encoding="utf-8")
    found = re.search(r"^## S3 operations\n\n(.*)\n", text, re.M)
    assert found is not None
    return set() if found[1].startswith("No request") else set(re.findall(r"`(\w+)`", found[1]))


def test_no_verb_is_missing() -> None:
    verbs = {
        name for name in dir(objectfs.Client) if not name.startswith("_") and callable(getattr(objectfs.Client, name))
    }
    assert USES.keys() == verbs, "a new verb needs an entry in USES, which makes all of its requests"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server(buckets=("bucket",)) as made:
        yield made


@pytest.fixture
def clients(server: S3Server, own_environment: None) -> Iterator[list[objectfs.Client]]:
    """One of each backend."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                objectfs.Client(
                    backend=backend,
                    endpoint_url=server.endpoint_url,
                    region=server.region,
                    access_key_id=server.access_key,
                    secret_access_key=server.secret_key,
                    part_size="5 MiB",
                )
            )
            for backend in BACKENDS
        ]


def test_the_pages_name_what_the_server_sees(server: S3Server, clients: list[objectfs.Client], tmp_path: Path) -> None:
    """One test: clients are dear to make, and the verbs are many."""
    clients[0].put("bucket", "empty", b"")
    clients[0].put("bucket", "small", b"small", tags={"a": "b"})
    clients[0].put("bucket", "large", bytes(LARGE))
    wrong = {}
    for verb, uses in USES.items():
        every: set[str] = set()
        for client in clients:
            server.clear_requests()
            for use in uses:
                use(client, tmp_path)
            seen = {request.operation for request in server.requests}
            every |= seen
            if seen - named(verb):
                wrong[verb, client.backend.name] = f"the page lacks {seen - named(verb)}"
        # one backend alone does not need them all; an upload is aborted when it fails, which only put does here;
        # this server loses no tags, which would be written again; and no upload is gone on with here
        unused = named(verb) - every - {"AbortMultipartUpload", "PutObjectTagging", "ListParts"}
        if len(BACKENDS) == 2 and uses and unused:
            wrong[verb, ""] = f"nothing here makes it use {unused}"
    assert not wrong
