"""What a handler is given, and small helpers that all handlers share."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from objectfs.sim.checksums import encode, new_digest
from objectfs.sim.errors import S3Error
from objectfs.sim.http import Head, Response
from objectfs.sim.store.blobs import Blob

if TYPE_CHECKING:
    from objectfs.sim.auth.verifier import Verifier
    from objectfs.sim.store.bucket import Bucket
    from objectfs.sim.store.memory import Store
    from objectfs.sim.store.records import Watch

READ_SIZE = 4 * 1024 * 1024
MAX_HASHED = 256 * 1024 * 1024

XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"
OWNER_ID = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"
OWNER_NAME = "objectfs"
OWNER = f"<Owner><ID>{OWNER_ID}</ID><DisplayName>{OWNER_NAME}</DisplayName></Owner>"
ACCOUNT_ID = "123456789012"


@dataclass(slots=True)
class Context:
    """One request with its body received and verified."""

    head: Head
    operation: str
    bucket_name: str
    key: str
    query: dict[str, str]
    store: Store
    region: str
    document: bytes = b""
    blob: Blob | None = None
    etag: str = ""
    checksums: dict[str, str] = field(default_factory=dict)
    given_checksum: bool = False
    unverified: str | None = None
    base_url: str = ""
    watch: Watch | None = None
    verifier: Verifier | None = None

    @property
    def bucket(self) -> Bucket:
        return self.store.bucket(self.bucket_name)

    @property
    def secure(self) -> bool:
        return self.base_url.startswith("https:")

    @property
    def anonymous(self) -> bool:
        """The request is not signed."""
        return "authorization" not in self.head.headers and "X-Amz-Signature" not in self.query

    def check_owner(self) -> None:
        """Raise AccessDenied when the client expects a bucket to be somebody else's."""
        for name in ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"):
            if self.head.headers.get(name, ACCOUNT_ID) != ACCOUNT_ID:
                raise S3Error("AccessDenied")

    def header(self, name: str, default: str = "") -> str:
        return self.head.headers.get(name, default)

    def integer(self, name: str, default: int, maximum: int) -> int:
        """A numeric query parameter, capped as S3 caps it."""
        value = self.query.get(name)
        if value is None or value == "":
            return default
        if not value.isascii() or not value.isdigit() or len(value) > 10 or int(value) > 2**31 - 1:
            raise S3Error(
                "InvalidArgument",
                f"Provided {name} not an integer or within integer range",
                extra={"ArgumentName": name, "ArgumentValue": value},
            )
        return min(int(value), maximum)


_counter = itertools.count(int(time.time() * 1000) << 20)


def new_etag() -> str:
    """An ETag that is no MD5, as S3 gives for SSE-KMS objects."""
    return hashlib.blake2b(next(_counter).to_bytes(16, "big"), digest_size=16).hexdigest()


def etag_of(blob: Blob, limit: int) -> str:
    """The MD5 of a small blob, else an ETag that is none: hashing GiBs would stall the server."""
    if blob.size > limit:
        return new_etag()
    digest = hashlib.md5(usedforsecurity=False)
    for piece in blob_bytes(blob):
        digest.update(piece)
    return digest.hexdigest()


def blob_bytes(blob: Blob) -> Iterator[bytes | memoryview]:
    """A blob's content in pieces of some MiB at most; file chunks are read."""
    import os

    for chunk in blob.chunks(0, blob.size):
        if isinstance(chunk, bytes | memoryview):
            yield chunk
            continue
        for offset in range(0, chunk.length, READ_SIZE):
            yield os.pread(chunk.file.fd, min(READ_SIZE, chunk.length - offset), chunk.offset + offset)


def checksum_of(blob: Blob, algorithm: str) -> dict[str, str]:
    """A blob's checksum by algorithm; empty where that would take seconds in which nobody is served."""
    if blob.size > MAX_HASHED:
        return {}
    running = new_digest(algorithm)
    for piece in blob_bytes(blob):
        running.update(piece)
    digest = running.digest()
    return {} if digest is None else {algorithm: encode(digest)}


def iso_date(timestamp: float) -> str:
    """A timestamp as S3 writes it in XML: milliseconds, always zero."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(timestamp))


def text_element(name: str, value: str) -> str:
    return f"<{name}>{escape_xml(value)}</{name}>"


def escape_xml(value: str) -> str:
    """Escape for XML 1.0. Control characters become references; only encoding-type=url is safe for them."""
    value = escape(value)
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() or c == " " else f"&#{ord(c)};" for c in value)


def xml_response(
    root: str, content: str, *, status: int = 200, headers: list[tuple[str, str]] | None = None
) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{XMLNS}">{content}</{root}>'
    return Response(
        status, [("Content-Type", "application/xml"), *(headers or [])], body.encode("utf-8", "surrogatepass")
    )
