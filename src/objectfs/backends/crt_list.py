"""Listing with the crt backend: ListObjectsV2, read natively."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote, unquote_plus, urlencode

from objectfs import _native, errors
from objectfs.backends.answers import in_order
from objectfs.backends.base import Steps
from objectfs.backends.crt_base import CrtBase, one
from objectfs.backends.crt_errors import failure
from objectfs.types import ListPage, ObjectInfo, Prefix

__all__ = ["ListVerbs"]


class ListVerbs(CrtBase):
    """Verbs of CrtBackend."""

    def list_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        start_after: str | None = None,
        token: str | None = None,
        max_keys: int | None = None,
    ) -> Steps[ListPage]:
        target = self.target(bucket)
        query = {
            "continuation-token": token,
            "delimiter": delimiter,
            "encoding-type": "url",
            "list-type": "2",
            "max-keys": max_keys,
            "prefix": prefix,
            "start-after": start_after,
        }
        given = [(name, value) for name, value in query.items() if value]
        path = target.path(None, urlencode(given, quote_via=quote, safe="-_.~"))
        op = target.engine.start([_native.Request(b"ListObjectsV2", b"GET", path, target.native, target.headers())])
        response = yield from one(op)
        if response.error_code or response.status >= 300:
            raise failure(response, "ListObjectsV2", bucket, None)
        try:
            objects, prefixes, following = _native.parse_list(response.body or b"")
        except ValueError as error:
            raise errors.from_response(
                "ListObjectsV2",
                status=response.status,
                message=f"the server's answer cannot be read: {error}",
                bucket=bucket,
                headers=response.headers,
            ) from None
        return ListPage(
            in_order(
                (
                    ObjectInfo(
                        bucket=bucket,
                        key=_decoded(key),
                        size=size,
                        etag=etag,
                        last_modified=_iso(modified),
                        storage_class=storage_class,
                    )
                    for key, size, etag, modified, storage_class in objects
                ),
                (Prefix(_decoded(prefix)) for prefix in prefixes),
            ),
            following,
        )


def _decoded(name: str) -> str:
    return unquote_plus(name) if "%" in name or "+" in name else name


def _iso(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
