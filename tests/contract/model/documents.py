"""Answers to every operation of botocore's model of S3: made from the shapes, written as S3 writes them."""

from __future__ import annotations

import base64
import datetime as dt
import json
import zlib
from collections.abc import Iterator
from email.utils import format_datetime
from xml.sax.saxutils import escape, quoteattr

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

__all__ = ["answers", "error_document"]

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_DATE = dt.datetime(2026, 2, 28, 23, 59, 58, tzinfo=dt.UTC)
_ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "GetBucketLocation": "LocationConstraint",
    "GetObjectTagging": "Tagging",
    "ListBuckets": "ListAllMyBucketsResult",
}
"""Where S3's word for an answer matters to somebody; elsewhere any does, and the model has none."""

_CONTENT = bytes(range(256)) * 9
_HEADERS = {
    "Content-Range": f"bytes 100-{99 + len(_CONTENT)}/9999",
    "x-amz-checksum-crc32": base64.b64encode(zlib.crc32(_CONTENT).to_bytes(4, "big")).decode(),
}
_UNTOLD = frozenset(
    (
        "Content-Length",  # the server's
        # S3 keeps one checksum of an object. The C library validates it, and loses 48 bytes with a second one
        *(f"x-amz-checksum-{name}" for name in ("sha1", "sha256", "sha512", "md5", "crc32c", "crc64nvme")),
        *(f"x-amz-checksum-{name}" for name in ("xxhash3", "xxhash64", "xxhash128")),
    )
)

Answer = tuple[int, list[tuple[str, str]], bytes]


def answers(model: OperationModel) -> Iterator[tuple[str, Answer]]:
    """Answers of status 200 by what is special of them: (status, headers, body)."""
    yield "empty", (200, [], b"")
    shape = model.output_shape
    root = _ROOTS.get(model.name, "Result")
    yield "empty document", (200, [], f"<{root}/>".encode())
    if shape is None:
        yield "no content", (204, [("x-amz-request-id", "REQUEST")], b"")
        return
    for name, maker in (
        ("full", _Writer(1)),
        ("lists", _Writer(3, pretty=True)),
        ("bare", _Writer(1, namespace=False)),
    ):
        yield name, maker.answer(model, shape, root)


def error_document(code: str, message: str, **more: str) -> bytes:
    """S3's error document."""
    fields = {"Code": code, "Message": message, **more, "RequestId": "REQUEST", "HostId": "HOST="}
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


class _Writer:
    def __init__(self, length: int, *, namespace: bool = True, pretty: bool = False) -> None:
        self.length, self.namespace, self.pretty = length, namespace, pretty
        self.count = 0
        self.within: list[str] = []

    def answer(self, model: OperationModel, shape: StructureShape, root: str) -> Answer:
        headers = [("x-amz-request-id", "REQUEST"), ("x-amz-id-2", "HOST=")]
        status, inner = 200, ""
        payload = shape.serialization.get("payload")
        body: bytes | None = None
        for name, member in shape.members.items():
            self.count += 1
            place = member.serialization.get("location")
            called = member.serialization.get("name", name)
            if place == "header":
                if called not in _UNTOLD:
                    headers.append((called, _HEADERS.get(called) or self.text(member, header=True)))
            elif place == "headers":
                headers += [(f"{called}Name-{number}", f"value {number}; é" if number else "v") for number in range(2)]
            elif place == "statusCode":
                status = 206
            elif name != payload:
                inner += self.element(member, name)
            elif member.type_name == "blob":
                body = _CONTENT
            elif member.type_name == "string":
                body = json.dumps({"Statement": "é <&>"}).encode()
            elif getattr(member, "is_eventstream", False) or member.serialization.get("eventstream"):
                body = b""
            else:
                inner = self.members(member)
                root = member.serialization.get("name") or member.name
        if body is None:
            attributes = f" xmlns={quoteattr(_NAMESPACE)}" if self.namespace else ""
            if model.name == "GetBucketLocation":
                inner = "eu-west-3"
            body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}{attributes}>{inner}</{root}>'.encode()
        return status, headers, body

    def members(self, shape: Shape) -> str:
        assert isinstance(shape, StructureShape)
        names = list(shape.members)
        if getattr(shape, "is_tagged_union", False):
            names = [names[self.count % len(names)]]
        inner = "".join(
            self.element(shape.members[name], name)
            for name in names
            if not shape.members[name].serialization.get("xmlAttribute")
        )
        return f"\n  {inner}\n" if self.pretty else inner

    def element(self, shape: Shape, name: str, called: str | None = None) -> str:
        called = called or shape.serialization.get("name", name)
        self.count += 1
        if shape.name in self.within:
            return ""
        self.within.append(shape.name)
        try:
            return self._element(shape, name, called)
        finally:
            self.within.pop()

    def _element(self, shape: Shape, name: str, called: str) -> str:
        if isinstance(shape, StructureShape):
            attributes = ""
            space = shape.serialization.get("xmlNamespace")
            if space:
                attributes += f" xmlns:{space.get('prefix', 'x')}={quoteattr(space['uri'])}"
            for key, member in shape.members.items():
                if member.serialization.get("xmlAttribute"):
                    attributes += f" {member.serialization.get('name', key)}={quoteattr(self.text(member))}"
            return f"<{called}{attributes}>{self.members(shape)}</{called}>"
        if isinstance(shape, ListShape):
            flat = shape.serialization.get("flattened")
            item = shape.member.serialization.get("name", "member")
            if flat:
                item = shape.serialization.get("name") or shape.member.serialization.get("name") or name
            inner = "".join(self.element(shape.member, name, item) for _ in range(self.length))
            return inner if flat else f"<{called}>{inner}</{called}>"
        assert not isinstance(shape, MapShape), "no answer of S3 has one in its document"
        return f"<{called}>{escape(self.text(shape))}</{called}>"

    def text(self, shape: Shape, header: bool = False) -> str:
        kind = shape.type_name
        if kind == "string":
            values = list(getattr(shape, "enum", ()))
            if values:
                return str(values[self.count % len(values)])
            return f"{shape.name} {self.count}" + ("" if header else ' <é "鍵"> & %20+')
        if kind in ("integer", "long"):
            return str(self.count + (2**40 if kind == "long" and self.length > 1 else 0))
        if kind == "boolean":
            return "true" if self.count % 2 else "false"
        if kind == "timestamp":
            if shape.serialization.get("timestampFormat") == "iso8601" or not header:
                return _DATE.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            return format_datetime(_DATE, usegmt=True)
        if kind == "blob":
            return base64.b64encode(b"\0blob").decode()
        assert kind in ("float", "double"), kind
        return "1.5"
