"""Where the foreign clients are, and a server for each session of one.

``scripts/test --clients`` installs them into an environment of their own and names it in ``OBJECTFS_CLIENTS``; without
it, command-line tools are looked for on PATH and modules in the running Python. A client that is missing skips its
sessions and says so; with ``clients`` in ``OBJECTFS_REQUIRE`` it fails them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from objectfs.sim import S3Server

# Read here: no variable of this name reaches a test.
ENVIRONMENT = os.environ.get("OBJECTFS_CLIENTS", "")
REQUIRED = "clients" in os.environ.get("OBJECTFS_REQUIRE", "").split(",")
SESSIONS = Path(__file__).parent / "sessions"
# Two labels: OpenSSL lets no star stand before one.
DOMAIN = "s3.localhost"
ACCESS_KEY, SECRET_KEY = "test", "testtest"


@cache
def python() -> str:
    """The interpreter that has the client modules."""
    return str(Path(ENVIRONMENT) / "bin" / "python") if ENVIRONMENT else sys.executable


@cache
def has_module(name: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"
    return subprocess.run([python(), "-c", code], check=False).returncode == 0


@cache
def tool(name: str) -> str | None:
    """The path of a command-line tool."""
    places = [str(Path(ENVIRONMENT) / "bin")] if ENVIRONMENT else []
    return shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", os.defpath)]))


def missing(what: str) -> None:
    """Skip, or fail where the clients must be there."""
    reason = f"{what} is not installed (scripts/test --clients installs it)"
    if REQUIRED:
        pytest.fail(f"{reason}, and OBJECTFS_REQUIRE has clients")
    pytest.skip(reason)


def need_module(name: str) -> None:
    if not has_module(name):
        missing(f"the Python package {name}")


def need_tool(name: str) -> str:
    path = tool(name)
    if path is None:
        missing(f"the tool {name}")
    assert path is not None
    return path


@dataclass
class Site:
    """A server, the style to address it in, and a folder for the session."""

    server: S3Server
    virtual: bool
    folder: Path

    @property
    def endpoint(self) -> str:
        if not self.virtual:
            return self.server.endpoint_url
        return f"{'https' if self.server.tls else 'http'}://{DOMAIN}:{self.server.port}"

    def environment(self) -> dict[str, str]:
        """What the session's process sees: nothing of the machine's settings."""
        kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR")}
        environment = {
            **kept,
            "PATH": os.pathsep.join([str(Path(python()).parent), os.environ.get("PATH", os.defpath)]),
            "HOME": str(self.folder),
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "S3_ENDPOINT": self.endpoint,
            "S3_STYLE": "virtual" if self.virtual else "path",
            "S3_ACCESS_KEY": ACCESS_KEY,
            "S3_SECRET_KEY": SECRET_KEY,
            "S3_FOLDER": str(self.folder),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self.folder / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "no-credentials"),
        }
        if self.server.ca_file:
            environment["S3_CA"] = self.server.ca_file
        return environment

    def operations(self) -> set[str]:
        return {request.operation for request in self.server.requests}

    def errors(self) -> set[str]:
        return {request.error for request in self.server.requests if request.error}


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A server as the parameter says: SCHEME-STYLE-STORE. Each session runs with and without TLS, in both addressing
    styles as far as its client offers them, and on both stores."""
    scheme, style, store = request.param.split("-")
    folder = tmp_path / "session"
    folder.mkdir()
    where = tmp_path / "store" if store == "directory" else None
    with S3Server(where, tls=scheme == "https", buckets=(), domains=[DOMAIN]) as server:
        yield Site(server, style == "virtual", folder)
        # What the server answered with 5xx is its own fault: no session provokes one.
        broken = [(r.operation, r.bucket, r.key, r.status) for r in server.requests if (r.status or 0) >= 500]
        assert not broken
