"""Servers and clients for the tests of the embedded server. boto3 is the foreign client."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

boto3 = pytest.importorskip("boto3")

from botocore.config import Config  # noqa: E402

from objectfs.sim import S3Server  # noqa: E402


@pytest.fixture(autouse=True)
def no_server_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The server logs only what it did not expect: then the test fails."""
    yield
    records = [r for when in ("setup", "call") for r in caplog.get_records(when)]
    assert not [r for r in records if r.name == "objectfs.sim" and r.levelno >= logging.WARNING]


@pytest.fixture(params=["memory", "directory"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[S3Server]:
    with S3Server(None if request.param == "memory" else tmp_path / "store") as running:
        yield running


@pytest.fixture
def memory() -> Iterator[S3Server]:
    """A memory server that does not check signatures, for hand-made requests."""
    with S3Server(verify_signatures=False) as running:
        yield running


def connect(server: S3Server, **options: Any) -> Any:
    """A boto3 client that does not retry."""
    settings: dict[str, Any] = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}}
    settings.update(options.pop("config", {}))
    arguments: dict[str, Any] = {
        "endpoint_url": server.endpoint_url,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "testtest",
        "region_name": "us-east-1",
        "verify": server.ca_file,
    }
    arguments.update(options)
    return boto3.client("s3", config=Config(**settings), **arguments)


@pytest.fixture
def s3(server: S3Server) -> Iterator[Any]:
    client = connect(server)
    yield client
    client.close()


class Wire:
    """A raw connection: what a client library would not send, and what it would not show."""

    def __init__(self, server: S3Server) -> None:
        self.sock = socket.create_connection((server.host, server.port), timeout=10)

    def send(self, data: bytes) -> Wire:
        self.sock.sendall(data)
        return self

    def read_all(self) -> bytes:
        """Everything until the server closes."""
        data = b""
        while piece := self.sock.recv(65536):
            data += piece
        return data

    def response(self) -> tuple[int, dict[str, str], bytes]:
        """One response that has a Content-Length."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(1)
            if not piece:
                raise EOFError(data)
            data += piece
        lines = data.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:-2])
        body = b""
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            piece = self.sock.recv(length - len(body))
            if not piece:
                raise EOFError(body)
            body += piece
        return int(lines[0].split()[1]), headers, body

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def wire(memory: S3Server) -> Iterator[Callable[[], Wire]]:
    """Opens raw connections to the ``memory`` server."""
    opened: list[Wire] = []

    def opener() -> Wire:
        opened.append(Wire(memory))
        return opened[-1]

    yield opener
    for connection in opened:
        connection.close()
