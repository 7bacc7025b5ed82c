"""The blocking client."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from objectfs import arguments as check
from objectfs.transfer.opening import OpenVerbs
from objectfs.verbs.copying import CopyVerbs
from objectfs.verbs.many import ManyVerbs
from objectfs.verbs.presigning import PresignVerbs
from objectfs.verbs.reading import ReadVerbs
from objectfs.verbs.versions import VersionVerbs
from objectfs.verbs.writing import WriteVerbs

__all__ = ["Client"]


class Client(ReadVerbs, ManyVerbs, WriteVerbs, CopyVerbs, OpenVerbs, VersionVerbs, PresignVerbs):
    """Moves objects between an S3 service and this program. May be used from any number of threads.

    Every keyword may also be set as ``OBJECTFS_<NAME>`` in the environment or in the config file
    (see :mod:`objectfs.config`); an argument that is None is taken from there, then from AWS's own variables
    and files. Sizes are bytes, or text such as ``"256 MiB"``; times are seconds.

    Args:
        backend: ``auto`` (the engine if it is built, else boto3), ``crt`` or ``sdk``; by name there is no
            fallback.
        endpoint_url: ``https://host[:port]`` of a service that is not AWS.
        region: of the bucket; requests are signed for it.
        profile: a section ``[profiles.<name>]`` of the config file, or a profile of AWS's files.
        access_key_id, secret_access_key, session_token: credentials; without them botocore finds and
            refreshes them.
        anonymous: send requests unsigned.
        addressing_style: ``auto`` (path with an endpoint_url, else virtual hosts), ``path`` or ``virtual``.
        use_dualstack_endpoint, use_fips_endpoint, use_accelerate_endpoint: which of AWS's addresses to use
            (IPv6 too, FIPS 140, Transfer Acceleration); without them as in AWS's own files and variables.
        verify: of TLS certificates: True, False, or the path of a CA bundle.
        part_size: of multipart transfers and parallel ranges.
        max_connections: at most so many at a time, whatever runs on this client.
        memory_limit: for all that the client holds on its own account: part buffers, what open objects read ahead and
            have written, streams, results that wait in iterators. ``stats()["budget"]`` shows it in use.
        throughput_gbps: what the engine plans its connections for.
        max_attempts: tries of each request, the first included.
        hedge: send a GET or HEAD again where its answer is late, and take the first that comes (crt backend).
        pace_file: where to keep what was learned of each endpoint's network, for the next process (crt backend).
        connect_timeout, read_timeout: of one connection; ``timeout=`` of a verb bounds the whole verb.
        checksum: ``auto`` (what the endpoint takes), ``off``, or an algorithm (``CRC64NVME``, ``CRC32``, …).
        rollout: use both backends: ``{"canary": percent of the keys on the engine, "shadow": {…}, "breaker": {…}}``, or
            the same as text (``"canary=5,breaker=3"``); docs/rollout.md.

    Raises:
        ConfigError: a setting is unknown or cannot be; says which, from where, and what is allowed.
        BackendUnavailableError: the backend cannot be used here; says why.

    All verbs raise subclasses of :class:`objectfs.errors.ObjectFSError`, and TypeError for arguments of a
    wrong type. ``timeout`` is in seconds for the whole verb; then what runs is cancelled and TimeoutError
    raised. ``progress`` is called on the calling thread with the number of bytes moved so far, some ten times
    a second and at the end.
    """

    def call(self, operation: str, /, *, timeout: float | None = None, **params: Any) -> dict[str, Any]:
        """Any operation of S3 with botocore's parameter names, and its answer in botocore's shape.

        >>> client.call("PutBucketVersioning", Bucket="b", VersioningConfiguration={"Status": "Enabled"})

        Content that is received (``Body`` of GetObject) is a stream over memory, complete and validated. The events of
        SelectObjectContent (``Payload``) are iterated over; a stream of them that is damaged or ends early raises then.

        Args:
            operation: its name in S3's API (``GetObject``).
            timeout: in seconds, for all of it.
            params: ``Body`` may be bytes-like, text, or a binary file object, which is sent from where it stands.

        Returns:
            What boto3's method of that name returns, ``ResponseMetadata`` included.

        Raises:
            InvalidRequestError: there is no such operation or parameter, or one is missing.
            UnsupportedError: nobody here computes the ``ChecksumAlgorithm``.
            ObjectFSError: the server's error, also one under status 200. What a file object raises comes out unchanged.
        """
        if not isinstance(operation, str):
            raise TypeError(f"operation must be a string, not {type(operation).__name__}")
        bucket, key = params.get("Bucket"), params.get("Key")
        answer: dict[str, Any] = self._drive(
            operation, bucket, key, self._core.backend().call(operation, params), check.check_timeout(timeout)
        )
        return answer

    def health(self, *, timeout: float = 10.0) -> dict[str, Any]:
        """Whether the endpoint answers, and whether it knows who asks (ListBuckets). Raises only what is the
        caller's own: ClosedError, ConfigError, and for a ``timeout`` that cannot be.

        Returns:
            ``ok``; ``reachable``: it answered at all; ``error``: an exception or None; ``seconds``,
            ``backend``, ``endpoint``.
        """
        with self._core.examination() as report:
            self.call("ListBuckets", timeout=timeout)
        return report

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
