"""Keys through a proxy for plain HTTP, which is asked for whole URLs."""

from __future__ import annotations

import pytest

import objectfs
from objectfs.sim import S3Server

from .conftest import DOMAIN
from .test_roundtrip import KEYS


def test_every_key_arrives_as_it_is(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dot segments are parts of the key: who removes them asks for another object, and with a wrong signature."""
    with S3Server(buckets=("bucket",), domains=(DOMAIN,)) as server:  # which is its own proxy
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, server.endpoint_url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with objectfs.Client(
            endpoint_url=f"http://{DOMAIN}:{server.port}",
            access_key_id="test",
            secret_access_key="testtest",
            region="us-east-1",
            addressing_style="virtual",
            backend=backend,
        ) as client:
            for key in KEYS:
                client.put("bucket", key, key.encode())
                assert bytes(client.get("bucket", key)) == key.encode()
                assert client.head("bucket", key, response_content_type="text/x").key == key
            assert sorted(entry.key for entry in client.list("bucket")) == sorted(KEYS)
            assert client.delete_many("bucket", KEYS[:3]) == {}
            for key in KEYS[3:]:
                client.delete("bucket", key)
            assert list(client.list("bucket")) == []
