"""``objectfs ls`` and ``objectfs rm``."""

from __future__ import annotations

import pytest

import objectfs

from .support import Run


@pytest.fixture(autouse=True)
def objects(client: objectfs.Client) -> None:
    client.put_many("bucket", {"a": b"x" * 2048, "dir/b": b"", "dir/sub/c": b"", "directory": b"", "esc\x9b31m": b""})


def test_one_level(run: Run) -> None:
    lines = run("ls", "s3://bucket").stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["a", "dir/", "directory", "esc\\x9b31m"]
    assert "PRE dir/" in lines[1]


def test_everything_with_sizes_and_sum(run: Run) -> None:
    result = run("ls", "-r", "-h", "--summarize", "s3://bucket/")
    assert "2.0 KiB a" in result.stdout
    assert result.stdout.splitlines()[-1] == "5 objects, 2.0 KiB"


def test_buckets(run: Run) -> None:
    assert {line.split()[-1] for line in run("ls").stdout.splitlines()} >= {"s3://bucket", "s3://other"}


def test_nothing_found_is_exit_code_1(run: Run) -> None:
    assert run("ls", "s3://bucket/nothing").exit_code == 1
    assert run("ls", "s3://other").exit_code == 0  # an empty bucket is not a failure


def test_remove_one(run: Run, client: objectfs.Client) -> None:
    assert run("rm", "s3://bucket/a", "s3://bucket/never-there").exit_code == 0
    assert not client.exists("bucket", "a")


def test_remove_a_folder(run: Run, client: objectfs.Client) -> None:
    dry = run("rm", "-r", "--dry-run", "s3://bucket/dir")
    assert dry.stdout.splitlines() == ["(dry run) delete s3://bucket/dir/b", "(dry run) delete s3://bucket/dir/sub/c"]
    result = run("rm", "-r", "s3://bucket/dir")
    assert result.exit_code == 0
    assert "deleted 2" in result.stderr
    assert [entry.key for entry in client.list("bucket")] == ["a", "directory", "esc\x9b31m"]


def test_a_bucket_is_not_an_object(run: Run) -> None:
    assert run("rm", "s3://bucket").exit_code == 2


def test_denied(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    result = run("ls", "s3://bucket")
    assert result.exit_code == 1
    assert "SignatureDoesNotMatch" in result.stderr or "signature" in result.stderr
    assert "wrong" not in result.stderr
