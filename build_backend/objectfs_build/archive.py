"""The source archive: from OBJECTFS_CRT_ARCHIVE, from the cache, or from the package index through pip.

pip is used through its command line only, so that the index, proxies and certificates a person configured are
the ones used. `--require-hashes` makes pip check the pinned hash before anything in the archive is looked at,
and it is checked here again before a file of it is compiled.
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from .errors import BuildError
from .lock import LIBRARIES, Lock, sha256_of
from .report import Report, StepFailed

__all__ = ["has_archive", "obtain", "unpack"]

_OFFLINE = "or set OBJECTFS_CRT_ARCHIVE to a copy of it, or OBJECTFS_NATIVE=OFF to install without the native engine"


def has_archive(lock: Lock, cache: Path) -> bool:
    """Whether the archive can be had without pip."""
    return bool(os.environ.get("OBJECTFS_CRT_ARCHIVE")) or (cache / "archives" / lock.filename).is_file()


def obtain(lock: Lock, cache: Path, report: Report) -> Path:
    """Path of the archive, its hash checked."""
    if given := os.environ.get("OBJECTFS_CRT_ARCHIVE"):
        path = Path(given).expanduser()
        if not path.is_file():
            raise BuildError(
                f"OBJECTFS_CRT_ARCHIVE names {path}, which is not a file: give the path of {lock.filename}"
            )
        _check(path, lock)
        return path
    kept = cache / "archives" / lock.filename
    if kept.is_file():
        _check(kept, lock)
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        path = _download(lock, Path(scratch), report)
        _check(path, lock)
        os.replace(path, kept)
    return kept


def _download(lock: Lock, directory: Path, report: Report) -> Path:
    report.say(f"fetching the sources of {lock.archive} from your package index (about 30 MB)")
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{lock.name}=={lock.version} --hash=sha256:{lock.sha256}\n", encoding="utf-8")
    argv = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--no-binary",
        lock.name,
        "--require-hashes",
    ]
    argv += ["--progress-bar", "off", "--disable-pip-version-check", "--dest", str(directory)]
    try:
        report.run("download", [*argv, "-r", str(requirements)], _environment(), quiet=True)
    except StepFailed as failed:
        raise _not_fetched(failed, lock) from failed
    path = directory / lock.filename
    if not path.is_file():
        raise BuildError(f"pip did not deliver {lock.filename}: get it by hand and set OBJECTFS_CRT_ARCHIVE")
    return path


def _environment() -> dict[str, str]:
    """Ours, without what the outer pip tells *this* backend: the inner pip would look for the archive's there."""
    return {name: value for name, value in os.environ.items() if not name.startswith("_PYPROJECT_HOOKS_")}


def _not_fetched(failed: StepFailed, lock: Lock) -> BuildError:
    """One sentence out of what pip printed."""
    if any("DO NOT MATCH THE HASHES" in line for line in failed.tail):
        got = next((line.split()[-1] for line in failed.tail if line.strip().startswith("Got")), "another")
        return _mismatch(f"what your package index serves as {lock.archive}", got, lock)
    if any("No module named pip" in line for line in failed.tail):
        return BuildError(f"{lock.archive} has to be fetched and this Python has no pip: install it, {_OFFLINE}")
    errors = [line.removeprefix("ERROR: ") for line in failed.tail if line.startswith("ERROR")]
    why = errors[-1] if errors else str(failed)
    if any("(from versions: none)" in line for line in failed.tail):  # what pip says of a dead network too
        why = f"it cannot be reached, or has nothing called {lock.name}"
    return BuildError(
        f"the sources of {lock.archive} could not be fetched from your package index ({why}): "
        f"check the network and pip's configuration, {_OFFLINE}"
    )


def _check(path: Path, lock: Lock) -> None:
    got = sha256_of(path)
    if got != lock.sha256:
        raise _mismatch(str(path), got, lock)


def _mismatch(what: str, got: str, lock: Lock) -> BuildError:
    return BuildError(
        f"{what} has sha256 {got} where third_party/crt.lock pins {lock.sha256}: nothing of it was used; "
        f"remove it and get {lock.filename} again from an index you trust, "
        "or set OBJECTFS_NATIVE=OFF to install without the native engine"
    )


def unpack(archive: Path, lock: Lock, directory: Path) -> Path:
    """Unpack the libraries that are built; returns the directory that holds one folder for each."""
    top = PurePosixPath(f"{lock.name}-{lock.version}/crt")
    wanted = {top / library for library in LIBRARIES}
    with tarfile.open(archive) as tar:
        members = [m for m in tar if len(PurePosixPath(m.name).parts) > 2 and _top(m.name) in wanted]
        # The "data" filter came with 3.11.4; before it, the checked hash is what vouches for the paths.
        if hasattr(tarfile, "data_filter"):
            tar.extractall(directory, members, filter="data")
        else:
            tar.extractall(directory, members)
    return directory / top


def _top(name: str) -> PurePosixPath:
    return PurePosixPath(*PurePosixPath(name).parts[:3])
