"""third_party/crt.lock and the licences beside it."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from objectfs_build.errors import BuildError
from objectfs_build.lock import LIBRARIES, LICENSES, LOCK_PATH, Lock, sha256_of, write_lock

# What the requirement document asks for, in its order.
ASKED = [
    "aws-c-common",
    "aws-checksums",
    "aws-c-cal",
    "aws-c-io",
    "aws-c-compression",
    "aws-c-http",
    "aws-c-auth",
    "aws-c-s3",
]


def test_the_lock_names_every_library() -> None:
    lock = Lock.read()
    assert tuple(lock.versions) == LIBRARIES
    assert all(version[0].isdigit() for version in lock.versions.values())
    assert lock.filename == f"{lock.name}-{lock.version}.tar.gz"


def test_dependencies_come_first() -> None:
    assert [library for library in LIBRARIES if library in ASKED] == ASKED
    assert LIBRARIES.index("aws-lc") < LIBRARIES.index("s2n") < LIBRARIES.index("aws-c-io")
    assert LIBRARIES.index("aws-c-sdkutils") < LIBRARIES.index("aws-c-auth")


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_linked_library_has_its_licence_here(library: str) -> None:
    assert (LICENSES / f"{library}-LICENSE.txt").stat().st_size > 500


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("sha256 = ", "sha256 = 12 #", "64"),
        ("[archive]", "[archive", "cannot be read"),
        ("aws-c-s3 = ", "aws-c-s4 = ", "aws-c-s3"),
    ],
)
def test_a_damaged_lock_is_said_in_one_sentence(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "crt.lock"
    text = LOCK_PATH.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(BuildError, match="restore") as caught:
        Lock.read(path)
    assert says in str(caught.value)


def test_write_lock_reads_versions_and_licences_from_the_archive(tmp_path: Path) -> None:
    files = {"aws-lc/CMakeLists.txt": 'set(SOFTWARE_VERSION "5.6.7")\n'}
    files["s2n/CMakeLists.txt"] = "set(VERSION_MAJOR 1)\nset(VERSION_MINOR 2)\nset(VERSION_PATCH 3)\n"
    for library in LIBRARIES:
        files[f"{library}/LICENSE"] = f"terms of {library}"
        if library.startswith("aws-c"):
            files[f"{library}/VERSION"] = "9.8.7\n"
    path = tmp_path / "somecrt-1.2.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"somecrt-1.2/crt/{name}")
            member.size = len(text)
            tar.addfile(member, BytesIO(text.encode()))
    lock = write_lock(path, tmp_path / "crt.lock", tmp_path / "licenses")
    assert (lock.name, lock.version, lock.sha256) == ("somecrt", "1.2", sha256_of(path))
    assert (lock.versions["aws-lc"], lock.versions["s2n"], lock.versions["aws-c-s3"]) == (
        "5.6.7",
        "1.2.3",
        "9.8.7",
    )
    assert (tmp_path / "licenses" / "aws-c-io-LICENSE.txt").read_text() == "terms of aws-c-io"
