"""A bucket: its current objects, their other versions, and their keys in order."""

from __future__ import annotations

import weakref
from bisect import bisect_left
from collections.abc import Sequence

from objectfs.sim.store.records import NULL_VERSION, Completed, Record, Upload, Watch


class SortedKeys:
    """Keys in the order of their UTF-8, which is the order of Python's strings; sorted when they are asked for."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        # In the order of their coming, which is often the sorted one.
        self._added: dict[str, None] = {}
        self._removed: set[str] = set()

    def add(self, key: str) -> None:
        """Add a key that is not there."""
        self._added[key] = None

    def remove(self, key: str) -> None:
        """Remove a key that is there."""
        self._added.pop(key, None)
        self._removed.add(key)

    def sorted(self) -> list[str]:
        """All keys in order; not to be changed, and good until the next call."""
        if self._removed:
            self._keys = [key for key in self._keys if key not in self._removed]
            self._removed.clear()
        if self._added:
            # Two sorted runs: the sort merges them in linear time.
            self._keys += sorted(self._added)
            self._keys.sort()
            self._added.clear()
        return self._keys


class Bucket:
    """Versions by key.

    ``objects`` has the current version of each key, unless that is a delete marker: all that a bucket without
    versioning needs. ``versions`` has, oldest first, the whole history of those keys whose history is more than one
    null version.
    """

    def __init__(self, name: str, created: float, region: str = "") -> None:
        self.name = name
        self.created = created
        self.region = region
        self.versioning = ""
        self.objects: dict[str, Record] = {}
        self.versions: dict[str, list[Record]] = {}
        self.uploads: dict[str, Upload] = {}
        # Requests that were answered and may be repeated: uploads by id, renames by their client's token.
        self.completed: dict[str, Completed] = {}
        self.renamed: dict[str, tuple[str, str]] = {}
        self.documents: dict[str, bytes] = {}
        self.watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._current = SortedKeys()
        self._hidden = SortedKeys()

    @property
    def empty(self) -> bool:
        """No object, no version, no delete marker."""
        return not self.objects and not self.versions

    def history(self, key: str) -> list[Record]:
        """All versions, oldest first; not to be changed."""
        found = self.versions.get(key)
        if found is None:
            record = self.objects.get(key)
            return [] if record is None else [record]
        return found

    def latest(self, key: str) -> Record | None:
        """The current version, a delete marker included."""
        history = self.versions.get(key)
        return self.objects.get(key) if history is None else history[-1]

    def version(self, key: str, version_id: str) -> Record | None:
        return next((record for record in self.history(key) if record.version_id == version_id), None)

    def set(self, record: Record) -> None:
        """Make a record the only version of its key."""
        self.set_history(record.key, (record,))

    def set_history(self, key: str, history: Sequence[Record]) -> None:
        """Replace all versions of a key."""
        ordered = list(history)
        latest = ordered[-1] if ordered else None
        simple = len(ordered) == 1 and not ordered[0].marker and ordered[0].version_id == NULL_VERSION
        was_current, was_hidden = key in self.objects, key in self.versions and key not in self.objects
        if not ordered or simple:
            self.versions.pop(key, None)
        else:
            self.versions[key] = ordered
        if latest is not None and not latest.marker:
            self.objects[key] = latest
        else:
            self.objects.pop(key, None)
        is_current = key in self.objects
        is_hidden = bool(ordered) and not is_current
        for was, now, index in ((was_current, is_current, self._current), (was_hidden, is_hidden, self._hidden)):
            if now and not was:
                index.add(key)
            elif was and not now:
                index.remove(key)

    def keys(self, versions: bool = False) -> list[str]:
        """The keys that have a current object, in order; with ``versions`` those too whose last version is a
        delete marker."""
        current = self._current.sorted()
        if not versions:
            return current
        hidden = self._hidden.sorted()
        return sorted([*current, *hidden]) if hidden else current

    def note_delete(self, key: str) -> None:
        for watch in self.watches:
            if watch.key == key:
                watch.deleted = True


def first_not_below(keys: list[str], start: str) -> int:
    """The index of the first key that is not below ``start``."""
    return bisect_left(keys, start)


def behind_group(keys: list[str], index: int, group: str) -> int:
    """The index of the first key from ``index`` on that does not begin with ``group``, where those that do are."""
    return bisect_left(keys, True, lo=index, key=lambda key: not key.startswith(group))
