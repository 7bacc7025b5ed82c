"""Sessions of directory buckets (S3 Express One Zone) on the crt backend.

Requests to objects of a directory bucket are signed with the keys of a session, which CreateSession gives for five
minutes (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html). botocore makes the request, as it does
on the sdk backend, and blocks meanwhile: hence on a thread of its own, before a verb begins (``CrtBase.ready``), and
from time to time while transfers run (``crt_renew.py``).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from objectfs.backends.sdk_errors import translate
from objectfs.backends.sdk_ops import Operation
from objectfs.backends.session import Session
from objectfs.backends.workers import Workers

__all__ = ["Sessions"]

log = logging.getLogger("objectfs.express")

ADVISORY = 45
"""Seconds before its end from which on a session is renewed by whoever comes by; botocore's own figure."""

MANDATORY = 10
"""Seconds before its end from which on a failure to renew it is an error; likewise."""

PAUSE = 15.0
"""Seconds between two looks at the sessions of transfers under way."""

THREADS = 4
"""Buckets whose sessions are asked for at a time."""

Keys = tuple[str, str, str | None]


class Sessions:
    """The sessions of one backend, by bucket. May be used from any thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}
        self._client: Any = None
        self._held: dict[str, tuple[Keys, float]] = {}
        """Keys, and the time of their end."""
        self._given: dict[str, Keys] = {}
        self._workers = Workers(THREADS)

    def __bool__(self) -> bool:
        return bool(self._held)

    def left(self, bucket: str) -> float:
        """Seconds for which there are keys; 0 where there are none."""
        held = self._held.get(bucket)
        return 0.0 if held is None else max(0.0, held[1] - time.time())

    def due(self, bucket: str) -> bool:
        """Whether it is time for a session."""
        return self.left(bucket) < ADVISORY

    def start(self, bucket: str) -> Operation[None]:
        """:meth:`renew` on a thread."""
        op: Operation[None] = Operation([lambda task: self.renew(bucket)], single=True)
        op.start(self._workers)
        return op

    def renew(self, bucket: str) -> None:
        """Have a session that is not :meth:`due`. Waits for the server (CreateSession).

        Raises:
            AccessDeniedError, CredentialsError, ConnectionError …: what CreateSession came to.
        """
        with self._lock:
            asking = self._asking.setdefault(bucket, threading.Lock())
        with asking:
            if not self.due(bucket):  # somebody else has done it meanwhile
                return
            try:
                self._held[bucket] = self._ask(bucket)
            except Exception as error:
                if self.left(bucket) > MANDATORY:
                    log.debug("the session of %s was not renewed: %s", bucket, error)
                    return
                told = translate(error, "CreateSession", bucket, None, None)
                if told is error:
                    raise
                raise told from None

    def sign(self, bucket: str, engine: Any) -> None:
        """Have an engine, which serves this bucket alone, sign with a session that is in force. Waits for the server
        only where nobody has asked for one in time."""
        if not self.left(bucket):
            self.renew(bucket)
        keys, _ = self._held[bucket]
        with self._lock:
            if self._given.get(bucket) != keys:
                engine.set_credentials(*keys)
                self._given[bucket] = keys

    def close(self) -> None:
        """Close the connections over which sessions were asked for."""
        self._workers.stop()
        if self._client is not None:
            self._client.close()

    def _ask(self, bucket: str) -> tuple[Keys, float]:
        with self._lock:
            if self._client is None:
                config = self._session.config
                self._client = self._session.create_client(
                    connect_timeout=config.connect_timeout,
                    read_timeout=config.read_timeout,
                    retries={"total_max_attempts": config.max_attempts, "mode": "standard"},
                )
            client = self._client
        answer = client.create_session(Bucket=bucket)["Credentials"]
        keys = (answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        return keys, answer["Expiration"].timestamp()
