"""Amazon S3, and what speaks its language, at the speed of the wire.

    import objectfs

    with objectfs.Client() as client:
        data = client.get("bucket", "key")

The names below are imported with their first use: ``import objectfs`` itself costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from objectfs import errors
    from objectfs.aio import AsyncClient
    from objectfs.backends.base import Attempt, BackendInfo
    from objectfs.client import Client
    from objectfs.errors import ObjectFSError
    from objectfs.types import (
        BucketInfo,
        Buffer,
        ObjectInfo,
        ObjectVersion,
        Prefix,
        PresignedPost,
        PresignedUrl,
        PutResult,
    )

    __version__: str

__all__ = [
    "AsyncClient",
    "Attempt",
    "BackendInfo",
    "BucketInfo",
    "Buffer",
    "Client",
    "ObjectFSError",
    "ObjectInfo",
    "ObjectVersion",
    "Prefix",
    "PresignedPost",
    "PresignedUrl",
    "PutResult",
    "__version__",
    "errors",
]

_HOMES = {
    "AsyncClient": "objectfs.aio",
    "Attempt": "objectfs.backends.base",
    "BackendInfo": "objectfs.backends.base",
    "BucketInfo": "objectfs.types",
    "Buffer": "objectfs.types",
    "Client": "objectfs.client",
    "ObjectFSError": "objectfs.errors",
    "ObjectInfo": "objectfs.types",
    "ObjectVersion": "objectfs.types",
    "Prefix": "objectfs.types",
    "PresignedPost": "objectfs.types",
    "PresignedUrl": "objectfs.types",
    "PutResult": "objectfs.types",
}

DISTRIBUTION = "objectfs-s3"
"""The name on the package index, where ``objectfs`` is another project."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name == "errors":
        value = importlib.import_module("objectfs.errors")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'objectfs' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:  # run from a source tree
        return "0+unknown"
