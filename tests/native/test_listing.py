"""The native reader of ListObjectsV2 answers against a real XML parser."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objectfs import _native
from objectfs.types import NOTHING, ObjectInfo, Prefix


def parse_list(data: bytes):  # type: ignore[no-untyped-def]
    """What the reader makes of a listing, as plain values."""
    template = ObjectInfo(bucket="b", key="", size=0, metadata=NOTHING, headers=NOTHING)
    found, prefixes, following = _native.parse_list(data, template, Prefix(""))
    return (
        [(e.key, e.size, e.etag, e.last_modified, e.storage_class) for e in found],
        [e.prefix for e in prefixes],
        None if following is None else following[0],
    )


# what XML 1.0 can hold; \r would be read as \n
text = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=30
)
objects = st.lists(
    st.fixed_dictionaries(
        {"Key": text, "Size": st.integers(0, 2**63).map(str)},
        optional={"ETag": text, "StorageClass": st.just("GLACIER")},
    )
)


def numeric(value: str) -> str:
    return "".join(f"&#{ord(char)};" if ord(char) % 2 else f"&#x{ord(char):x};" for char in value)


def document(entries, prefixes, token, encode) -> bytes:  # type: ignore[no-untyped-def]
    parts = ['<?xml version="1.0"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>']
    parts.append("<Prefix></Prefix><ContinuationToken>x</ContinuationToken>")
    if token is not None:
        parts.append(f"<IsTruncated>true</IsTruncated><NextContinuationToken>{encode(token)}</NextContinuationToken>")
    for entry in entries:
        parts.append("<Contents><Owner><ID>o</ID></Owner>")
        parts.extend(f"<{name}>{encode(value)}</{name}>" for name, value in entry.items())
        parts.append("</Contents>\n")
    parts.extend(f"<CommonPrefixes><Prefix>{encode(prefix)}</Prefix></CommonPrefixes>" for prefix in prefixes)
    parts.append("</ListBucketResult>")
    return "".join(parts).encode()


def reference(data: bytes):  # type: ignore[no-untyped-def]
    root = ET.fromstring(data)
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"

    def get(element, name):  # type: ignore[no-untyped-def]
        found = element.find(space + name)
        return None if found is None else found.text or ""

    found = [
        (get(e, "Key"), int(get(e, "Size")), get(e, "ETag"), get(e, "LastModified"), get(e, "StorageClass"))
        for e in root.findall(space + "Contents")
    ]
    return found, [get(e, "Prefix") for e in root.findall(space + "CommonPrefixes")], get(root, "NextContinuationToken")


encoders = st.sampled_from([escape, lambda value: escape(value, {'"': "&quot;", "'": "&apos;"}), numeric])


@settings(max_examples=300, deadline=None)
@given(objects, st.lists(text), st.none() | text.filter(bool), encoders)
def test_it_reads_what_a_real_parser_reads(entries, prefixes, token, encode) -> None:  # type: ignore[no-untyped-def]
    data = document(entries, prefixes, token, encode)
    assert parse_list(data) == reference(data)


@settings(max_examples=100, deadline=None)
@given(objects, st.lists(text), st.none() | text, encoders, st.data())
def test_a_cut_document_is_refused(entries, prefixes, token, encode, data) -> None:  # type: ignore[no-untyped-def]
    whole = document(entries, prefixes, token, encode)
    with pytest.raises(ValueError):
        parse_list(whole[: data.draw(st.integers(0, len(whole) - 1))])


# fmt: off
PIECES = [
    b"<ListBucketResult>", b"</ListBucketResult>", b"<Contents>", b"</Contents>", b"<Key>", b"</Key>",
    b"<Size>", b"</Size>", b"1", b"k", b"<", b">", b"/", b"&", b"&#", b"&#x", b";", b"&#xd800;",
    b"&#9999999999999999999999;", b"&amp;", b"<CommonPrefixes>", b"</CommonPrefixes>", b"<Prefix>",
    b"</Prefix>", b"<Co", b"\0", b"\xff", b"<ETag>", b"<LastModified>",
    b"<IsTruncated>true</IsTruncated>", b"<NextContinuationToken>", b"-1", b"1" * 5000,
]
# fmt: on


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40), st.booleans())
def test_nonsense_is_a_value_error_or_read(pieces: list[bytes], wrapped: bool) -> None:
    data = b"".join(pieces)
    if wrapped:
        data = b"<ListBucketResult><Contents><Key>a</Key><Size>1</Size>" + data + b"</Contents></ListBucketResult>"
    try:
        found, prefixes, token = parse_list(data)
    except ValueError:
        return
    assert all(isinstance(key, str) and isinstance(size, int) for key, size, *_ in found)
    assert all(isinstance(prefix, str) for prefix in prefixes)
    assert token is None or isinstance(token, str)
