"""third_party/crt.lock: which source archive is built, and which library versions it holds.

The archive's hash is the pin: the versions listed beside it are read from the archive when the lock is
written (`scripts/build-crt --update-lock ARCHIVE`) so that they can be shown without it.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import tomllib
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import BuildError

__all__ = ["LIBRARIES", "LOCK_PATH", "ROOT", "Lock", "sha256_of", "write_lock"]

ROOT = Path(__file__).resolve().parents[2]
LOCK_PATH = ROOT / "third_party" / "crt.lock"
LICENSES = ROOT / "third_party" / "licenses"

# Dependency order: each library is built after those that it needs. aws-c-event-stream and aws-c-mqtt are in
# the archive too; nothing here links to them.
LIBRARIES = (
    "aws-lc",
    "s2n",
    "aws-c-common",
    "aws-checksums",
    "aws-c-cal",
    "aws-c-io",
    "aws-c-compression",
    "aws-c-sdkutils",
    "aws-c-http",
    "aws-c-auth",
    "aws-c-s3",
)

_LICENSE_FILES = re.compile(r"(LICENSE|NOTICE|THIRD-PARTY-LICENSES)(\.txt|\.bsd)?")
# aws-lc's own LICENSE names what it took from others; these three are compiled in and carry their text beside
# them.
_NESTED_LICENSES = (
    "third_party/fiat/LICENSE",
    "third_party/jitterentropy/jitterentropy-library/LICENSE.bsd",
    "third_party/s2n-bignum/s2n-bignum-imported/LICENSE",
)


@dataclass(frozen=True)
class Lock:
    """What crt.lock says."""

    name: str
    version: str
    sha256: str
    versions: dict[str, str]

    @property
    def archive(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}.tar.gz"

    @classmethod
    def read(cls, path: Path = LOCK_PATH) -> Lock:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            archive = table["archive"]
            lock = cls(
                str(archive["name"]),
                str(archive["version"]),
                str(archive["sha256"]),
                dict(table["libraries"]),
            )
        except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise BuildError(
                f"{path} cannot be read as a lock file ({error}): restore it from the repository"
            ) from error
        if not re.fullmatch(r"[0-9a-f]{64}", lock.sha256):
            raise BuildError(f"{path}: sha256 has to be 64 lower-case hex digits: restore the file from the repository")
        missing = [name for name in LIBRARIES if name not in lock.versions]
        if missing:
            raise BuildError(f"{path} has no version for {', '.join(missing)}: restore the file from the repository")
        return lock


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_lock(archive: Path, lock_path: Path = LOCK_PATH, licenses: Path = LICENSES) -> Lock:
    """Pin `archive` (NAME-VERSION.tar.gz): hash it, read the versions, copy the licences out of it."""
    name, _, version = archive.name.removesuffix(".tar.gz").rpartition("-")
    if not name or not version:
        raise BuildError(f"{archive.name} is not named NAME-VERSION.tar.gz: give the file the name the index gives it")
    versions: dict[str, str] = {}
    texts: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        members = {PurePosixPath(m.name): m for m in tar.getmembers() if m.isfile()}

        def read(path: PurePosixPath) -> bytes:
            file = tar.extractfile(members[path])
            assert file is not None, path  # isfile() above
            return file.read()

        for library in LIBRARIES:
            top = PurePosixPath(f"{name}-{version}/crt/{library}")
            versions[library] = _version_of(library, top, members, read)
            for path in members:
                nested = path.is_relative_to(top) and str(path.relative_to(top)) in _NESTED_LICENSES
                if nested or (path.parent == top and _LICENSE_FILES.fullmatch(path.name)):
                    label = "-".join((library, *path.relative_to(top).parts)).replace("third_party-", "")
                    texts[label if label.endswith(".txt") else f"{label}.txt"] = read(path)
    licenses.mkdir(parents=True, exist_ok=True)
    for old in licenses.glob("*.txt"):
        old.unlink()
    for label, data in texts.items():
        (licenses / label).write_bytes(data)
    lock_path.write_text(_format(name, version, sha256_of(archive), versions), encoding="utf-8")
    return Lock.read(lock_path)


def _version_of(
    library: str,
    top: PurePosixPath,
    members: Container[PurePosixPath],
    read: Callable[[PurePosixPath], bytes],
) -> str:
    """A VERSION file (aws-c-*), or what the library's CMake project calls itself (aws-lc, s2n)."""
    if top / "VERSION" in members:
        return read(top / "VERSION").decode().strip()
    text = read(top / "CMakeLists.txt").decode()
    if match := re.search(r'set\(SOFTWARE_VERSION "([\d.]+)"\)', text):
        return match[1]
    parts = [re.search(rf"set\(VERSION_{part} (\d+)\)", text) for part in ("MAJOR", "MINOR", "PATCH")]
    if all(parts):
        return ".".join(match[1] for match in parts if match)
    raise BuildError(f"no version found for {library} in the archive: teach objectfs_build/lock.py where it is")


def _format(name: str, version: str, digest: str, versions: dict[str, str]) -> str:
    lines = [
        "# What the native engine is built from: the C sources inside this source distribution (crt/ in it).",
        "# Written by `scripts/build-crt --update-lock ARCHIVE`; see docs/design/0002-build.md.",
        "",
        "[archive]",
        f'name = "{name}"',
        f'version = "{version}"',
        f'sha256 = "{digest}"',
        "",
        "# Read from the archive; in dependency order.",
        "[libraries]",
        *(f'{library} = "{found}"' for library, found in versions.items()),
    ]
    return "\n".join(lines) + "\n"
