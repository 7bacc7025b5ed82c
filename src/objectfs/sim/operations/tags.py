"""Tags of objects and buckets."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from objectfs.sim.errors import S3Error
from objectfs.sim.http import Response
from objectfs.sim.operations.context import Context, text_element, xml_response
from objectfs.sim.operations.versions import find, version_headers
from objectfs.sim.xml import parse_xml

Tags = tuple[tuple[str, str], ...]

MAX_TAGS = 10
MAX_BUCKET_TAGS = 50
_ALLOWED = re.compile(r"[\w\s+\-=._:/@]*")


def check_tags(tags: Tags, maximum: int = MAX_TAGS, what: str = "Object") -> Tags:
    if len(tags) > maximum:
        raise S3Error("BadRequest", f"{what} tags cannot be greater than {maximum}")
    names = [name for name, _ in tags]
    if len(set(names)) != len(names):
        raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
    for name, value in tags:
        if not name or len(name) > 128 or not _ALLOWED.fullmatch(name):
            raise S3Error("InvalidTag", "The TagKey you have provided is invalid", extra={"TagKey": name})
        if len(value) > 256 or not _ALLOWED.fullmatch(value):
            raise S3Error("InvalidTag", "The TagValue you have provided is invalid", extra={"TagValue": value})
        if name.startswith("aws:"):
            raise S3Error("InvalidTag", "System tags cannot be added/updated by requester", extra={"TagKey": name})
    return tags


def parse_tag_header(value: str) -> Tags:
    """``x-amz-tagging``: tags as URL query parameters."""
    if not value:
        return ()
    try:
        return check_tags(tuple(parse_qsl(value, keep_blank_values=True, errors="strict")))
    except UnicodeDecodeError:
        raise _bad_header(value) from None


def _bad_header(value: str) -> S3Error:
    return S3Error(
        "InvalidArgument",
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
        "without tag name duplicates.",
        extra={"ArgumentName": "x-amz-tagging", "ArgumentValue": value},
    )


def parse_tagging(root: ET.Element, maximum: int = MAX_TAGS, what: str = "Object") -> Tags:
    """The tags of a Tagging document: one TagSet of Tags that have a Key and a Value each."""
    sets = list(root)
    if len(sets) != 1 or sets[0].tag != "TagSet":
        raise S3Error("MalformedXML")
    tags = []
    for tag in sets[0]:
        if tag.tag != "Tag" or sorted(child.tag for child in tag) != ["Key", "Value"]:
            raise S3Error("MalformedXML")
        tags.append((tag.findtext("Key") or "", tag.findtext("Value") or ""))
    return check_tags(tuple(tags), maximum, what)


def tagging(context: Context) -> Response:
    """Get, put or delete the tags of an object."""
    bucket, record = find(context)
    method = context.head.method
    headers = version_headers(bucket, record)
    if method == "GET":
        content = "".join(
            f"<Tag>{text_element('Key', name)}{text_element('Value', value)}</Tag>" for name, value in record.tags
        )
        return xml_response("Tagging", f"<TagSet>{content}</TagSet>", headers=headers)
    tags: Tags = ()
    if method == "PUT":
        tags = parse_tagging(parse_xml(context.document, "Tagging"))
    context.store.amend(bucket, record, replace(record, tags=tags, listing=""))
    return Response(204 if method == "DELETE" else 200, headers)
