"""Valid parameters for every operation of botocore's model of S3: made from the shapes, the same ones each time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

__all__ = ["KEYS", "VARIANTS", "parameters"]

KEYS = (
    "plain",
    "with space/ä ключ 鍵 🗝",
    "../up/./here/../there",
    "//two//slashes//",
    "?query=1&#hash",
    "50%25+plus%2F",
    "~tilde*(star)'!:@,;=$[]{}|\\^`\"<>",
    "line\nbreak\ttab\x01",
    "/",
    ".",
)
"""Names that some client somewhere has mangled."""

VARIANTS = ("required", "full", "other")
"""What a set of parameters has: no optional member; all of them; all of them with the other values that there are."""

# Where the model says less than S3 asks for, or than the other members do: (operation or None, member) -> value
_SPECIAL: dict[str, Any] = {
    "Bucket": "a-bucket",
    "RequestRoute": "route-1",
    "RequestToken": "token/with+signs=",
    "ChecksumAlgorithm": ("SHA256", "CRC32", "SHA1"),  # what botocore computes without a library beside it
    "SSECustomerKey": "0123456789abcdef0123456789abcdef",
    "CopySourceSSECustomerKey": "fedcba9876543210fedcba9876543210",
    "SSECustomerAlgorithm": "AES256",
    "CopySource": ({"Bucket": "source", "Key": KEYS[1], "VersionId": "v 1"}, "source/a%20b?versionId=1", "source/k"),
    "EncodingType": "url",
    "ExpectedBucketOwner": "111122223333",
}
_BODY = bytes(range(256)) * 5

_DATE = dt.datetime(2026, 2, 28, 23, 59, 58, tzinfo=dt.UTC)


def parameters(model: OperationModel, variant: str, key: str = KEYS[0]) -> dict[str, Any]:
    """The parameters of one call."""
    if model.input_shape is None:
        return {}
    made: dict[str, Any] = _Maker(variant, key).structure(model.input_shape, top=True)
    if "ContentLength" in made:
        made["ContentLength"] = len(made["Body"])
    return made


@dataclass
class _Maker:
    variant: str
    key: str
    count: int = 0
    within: list[str] = field(default_factory=list)

    def structure(self, shape: StructureShape, top: bool = False) -> dict[str, Any]:
        if getattr(shape, "is_tagged_union", False):  # exactly one member
            names = list(shape.members)
            chosen = [names[-1 if self.variant == "other" else 0]]
        elif self.variant == "required":
            chosen = list(shape.required_members)
        else:
            chosen = list(shape.members)
        made = {}
        for name in chosen:
            member = shape.members[name]
            if member.name in self.within:  # a shape in itself: once is enough
                continue
            if top and name == shape.serialization.get("payload") and member.type_name == "blob":
                made[name] = _BODY
            else:
                made[name] = self.value(member, name)
        return made

    def value(self, shape: Shape, name: str) -> Any:
        self.count += 1
        if name == "Key" and shape.type_name == "string":
            return self.key
        if name in _SPECIAL and shape.type_name == "string":
            special = _SPECIAL[name]
            return special[VARIANTS.index(self.variant)] if isinstance(special, tuple) else special
        self.within.append(shape.name)
        try:
            return self._value(shape, name)
        finally:
            self.within.pop()

    def _value(self, shape: Shape, name: str) -> Any:
        other = self.variant == "other"
        if isinstance(shape, StructureShape):
            return self.structure(shape)
        if isinstance(shape, ListShape):
            return [self.value(shape.member, name) for _ in range(3 if other else 1)]
        if isinstance(shape, MapShape):
            # a header's name is its key
            return {f"name-{number}": f"value {number}" for number in range(2 if other else 1)}
        if shape.type_name == "string":
            return self._string(shape, name)
        if shape.type_name in ("integer", "long"):
            return self.count + (2**31 if other and shape.type_name == "long" else 0)
        if shape.type_name in ("float", "double"):
            return 1.5
        if shape.type_name == "boolean":
            return not other
        if shape.type_name == "timestamp":
            return _DATE.replace(tzinfo=None) if other else _DATE
        assert shape.type_name == "blob", shape.type_name
        return b"\x00blob<&>" if other else bytearray(b"blob")

    def _string(self, shape: Shape, name: str) -> str:
        values = list(getattr(shape, "enum", ()))
        if values:
            return str(values[(self.count * 7 if self.variant == "other" else 0) % len(values)])
        where = shape.serialization.get("location")
        if where in ("header", "headers"):
            return f'{name}-{self.count}; a="b c"'
        if self.variant == "required":
            return name.ljust(shape.metadata.get("min", 0), "-")
        return f"{name} <{self.count}> & 'ä鍵'\"".rjust(shape.metadata.get("min", 0))
