"""``objectfs doctor --report``: all that a report of a problem should come with, in one file, without secrets."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata

import objectfs
from objectfs.backends import redact
from objectfs.config import Config

__all__ = ["Section", "render", "sections"]

Section = tuple[str, list[tuple[str, str]]]

# Whose values tell something and grant nothing. Of all others with such a prefix only the name is told.
_HARMLESS = frozenset(
    (
        "AWS_CA_BUNDLE",
        "AWS_CONFIG_FILE",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_PROFILE",
        "AWS_REGION",
        "MALLOC_ARENA_MAX",
        "NO_PROXY",
        "OBJECTFS_BACKEND",
        "OBJECTFS_CONFIG",
        "OBJECTFS_CRT_LOG",
        "OBJECTFS_ENDPOINT_URL",
        "OBJECTFS_MAX_CONNECTIONS",
        "OBJECTFS_MEMORY_LIMIT",
        "OBJECTFS_PART_SIZE",
        "OBJECTFS_REGION",
        "PYTHONFAULTHANDLER",
        "PYTHONMALLOC",
    )
)
_PREFIXES = ("AWS_", "OBJECTFS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "MALLOC_", "PYTHON")


def sections(client: objectfs.Client | None) -> list[Section]:
    """What ``doctor`` does not show without ``--report``."""
    found = [("process", list(_process())), ("environment", list(_environment())), ("packages", list(_packages()))]
    found.append(("self-check", list(_self_check())))
    if client is not None:
        stats = json.dumps(client.stats(), indent=2, default=str)
        found.append(("stats", [("", "\n  ".join(["", *stats.splitlines()]))]))
    return found


def render(parts: list[Section], config: Config | None) -> str:
    lines = [f"objectfs doctor --report, {datetime.now(UTC).isoformat(timespec='seconds')}", ""]
    for title, entries in parts:
        lines.append(title)
        lines += [f"  {name:<22} {value}".rstrip() for name, value in entries]
        lines.append("")
    text = redact.text("\n".join(lines))
    for secret in () if config is None else (config.secret_access_key, config.session_token):
        if secret is not None and secret.reveal():  # wherever it has come from
            text = text.replace(secret.reveal(), "***")
    return text


def _process() -> Iterator[tuple[str, str]]:
    yield "time", f"{time.time():.0f}, time zone {time.strftime('%z')}"
    yield (
        "python flags",
        " ".join(f"{name}={getattr(sys.flags, name)}" for name in ("dev_mode", "utf8_mode", "optimize")),
    )
    gil = getattr(sys, "_is_gil_enabled", None)
    yield "gil", "on" if gil is None or gil() else "off"
    yield "threads", ", ".join(sorted(thread.name for thread in threading.enumerate()))
    yield "faulthandler", "on" if faulthandler.is_enabled() else "off"
    try:
        import resource
    except ImportError:
        return
    for name in ("RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_AS", "RLIMIT_NPROC"):
        if hasattr(resource, name):
            limits = resource.getrlimit(getattr(resource, name))
            yield name, ", ".join("none" if limit == resource.RLIM_INFINITY else str(limit) for limit in limits)


def _environment() -> Iterator[tuple[str, str]]:
    for name in sorted(os.environ):
        if name.upper().startswith(_PREFIXES):
            yield name, redact.text(os.environ[name]) if name.upper() in _HARMLESS else "(set)"


def _packages() -> Iterator[tuple[str, str]]:
    for name in ("attrs", "awscrt", "click", "rich", "s3transfer", "urllib3", "uvloop"):
        try:
            loaded = " (loaded)" if name in sys.modules else ""
            yield name, metadata.version(name) + loaded
        except metadata.PackageNotFoundError:
            yield name, "not installed"


def _self_check() -> Iterator[tuple[str, str]]:
    try:
        from objectfs import _native
    except ImportError as error:
        yield "engine", f"cannot be imported: {error}"
        return
    yield "build", f"{_native.BUILD_TYPE}, {_native.CRT_LINK}, {_native.CRT_ARCHIVE}"
    # the check values of the algorithms' catalogue
    known = {"CRC32": 0xCBF43926, "CRC32C": 0xE3069283, "CRC64NVME": 0xAE8B14860A799888}
    for name, expected in known.items():
        try:
            found = _native.crc(name, b"123456789")
        except Exception as error:
            yield name, f"no: {error}"
        else:
            yield name, "ok" if found == expected else f"WRONG: {found:#x} instead of {expected:#x}"
    path = _native.object_path("/bucket", "a b/ä")
    yield "paths", "ok" if path == b"/bucket/a%20b/%C3%A4" else f"WRONG: {path!r}"
    yield "linker", "wraps the C library" if _native.debug_linked() else "does not wrap the C library (dynamic)"
