"""The command run in this process against the embedded server, on every backend that is built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import objectfs
from objectfs.backends.select import available
from objectfs.cli.main import cli
from objectfs.sim import S3Server

from .support import Run


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    with S3Server(buckets=("bucket", "other")) as running:
        yield running


@pytest.fixture(params=[attempt.name for attempt in available() if attempt.ok])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def settings(server: S3Server, backend: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a command that talks to the server; also set in this process."""
    values = {
        "OBJECTFS_BACKEND": backend,
        "OBJECTFS_ENDPOINT_URL": server.endpoint_url,
        "OBJECTFS_REGION": server.region,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.fixture
def client(settings: dict[str, str]) -> Iterator[objectfs.Client]:
    """To prepare and to look at what the command did; the buckets are empty before each test."""
    with objectfs.Client() as made:
        for bucket in ("bucket", "other"):
            made.delete_many(bucket, [entry.key for entry in made.list(bucket)])
        yield made


@pytest.fixture
def run(client: objectfs.Client) -> Run:
    """``run("cp", …)``: the result has ``exit_code``, ``stdout`` and ``stderr``."""

    def command(*arguments: str | Path, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin)

    return command
