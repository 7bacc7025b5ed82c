"""objectfs/_build_info.py: what an installation is made of, or why it has no native engine."""

from __future__ import annotations

import json
from pathlib import Path

from .chain import MANIFEST
from .lock import ROOT

__all__ = ["TEMPLATE", "write_template"]

# Named in pyproject.toml ([[tool.scikit-build.generate]]): scikit-build-core copies it into the wheel.
TEMPLATE = ROOT / "build" / "_build_info.py.in"

_TEXT = '''\
"""Written by the build: what this installation is made of. `objectfs doctor` shows it."""

NATIVE: bool = {native}
"""Whether objectfs._native was built."""

REASON: str = {reason}
"""Why it was not; empty if it was."""

ARCHIVE: str = {archive}
"""Source archive of the C libraries, "external" for libraries that were there already."""

VERSIONS: dict[str, str] = {versions}
"""C library -> version."""

BUILD_TYPE: str = {build_type}
"""release or debug, with the sanitizers."""

VERSION: str = "${{version}}"
"""Version of the distribution."""
'''


def write_template(*, native: bool, reason: str = "", prefix: Path | None = None, build_type: str = "") -> None:
    """Say what the wheel that is about to be made holds."""
    archive, versions = "", {}
    if prefix is not None:
        archive = "external"
        manifest = prefix / MANIFEST
        if manifest.is_file():
            table = json.loads(manifest.read_text(encoding="utf-8"))
            archive, versions = table["archive"], table["versions"]
    values = {
        "native": native,
        "reason": reason,
        "archive": archive,
        "versions": versions,
        "build_type": build_type,
    }
    # The template goes through string.Template, where a dollar sign in a path or message has to be doubled.
    text = _TEXT.format(**{name: repr(value).replace("$", "$$") for name, value in values.items()})
    TEMPLATE.parent.mkdir(exist_ok=True)
    TEMPLATE.write_text(text, encoding="utf-8")
