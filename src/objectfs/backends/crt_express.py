"""Sessions of directory buckets (S3 Express One Zone) on the crt backend.

Requests to objects of a directory bucket are signed with the keys of a session, which CreateSession gives for five
minutes (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html). botocore makes the session and keeps
it fresh, as it does on the sdk backend.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from objectfs import errors
from objectfs.backends.sdk_errors import translate
from objectfs.backends.session import Session

__all__ = ["Sessions"]

ADVISORY = 45
"""Seconds before its end from which on a session is renewed by whoever comes by; botocore's own figure."""

MANDATORY = 10
"""Seconds before its end from which on nothing is signed with it."""

PAUSE = 15.0
"""Seconds between two looks at the sessions of transfers under way."""

Keys = tuple[str, str, str | None]


class Sessions:
    """The sessions of one backend, by bucket. May be used from any thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._client: Any = None
        self._sessions: dict[str, Any] = {}
        self._given: dict[str, Keys] = {}

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def sign(self, bucket: str, engine: Any) -> None:
        """Have an engine, which serves this bucket alone, sign with a session that is in force.

        Raises:
            AccessDeniedError, CredentialsError, ConnectionError …: what CreateSession came to.
        """
        found = self._sessions.get(bucket)
        try:
            if found is None:
                found = self._make(bucket)
            frozen = found.get_frozen_credentials()
        except errors.ObjectFSError:
            raise
        except Exception as error:
            told = translate(error, "CreateSession", bucket, None, None)
            if told is error:
                raise
            raise told from None
        keys = (frozen.access_key, frozen.secret_key, frozen.token)
        with self._lock:
            if self._given.get(bucket) != keys:
                engine.set_credentials(*keys)
                self._given[bucket] = keys

    def close(self) -> None:
        """Close the connections over which sessions were asked for."""
        if self._client is not None:
            self._client.close()

    def _make(self, bucket: str) -> Any:
        from botocore.credentials import RefreshableCredentials

        with self._lock:
            found = self._sessions.get(bucket)
            if found is None:
                ask = self._asking(bucket)
                found = self._sessions[bucket] = RefreshableCredentials.create_from_metadata(
                    ask(), ask, "s3express", advisory_timeout=ADVISORY, mandatory_timeout=MANDATORY
                )
            return found

    def _asking(self, bucket: str) -> Callable[[], dict[str, str]]:
        if self._client is None:
            config = self._session.config
            self._client = self._session.create_client(
                connect_timeout=config.connect_timeout,
                read_timeout=config.read_timeout,
                retries={"total_max_attempts": config.max_attempts, "mode": "standard"},
            )
        client = self._client

        def ask() -> dict[str, str]:
            answer = client.create_session(Bucket=bucket)["Credentials"]
            return {
                "access_key": answer["AccessKeyId"],
                "secret_key": answer["SecretAccessKey"],
                "token": answer["SessionToken"],
                "expiry_time": answer["Expiration"].isoformat(),
            }

        return ask
