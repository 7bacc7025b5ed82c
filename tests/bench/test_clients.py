"""Each program that is compared does each scenario, at a scale at which nothing is to be learned about speed, and what
arrives is compared byte by byte on either side; or it says that it cannot."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from objectfs.backends.select import available
from objectfs.bench.clients import BY_NAME as CLIENTS
from objectfs.bench.content import MIB
from objectfs.bench.places import SimPlace, sim
from objectfs.bench.process import PACKAGE, python_of
from objectfs.bench.scenarios import BY_NAME as SCENARIOS
from objectfs.sim import S3Server

# Read here: no variable of this name reaches a test.
ENVIRONMENT = os.environ.get("OBJECTFS_CLIENTS", "")
REQUIRED = os.environ.get("OBJECTFS_REQUIRE", "").split(",")

OURS = [f"objectfs-{attempt.name}" for attempt in available() if attempt.ok]
if "objectfs-crt" in OURS:
    OURS.append("objectfs-crt-unchecked")
HERE = [*OURS, "boto3-single", "boto3-transfer", "raw-python", "raw-c"]
"""Those that the tests' own environment has."""
ELSEWHERE = ["boto3-crt", "awscrt", "obstore", "s3torchconnector", "minio", "s5cmd", "rclone"]
"""Those that scripts/test --clients installs."""
SCALE = 0.0002
CHECKSUMS = {"objectfs-crt", "objectfs-sdk", "boto3-single", "boto3-transfer", "boto3-crt", "obstore", "minio"}
"""Those whose uploads the server can verify; the others trust the network."""

FILES_ONLY = {"large-down-memory", "large-up-memory", "medium-down", "medium-up", "first-byte", "random-64k"}
CANNOT = {
    "boto3-transfer": {"first-byte", "random-64k", "list-100k"},
    "boto3-crt": {"first-byte", "random-64k", "list-100k"},
    "awscrt": {"list-100k", "file-to-file"},
    "s5cmd": FILES_ONLY,
    "rclone": FILES_ONLY | {"mixed"},
    "raw-python": {"list-100k", "file-to-file"},
    "raw-c": {"first-byte", "list-100k", "file-to-file"},
}
"""Scenarios that a client has no means for."""

DRIVER = """
import json, sys, types
lent = types.ModuleType("objectfs")
lent.__path__ = [sys.argv[1]]
if sys.argv[2] == "lend":
    sys.modules["objectfs"] = lent
from objectfs.bench.clients.base import Missing
from objectfs.bench.worker import Task
for line in sys.stdin:
    try:
        task = Task(json.loads(line))
        task.client.checking = True
        task.run(task.warm)
        task.check(whole=True)
        task.client.checking = False
        task.run(task.write)
        task.check(whole=False)
        task.client.close()
        answer = {"done": task.scenario.name}
    except Missing as error:
        answer = {"missing": str(error)}
    print(json.dumps(answer), flush=True)
"""
"""What objectfs.bench.worker does, for one scenario after another: a process for each would take a minute."""


@pytest.fixture(scope="module")
def place() -> Iterator[SimPlace]:
    with sim("loopback", False, list(SCENARIOS), SCALE, 0, None) as place:
        yield place


def driver(client: str) -> list[str]:
    """The command that runs it."""
    python = sys.executable
    if client in ELSEWHERE:
        if not ENVIRONMENT:
            assert "clients" not in REQUIRED
            pytest.skip("no environment with other clients (scripts/test --clients makes it)")
        python = python_of(Path(ENVIRONMENT))
    return [python, "-s", "-c", DRIVER, str(PACKAGE), "own" if CLIENTS[client].own else "lend"]


@pytest.mark.parametrize("client", HERE + ELSEWHERE)
def test_every_scenario(place: SimPlace, tmp_path: Path, client: str) -> None:
    command = driver(client)
    cannot = set()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for name, scenario in SCENARIOS.items():
            folder = tmp_path / name
            folder.mkdir()
            order: dict[str, Any] = {
                "scenario": name,
                "scale": SCALE,
                "seed": 0,
                "target": place.target | {"client": client, "folder": str(folder)},
                "read": place.read,
                "warm": place.warm,
                "write": place.write,
                "prefix": place.prefix,
            }
            print(json.dumps(order), file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline() or "{}")
            assert answer, f"{client} failed at {name}"  # its own words are on the standard error
            if "missing" in answer:
                assert answer["missing"]
                cannot.add(name)
                continue
            uploads = scenario.plan(SCALE, 0).uploads
            for bucket, whole in ((place.warm, True), (place.write, False)):
                place.check(bucket, uploads, whole=whole)
                place.clean(bucket, uploads)
            assert place.count().errors == {}
            place.forget()
        process.stdin.close()
        assert process.wait() == 0
    assert cannot == CANNOT.get(client, set())


def checked(headers: Mapping[str, str]) -> bool:
    """Whether the server can tell that the body is what the client meant: by a checksum of its own, or a signed one."""
    signed = re.fullmatch("[0-9a-f]{64}", headers.get("x-amz-content-sha256", "")) is not None
    return signed or any(name.startswith(("x-amz-checksum-", "x-amz-trailer", "content-md5")) for name in headers)


@pytest.mark.parametrize("client", [name for name in HERE + ELSEWHERE if name not in ("s5cmd", "rclone")])
def test_who_sends_checksums(tmp_path: Path, client: str) -> None:
    """For reports to say it: who computes none is to be compared with ours that computes none."""
    command = driver(client)
    with S3Server(buckets=("here",), verify_signatures=False) as server:
        order = {
            "scenario": "large-up-memory",
            "scale": 0.02,
            "seed": 0,
            "target": {
                "client": client,
                "folder": str(tmp_path),
                "endpoint": server.endpoint_url,
                "region": server.region,
                "access_key": server.access_key,
                "secret_key": server.secret_key,
                "bucket": "here",
            },
            "read": "here",
            "warm": "here",
            "write": "here",
            "prefix": "",
        }
        done = subprocess.run(command, input=json.dumps(order), stdout=subprocess.PIPE, text=True, check=True)
        assert json.loads(done.stdout) == {"done": "large-up-memory"}
        bodies = [request for request in tuple(server.requests) if request.body_size > MIB]
    assert sum(request.body_size for request in bodies) >= 2 * 20 * MIB
    assert {checked(request.headers) for request in bodies} == {client in CHECKSUMS}, bodies[-1].headers
