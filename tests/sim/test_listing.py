"""Listings in all their forms; against a model that is too slow to be wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objectfs.sim.operations.listing import collect
from objectfs.sim.store.blobs import MemoryBlob
from objectfs.sim.store.bucket import Bucket
from objectfs.sim.store.records import Record

from .test_buckets import fails

B = {"Bucket": "bucket"}


def fill(s3: Any, *keys: str) -> None:
    for key in keys:
        s3.put_object(Bucket="bucket", Key=key, Body=b"")


def keys_of(page: Any) -> list[str]:
    return [item["Key"] for item in page.get("Contents", [])]


def prefixes_of(page: Any) -> list[str]:
    return [item["Prefix"] for item in page.get("CommonPrefixes", [])]


def test_order_is_that_of_utf_8(s3: Any) -> None:
    # UTF-16 would sort the last two the other way round.
    ordered = ["!", "A", "Z", "_", "a", "a!", "a/", "a0", "é", "\uff5e", "\U0001f389"]
    fill(s3, *reversed(ordered))
    assert keys_of(s3.list_objects_v2(**B)) == ordered
    assert keys_of(s3.list_objects(**B)) == ordered


@pytest.mark.parametrize("list_", ["list_objects", "list_objects_v2"])
def test_numbers_of_keys(s3: Any, list_: str) -> None:
    call = getattr(s3, list_)
    fill(s3, "a", "b", "c")
    none = call(**B, MaxKeys=0)
    assert (keys_of(none), none["IsTruncated"], none["MaxKeys"]) == ([], False, 0)
    many = call(**B, MaxKeys=5000)
    assert (len(keys_of(many)), many["MaxKeys"], many["IsTruncated"]) == (3, 1000, False)
    exact = call(**B, MaxKeys=3)
    assert (len(keys_of(exact)), exact["IsTruncated"]) == (3, False)
    assert fails(call, **B, MaxKeys=-1) == (400, "InvalidArgument")


def test_version_2_counts_prefixes_and_says_where_it_began(s3: Any) -> None:
    fill(s3, "a/1", "a/2", "b", "c/1")
    page = s3.list_objects_v2(**B, Delimiter="/", MaxKeys=2, StartAfter="A")
    assert (keys_of(page), prefixes_of(page), page["KeyCount"]) == (["b"], ["a/"], 2)
    assert (page["IsTruncated"], page["StartAfter"], page["Delimiter"]) == (True, "A", "/")
    rest = s3.list_objects_v2(**B, Delimiter="/", ContinuationToken=page["NextContinuationToken"])
    assert (keys_of(rest), prefixes_of(rest), rest["IsTruncated"]) == ([], ["c/"], False)
    assert "NextContinuationToken" not in rest
    for token in ("", "x", "!!!!", "____"):
        assert fails(s3.list_objects_v2, **B, ContinuationToken=token) == (400, "InvalidArgument")


def test_version_1_names_the_next_marker_with_a_delimiter_only(s3: Any) -> None:
    fill(s3, "a/1", "a/2", "b", "c")
    plain = s3.list_objects(**B, MaxKeys=2)
    assert (plain["IsTruncated"], "NextMarker" in plain) == (True, False)
    grouped = s3.list_objects(**B, MaxKeys=1, Delimiter="/")
    assert (prefixes_of(grouped), grouped["NextMarker"]) == (["a/"], "a/")
    rest = s3.list_objects(**B, Marker="a/", Delimiter="/")
    assert (keys_of(rest), prefixes_of(rest), rest["Marker"]) == (["b", "c"], [], "a/")
    # A marker inside a common prefix: the prefix was listed before it.
    assert prefixes_of(s3.list_objects(**B, Marker="a/1", Delimiter="/")) == []
    assert keys_of(s3.list_objects(**B, Marker="a/1")) == ["a/2", "b", "c"]


def test_delimiters_of_any_length_and_prefixes_that_hold_them(s3: Any) -> None:
    fill(s3, "a--b--c", "a--b--d", "a--e", "f", "p/q/r", "p/q")
    assert prefixes_of(s3.list_objects_v2(**B, Delimiter="--")) == ["a--"]
    page = s3.list_objects_v2(**B, Delimiter="--", Prefix="a--")
    assert (keys_of(page), prefixes_of(page)) == (["a--e"], ["a--b--"])
    page = s3.list_objects_v2(**B, Delimiter="/", Prefix="p/q")
    assert (keys_of(page), prefixes_of(page)) == (["p/q"], ["p/q/"])


def test_groups_that_end_in_the_last_code_point(s3: Any) -> None:
    fill(s3, "a/\U0010ffff\U0010ffff", "a/b", "b")
    page = s3.list_objects_v2(**B, Delimiter="/")
    assert (keys_of(page), prefixes_of(page)) == (["b"], ["a/"])


def test_owner_and_what_an_entry_says(s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="k", Body=b"xyz", StorageClass="STANDARD_IA", ChecksumAlgorithm="SHA256")
    (entry,) = s3.list_objects_v2(**B)["Contents"]
    assert (entry["Size"], entry["StorageClass"], "Owner" in entry) == (3, "STANDARD_IA", False)
    assert (entry["ChecksumAlgorithm"], entry["ChecksumType"]) == (["SHA256"], "FULL_OBJECT")
    assert "ID" in s3.list_objects_v2(**B, FetchOwner=True)["Contents"][0]["Owner"]
    assert "ID" in s3.list_objects(**B)["Contents"][0]["Owner"]


def test_keys_that_xml_cannot_say_are_encoded(s3: Any) -> None:
    key = "a\x01b&<+ %/\ufffe"
    fill(s3, key)
    listed = s3.list_objects_v2(**B, Prefix="a\x01")  # boto3 asks for the encoding, and decodes it
    assert (keys_of(listed), listed["Prefix"]) == ([key], "a\x01")
    assert fails(s3.list_objects_v2, **B, EncodingType="base64") == (400, "InvalidArgument")


class Model:
    """One page, by brute force: group each key, drop what is not above the marker, take the first."""

    def __init__(self, keys: set[str], prefix: str, delimiter: str, after: str, limit: int) -> None:
        entries: dict[str, bool] = {}
        for key in sorted(keys, key=str.encode):
            if not key.startswith(prefix) or key <= after:
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                entries[key] = False
            elif not after.startswith(key[: cut + len(delimiter)]):
                entries[key[: cut + len(delimiter)]] = True
        shown = list(entries.items())[:limit]
        self.keys = [name for name, group in shown if not group]
        self.prefixes = [name for name, group in shown if group]
        self.truncated = 0 < limit < len(entries)


_TEXT = st.text(alphabet="ab/-\u00e9\U0010ffff", max_size=5)


@settings(max_examples=500, deadline=None)
@given(
    turns=st.lists(st.tuples(st.booleans(), _TEXT.filter(bool)), max_size=25),
    prefix=_TEXT,
    delimiter=st.sampled_from(["", "/", "-", "ab", "//"]),
    after=_TEXT,
    limit=st.integers(0, 6),
)
def test_pages_against_a_model(
    turns: list[tuple[bool, str]], prefix: str, delimiter: str, after: str, limit: int
) -> None:
    bucket = Bucket("b", 0.0)
    keys: set[str] = set()
    for number, (there, key) in enumerate(turns):
        if there:
            bucket.set(Record(key, MemoryBlob([]), ""))
            keys.add(key)
        else:
            bucket.set_history(key, ())
            keys.discard(key)
        if number % 4 == 3:
            assert bucket.keys() == sorted(keys)
    model = Model(keys, prefix, delimiter, after, limit)
    page = collect(bucket, prefix, delimiter, after, limit)
    assert [record.key for record in page.records] == model.keys
    assert page.prefixes == model.prefixes
    assert page.truncated == model.truncated
