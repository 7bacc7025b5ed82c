"""New credentials in the place of some that seemed good: a server has called their token expired before its time.

It may have been revoked, or this machine's clock be late, or another program have written new keys into AWS's files.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from objectfs.errors import ObjectFSError

__all__ = ["Replacing", "read_again", "token_expired"]

log = logging.getLogger("objectfs.credentials")

LATELY = 60.0
"""Seconds after new credentials came, in which a refusal may be of a request that was signed with the old ones."""

PAUSE = 5.0
"""Seconds until credentials that could not be replaced are fetched again: each request that fails asks for it."""

CODES = frozenset(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"))

_FILES = ("shared-credentials-file", "config-file")
_FAR = "9999-12-31T00:00:00Z"


def token_expired(error: ObjectFSError) -> bool:
    """Whether a request failed since the server called its token expired, or may have: of a HEAD, S3 says only 400."""
    if error.code is None:
        return error.status == 400 and (error.operation or "").startswith("Head")
    return error.code in CODES


def read_again(found: Any, find: Callable[[], Any]) -> Any:
    """botocore's credentials such that they can be replaced: those with a token that stand in AWS's files, where
    other programs renew them, are read there again. ``find`` looks for credentials anew."""
    method = getattr(found, "method", None)
    if method not in _FILES or not found.token or hasattr(found, "refresh_needed"):
        return found
    from botocore.credentials import RefreshableCredentials

    def read() -> dict[str, Any]:
        frozen = find().get_frozen_credentials()
        return {
            "access_key": frozen.access_key,
            "secret_key": frozen.secret_key,
            "token": frozen.token,
            "expiry_time": _FAR,
        }

    frozen = found.get_frozen_credentials()
    return RefreshableCredentials(frozen.access_key, frozen.secret_key, frozen.token, None, read, method)


class Replacing:
    """Replaces the credentials of one session, no more often than makes sense. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._replaced: float | None = None
        self._failed: float | None = None

    def replace(self, credentials: Any) -> bool:
        """Have others fetched, whatever is known of these; whether there are others now, or since :data:`LATELY`."""
        if not hasattr(credentials, "_protected_refresh"):  # nothing of botocore's that can be fetched
            return False
        with self._lock:
            now = time.monotonic()
            if self._replaced is not None and now - self._replaced < LATELY:
                return True
            if self._failed is not None and now - self._failed < PAUSE:
                return False
            changed = False
            try:
                changed = _fetch(credentials)
                if not changed:
                    log.warning("the server calls the session token expired, and no other credentials can be had")
            except Exception as error:  # processes, HTTP requests, files: anything may come out
                log.warning("the server calls the session token expired, and new ones cannot be fetched: %s", error)
            if changed:
                self._replaced = time.monotonic()
                log.info("the server called the session token expired; there are new credentials")
            else:
                self._failed = time.monotonic()
            return changed


def _fetch(credentials: Any) -> bool:
    with credentials._refresh_lock:
        before = credentials._frozen_credentials
        # what was fetched for an assumed role is kept until it expires, as it says itself
        fetcher = getattr(credentials._refresh_using, "__self__", None)
        cache, key = getattr(fetcher, "_cache", None), getattr(fetcher, "_cache_key", None)
        if cache is not None and key is not None and key in cache:
            del cache[key]
        credentials._protected_refresh(is_mandatory=True)
        return bool(credentials._frozen_credentials != before)
