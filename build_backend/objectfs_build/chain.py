"""The chain of C libraries, each configured, built and installed into a prefix before the next one needs it.

One CMake run for each library rather than one for all: the configure costs 0.7 s apiece, and in return a
failure and each progress line name a library, and no library sees another one's build tree.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import archive
from .errors import BuildError
from .lock import LIBRARIES, Lock
from .report import Report, StepFailed
from .toolchain import find_tool

__all__ = ["MANIFEST", "Options", "build_chain", "default_jobs"]

MANIFEST = Path("share", "objectfs", "crt.json")

_COMMON = {
    "BUILD_TESTING": "OFF",
    "CMAKE_POSITION_INDEPENDENT_CODE": "ON",
    "CMAKE_C_VISIBILITY_PRESET": "hidden",
    "CMAKE_INSTALL_LIBDIR": "lib",  # not lib64: one place to look, whatever the distribution
    "CMAKE_FIND_USE_PACKAGE_REGISTRY": "OFF",
    # Homebrew's OpenSSL headers sit in a default search path on Intel Macs and would be taken before ours.
    "CMAKE_NO_SYSTEM_FROM_IMPORTED": "ON",
}
_SPECIFIC = {
    # Only libcrypto. Go and Perl would regenerate files that the archive brings ready made.
    "aws-lc": {"DISABLE_GO": "ON", "DISABLE_PERL": "ON", "BUILD_LIBSSL": "OFF", "BUILD_TOOL": "OFF"},
    "s2n": {"UNSAFE_TREAT_WARNINGS_AS_ERRORS": "OFF"},
}


@dataclass(frozen=True)
class Options:
    """How the libraries are built; part of what a cached prefix is keyed by."""

    shared: bool = False
    debug: bool = False
    sanitize: str = ""
    system_libcrypto: bool = False

    @property
    def link(self) -> str:
        return "shared" if self.shared else "static"

    @property
    def build_type(self) -> str:
        return "Debug" if self.debug else "Release"

    @property
    def libraries(self) -> tuple[str, ...]:
        """Windows has TLS and cryptography of its own (SChannel, CNG); elsewhere s2n over libcrypto."""
        skipped = {"aws-lc", "s2n"} if sys.platform == "win32" else {"aws-lc"} if self.system_libcrypto else set()
        return tuple(library for library in LIBRARIES if library not in skipped)

    def defines(self, library: str) -> dict[str, str]:
        """CMake cache entries for one library."""
        flags = [os.environ.get("CFLAGS", "")]
        if sys.platform != "win32":
            # One section for each function, so that the module's link drops what it does not call.
            flags.append("-ffunction-sections -fdata-sections")
            if self.debug:
                flags.append("-fno-omit-frame-pointer")
        if self.sanitize:
            flags.append(f"-fsanitize={self.sanitize} -fno-omit-frame-pointer -g1")
        link = f"-fsanitize={self.sanitize}" if self.sanitize else ""
        defines = _COMMON | _SPECIFIC.get(library, {})
        defines |= {
            "CMAKE_BUILD_TYPE": self.build_type,
            "BUILD_SHARED_LIBS": "ON" if self.shared else "OFF",
            "CMAKE_C_FLAGS": " ".join(filter(None, flags)),
        }
        if self.shared:
            # The libraries find each other wherever the prefix is moved to.
            defines["CMAKE_INSTALL_RPATH"] = "@loader_path" if sys.platform == "darwin" else "$ORIGIN"
        if sys.platform == "darwin" and (archs := re.findall(r"-arch\s+(\S+)", os.environ.get("ARCHFLAGS", ""))):
            # How cibuildwheel asks for another architecture; scikit-build-core does the same for the module.
            defines["CMAKE_OSX_ARCHITECTURES"] = ";".join(archs)
        if link:
            defines |= {"CMAKE_SHARED_LINKER_FLAGS": link, "CMAKE_EXE_LINKER_FLAGS": link}
        if self.system_libcrypto:
            defines["USE_OPENSSL"] = "ON"
        return defines


def default_jobs() -> int:
    if given := os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", ""):
        return max(1, int(given))
    affinity = getattr(os, "sched_getaffinity", None)  # a container's share, not the machine's
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def build_chain(
    prefix: Path, lock: Lock, source: Path, options: Options, report: Report, *, scratch: Path, jobs: int
) -> None:
    """Build everything in `source` (a checked archive) into `prefix`, by way of a directory in `scratch`."""
    cmake = find_tool("cmake")
    # Visual Studio's own generator on Windows: it finds the compiler without a prepared environment.
    generator = [] if sys.platform == "win32" else ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={find_tool('ninja')}"]
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="crt-") as directory:
        try:
            sources = archive.unpack(source, lock, Path(directory))
            for number, library in enumerate(options.libraries, 1):
                label = f"{library} {lock.versions[library]}"
                report.say(f"[{number}/{len(options.libraries)}] {label} ({report.elapsed:.0f} s so far)")
                build = str(Path(directory, "build", library))
                defines = options.defines(library) | {
                    "CMAKE_PREFIX_PATH": str(prefix),
                    "CMAKE_INSTALL_PREFIX": str(prefix),
                }
                configure = [cmake, "-S", str(sources / library), "-B", build, *generator]
                report.run(label, [*configure, *(f"-D{key}={value}" for key, value in defines.items())])
                compile_ = [cmake, "--build", build, "--config", options.build_type, "--parallel", str(jobs)]
                report.run(label, [*compile_, "--target", "install"])
        except StepFailed as failed:
            hint = next(
                (line for line in failed.tail if "error" in line.lower()),
                failed.tail[-1] if failed.tail else "",
            )
            raise BuildError(
                f"{failed.step} did not build ({hint.strip()}): the whole output is in {report.log_path}; "
                "set OBJECTFS_NATIVE=OFF to install without the native engine"
            ) from failed
    manifest = prefix / MANIFEST
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps(_manifest(lock, options), indent=2) + "\n", encoding="utf-8")


def _manifest(lock: Lock, options: Options) -> dict[str, object]:
    build_type = options.build_type.lower() + (f"+sanitize={options.sanitize}" if options.sanitize else "")
    return {
        "archive": lock.archive,
        "sha256": lock.sha256,
        "link": options.link,
        "build_type": build_type,
        "versions": {library: lock.versions[library] for library in options.libraries},
    }


def relocate(staged: Path, final: Path) -> None:
    """Point text that names the staging directory at the final one, then put the prefix there in one step."""
    for pattern in ("*.cmake", "*.pc"):
        for path in staged.rglob(pattern):
            text = path.read_text(encoding="utf-8")
            if str(staged) in text:
                path.write_text(text.replace(str(staged), str(final)), encoding="utf-8")
    try:
        os.rename(staged, final)
    except OSError:
        if not (final / MANIFEST).is_file():
            raise
        shutil.rmtree(staged)  # another build was first, and what it made is the same
