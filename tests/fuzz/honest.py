"""What an honest server answers: enough of S3 for each verb, from content that is known here too."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from .documents import DOCUMENTS

__all__ = ["CONTENT", "LARGE", "Answer", "Request", "answer"]


def ramp(size: int, seed: int = 0) -> bytes:
    """Bytes in which every misplacement shows: a ramp modulo a prime."""
    unit = bytes((value + seed) % 251 for value in range(251))
    return (unit * (size // 251 + 1))[:size]


LARGE = 5 * 1024 * 1024 + 70_000
"""Of an object that comes in two parts."""
CONTENT = {"small": ramp(1000), "a": ramp(300, 1), "b": ramp(301, 2), "c": b"", "large": ramp(LARGE, 3)}
ETAG = ("ETag", '"0123456789abcdef0123456789abcdef"')
KINDS = {"uploads": "CreateMultipartUpload", "delete": "DeleteObjects", "versions": "ListObjectVersions"}
LISTING = (
    b"<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>"
    b"<Contents><Key>a</Key><Size>300</Size></Contents><Contents><Key>b</Key><Size>301</Size></Contents>"
    b"</ListBucketResult>"
)


@dataclass
class Request:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    number: int = 0

    @property
    def path(self) -> list[str]:
        return unquote(urlsplit(self.target).path).strip("/").split("/", 1)

    @property
    def key(self) -> str:
        return self.path[1] if len(self.path) > 1 else ""

    @property
    def operation(self) -> str:
        query = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        copies = "x-amz-copy-source" in self.headers
        for name, operation in KINDS.items():
            if name in query:
                return operation
        if "tagging" in query:
            return "GetObjectTagging"
        if self.key:
            if "uploadId" in query:
                parts = {"PUT": "UploadPart", "DELETE": "AbortMultipartUpload", "GET": "ListParts"}
                return parts.get(self.method, "CompleteMultipartUpload")
            names = {"GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
            return names.get(self.method, "CopyObject" if copies else "PutObject")
        return "ListObjectsV2" if self.path[0] else "ListBuckets"

    def range(self, size: int) -> tuple[int, int] | None:
        """What is asked for, half-open."""
        first, _, last = self.headers.get("range", "").removeprefix("bytes=").partition("-")
        if not first and not last:
            return None
        if not first:
            return max(0, size - int(last)), size
        return min(int(first), size), min(size, int(last) + 1 if last else size)


@dataclass
class Answer:
    """An answer before it is written down."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    document: bool = False
    """Whether the body is one."""


def answer(asked: Request) -> Answer:
    """The truth."""
    operation = asked.operation
    if operation in ("GetObject", "HeadObject"):
        return _content(asked)
    if operation in ("PutObject", "UploadPart"):
        return Answer(headers=[ETAG])
    if operation in ("DeleteObject", "AbortMultipartUpload"):
        return Answer(204, [("Server", "honest")])  # the C library takes an answer without any header for none
    if operation == "ListObjectsV2":
        return Answer(body=LISTING, document=True)
    if operation == "DeleteObjects":
        return Answer(body=b"<DeleteResult></DeleteResult>", document=True)
    return Answer(
        headers=[ETAG], body=DOCUMENTS[operation].replace(b"<IsTruncated>true", b"<IsTruncated>false"), document=True
    )


def checksum(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode("ascii")


def _content(asked: Request) -> Answer:
    data = CONTENT.get(asked.key)
    if data is None:
        return Answer(
            404, body=b"<Error><Code>NoSuchKey</Code></Error>" if asked.method == "GET" else b"", document=True
        )
    wanted = asked.range(len(data))
    headers = [ETAG, ("Last-Modified", "Wed, 25 Nov 2026 10:00:00 GMT")]
    if wanted is None:
        if asked.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            headers += [("x-amz-checksum-crc32", checksum(data)), ("x-amz-checksum-type", "FULL_OBJECT")]
        return Answer(200, headers, data)
    start, end = wanted
    if start >= end:
        return Answer(416, [], b"<Error><Code>InvalidRange</Code></Error>", document=True)
    return Answer(206, [*headers, ("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")], data[start:end])
