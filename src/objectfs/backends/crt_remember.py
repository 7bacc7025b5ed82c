"""``pace_file=``: what transfers have told of each endpoint, kept from one process to the next.

The file is JSON, and a hint, never an order: what it says is judged by the next transfers as if they had found it out
themselves, settings that are given come before it, and numbers that this client does not allow are brought to its
bounds. It is read when a client is made, and replaced at once when one is closed, together with what others have
written there meanwhile. Of two that close in the same moment one may win: the other's lesson is learned again. See
docs/design/0015-pace.md.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import time
from collections.abc import Iterable, Mapping

from objectfs.backends.crt_lessons import Lessons
from objectfs.backends.crt_pace import Paces
from objectfs.backends.session import Endpoint
from objectfs.errors import ConfigError

__all__ = ["PaceFile", "place_of"]

log = logging.getLogger("objectfs.pace")

SCHEMA = "objectfs-pace/1"

LASTS = 30 * 86_400.0
"""Seconds after which nobody believes an entry any more: networks change, and machines move."""

MOST = 256
"""Entries, the newest: a program may talk to any number of endpoints."""

LARGEST = 1 << 20
"""Bytes that are read: 256 entries are a tenth of it."""


class PaceFile:
    """Of one client."""

    def __init__(self, path: str) -> None:
        """Read it, if it is there.

        Raises:
            ConfigError: it is there and something else, or cannot be read; nothing of it is used or changed.
        """
        self.path = path
        self._entries = self._read()

    def recall(self, paces: Paces) -> None:
        """Tell it what is known of its place."""
        paces.recall(self._entries.get(paces.place, Lessons()))

    def keep(self, told: Iterable[Paces]) -> None:
        """Write what they have learned. What prevents that is logged: a client that is closed has done its work, and
        nothing is lost but time."""
        learned = [(lessons.saved, paces.place, lessons) for paces in told if (lessons := paces.lessons()).saved]
        if not learned:
            return
        try:
            entries = self._read()
            for _, place, lessons in sorted(learned, key=lambda each: each[0]):  # directory buckets share a place
                entries[place] = lessons.after(entries.get(place, Lessons()))
            newest = sorted(entries, key=lambda place: entries[place].saved, reverse=True)[:MOST]
            self._write({place: entries[place] for place in newest})
        except (ConfigError, OSError) as error:
            log.warning("pace_file=%r was not written: %s", self.path, error)

    def _read(self) -> dict[str, Lessons]:
        """What is not too old."""
        try:
            with open(self.path, "rb") as file:
                content = file.read(LARGEST + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"pace_file={self.path!r} cannot be read: {error}") from None
        if not content:  # of a file that somebody has made for this
            return {}
        try:
            if len(content) > LARGEST:
                raise ValueError("it is too large")
            document = json.loads(content)
            if not isinstance(document, dict) or document.get("schema") != SCHEMA:
                raise ValueError(f'it has no "schema": "{SCHEMA}"')
            entries = {place: Lessons.of_json(entry) for place, entry in document["endpoints"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            said = error.args[0] if isinstance(error, TypeError) else error  # attrs adds the field, the type, the value
            raise ConfigError(
                f"pace_file={self.path!r} is no file that a client has written: {said}",
                hint="Name another file (it is made), or delete this one if it is of no use to anybody",
            ) from None
        now = time.time()  # a clock that was wrong has written the future
        recent = {place: entry.since(now - LASTS, now + LASTS) for place, entry in entries.items()}
        return {place: entry for place, entry in recent.items() if entry.saved}

    def _write(self, entries: Mapping[str, Lessons]) -> None:
        document = {"schema": SCHEMA, "endpoints": {place: entry.as_json() for place, entry in entries.items()}}
        folder, base = os.path.split(self.path)
        os.makedirs(folder, exist_ok=True)
        new = os.path.join(folder, f".{base}.{secrets.token_hex(8)}")
        try:
            with open(new, "x", encoding="utf-8") as file:  # for all to read whom the umask lets: names of hosts, times
                json.dump(document, file, indent=1)
            os.replace(new, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise


def place_of(endpoint: Endpoint, bucket: str | None, cores: int) -> str:
    """Scheme, host and port, what requests are signed for, and the machine's cores: with others, other numbers of
    connections are the best. A bucket's name in the host is left out: its endpoint is that of all others."""
    host = endpoint.host_header
    if endpoint.virtual_host and bucket is not None:
        host = host.removeprefix(f"{bucket}.")
    return f"{endpoint.scheme}://{host} {endpoint.signing_region} {endpoint.signing_name}, {cores} cores"
