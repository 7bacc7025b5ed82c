"""The built extension module keeps the C libraries to itself."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from objectfs_build.lock import Lock


@pytest.fixture
def module() -> Path:
    spec = importlib.util.find_spec("objectfs._native")
    if spec is None or spec.origin is None:
        if "crt" in os.environ.get("OBJECTFS_REQUIRE", ""):
            pytest.fail("OBJECTFS_REQUIRE asks for the native engine, and objectfs._native is not installed")
        pytest.skip("objectfs._native is not installed")
    return Path(spec.origin)


def output(*argv: str) -> str:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    return subprocess.run(argv, check=True, capture_output=True, encoding="utf-8").stdout


@pytest.mark.skipif(sys.platform != "linux", reason="nm -D and readelf read ELF")
def test_only_the_init_function_is_exported(module: Path) -> None:
    """Another CRT or OpenSSL in the process can neither take our symbols nor lend us theirs."""
    lines = output("nm", "-D", "--defined-only", str(module)).splitlines()
    assert [line.split()[-1] for line in lines] == ["PyInit__native"]


@pytest.mark.skipif(sys.platform != "linux", reason="nm -D and readelf read ELF")
def test_a_static_build_needs_the_c_library_only(module: Path) -> None:
    import objectfs._native as native

    if native.CRT_LINK != "static":
        pytest.skip("linked with shared libraries")
    lines = output("readelf", "-d", str(module)).splitlines()
    needed = {line.split("[")[1].rstrip("]").split(".so")[0] for line in lines if "(NEEDED)" in line}
    assert needed <= {"libc", "libm", "libdl", "librt", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64"}
    assert not [line for line in lines if "RPATH" in line or "RUNPATH" in line]


def test_the_versions_are_those_of_the_lock(module: Path) -> None:
    import objectfs._native as native

    if native.CRT_ARCHIVE == "external":
        pytest.skip("linked with libraries that were there already")
    lock = Lock.read()
    assert lock.archive == native.CRT_ARCHIVE
    assert dict(native.CRT_VERSIONS).items() <= lock.versions.items()
