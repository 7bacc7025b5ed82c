"""Random operations against a model of S3 that is simple enough to be right: keys to lists of versions.

The model knows what versions mean and nothing of how they are kept. Both stores are driven through the handlers' own
interface, the store; the directory is opened again in between, as after a crash.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from objectfs.sim.operations.context import blob_bytes
from objectfs.sim.operations.listing import collect
from objectfs.sim.store.blobs import Blob
from objectfs.sim.store.directory import DirectoryStore
from objectfs.sim.store.memory import Bucket, Store
from objectfs.sim.store.records import Record

KEYS = st.text(alphabet="aB/é", min_size=1, max_size=3)
BODIES = st.binary(max_size=3)


@dataclass
class Version:
    """In the model: a body, or None for a delete marker."""

    version_id: str
    body: bytes | None
    tags: tuple[tuple[str, str], ...] = ()


def content(blob: Blob) -> bytes:
    return b"".join(bytes(piece) for piece in blob_bytes(blob))


class Versions(RuleBasedStateMachine):
    """The store in memory."""

    versions = Bundle("versions")

    def __init__(self) -> None:
        super().__init__()
        self.store: Store = self.open()
        self.store.create_bucket("bucket")
        self.status = ""
        # Oldest first.
        self.model: dict[str, list[Version]] = {}

    def open(self) -> Store:
        return Store()

    @property
    def bucket(self) -> Bucket:
        return self.store.bucket("bucket")

    def blob(self, body: bytes) -> Blob:
        sink = self.store.new_sink("bucket", len(body))
        if body:
            sink.reserve(len(body))[: len(body)] = body
            sink.commit(len(body))
        return sink.finish()

    def add(self, key: str, version: Version) -> None:
        history = self.model.setdefault(key, [])
        if version.version_id == "null":
            history[:] = [other for other in history if other.version_id != "null"]
        history.append(version)

    @rule(status=st.sampled_from(["Enabled", "Suspended"]))
    def configure(self, status: str) -> None:
        self.store.set_versioning(self.bucket, status)
        self.status = status

    @rule(target=versions, key=KEYS, body=BODIES)
    def put(self, key: str, body: bytes) -> tuple[str, str]:
        record = Record(key, self.blob(body), "e")
        self.store.put(self.bucket, record)
        assert (record.version_id == "null") == (self.status != "Enabled")
        self.add(key, Version(record.version_id, body))
        return key, record.version_id

    @rule(target=versions, source=versions, key=KEYS)
    def copy(self, source: tuple[str, str], key: str) -> object:
        found = self.bucket.version(*source)
        if found is None or found.marker:
            return multiple()
        record = Record(key, self.store.share(self.bucket, found.blob), "e")
        body = next(v.body for v in self.model[source[0]] if v.version_id == source[1])
        self.store.put(self.bucket, record)
        self.add(key, Version(record.version_id, body))
        return key, record.version_id

    @rule(target=versions, key=KEYS)
    def delete(self, key: str) -> object:
        marker = self.store.remove(self.bucket, key)
        if not self.status:
            assert marker is None
            self.model.pop(key, None)
            return multiple()
        assert marker is not None
        self.add(key, Version(marker.version_id, None))
        return key, marker.version_id

    @rule(version=consumes(versions))
    def delete_version(self, version: tuple[str, str]) -> None:
        key, version_id = version
        history = self.model.get(key, [])
        known = [other for other in history if other.version_id == version_id]
        record = self.bucket.version(key, version_id)
        assert (record is not None) == bool(known)
        if record is not None:
            self.store.remove_version(self.bucket, record)
            history.remove(known[0])

    @rule(version=versions, tag=st.sampled_from("xyz"))
    def tag(self, version: tuple[str, str], tag: str) -> None:
        record = self.bucket.version(*version)
        if record is None or record.marker:
            return
        new = Record(record.key, record.blob, record.etag, tags=((tag, ""),), version_id=record.version_id)
        self.store.amend(self.bucket, record, new)
        next(v for v in self.model[version[0]] if v.version_id == version[1]).tags = ((tag, ""),)

    @rule(version=versions, key=KEYS)
    def rename(self, version: tuple[str, str], key: str) -> None:
        record = self.bucket.objects.get(version[0])
        if self.status or record is None or key == record.key:
            return
        moved = self.model.pop(record.key)
        self.store.rename(self.bucket, record, key)
        self.model[key] = moved

    @invariant()
    def reads_agree(self) -> None:
        expected = {key: history for key, history in self.model.items() if history}
        assert self.bucket.keys(versions=True) == sorted(expected)
        assert self.bucket.empty == (not expected)
        for key, history in expected.items():
            found = self.bucket.history(key)
            assert [record.version_id for record in found] == [version.version_id for version in history]
            for record, version in zip(found, history, strict=True):
                assert record.marker == (version.body is None)
                assert record.tags == version.tags
                assert content(record.blob) == (version.body or b"")
            current = self.bucket.objects.get(key)
            assert current is (None if history[-1].body is None else found[-1])

    @invariant()
    def listings_agree(self) -> None:
        current = sorted(key for key, history in self.model.items() if history and history[-1].body is not None)
        assert [record.key for record in collect(self.bucket, "", "", "", 1000).records] == current
        expected = [(key, version.version_id) for key in sorted(self.model) for version in reversed(self.model[key])]
        found: list[tuple[str, str]] = []
        key, version_id = "", ""
        while True:
            page = collect(self.bucket, "", "", key, 2, version_id)
            found += [(record.key, record.version_id) for record in page.records]
            if not page.truncated:
                break
            key, version_id = page.last, page.last_version
        assert found == expected


class VersionsInFiles(Versions):
    """The store in a directory, which is opened again now and then."""

    def open(self) -> Store:
        if not hasattr(self, "root"):
            self.root = Path(tempfile.mkdtemp(prefix="objectfs-model-"))
        return DirectoryStore(self.root)

    @rule()
    def restart(self) -> None:
        self.store = self.open()
        assert self.bucket.versioning == self.status

    @invariant()
    def there_is_a_file_for_each_body(self) -> None:
        count = sum(version.body is not None for history in self.model.values() for version in history)
        assert len(list((self.root / "bucket" / "data").iterdir())) == count

    def teardown(self) -> None:
        shutil.rmtree(self.root)


TestVersions = Versions.TestCase
TestVersions.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestVersionsInFiles = VersionsInFiles.TestCase
TestVersionsInFiles.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
