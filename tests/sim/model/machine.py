"""Random operations on a bucket, each answer compared with the reference."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, ClassVar

from botocore.exceptions import ClientError
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from .reference import Bucket, Upload, Version, etag, etag_of_parts
from .site import Site

# Few characters, so that keys collide, share prefixes and contain delimiters.
KEYS = st.text("ab/ü", min_size=1, max_size=4)
BODIES = st.sampled_from([b"", b"x", b"hello", bytes(range(256)) * 20, b"\0" * 70_000])
METADATA = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "two words"]), max_size=2)
TAGS = st.dictionaries(st.sampled_from(["a", "ü"]), st.sampled_from(["", "1", "a=b c"]), max_size=2)
CONDITIONS = st.sampled_from([None, None, None, "none", "match", "mismatch"])
BIG = b"5" * (5 * 1024 * 1024)
Pairs = tuple[tuple[str, str], ...]


def pairs(values: dict[str, str]) -> Pairs:
    return tuple(sorted(values.items()))


def outcome(act: Any, **arguments: Any) -> Any:
    """The answer, or the status and code of a refusal."""
    try:
        return act(**arguments)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]


class Operations(RuleBasedStateMachine):
    """The rules. Subclasses name the site."""

    site: ClassVar[Site]
    names: ClassVar[Any] = itertools.count(1)
    keys = Bundle("keys")
    uploads = Bundle("uploads")

    @initialize()
    def make_bucket(self) -> None:
        self.name = f"model-{next(self.names)}"
        self.model = Bucket()
        self.s3.create_bucket(Bucket=self.name)

    @property
    def s3(self) -> Any:
        return self.site.s3

    def call(self, operation: str, **arguments: Any) -> Any:
        return outcome(getattr(self.s3, operation), Bucket=self.name, **arguments)

    def added(self, answer: Any) -> str:
        """The id of the version that a write made, which is null unless versioning is enabled."""
        version_id = answer.get("VersionId")
        if self.model.status == "Enabled":
            assert version_id not in (None, "null")
            assert version_id not in [version.version_id for version in self.model.all_versions()]
            return str(version_id)
        # Suspended: S3 says null in some answers, and nothing in others.
        assert version_id in (None, "null")
        return "null"

    # --- writing --------------------------------------------------------------------------------------------------

    @rule(target=keys, key=KEYS)
    def a_key(self, key: str) -> str:
        return key

    def condition(self, kind: str | None, key: str) -> tuple[dict[str, str], Any]:
        """The arguments of a conditional write, and the refusal, if it must be refused."""
        current = self.model.current(key)
        if kind == "none":
            return {"IfNoneMatch": "*"}, (412, "PreconditionFailed") if current else None
        if kind is None:
            return {}, None
        missing = (404, "NoSuchKey") if current is None else None
        if kind == "match" and current is not None:
            return {"IfMatch": current.etag}, None
        return {"IfMatch": '"0123456789abcdef0123456789abcdef"'}, missing or (412, "PreconditionFailed")

    @rule(key=keys, body=BODIES, metadata=METADATA, tags=TAGS, kind=CONDITIONS)
    def put(self, key: str, body: bytes, metadata: dict[str, str], tags: dict[str, str], kind: str | None) -> None:
        from urllib.parse import urlencode

        arguments, refusal = self.condition(kind, key)
        if tags:
            arguments["Tagging"] = urlencode(tags)
        answer = self.call("put_object", Key=key, Body=body, Metadata=metadata, **arguments)
        if refusal:
            assert answer == refusal
            return
        assert answer["ETag"] == etag(body)
        self.model.add(Version(key, self.added(answer), body, etag(body), pairs(metadata), pairs(tags)))

    @rule(source=keys, key=keys, metadata=st.none() | METADATA)
    def copy(self, source: str, key: str, metadata: dict[str, str] | None) -> None:
        arguments: dict[str, Any] = {"CopySource": {"Bucket": self.name, "Key": source}}
        if metadata is not None:
            arguments |= {"MetadataDirective": "REPLACE", "Metadata": metadata}
        answer = self.call("copy_object", Key=key, **arguments)
        found = self.model.current(source)
        if found is None:
            assert answer == (404, "NoSuchKey")
        elif source == key and metadata is None:
            assert answer == (400, "InvalidRequest")
        else:
            kept = found.metadata if metadata is None else pairs(metadata)
            tag = answer["CopyObjectResult"]["ETag"]
            assert found.body is not None
            # Of large objects the tag need not be a digest.
            assert tag == etag(found.body) or len(found.body) > 1024 * 1024
            self.model.add(Version(key, self.added(answer), found.body, tag, kept, found.tags))

    # --- multipart ------------------------------------------------------------------------------------------------

    @rule(target=uploads, key=keys, metadata=METADATA)
    def create_upload(self, key: str, metadata: dict[str, str]) -> str:
        upload_id: str = self.call("create_multipart_upload", Key=key, Metadata=metadata)["UploadId"]
        self.model.uploads[upload_id] = Upload(key, pairs(metadata))
        return upload_id

    @rule(upload_id=uploads, number=st.integers(1, 3), body=st.sampled_from([b"", b"part", b"other", BIG, BIG]))
    def upload_part(self, upload_id: str, number: int, body: bytes) -> None:
        upload = self.model.uploads.get(upload_id)
        key = upload.key if upload else "gone"
        answer = self.call("upload_part", Key=key, UploadId=upload_id, PartNumber=number, Body=body)
        if upload is None:
            assert answer == (404, "NoSuchUpload")
        else:
            # Above a size that is the server's choice the tag is no digest.
            assert answer["ETag"] == etag(body) or body is BIG
            upload.parts[number] = body

    @rule(upload_id=uploads)
    def list_parts(self, upload_id: str) -> None:
        upload = self.model.uploads.get(upload_id)
        answer = self.call("list_parts", Key=upload.key if upload else "gone", UploadId=upload_id, MaxParts=2)
        if upload is None:
            assert answer == (404, "NoSuchUpload")
            return
        wanted = [(number, len(upload.parts[number])) for number in sorted(upload.parts)]
        assert [(part["PartNumber"], part["Size"]) for part in answer.get("Parts", [])] == wanted[:2]
        assert answer["IsTruncated"] == (len(wanted) > 2)

    @rule(upload_id=uploads, numbers=st.lists(st.integers(1, 3), min_size=1, max_size=3), kind=CONDITIONS)
    def complete(self, upload_id: str, numbers: list[int], kind: str | None) -> None:
        upload = self.model.uploads.get(upload_id)
        key = upload.key if upload else "gone"
        tags = {}
        if upload is not None:
            listed = self.call("list_parts", Key=key, UploadId=upload_id).get("Parts", [])
            tags = {part["PartNumber"]: part["ETag"] for part in listed}
        parts = [{"PartNumber": number, "ETag": tags.get(number, etag(b"none"))} for number in numbers]
        arguments, refusal = self.condition(kind, key)
        answer = self.call(
            "complete_multipart_upload", Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}, **arguments
        )
        if upload is None:
            assert answer == (404, "NoSuchUpload")
            return
        refusals = self.complete_refusals(upload, numbers)
        if refusal:
            refusals.append(refusal)
        if refusals:
            # Which of several reasons is given is not documented.
            assert answer in refusals
            return
        chosen = [upload.parts[number] for number in numbers]
        if BIG not in chosen:
            assert answer["ETag"] == etag_of_parts(chosen)
        version_id = self.added(answer)
        self.model.add(Version(key, version_id, b"".join(chosen), answer["ETag"], upload.metadata, parts=len(chosen)))
        del self.model.uploads[upload_id]

    def complete_refusals(self, upload: Upload, numbers: list[int]) -> list[tuple[int, str]]:
        found = []
        if numbers != sorted(set(numbers)):
            found.append((400, "InvalidPartOrder"))
        if not set(numbers) <= upload.parts.keys():
            found.append((400, "InvalidPart"))
        if any(len(upload.parts.get(number, BIG)) < len(BIG) for number in numbers[:-1]):
            found.append((400, "EntityTooSmall"))
        return found

    @rule(upload_id=uploads)
    def abort(self, upload_id: str) -> None:
        upload = self.model.uploads.pop(upload_id, None)
        answer = self.call("abort_multipart_upload", Key=upload.key if upload else "gone", UploadId=upload_id)
        if upload is None:
            assert answer == (404, "NoSuchUpload")

    @rule(prefix=st.sampled_from(["", "a", "b/"]))
    def list_uploads(self, prefix: str) -> None:
        answer = self.call("list_multipart_uploads", Prefix=prefix)
        wanted = sorted((u.key, name) for name, u in self.model.uploads.items() if u.key.startswith(prefix))
        assert sorted((u["Key"], u["UploadId"]) for u in answer.get("Uploads", [])) == wanted

    # --- deleting -------------------------------------------------------------------------------------------------

    def deleted(self, key: str, answer: dict[str, Any], marker_id: str) -> None:
        """A delete without a version id: with versioning it makes a marker, whether or not there is the key."""
        if self.model.status is None:
            self.model.remove(key, "null")
            assert not answer.get("DeleteMarker")
            return
        assert answer["DeleteMarker"] is True
        version_id = str(answer[marker_id])
        assert (version_id == "null") == (self.model.status == "Suspended")
        self.model.add(Version(key, version_id, None))

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.deleted(key, self.call("delete_object", Key=key), "VersionId")

    @rule(chosen=st.lists(keys, min_size=1, max_size=4, unique=True))
    def delete_many(self, chosen: list[str]) -> None:
        answer = self.call("delete_objects", Delete={"Objects": [{"Key": key} for key in chosen]})
        assert "Errors" not in answer
        assert [entry["Key"] for entry in answer["Deleted"]] == chosen
        for entry in answer["Deleted"]:
            self.deleted(entry["Key"], entry, "DeleteMarkerVersionId")

    @rule(pick=st.integers(0, 1000))
    def delete_version(self, pick: int) -> None:
        versions = self.model.all_versions()
        if versions:
            chosen = versions[pick % len(versions)]
            answer = self.call("delete_object", Key=chosen.key, VersionId=chosen.version_id)
            assert answer.get("DeleteMarker", False) is (chosen.body is None)
            self.model.remove(chosen.key, chosen.version_id)

    # --- tags and versioning --------------------------------------------------------------------------------------

    @rule(key=keys, tags=TAGS | st.none())
    def tag(self, key: str, tags: dict[str, str] | None) -> None:
        if tags is None:
            answer = self.call("delete_object_tagging", Key=key)
        else:
            listed = [{"Key": name, "Value": value} for name, value in tags.items()]
            answer = self.call("put_object_tagging", Key=key, Tagging={"TagSet": listed})
        current = self.model.current(key)
        if current is None:
            assert isinstance(answer, tuple)
            assert answer[0] in (404, 405)
        else:
            assert isinstance(answer, dict)
            self.model.replace(current, dataclasses.replace(current, tags=pairs(tags or {})))

    @rule(status=st.sampled_from(["Enabled", "Suspended"]))
    def set_versioning(self, status: str) -> None:
        answer = self.call("put_bucket_versioning", VersioningConfiguration={"Status": status})
        assert isinstance(answer, dict)
        self.model.status = status
        assert self.call("get_bucket_versioning")["Status"] == status

    # --- reading --------------------------------------------------------------------------------------------------

    def check(self, version: Version, answer: dict[str, Any]) -> None:
        assert version.body is not None
        assert answer["ETag"] == version.etag
        assert answer["ContentLength"] == len(version.body)
        assert pairs(answer["Metadata"]) == version.metadata
        assert answer.get("TagCount", 0) == len(version.tags)
        if self.model.status is not None:
            assert answer["VersionId"] == version.version_id

    @rule(key=keys)
    def get(self, key: str) -> None:
        answer, current = self.call("get_object", Key=key), self.model.current(key)
        if current is None:
            assert answer == (404, "NoSuchKey")
            return
        self.check(current, answer)
        assert answer["Body"].read() == current.body
        tags = self.call("get_object_tagging", Key=key)["TagSet"]
        assert pairs({tag["Key"]: tag["Value"] for tag in tags}) == current.tags

    @rule(key=keys)
    def head(self, key: str) -> None:
        answer, current = self.call("head_object", Key=key), self.model.current(key)
        if current is None:
            assert answer == (404, "404")
        else:
            self.check(current, answer)

    @rule(key=keys, first=st.integers(0, 12), last=st.integers(0, 12) | st.none(), suffix=st.booleans())
    def get_range(self, key: str, first: int, last: int | None, suffix: bool) -> None:
        value = f"bytes=-{first}" if suffix else f"bytes={first}-{'' if last is None else last}"
        answer, current = self.call("get_object", Key=key, Range=value), self.model.current(key)
        if current is None:
            assert answer == (404, "NoSuchKey")
            return
        assert current.body is not None
        size = len(current.body)
        if suffix:
            wanted = current.body[max(size - first, 0) :] if first else b""
            satisfiable = bool(wanted)
        else:
            if last is not None and last < first:
                assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
                assert answer["Body"].read() == current.body
                return
            wanted = current.body[first : size if last is None else last + 1]
            satisfiable = first < size
        if satisfiable:
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
            assert answer["Body"].read() == wanted
        else:
            assert answer == (416, "InvalidRange")

    @rule(pick=st.integers(0, 1000))
    def get_version(self, pick: int) -> None:
        versions = self.model.all_versions()
        if not versions:
            return
        chosen = versions[pick % len(versions)]
        answer = self.call("get_object", Key=chosen.key, VersionId=chosen.version_id)
        if chosen.body is None:
            assert answer == (405, "MethodNotAllowed")
        else:
            self.check(chosen, answer)
            assert answer["Body"].read() == chosen.body

    # --- listing --------------------------------------------------------------------------------------------------

    @rule(
        new=st.booleans(),
        prefix=st.sampled_from(["", "a", "a/", "ü", "b/a"]),
        delimiter=st.sampled_from(["", "/", "/", "a", "b/"]),
        after=st.just("") | KEYS,
        limit=st.integers(1, 5),
    )
    def list_keys(self, new: bool, prefix: str, delimiter: str, after: str, limit: int) -> None:
        arguments: dict[str, Any] = {"Prefix": prefix, "Delimiter": delimiter, "MaxKeys": limit}
        arguments["StartAfter" if new else "Marker"] = after
        found: list[tuple[str, bool]] = []
        while True:
            page = self.call("list_objects_v2" if new else "list_objects", **arguments)
            entries = [(entry["Key"], False) for entry in page.get("Contents", [])]
            entries += [(entry["Prefix"], True) for entry in page.get("CommonPrefixes", [])]
            entries.sort(key=lambda entry: entry[0].encode())
            for entry in page.get("Contents", []):
                current = self.model.current(entry["Key"])
                assert current is not None
                assert current.body is not None
                assert (entry["Size"], entry["ETag"]) == (len(current.body), current.etag)
            found += entries
            if not page["IsTruncated"]:
                break
            assert len(entries) == limit
            if new:
                arguments["ContinuationToken"] = page["NextContinuationToken"]
            else:
                arguments["Marker"] = page.get("NextMarker", entries[-1][0])
        assert found == self.model.listing(prefix, delimiter, after)

    @rule(limit=st.integers(1, 5))
    def list_versions(self, limit: int) -> None:
        arguments: dict[str, Any] = {"MaxKeys": limit}
        found: list[tuple[str, str, bool, bool]] = []
        while True:
            page = self.call("list_object_versions", **arguments)
            entries = [(v["Key"], v["VersionId"], v["IsLatest"], False) for v in page.get("Versions", [])]
            entries += [(v["Key"], v["VersionId"], v["IsLatest"], True) for v in page.get("DeleteMarkers", [])]
            found += entries
            if not page["IsTruncated"]:
                break
            assert len(entries) == limit
            arguments |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        wanted = [
            (version.key, version.version_id, number == 0, version.body is None)
            for key in self.model.versions
            for number, version in enumerate(self.model.versions[key])
        ]
        # Versions and markers come in two lists: of the order among them only the newest is told.
        assert sorted(found) == sorted(wanted)

    @invariant()
    def the_server_is_well(self) -> None:
        assert not self.site.trouble()

    def teardown(self) -> None:
        """The bucket goes when it is empty, and not before."""
        if not hasattr(self, "model"):
            return
        if self.model.versions:
            assert self.call("delete_bucket") == (409, "BucketNotEmpty")
        for version in self.model.all_versions():
            self.call("delete_object", Key=version.key, VersionId=version.version_id)
        for upload_id, upload in self.model.uploads.items():
            self.call("abort_multipart_upload", Key=upload.key, UploadId=upload_id)
        assert isinstance(self.call("delete_bucket"), dict)


class WithRestarts(Operations):
    """The directory store, whose server may be restarted between any two operations."""

    @rule()
    def restart(self) -> None:
        self.site.restart()
        # Uploads in progress do not survive; the store says so.
        self.model.uploads.clear()
