"""The prefix with the C libraries: a given one, a cached one, or one built now."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from . import archive
from .cache import cache_dir, exclusive
from .chain import MANIFEST, Options, build_chain, default_jobs, relocate
from .errors import BuildError
from .lock import Lock
from .report import Report
from .toolchain import compiler_identity

__all__ = ["cached_prefix", "needs_download", "options_from_environment", "provide"]

# Raised when this code builds something else from the same archive: prefixes made by the old code are then
# not reused.
RECIPE = "1"


def options_from_environment() -> Options:
    sanitize = os.environ.get("OBJECTFS_SANITIZE", "")
    return Options(sanitize=sanitize, system_libcrypto=os.environ.get("OBJECTFS_LIBCRYPTO") == "system")


def provide(report: Report) -> Path:
    """A prefix to link against. Raises BuildError with the sentence to show."""
    if given := os.environ.get("OBJECTFS_CRT"):
        prefix = Path(given).expanduser().absolute()
        if not any(prefix.glob("lib*/cmake/aws-c-s3")) and not any(prefix.glob("lib/*/cmake/aws-c-s3")):
            raise BuildError(
                f"OBJECTFS_CRT names {prefix}, which does not hold aws-c-s3 (no lib/cmake/aws-c-s3): "
                "make a prefix with scripts/build-crt PREFIX, or unset OBJECTFS_CRT to have one built"
            )
        compiler_identity()
        report.say(f"linking against the libraries in {prefix}")
        return prefix
    options, lock = options_from_environment(), Lock.read()
    final = cached_prefix(lock, options)
    if (final / MANIFEST).is_file():
        report.say(f"using the C libraries built before ({lock.archive}, {final})")
        return final
    lock_file = final.with_name(f"{final.name}.lock")
    try:
        with exclusive(lock_file, lambda: report.say("waiting for another build of the C libraries")):
            if not (final / MANIFEST).is_file():
                _build(final, lock, options, report)
    except (OSError, tarfile.TarError) as error:
        raise BuildError(
            f"the C libraries could not be built in {cache_dir()} ({error}): "
            "make room or permissions there, or choose another place with OBJECTFS_CACHE"
        ) from error
    return final


def _build(final: Path, lock: Lock, options: Options, report: Report) -> None:
    """Under the lock: stage beside `final`, so that the last step is a rename inside one file system."""
    stem = f".staged-{final.name[-16:]}-"
    for left in final.parent.glob(f"{stem}*"):  # by a build that was killed; whoever holds the lock may clear it
        shutil.rmtree(left, ignore_errors=True)
    source = archive.obtain(lock, cache_dir(), report)
    report.say(f"building the C libraries once, into {final}")
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=stem, ignore_cleanup_errors=True) as holder:
        staged = Path(holder, "prefix")
        build_chain(staged, lock, source, options, report, scratch=Path(holder), jobs=default_jobs())
        relocate(staged, final)
    report.say(f"the C libraries are built ({report.elapsed:.0f} s); builds to come reuse them")


def cached_prefix(lock: Lock, options: Options) -> Path:
    """Where a prefix for this lock, compiler, platform and these options is kept."""
    identity = [RECIPE, lock.sha256, sys.platform, compiler_identity(), repr(options)]
    # Flags that CMake takes from the environment and bakes in.
    identity += [
        f"{name}={os.environ.get(name, '')}" for name in ("CC", "CFLAGS", "ARCHFLAGS", "MACOSX_DEPLOYMENT_TARGET")
    ]
    key = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16]
    return cache_dir() / "crt" / f"{lock.name}-{lock.version}-{options.link}-{key}"


def needs_download() -> bool:
    """Whether a build now would have to fetch the archive, and so needs pip among its requirements."""
    if os.environ.get("OBJECTFS_CRT"):
        return False
    lock = Lock.read()
    if archive.has_archive(lock, cache_dir()):
        return False
    try:
        return not (cached_prefix(lock, options_from_environment()) / MANIFEST).is_file()
    except BuildError:  # no compiler: said when the build itself comes to it
        return False
