"""``objectfs doctor`` of a client with a rollout."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from objectfs.backends.select import available
from objectfs.cli.main import cli
from objectfs.sim import S3Server


@pytest.fixture
def both_backends(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    if not all(attempt.ok for attempt in available()):
        pytest.skip("a rollout needs both backends")
    monkeypatch.delenv("OBJECTFS_BACKEND")


def test_doctor_shows_what_was_decided(server: S3Server, both_backends: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTFS_ROLLOUT", "canary=0,breaker=7")
    done = CliRunner().invoke(cli, ["doctor", "--check", "bucket"])
    assert done.exit_code == 0, done.output
    assert re.search(r"in use +routed\b", done.output)
    assert re.search(r"  rollout +canary=0,breaker=7,.* environment variable OBJECTFS_ROLLOUT", done.output)
    assert re.search(r"not-canary +1: on the trusted backend", done.output)


def test_doctor_shows_what_was_decided_of_a_request_that_failed(
    server: S3Server, both_backends: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBJECTFS_ROLLOUT", "canary=0")
    done = CliRunner().invoke(cli, ["doctor", "--check", "no-such-bucket"])
    assert done.exit_code == 1, done.output
    assert re.search(r"problem +ListObjectsV2 s3://no-such-bucket: ", done.output)
    assert re.search(r"not-canary +1: on the trusted backend", done.output)


def test_doctor_says_that_a_rollout_is_without_the_engine(both_backends: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTFS_ROLLOUT", "canary=5")
    monkeypatch.setattr("objectfs._native.crc", lambda name, data: 0)
    done = CliRunner().invoke(cli, ["doctor"])
    assert done.exit_code == 0, done.output
    assert re.search(r"crt +no: the engine fails its self-check", done.output)
    assert re.search(r"in use +sdk\b", done.output)
    assert re.search(r"no-engine +1: all on the trusted backend", done.output)


def test_doctor_says_that_a_rollout_is_overruled(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBJECTFS_ROLLOUT", "canary=5")
    done = CliRunner().invoke(cli, ["doctor", "--backend", "sdk"])
    assert done.exit_code == 0, done.output
    assert re.search(r"rollout +- +environment variable OBJECTFS_ROLLOUT, but not in force: backend='sdk'", done.output)
