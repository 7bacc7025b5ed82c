"""No key is written outside of the destination; what is refused does not stop the others."""

from __future__ import annotations

from pathlib import Path

import pytest

import objectfs
from objectfs.cli.paths import Destination, segments
from objectfs.errors import UnsafeKeyError

from .support import Run, tree


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "a/../../b", "a/..", "..", ".", "a/./b", "a//b", "", "a\0b", "x" * 256, "a/"],
)
def test_refused_everywhere(name: str) -> None:
    with pytest.raises(ValueError, match=r"it |segment"):
        segments(name, windows=False)


@pytest.mark.parametrize("name", ["C:x", "C:/x", "a\\..\\b", "\\\\host\\share", "nul", "com1.txt", "a.", "a ", "a?b"])
def test_refused_on_windows(name: str) -> None:
    assert segments(name, windows=False)
    with pytest.raises(ValueError, match=r"[Ww]indows"):
        segments(name, windows=True)


@pytest.mark.parametrize("name", ["a", "...", "..a/b..", "-rf", "a b/~/*", "é"])
def test_plain_names(name: str) -> None:
    assert "/".join(segments(name)) == name


def test_the_others_still_go(run: Run, client: objectfs.Client, tmp_path: Path) -> None:
    for key in ("p/../../evil", "p//abs", "p/good", "p/sub/good"):
        client.put("bucket", key, b"x")
    result = run("cp", "-r", "s3://bucket/p", tmp_path / "inner/dest")
    assert result.exit_code == 1
    assert result.stderr.count("refused") == 2
    assert tree(tmp_path) == {"inner/dest/good": b"x", "inner/dest/sub/good": b"x"}


def test_a_single_object_named_dots(run: Run, client: objectfs.Client, tmp_path: Path) -> None:
    client.put("bucket", "a/..", b"x")
    result = run("cp", "s3://bucket/a/..", tmp_path)
    assert result.exit_code == 1
    assert "refused" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_file_and_folder_of_one_name(run: Run, client: objectfs.Client, tmp_path: Path) -> None:
    for key in ("a", "a!", "a/b", "a/c", "ab"):
        client.put("bucket", key, b"x")
    result = run("cp", "-r", "s3://bucket", tmp_path / "t")
    assert result.exit_code == 1
    assert result.stderr.count("refused") == 2
    assert sorted(tree(tmp_path / "t")) == ["a", "a!", "ab"]


def test_folder_markers(run: Run, client: objectfs.Client, tmp_path: Path) -> None:
    client.put_many("bucket", {"d/": b"", "d/e/": b"", "d/f": b"x", "d/../": b""})
    result = run("cp", "-r", "s3://bucket/d/", tmp_path / "t")
    assert result.exit_code == 1
    assert (tmp_path / "t/e").is_dir()
    assert tree(tmp_path / "t") == {"f": b"x"}


def test_links_do_not_lead_out(run: Run, client: objectfs.Client, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "victim").write_bytes(b"untouched")
    dest = tmp_path / "dest"
    (dest / "real").mkdir(parents=True)
    (dest / "out").symlink_to(tmp_path / "outside")
    (dest / "within").symlink_to(dest / "real")
    (dest / "file").symlink_to(tmp_path / "victim")
    client.put_many("bucket", {"out/x": b"x", "out/new/x": b"x", "within/y": b"y", "file": b"z"})
    result = run("cp", "-r", "s3://bucket", dest)
    assert result.exit_code == 1
    assert result.stderr.count("leads out") == 2
    assert list((tmp_path / "outside").iterdir()) == []
    assert (dest / "real/y").read_bytes() == b"y"
    # The link itself is replaced; what it pointed to is left alone.
    assert (tmp_path / "victim").read_bytes() == b"untouched"
    assert (dest / "file").read_bytes() == b"z"


def test_the_error_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(UnsafeKeyError) as caught:
        Destination(str(tmp_path)).path_of("bucket", "../x", "../x")
    assert caught.value.key == "../x"
    assert "s3://bucket/../x" in str(caught.value)
