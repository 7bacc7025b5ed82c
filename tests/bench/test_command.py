"""``objectfs bench`` from end to end, at a scale at which nothing is to be learned about speed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import objectfs
from objectfs.backends.select import available
from objectfs.bench.clients import ENTRIES
from objectfs.bench.results import Report, from_json
from objectfs.bench.scenarios import SCENARIOS
from objectfs.cli.main import cli
from objectfs.sim import S3Server

OURS = [f"objectfs-{attempt.name}" for attempt in available() if attempt.ok]
CLIENTS = [*OURS, "boto3-single", "boto3-transfer", "raw-c"]
# Read here: no variable of this name reaches a test.
ENVIRONMENT = os.environ.get("OBJECTFS_CLIENTS", "")
REQUIRED = os.environ.get("OBJECTFS_REQUIRE", "").split(",")
TINY = ("--scale", "0.0002")


def bench(*arguments: str | Path, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["bench", *map(str, arguments)], input=answer)


def several(option: str, values: list[str]) -> list[str]:
    return [part for value in values for part in (option, value)]


def read(folder: Path) -> Report:
    return from_json((folder / "report.json").read_text(encoding="utf-8"))


def test_a_run_from_end_to_end(tmp_path: Path) -> None:
    scenarios = ["large-up-file", "mixed"]
    result = bench(
        *TINY, "--runs", "1", *several("--scenario", scenarios), *several("--client", CLIENTS), "--out", tmp_path
    )
    assert result.exit_code == 0, result.output
    report = read(tmp_path)
    assert not report.missed
    for scenario in scenarios:
        for client in CLIENTS:
            case = report.find(scenario, client)
            assert case is not None, (scenario, client)
            (run,) = case.runs
            assert run.error is None, run.error
            assert run.bytes == case.bytes > 0
            assert run.wall > 0
            assert run.cpu > 0
            assert run.peak_rss > 1 << 20
            assert run.requests is not None
            assert run.requests >= 1
            assert run.errors == 0
    # A request for each object: the warm-up's are not counted.
    mixed = report.find("mixed", "boto3-single")
    assert mixed is not None
    assert mixed.runs[0].requests == mixed.objects
    assert mixed.runs[0].latency is not None
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "report.md", "report.html"}
    assert "mixed" in (tmp_path / "report.md").read_text(encoding="utf-8")
    result = bench("--resume", tmp_path / "report.json", "--runs", "2")
    assert result.exit_code == 2
    assert "its runs is 1, and this run's 2" in result.output
    # The run is compared with itself, and held against limits that nobody meets and that everybody does.
    again = ("--client", "boto3-single", "--scenario", "first-byte", "--runs", "1", *TINY)
    for limit, code in (("at_most = 1e-9", 1), ("at_most = 1e9", 0)):
        file = tmp_path / "limits.toml"
        file.write_text(f'[[threshold]]\nscenario = "first-byte"\nclient = "boto3-single"\n{limit}\n', encoding="utf-8")
        result = bench(*again, "--thresholds", file, "--compare", tmp_path / "report.json", "-q")
        assert result.exit_code == code, result.output


def test_tls(tmp_path: Path) -> None:
    clients = [*OURS, "raw-ssl", "raw-python"]
    result = bench(
        *TINY,
        "--runs",
        "1",
        "--tls",
        "on",
        "--scenario",
        "large-up-memory",
        *several("--client", clients),
        "--out",
        tmp_path,
    )
    assert result.exit_code == 0, result.output
    report = read(tmp_path)
    assert [case.client for case in report.cases] == [*OURS, "raw-ssl"]
    assert all(case.tls and not case.failed for case in report.cases)
    assert [missed.reason for missed in report.missed] == ["see raw-ssl"]


def test_clients_of_another_environment(tmp_path: Path) -> None:
    """Those that scripts/test --clients installs; here without most of the scenarios, all of which take a while."""
    if not ENVIRONMENT:
        assert "clients" not in REQUIRED
        pytest.skip("no environment with other clients (scripts/test --clients makes it)")
    clients = ["boto3-crt", "awscrt", "obstore", "s3torchconnector", "minio", "s5cmd", "rclone"]
    scenarios = ["large-down-file", "many-4k"]
    arguments = [*several("--client", clients), *several("--scenario", scenarios), "--runs", "1", "--out", tmp_path]
    result = bench(*TINY, "--peers-env", ENVIRONMENT, *arguments)
    assert result.exit_code == 0, result.output
    report = read(tmp_path)
    assert all(client.available for client in report.clients), report.clients
    assert len(report.cases) == len(clients) * len(scenarios)
    assert not report.missed


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server(buckets=("mine",)) as server:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        yield server


def test_a_bucket_of_ones_own_is_as_it_was(endpoint: S3Server, tmp_path: Path) -> None:
    with objectfs.Client(endpoint_url=endpoint.endpoint_url, region=endpoint.region) as client:
        client.put("mine", "large/kept", b"kept")
        result = bench(
            *TINY,
            *("--runs", "1", "--endpoint-url", endpoint.endpoint_url, "--bucket", "mine", "--out", tmp_path),
            *several("--scenario", ["mixed", "large-up-memory"]),
            *several("--client", [OURS[0], "raw-c"]),
        )
        assert result.exit_code == 0, result.output
        assert "PUT and LIST" in result.output
        assert [entry.key for entry in client.list("mine")] == ["large/kept"]
        assert not client.call("ListMultipartUploads", Bucket="mine").get("Uploads")
    report = read(tmp_path)
    assert report.settings.server == "endpoint"
    assert [(case.scenario, case.profile, case.failed) for case in report.cases] == [
        ("mixed", "-", ()),
        ("large-up-memory", "-", ()),
    ]
    assert {missed.reason for missed in report.missed} == {"it signs nothing, and this server wants signatures"}


def test_money_is_not_spent_without_a_word(endpoint: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("it began to measure")

    monkeypatch.setattr("objectfs.bench.run.run", never)
    result = bench("--bucket", "somebodys", "--client", OURS[0], answer="n\n")
    assert result.exit_code == 1
    assert "$" in result.output
    assert "Spend that?" in result.output
    result = bench("--bucket", "somebodys", "--client", OURS[0], "--yes")
    assert isinstance(result.exception, AssertionError)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--scenario", "none"), "none"),
        (("--endpoint-url", "http://127.0.0.1:1"), "--bucket"),
        (("--bucket", "mine", "--tls", "on"), "embedded server"),
        (("--thresholds", "/nowhere.toml"), "/nowhere.toml"),
        (("--compare", "/nowhere.json"), "/nowhere.json"),
        (("--resume", "/nowhere.json"), "--resume: /nowhere.json"),
        (("--peers-env", "/nowhere"), "no virtual environment"),
        (("--runs", "0"), "--runs"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], text: str) -> None:
    result = bench(*arguments)
    assert result.exit_code == 2
    assert text in result.output


def test_a_file_that_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"schema": "other"}), encoding="utf-8")
    result = bench("--compare", path)
    assert result.exit_code == 2
    assert "other" in result.output


def test_the_list() -> None:
    result = bench("--list")
    assert result.exit_code == 0
    for name in [entry.name for entry in ENTRIES] + [scenario.name for scenario in SCENARIOS]:
        assert f"  {name} " in result.output
    assert "missing: " in result.output or "s5cmd v" in result.output
