"""Options of list_versions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import S3Server
from objectfs.sim.store.blobs import MemoryBlob
from objectfs.sim.store.records import Record

from .conftest import Make
from .raw_server import RawServer, answer


def keys(found: Any) -> list[str]:
    return [entry.prefix if isinstance(entry, objectfs.Prefix) else entry.key for entry in found]


async def test_versions_from_a_marker_on(connect: Make, sim: S3Server, backend: str) -> None:
    """Behind a key, or behind one version of it; on page after page."""

    def work() -> None:
        bucket = sim.store.bucket("bucket")
        blob = MemoryBlob([b"x"])
        for name in ("a+ é", "b", "c"):
            history = [Record(name, blob, "e", version_id=f"{version:032}", marker=False) for version in range(1200)]
            bucket.set_history(name, history)

    sim.run(work)
    client = connect()

    def told(found: Any) -> list[tuple[str, int]]:
        return [(entry.key, int(entry.version_id)) for entry in found]

    everything = [(name, version) for name in ("a+ é", "b", "c") for version in reversed(range(1200))]
    assert told(client.list_versions("bucket", key_marker="a+ é")) == everything[1200:]
    markers = {"key_marker": "a+ é", "version_id_marker": f"{5:032}"}
    assert told(client.list_versions("bucket", **markers)) == everything[1195:]
    assert told(client.list_versions("bucket", limit=7, **markers)) == everything[1195:1202]
    assert told(client.list_versions("bucket", "c", **markers)) == everything[2400:]
    assert keys(client.list_versions("bucket", delimiter="+", **markers)) == keys(
        client.list_versions("bucket", delimiter="+", key_marker="a+ é")
    )
    async with objectfs.AsyncClient(
        endpoint_url=sim.endpoint_url,
        access_key_id="test",
        secret_access_key="testtest",
        region="us-east-1",
        backend=backend,
    ) as other:
        found = [entry async for entry in other.list_versions("bucket", request_payer="requester", **markers)]
        assert told(found) == everything[1195:]
    with pytest.raises(errors.InvalidRequestError, match="key_marker"):
        client.list_versions("bucket", version_id_marker=f"{5:032}")
    wrong: Any = 5
    for name in ("key_marker", "version_id_marker"):
        with pytest.raises(TypeError, match=name):
            client.list_versions("bucket", **{"key_marker": "k", name: wrong})


def test_restore_status_of_versions(connect: Make) -> None:
    body = (
        b"<ListVersionsResult><Version><Key>a</Key><VersionId>1</VersionId><Size>1</Size><RestoreStatus>"
        b"<IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>2026-01-02T03:04:05.000Z"
        b"</RestoreExpiryDate></RestoreStatus></Version><DeleteMarker><Key>b</Key><VersionId>2</VersionId>"
        b"</DeleteMarker></ListVersionsResult>"
    )
    with RawServer(lambda _: answer(200, body=body)) as server:
        client = connect(endpoint_url=server.url)
        found: list[Any] = list(client.list_versions("bucket", optional_object_attributes=["RestoreStatus"]))
    assert server.asked[-1].headers["x-amz-optional-object-attributes"] == "RestoreStatus"
    told = [(entry.restore_in_progress, entry.restored_until) for entry in found]
    assert told == [(False, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)), (None, None)]
