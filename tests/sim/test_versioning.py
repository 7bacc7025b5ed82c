"""Versions and delete markers, through boto3, on both stores; and that they survive a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from objectfs.sim import S3Server

from .conftest import connect
from .test_buckets import fails

B = {"Bucket": "bucket"}
K = {"Bucket": "bucket", "Key": "k"}


def versioning(s3: Any, status: str) -> None:
    s3.put_bucket_versioning(**B, VersioningConfiguration={"Status": status})


@pytest.fixture
def versioned(s3: Any) -> Any:
    versioning(s3, "Enabled")
    return s3


def put(s3: Any, body: bytes, key: str = "k", **options: Any) -> str:
    return str(s3.put_object(Bucket="bucket", Key=key, Body=body, **options)["VersionId"])


def read(s3: Any, **arguments: Any) -> bytes:
    return bytes(s3.get_object(**{**K, **arguments})["Body"].read())


def entries(s3: Any, **arguments: Any) -> list[tuple[str, str, bool, bool]]:
    """Key, version id, whether it is the latest, whether it is a delete marker: in no order across the two kinds."""
    listed = s3.list_object_versions(**B, **arguments)
    return [(v["Key"], v["VersionId"], v["IsLatest"], False) for v in listed.get("Versions", [])] + [
        (v["Key"], v["VersionId"], v["IsLatest"], True) for v in listed.get("DeleteMarkers", [])
    ]


def headers_of(call: Any, **arguments: Any) -> tuple[int, str, dict[str, str]]:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    metadata = error.value.response["ResponseMetadata"]
    return metadata["HTTPStatusCode"], error.value.response["Error"]["Code"], metadata["HTTPHeaders"]


def test_each_put_is_a_version(versioned: Any) -> None:
    s3 = versioned
    first, second = put(s3, b"one", Metadata={"n": "1"}), put(s3, b"two")
    assert first != second
    assert read(s3) == b"two"
    assert (read(s3, VersionId=first), read(s3, VersionId=second)) == (b"one", b"two")
    head = s3.head_object(**K, VersionId=first)
    assert (head["VersionId"], head["Metadata"], head["ContentLength"]) == (first, {"n": "1"}, 3)
    assert s3.get_object(**K)["VersionId"] == second
    assert entries(s3) == [("k", second, True, False), ("k", first, False, False)]
    assert [item["Key"] for item in s3.list_objects_v2(**B)["Contents"]] == ["k"]


def test_delete_leaves_a_marker(versioned: Any) -> None:
    s3 = versioned
    version = put(s3, b"one")
    deleted = s3.delete_object(**K)
    marker = deleted["VersionId"]
    assert deleted["DeleteMarker"] is True
    status, code, headers = headers_of(s3.get_object, **K)
    assert (status, code) == (404, "NoSuchKey")
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker)
    status, code, headers = headers_of(s3.get_object, **K, VersionId=marker)
    assert (status, code) == (405, "MethodNotAllowed")
    assert (headers["x-amz-delete-marker"], headers["allow"]) == ("true", "DELETE")
    assert headers_of(s3.head_object, **K, VersionId=marker)[0] == 405
    assert read(s3, VersionId=version) == b"one"
    assert "Contents" not in s3.list_objects_v2(**B)
    assert entries(s3) == [("k", version, False, False), ("k", marker, True, True)]
    # Deleting the marker brings the object back.
    undone = s3.delete_object(**K, VersionId=marker)
    assert (undone["DeleteMarker"], undone["VersionId"]) == (True, marker)
    assert read(s3) == b"one"
    assert [item["Key"] for item in s3.list_objects_v2(**B)["Contents"]] == ["k"]


def test_deleting_what_never_was_leaves_a_marker_too(versioned: Any) -> None:
    assert versioned.delete_object(**K)["DeleteMarker"] is True
    assert len(entries(versioned)) == 1


def test_deleting_the_current_version_shows_the_one_before(versioned: Any) -> None:
    s3 = versioned
    first, second = put(s3, b"one"), put(s3, b"two")
    gone = s3.delete_object(**K, VersionId=second)
    assert gone["VersionId"] == second
    assert "DeleteMarker" not in gone
    assert read(s3) == b"one"
    s3.delete_object(**K, VersionId=first)
    assert fails(s3.get_object, **K) == (404, "NoSuchKey")
    assert entries(s3) == []
    assert s3.delete_object(**K, VersionId=first)["VersionId"] == first  # again is no error


def test_unknown_and_malformed_ids(versioned: Any) -> None:
    s3 = versioned
    put(s3, b"x")
    assert fails(s3.get_object, **K, VersionId="x" * 32) == (404, "NoSuchVersion")
    assert fails(s3.get_object, **K, VersionId="null") == (404, "NoSuchVersion")
    assert fails(s3.get_object, **K, VersionId="no") == (400, "InvalidArgument")
    assert fails(s3.delete_object, **K, VersionId="no") == (400, "InvalidArgument")
    assert fails(s3.list_object_versions, **B, VersionIdMarker="x" * 32) == (400, "InvalidArgument")


def test_null_version_of_before_and_suspension(s3: Any) -> None:
    assert "VersionId" not in s3.put_object(**K, Body=b"before")
    versioning(s3, "Enabled")
    assert entries(s3) == [("k", "null", True, False)]
    assert s3.get_object(**K)["VersionId"] == "null"
    kept = put(s3, b"kept")
    assert read(s3, VersionId="null") == b"before"
    versioning(s3, "Suspended")
    assert put(s3, b"suspended") == "null"  # in place of the null version, above the other
    assert entries(s3) == [("k", "null", True, False), ("k", kept, False, False)]
    assert read(s3) == b"suspended"
    deleted = s3.delete_object(**K)
    assert (deleted["DeleteMarker"], deleted["VersionId"]) == (True, "null")
    assert sorted(entries(s3)) == sorted([("k", kept, False, False), ("k", "null", True, True)])
    assert fails(s3.get_object, **K) == (404, "NoSuchKey")
    assert read(s3, VersionId=kept) == b"kept"
    assert put(s3, b"again") == "null"
    assert entries(s3) == [("k", "null", True, False), ("k", kept, False, False)]


def test_bad_configuration(s3: Any) -> None:
    assert fails(s3.put_bucket_versioning, **B, VersioningConfiguration={"Status": "Off"}) == (
        400,
        "IllegalVersioningConfigurationException",
    )


def test_tags_acl_and_attributes_of_a_version(versioned: Any) -> None:
    s3 = versioned
    first, second = put(s3, b"one"), put(s3, b"twotwo")
    s3.put_object_tagging(**K, VersionId=first, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    assert s3.get_object_tagging(**K, VersionId=first)["TagSet"] == [{"Key": "a", "Value": "1"}]
    assert s3.get_object_tagging(**K)["TagSet"] == []
    assert s3.get_object_tagging(**K)["VersionId"] == second
    s3.put_object_acl(**K, VersionId=first, ACL="public-read")
    assert len(s3.get_object_acl(**K, VersionId=first)["Grants"]) == 2
    assert len(s3.get_object_acl(**K)["Grants"]) == 1
    sizes = s3.get_object_attributes(**K, VersionId=first, ObjectAttributes=["ObjectSize"])
    assert (sizes["ObjectSize"], sizes["VersionId"]) == (3, first)
    assert len(entries(s3)) == 2  # none of this made a version
    assert read(s3, VersionId=first) == b"one"


def test_copy_of_a_version(versioned: Any) -> None:
    s3 = versioned
    first = put(s3, b"one", Metadata={"n": "1"})
    put(s3, b"two")
    source = {"Bucket": "bucket", "Key": "k", "VersionId": first}
    copied = s3.copy_object(Bucket="bucket", Key="copy", CopySource=source)
    assert copied["CopySourceVersionId"] == first
    assert s3.get_object(Bucket="bucket", Key="copy")["VersionId"] == copied["VersionId"]
    # An older version over itself is how one goes back.
    s3.copy_object(**K, CopySource=source)
    got = s3.get_object(**K)
    assert (got["Body"].read(), got["Metadata"], len(entries(s3, Prefix="k"))) == (b"one", {"n": "1"}, 3)
    marker = s3.delete_object(**K)["VersionId"]
    assert fails(s3.copy_object, Bucket="bucket", Key="c", CopySource="bucket/k") == (404, "NoSuchKey")
    hidden = {**source, "VersionId": marker}
    assert fails(s3.copy_object, Bucket="bucket", Key="c", CopySource=hidden) == (400, "InvalidRequest")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="m")["UploadId"]
    part = s3.upload_part_copy(Bucket="bucket", Key="m", UploadId=upload, PartNumber=1, CopySource=source)
    assert part["CopySourceVersionId"] == first
    parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    done = s3.complete_multipart_upload(Bucket="bucket", Key="m", UploadId=upload, MultipartUpload={"Parts": parts})
    assert read(s3, Key="m", VersionId=done["VersionId"]) == b"one"


def test_conditions_look_at_the_current_version(versioned: Any) -> None:
    s3 = versioned
    etag = s3.put_object(**K, Body=b"one")["ETag"]
    assert fails(s3.put_object, **K, Body=b"x", IfNoneMatch="*") == (412, "PreconditionFailed")
    s3.put_object(**K, Body=b"two", IfMatch=etag)
    assert fails(s3.delete_object, **K, IfMatch=etag) == (412, "PreconditionFailed")
    s3.delete_object(**K, IfMatch="*")
    assert fails(s3.put_object, **K, Body=b"x", IfMatch=etag) == (404, "NoSuchKey")
    assert fails(s3.delete_object, **K, IfMatch="*") == (412, "PreconditionFailed")
    s3.put_object(**K, Body=b"three", IfNoneMatch="*")  # a delete marker is no object
    assert read(s3) == b"three"


def test_delete_objects_with_versions(versioned: Any) -> None:
    s3 = versioned
    first, second = put(s3, b"one"), put(s3, b"two")
    other = put(s3, b"x", "other")
    wanted = [
        {"Key": "k", "VersionId": first},
        {"Key": "other"},
        {"Key": "k", "VersionId": "bad"},
        {"Key": "k", "ETag": '"wrong"'},
    ]
    done = s3.delete_objects(**B, Delete={"Objects": wanted})
    plain, marked = done["Deleted"]
    assert plain == {"Key": "k", "VersionId": first}
    assert (marked["Key"], marked["DeleteMarker"]) == ("other", True)
    assert [(e["Key"], e["Code"]) for e in done["Errors"]] == [("k", "NoSuchVersion"), ("k", "PreconditionFailed")]
    marker = marked["DeleteMarkerVersionId"]
    assert sorted(entries(s3)) == sorted(
        [("k", second, True, False), ("other", other, False, False), ("other", marker, True, True)]
    )
    again = s3.delete_objects(**B, Delete={"Objects": [{"Key": "other", "VersionId": marker}]})["Deleted"][0]
    assert again == {
        "Key": "other",
        "VersionId": marker,
        "DeleteMarker": True,
        "DeleteMarkerVersionId": marker,
    }
    assert read(s3, Key="other") == b"x"


def test_bucket_with_versions_is_not_empty(versioned: Any) -> None:
    s3 = versioned
    version = put(s3, b"x")
    marker = s3.delete_object(**K)["VersionId"]
    assert fails(s3.delete_bucket, **B) == (409, "BucketNotEmpty")
    s3.delete_object(**K, VersionId=version)
    assert fails(s3.delete_bucket, **B) == (409, "BucketNotEmpty")
    s3.delete_object(**K, VersionId=marker)
    s3.delete_bucket(**B)


def fill(s3: Any) -> list[tuple[str, str]]:
    """Some keys with up to three versions and delete markers: key and version id in the order of a listing."""
    history: dict[str, list[str]] = {}
    for turn, keys in enumerate((["a", "b/1", "b/2", "c", "d/x"], ["a", "b/1", "c"], ["a", "é"])):
        for key in keys:
            history.setdefault(key, []).insert(0, put(s3, bytes([turn]), key))
    for key in ("a", "b/2", "d/x"):
        history[key].insert(0, s3.delete_object(Bucket="bucket", Key=key)["VersionId"])
    return [(key, version) for key in sorted(history) for version in history[key]]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_of_versions_add_up(versioned: Any, size: int) -> None:
    expected = fill(versioned)
    found: list[tuple[str, str]] = []
    arguments: dict[str, Any] = {}
    while True:
        page = versioned.list_object_versions(**B, MaxKeys=size, **arguments)
        both = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        assert len(both) <= size
        found += sorted(((v["Key"], v["VersionId"]) for v in both), key=lambda entry: expected.index(entry))
        if not page["IsTruncated"]:
            break
        assert len(both) == size
        arguments = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert found == expected


def test_version_listing_groups_and_markers(versioned: Any) -> None:
    expected = fill(versioned)
    listed = versioned.list_object_versions(**B, Delimiter="/")
    assert [p["Prefix"] for p in listed["CommonPrefixes"]] == ["b/", "d/"]
    assert {v["Key"] for v in listed["Versions"]} == {"a", "c", "é"}
    page = versioned.list_object_versions(**B, Delimiter="/", MaxKeys=5)
    assert (page["NextKeyMarker"], "NextVersionIdMarker" in page) == ("b/", False)
    rest = versioned.list_object_versions(**B, Delimiter="/", KeyMarker="b/")
    assert [v["Key"] for v in rest["Versions"]] == ["c", "c", "é"]
    assert [p["Prefix"] for p in rest["CommonPrefixes"]] == ["d/"]
    # Without a version id, a key marker leaves out its key.
    assert {key for key, _, _, _ in entries(versioned, KeyMarker="a")} == {k for k, _ in expected} - {"a"}
    inside = versioned.list_object_versions(**B, Prefix="b/", KeyMarker="b/1", VersionIdMarker=expected[4][1])
    assert [v["VersionId"] for v in inside["Versions"]] == [
        version for key, version in expected[5:] if key == "b/1"
    ] + [version for key, version in expected if key == "b/2"][1:]


def test_versions_survive_a_restart(tmp_path: Path) -> None:
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        s3.put_object(**K, Body=b"null")
        versioning(s3, "Enabled")
        ids = [put(s3, b"one", Tagging="t=1"), put(s3, b"two")]
        s3.put_object_acl(**K, VersionId=ids[0], ACL="public-read")
        marker = s3.delete_object(**K)["VersionId"]
        before = entries(s3)
        s3.close()
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        assert s3.get_bucket_versioning(**B)["Status"] == "Enabled"
        assert entries(s3) == before
        assert fails(s3.get_object, **K) == (404, "NoSuchKey")
        assert [read(s3, VersionId=v) for v in ("null", *ids)] == [b"null", b"one", b"two"]
        assert s3.get_object(**K, VersionId=ids[0])["TagCount"] == 1
        assert len(s3.get_object_acl(**K, VersionId=ids[0])["Grants"]) == 2
        for version in ("null", *ids, marker):
            s3.delete_object(**K, VersionId=version)
        assert [path for path in (tmp_path / "bucket").rglob("*") if path.is_file()] == [
            tmp_path / "bucket" / ".bucket.json"
        ]
        s3.close()
