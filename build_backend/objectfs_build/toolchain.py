"""What compiles: the compiler, checked before anything is configured, and its identity for the cache."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from .errors import BuildError

__all__ = ["check_headers", "compiler_identity", "find_tool"]

_INSTALL = (
    "install one (Debian, Ubuntu: build-essential; Fedora: gcc; macOS: xcode-select --install), "
    "name it in CC, "
    "or set OBJECTFS_NATIVE=OFF to install without the native engine"
)


def find_tool(name: str) -> str:
    """Path of a cmake or ninja that runs.

    That it runs is asked, not assumed: inside pip's isolated environment the cmake of the virtual environment
    around it is on PATH, and is a Python script that cannot import its package there.
    """
    suffix = ".exe" if sys.platform == "win32" else ""
    places = [*os.environ.get("PATH", os.defpath).split(os.pathsep), sysconfig.get_path("scripts")]
    for place in places:
        candidate = Path(place or ".", f"{name}{suffix}")
        if os.access(candidate, os.X_OK) and candidate.is_file():
            with contextlib.suppress(OSError):
                if _run([str(candidate), "--version"]).returncode == 0:
                    return str(candidate)
    raise BuildError(f"{name} was not found: pip install {name}, or build with pip's isolation, which brings it")


def compiler_identity() -> str:
    """First line of the compiler's version and its target; raises if it cannot compile an empty program."""
    if sys.platform == "win32":  # CMake finds Visual Studio by itself, and says so when there is none
        return f"msvc {platform.machine()}"
    given = os.environ.get("CC", "").strip()
    if given:
        argv = shlex.split(given)
        if shutil.which(argv[0]) is None:
            raise BuildError(f"CC names {argv[0]}, which is not a program: no C compiler, {_INSTALL}")
    else:
        found = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
        if found is None:
            raise BuildError(f"no C compiler (cc, gcc or clang) was found: {_INSTALL}")
        argv = [found]
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "empty.c")
        # A header of the C library, so that a compiler without it is told apart here and not in the middle of
        # a build.
        source.write_text("#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n", encoding="ascii")
        trial = _run([*argv, str(source), "-o", str(Path(scratch, "empty"))])
        if trial.returncode:
            lines = trial.stdout.strip().splitlines() or ["no message"]
            raise BuildError(f"the C compiler {argv[0]} cannot build an empty program ({lines[0]}): {_INSTALL}")
    version = _run([*argv, "--version"]).stdout.partition("\n")[0]
    target = _run([*argv, "-dumpmachine"]).stdout.strip()
    return f"{version} {target}"


def check_headers() -> None:
    """CPython's own headers; distributions put them into a package of their own."""
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise BuildError(
            "the headers of this Python (Python.h) are missing: install them (Debian, Ubuntu: python3-dev; "
            "Fedora: python3-devel), or set OBJECTFS_NATIVE=OFF to install without the native engine"
        )


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace",
    )  # fmt: skip
