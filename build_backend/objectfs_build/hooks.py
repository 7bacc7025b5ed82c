"""The PEP 517 and 660 hooks: decide between native and pure, then let scikit-build-core work.

OBJECTFS_NATIVE=AUTO (default) falls back to pure Python and says so; ON fails instead; OFF does not try.
"""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from .cache import cache_dir, exclusive
from .errors import BuildError
from .info import write_template
from .lock import ROOT
from .prefix import needs_download, provide
from .report import Report
from .toolchain import check_headers

Settings = dict[str, Any] | None

_PURE = {"wheel.cmake": "false", "wheel.py-api": "py3"}  # py3-none-any


class Native(enum.Enum):
    AUTO = "AUTO"
    ON = "ON"
    OFF = "OFF"

    @classmethod
    def wanted(cls) -> Native:
        text = os.environ.get("OBJECTFS_NATIVE", "AUTO").upper()
        try:
            return cls({"1": "ON", "TRUE": "ON", "0": "OFF", "FALSE": "OFF", "": "AUTO"}.get(text, text))
        except ValueError:
            raise _exit(f"OBJECTFS_NATIVE is {text}: it has to be AUTO, ON or OFF") from None


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    return list(_backend().get_requires_for_build_sdist(config_settings))


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    return _requires(_backend().get_requires_for_build_wheel, config_settings)


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    return _requires(_backend().get_requires_for_build_editable, config_settings)


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    return str(_backend().prepare_metadata_for_build_wheel(metadata_directory, _settings(config_settings)))


def prepare_metadata_for_build_editable(metadata_directory: str, config_settings: Settings = None) -> str:
    return str(_backend().prepare_metadata_for_build_editable(metadata_directory, _settings(config_settings)))


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    return str(_backend().build_sdist(sdist_directory, config_settings))


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    return _build(_backend().build_wheel, wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    return _build(_backend().build_editable, wheel_directory, config_settings, metadata_directory)


def _backend() -> Any:
    from scikit_build_core import build  # late: scripts/build-crt uses this package without it

    return cast("Any", build)


def _settings(config_settings: Settings) -> dict[str, Any]:
    given = dict(config_settings or {})
    return given | _PURE if Native.wanted() is Native.OFF else given


def _requires(ask: Callable[[Settings], list[str]], config_settings: Settings) -> list[str]:
    needed = list(ask(_settings(config_settings)))
    if Native.wanted() is not Native.OFF and needs_download():
        needed.append("pip>=23.1")
    return needed


def _build(
    build: Callable[[str, Settings, str | None], str],
    wheel_directory: str,
    config_settings: Settings,
    metadata_directory: str | None,
) -> str:
    wanted = Native.wanted()
    # One build at a time in one checkout: they share build/.
    with exclusive(ROOT / "build" / ".lock"), Report(_log_path(), verbose=True) as report:
        if wanted is Native.OFF:
            return _pure(build, wheel_directory, config_settings, metadata_directory, "OBJECTFS_NATIVE=OFF")
        try:
            report.say(f"building the native engine; log: {report.log_path or 'none'}")
            check_headers()
            prefix = provide(report)
            settings = dict(config_settings or {}) | {"cmake.define.OBJECTFS_CRT": str(prefix)}
            build_type = _module_options(settings)
            write_template(native=True, prefix=prefix, build_type=build_type)
            report.say("compiling the extension module")
            wheel = _module(build, wheel_directory, settings, metadata_directory)
            report.say(f"the native engine is built ({report.elapsed:.0f} s)")
            return wheel
        except BuildError as error:
            if wanted is Native.ON:
                report.say(f"ERROR: {error}")
                raise SystemExit(1) from None
            report.say("WARNING: the native engine was NOT built; this installation uses boto3 and is slower.")
            report.say(f"WARNING: why: {error}")
            report.say("WARNING: OBJECTFS_NATIVE=ON makes this an error; `objectfs doctor` shows it again.")
            # The metadata was prepared with a native tag; PEP 517 lets the wheel be built without it.
            return _pure(build, wheel_directory, config_settings, None, str(error))


def _module(
    build: Callable[[str, Settings, str | None], str],
    wheel_directory: str,
    settings: dict[str, Any],
    metadata_directory: str | None,
) -> str:
    """scikit-build-core prints what went wrong and exits; make that one sentence that AUTO can catch."""
    try:
        return str(build(wheel_directory, settings, metadata_directory))
    except (SystemExit, Exception) as error:
        why = "" if isinstance(error, SystemExit) else f" ({error})"
        raise BuildError(
            f"the extension module did not build{why}: the messages are above (pip install -v shows them); "
            "set OBJECTFS_NATIVE=OFF to install without the native engine"
        ) from error


def _pure(
    build: Callable[[str, Settings, str | None], str],
    wheel_directory: str,
    config_settings: Settings,
    metadata_directory: str | None,
    reason: str,
) -> str:
    write_template(native=False, reason=reason)
    return str(build(wheel_directory, dict(config_settings or {}) | _PURE, metadata_directory))


def _module_options(settings: dict[str, Any]) -> str:
    """OBJECTFS_DEBUG and OBJECTFS_SANITIZE from the environment; always given: build/ would remember."""
    debug = os.environ.get("OBJECTFS_DEBUG", "0").upper() in ("1", "ON", "TRUE", "YES")
    sanitize = os.environ.get("OBJECTFS_SANITIZE", "")
    settings.setdefault("cmake.define.OBJECTFS_DEBUG", "ON" if debug else "OFF")
    settings.setdefault("cmake.define.OBJECTFS_SANITIZE", sanitize)
    build_type = "debug" if settings["cmake.define.OBJECTFS_DEBUG"] == "ON" else "release"
    if build_type == "debug" or sanitize:
        settings.setdefault("install.strip", "false")  # a debugger and a sanitizer's report want the names
    return build_type + (f"+sanitize={sanitize}" if sanitize else "")


def _log_path() -> Path:
    return cache_dir() / "logs" / f"build-py{sys.version_info.major}{sys.version_info.minor}.log"


def _exit(text: str) -> SystemExit:
    print(f"objectfs: ERROR: {text}", file=sys.stderr)
    return SystemExit(1)
