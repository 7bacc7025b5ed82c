"""``objectfs compare-backends``: no difference between the backends, and a planted one is found."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner, Result

import objectfs
from objectfs.backends.select import available
from objectfs.cli.main import cli
from objectfs.equivalence.plan import KEYS, WEIGHTS, Operation, operations
from objectfs.equivalence.tester import Difference
from objectfs.sim import Fault, S3Server

pytestmark = pytest.mark.skipif(
    not all(attempt.ok for attempt in available()), reason="both backends are needed to compare them"
)


class EngineFault(Fault):
    """A fault that hits requests of the engine only."""

    def matches(self, request: Any) -> bool:
        return request.headers["user-agent"].startswith("objectfs") and super().matches(request)


def compare(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, *arguments: str, endpoint: str = "--endpoint-url"
) -> Result:
    monkeypatch.setenv("OBJECTFS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("OBJECTFS_SECRET_ACCESS_KEY", server.secret_key)
    monkeypatch.setenv("OBJECTFS_REGION", server.region)
    command = ["compare-backends", endpoint, server.endpoint_url, "--bucket", "bucket", *arguments]
    return CliRunner().invoke(cli, command)


def test_none_on_the_embedded_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with S3Server(buckets=("bucket",)) as server:
        with objectfs.Client(
            endpoint_url=server.endpoint_url, access_key_id="test", secret_access_key="testtest", region="us-east-1"
        ) as client:
            client.put("bucket", "somebody else's", b"x")
        done = compare(server, monkeypatch, "--operations", "120", "--seed", "7")
        assert done.exit_code == 0, done.output
        assert "no differences" in done.output
        made = [request for request in server.requests if request.bucket == "bucket"]
        assert len({request.headers["user-agent"][:8] for request in made}) == 2
        with objectfs.Client(
            endpoint_url=server.endpoint_url, access_key_id="test", secret_access_key="testtest", region="us-east-1"
        ) as client:  # what was stored is gone, and nothing else
            assert [entry.key for entry in client.list("bucket")] == ["somebody else's"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"operation": "HeadObject", "set_headers": {"content-type": "x/wrong"}}, "content_type"),
        ({"operation": "GetObject", "code": "AccessDenied", "nth": 3}, "AccessDeniedError"),
        ({"operation": "PutObject", "code": "AccessDenied", "nth": 2}, "AccessDeniedError"),
        ({"operation": "ListObjectsV2", "code": "AccessDenied", "nth": 1}, "AccessDeniedError"),
    ],
    ids=str,
)
def test_a_planted_difference_is_found(monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], said: str) -> None:
    with S3Server(buckets=("bucket",)) as server:
        server.faults.add(EngineFault(**{"times": None, **fault} if "nth" not in fault else fault))
        done = compare(server, monkeypatch, "--operations", "40", "--seed", "3", "--quiet")
        assert done.exit_code == 1, done.output
        assert said in done.output
        assert "crt: " in done.output
        assert "--seed 3 --operations 40" in done.output


def test_wrong_content_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which no checksum tells: of ranges."""
    with S3Server(buckets=("bucket",)) as server:
        server.faults.add(EngineFault("GetObject", ranged=True, corrupt=0, times=None))
        done = compare(server, monkeypatch, "--operations", "40", "--seed", "3", "--quiet")
        assert done.exit_code == 1, done.output


def test_a_seed_says_all() -> None:
    first, again, other = (list(operations(seed, 500)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert operations_of(first) == set(WEIGHTS)
    assert {operation.args["key"] for operation in first if operation.name == "put"} <= set(KEYS)
    assert list(operations(1, 100))[20:] == first[20:100]


def operations_of(made: list[Operation]) -> set[str]:
    return {operation.name for operation in made}


def test_how_a_difference_is_told() -> None:
    found = Difference(Operation(3, "get", {"key": "ä"}, 1), ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}], "c": 2}))
    assert list(found.lines()) == [
        "#3 get(key='\\xe4') of side B",
        "    a[1].b:",
        "        crt: 'x'",
        "        sdk: 'y'",
        "    c:",
        "        crt: '(not there)'",
        "        sdk: 2",
    ]


@pytest.mark.parametrize("command", ["compare-backends", "soak", "bench", "doctor", "ls", "cp"])
def test_the_endpoints_short_name(command: str) -> None:
    """The help of each command with a server has it, with the long one."""
    assert "--endpoint-url, --endpoint URL" in CliRunner().invoke(cli, [command, "--help"]).output


def test_with_the_short_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with S3Server(buckets=("bucket",)) as server:
        monkeypatch.setenv("OBJECTFS_ENDPOINT_URL", "http://127.0.0.1:9")
        done = compare(server, monkeypatch, "--operations", "5", "--seed", "7", endpoint="--endpoint")
        assert done.exit_code == 0, done.output
        assert server.requests


@pytest.mark.parametrize("arguments", [["--backend", "crt"], ["--prefix", ""], ["--operations", "0"]])
def test_wrong_usage(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    with S3Server(buckets=("bucket",)) as server:
        assert compare(server, monkeypatch, *arguments).exit_code == 2
