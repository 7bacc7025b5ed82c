"""What both clients' ``get_file`` and ``put_file`` do with ``resume=True``."""

from __future__ import annotations

from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.tagging import tagged
from objectfs.core import Core, Verb
from objectfs.types import ObjectInfo, PutResult

__all__ = ["resumed_get", "resumed_put"]


def resumed_get(core: Core, bucket: str, key: str, path: str, options: GetOptions) -> Verb[ObjectInfo]:
    """The verb that goes on with a download."""
    from objectfs.backends.resume_get import get_file  # only for who asks

    validates = "off" not in (options.checksum, core.config.checksum)
    return lambda backend: get_file(backend, bucket, key, path, options, _endpoint(core), validates)


def resumed_put(core: Core, bucket: str, key: str, path: str, options: PutOptions) -> Verb[PutResult]:
    """The verb that goes on with an upload."""
    from objectfs.backends.resume_put import put_file

    return lambda backend: tagged(
        backend, bucket, key, options, put_file(backend, bucket, key, path, options, _endpoint(core))
    )


def _endpoint(core: Core) -> str:
    """Where a bucket of that name is the same one. AWS's names are the same in all regions."""
    return core.config.endpoint_url or "AWS"
