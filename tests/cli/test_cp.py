"""``objectfs cp``: files, folders, streams, both ways."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import objectfs

from .support import Run, tree

CONTENTS = {
    "a.txt": b"a",
    "empty": b"",
    "sub/b.bin": bytes(range(256)) * 1000,
    "sub/deep/er/with space+%.txt": b"s",
    "sub/ünïcode": b"u" * 300_000,
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, data in CONTENTS.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "source"


def test_one_file_there_and_back(run: Run, source: Path, tmp_path: Path) -> None:
    assert run("cp", source / "sub/b.bin", "s3://bucket/k").exit_code == 0
    assert run("cp", "s3://bucket/k", tmp_path / "back").exit_code == 0
    assert (tmp_path / "back").read_bytes() == CONTENTS["sub/b.bin"]


def test_a_folder_as_target_keeps_the_name(run: Run, client: objectfs.Client, source: Path, tmp_path: Path) -> None:
    assert run("cp", source / "a.txt", "s3://bucket/dir/").exit_code == 0
    assert client.exists("bucket", "dir/a.txt")
    assert run("cp", source / "a.txt", "s3://bucket").exit_code == 0
    assert client.exists("bucket", "a.txt")
    assert run("cp", "s3://bucket/dir/a.txt", tmp_path).exit_code == 0
    assert (tmp_path / "a.txt").read_bytes() == b"a"
    assert run("cp", "s3://bucket/dir/a.txt", f"{tmp_path}/new/").exit_code == 0
    assert (tmp_path / "new/a.txt").read_bytes() == b"a"


def test_several_sources(run: Run, client: objectfs.Client, source: Path) -> None:
    assert run("cp", source / "a.txt", source / "empty", "s3://bucket/two").exit_code == 0
    assert sorted(entry.key for entry in client.list("bucket")) == ["two/a.txt", "two/empty"]


def test_a_tree_there_and_back(run: Run, client: objectfs.Client, source: Path, tmp_path: Path) -> None:
    up = run("cp", "-r", source, "s3://bucket/tree")
    assert up.exit_code == 0, up.stderr
    assert f"copied {len(CONTENTS)} objects" in up.stderr
    assert sorted(entry.key for entry in client.list("bucket")) == sorted(f"tree/{name}" for name in CONTENTS)
    down = run("cp", "-r", "s3://bucket/tree/", tmp_path / "back")
    assert down.exit_code == 0, down.stderr
    assert tree(tmp_path / "back") == CONTENTS


def test_many_small_files(run: Run, client: objectfs.Client, tmp_path: Path) -> None:
    client.put_many("bucket", {f"n/{number:04}": str(number).encode() for number in range(1100)})
    assert run("cp", "-r", "s3://bucket/n", tmp_path / "n").exit_code == 0
    assert tree(tmp_path / "n") == {f"{number:04}": str(number).encode() for number in range(1100)}


def test_only_the_folder_named(run: Run, client: objectfs.Client, tmp_path: Path) -> None:
    client.put_many("bucket", {"dir/in": b"", "directory/out": b"", "dir": b""})
    assert run("cp", "-r", "s3://bucket/dir", tmp_path / "t").exit_code == 0
    assert list(tree(tmp_path / "t")) == ["in"]


def test_streams(run: Run, client: objectfs.Client) -> None:
    assert run("cp", "-", "s3://bucket/s", stdin=b"through a pipe").exit_code == 0
    assert bytes(client.get("bucket", "s")) == b"through a pipe"
    assert run("cp", "s3://bucket/s", "-").stdout_bytes == b"through a pipe"
    assert run("cat", "s3://bucket/s", "s3://bucket/s").stdout_bytes == b"through a pipe" * 2


def test_a_stream_of_several_blocks(run: Run, client: objectfs.Client) -> None:
    data = os.urandom(35 * 1024 * 1024)
    assert run("cp", "-", "s3://bucket/s", stdin=data).exit_code == 0
    assert run("cat", "s3://bucket/s").stdout_bytes == data


def test_between_buckets(run: Run, client: objectfs.Client) -> None:
    client.put_many("bucket", {"d/x": b"x", "d/y/z": b"z"})
    assert run("cp", "s3://bucket/d/x", "s3://other/").exit_code == 0
    assert run("cp", "-r", "s3://bucket/d", "s3://other/e").exit_code == 0
    assert sorted(entry.key for entry in client.list("other")) == ["e/x", "e/y/z", "x"]
    assert bytes(client.get("other", "e/y/z")) == b"z"


def test_one_failure_does_not_stop_the_others(run: Run, client: objectfs.Client, source: Path) -> None:
    (source / "sub/dangling").symlink_to("nowhere")
    result = run("cp", "-r", source, "s3://bucket/")
    assert result.exit_code == 1
    assert "dangling" in result.stderr
    assert "1 failed" in result.stderr
    assert sorted(entry.key for entry in client.list("bucket")) == sorted(CONTENTS)


def test_a_link_to_a_folder_is_told_of(run: Run, client: objectfs.Client, source: Path) -> None:
    (source / "loop").symlink_to(source, target_is_directory=True)
    result = run("cp", "-r", source, "s3://bucket/")
    assert result.exit_code == 1
    assert "symbolic link to a folder" in result.stderr
    assert sorted(entry.key for entry in client.list("bucket")) == sorted(CONTENTS)


def test_dry_run(run: Run, client: objectfs.Client, source: Path, tmp_path: Path) -> None:
    result = run("cp", "-r", "--dry-run", source, "s3://bucket/d")
    assert result.exit_code == 0
    assert result.stdout.count("(dry run)") == len(CONTENTS)
    assert not list(client.list("bucket"))
    client.put("bucket", "d/x", b"")
    result = run("cp", "-r", "--dry-run", "s3://bucket/d", tmp_path / "never")
    assert result.stdout == f"(dry run) s3://bucket/d/x -> {tmp_path}/never/x\n"
    assert run("cp", "--dry-run", "s3://bucket/d/x", f"{tmp_path}/never/").exit_code == 0
    assert not (tmp_path / "never").exists()


def test_a_missing_object_leaves_no_file(run: Run, tmp_path: Path) -> None:
    result = run("cp", "s3://bucket/missing", tmp_path / "file")
    assert result.exit_code == 1
    assert "s3://bucket/missing" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [("missing",), ("missing", "also missing")])
def test_a_missing_file_is_named_once(run: Run, tmp_path: Path, names: tuple[str, ...]) -> None:
    paths = [tmp_path / name for name in names]
    result = run("cp", *paths, "s3://bucket/dir/")
    assert result.exit_code == 1
    for path in paths:
        (line,) = (line for line in result.stderr.splitlines() if line.endswith(str(path)))
        assert line.count(str(path)) == 1
        assert "No such file" in line


def test_a_missing_bucket(run: Run, tmp_path: Path) -> None:
    result = run("cp", "-r", "s3://no-such-bucket/", tmp_path / "t")
    assert result.exit_code == 1
    assert "no-such-bucket" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("cp", "a", "b"),
        ("cp", "s3://bucket/", "x"),
        ("cp", ".", "s3://bucket/"),
        ("cp", "-", "s3://bucket/dir/"),
        ("cp", "-r", "-", "s3://bucket/x"),
        ("cp", "--backend", "neither", "a", "s3://bucket/x"),
        ("cp", "--ca-bundle", "f", "--no-verify-ssl", "a", "s3://bucket/x"),
        ("cp", "--memory-limit", "much", "a", "s3://bucket/x"),
        ("cp", "--endpoint-url", "no url", "a", "s3://bucket/x"),
        ("nonsense",),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr


def test_resume(run: Run, client: objectfs.Client, source: Path, tmp_path: Path) -> None:
    """What it does to requests, tests/contract shows."""
    large = bytes(range(256)) * (9 << 12)
    (source / "large").write_bytes(large)
    (source / ".objectfs-0123456789abcdef01234567.resume").write_bytes(b"of one that was killed")
    assert run("cp", "--resume", "-r", source, "s3://bucket/tree").exit_code == 0
    assert {entry.key for entry in client.list("bucket")} == {f"tree/{name}" for name in (*CONTENTS, "large")}
    assert run("cp", "--resume", "s3://bucket/tree/large", tmp_path / "one").exit_code == 0
    assert run("cp", "--resume", "-r", "s3://bucket/tree", tmp_path / "back").exit_code == 0
    assert (tmp_path / "one").read_bytes() == large
    assert tree(tmp_path / "back") == {**CONTENTS, "large": large}
    for wrong in (("-", "s3://bucket/k"), ("s3://bucket/k", "-"), ("s3://bucket/k", "s3://bucket/l")):
        assert run("cp", "--resume", *wrong).exit_code == 2
