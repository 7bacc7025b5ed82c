"""The package's front door: what it exports, and what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import objectfs
from objectfs import errors


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8")
    return done.stdout


def test_exports() -> None:
    for name in objectfs.__all__:
        assert getattr(objectfs, name) is not None
        assert name in dir(objectfs)
    assert objectfs.ObjectFSError is errors.ObjectFSError
    assert isinstance(objectfs.__version__, str)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        objectfs.nonsense  # noqa: B018


def test_import_is_light() -> None:
    heavy = ["boto3", "botocore", "asyncio", "attrs", "attr", "urllib3", "ssl", "concurrent.futures"]
    loaded = json.loads(
        run(f"import sys, json, objectfs; print(json.dumps([name for name in {heavy} if name in sys.modules]))")
    )
    assert loaded == []
    loaded = json.loads(
        run("import sys, json, objectfs.client, objectfs.aio; print(json.dumps('botocore' in sys.modules))")
    )
    assert loaded is False


def test_version_without_installation() -> None:
    code = """
from importlib import metadata
def missing(name): raise metadata.PackageNotFoundError(name)
metadata.version = missing
import objectfs
print(objectfs.__version__)
"""
    assert run(code).strip() == "0+unknown"


def test_type_checkers_are_told_that_there_are_types() -> None:
    from importlib import resources

    assert (resources.files("objectfs") / "py.typed").is_file()
