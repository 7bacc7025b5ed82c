"""Engines, addresses and settings of the crt backend: what all of its verbs stand on."""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from objectfs import _native, errors
from objectfs.backends import crt_log, ending, machine
from objectfs.backends.base import GetOptions, PutOptions, Steps
from objectfs.backends.bell import Bell, PollBell
from objectfs.backends.budget import Budget
from objectfs.backends.crt_checksum import ChecksumPolicy
from objectfs.backends.crt_express import Sessions
from objectfs.backends.crt_pace import Paces
from objectfs.backends.crt_remember import PaceFile, place_of
from objectfs.backends.crt_renew import Renewal
from objectfs.backends.crt_target import Target
from objectfs.backends.crt_telemetry import NativeSource
from objectfs.backends.crt_watch import Watchers
from objectfs.backends.digests import check_content
from objectfs.backends.leftovers import CLOSE_PATIENCE, EXIT_PATIENCE, Leftovers
from objectfs.backends.presign import Presigner
from objectfs.backends.replacing import token_expired
from objectfs.backends.sdk_ops import Operation
from objectfs.backends.sdk_task import Task
from objectfs.backends.session import Endpoint, Session
from objectfs.backends.workers import Workers
from objectfs.config import Config
from objectfs.options import Expected
from objectfs.telemetry import Traces

__all__ = ["CrtBase"]

MiB = 1024 * 1024

PART_SIZE = 8 * MiB
"""AWS recommends ranges of 8-16 MiB (Performance Guidelines for Amazon S3); 8 keeps more connections busy."""

MAX_CONNECTIONS = 256
"""For small objects latency is everything: at 30 ms to the first byte 2,000 x 4 KiB took 2.5 s over 25 connections and
0.36 s over 256 (aws-c-s3's own default of 25 follows from 10 Gb/s)."""

CONNECTION_MEMORY = 4 * MiB
"""Of memory_limit, for each connection: up to 1 MiB of what a socket has brought may wait to be taken."""

TRANSFER_CONNECTIONS = 64
"""For the parts of one transfer, to begin with (``crt_pace.py``): a part of 8 MiB takes S3's 90 MB/s 93 ms, and 30 to
300 ms pass before a range's first byte, or after a part's last one."""

TLS_UPLOAD_CONNECTIONS = 12
"""Of one upload, for each core with TLS: a core encrypts and sends 1 GB/s, and spends a fifth more time on 25."""

CONNECTION_GBPS = 0.4
"""What the C library plans for a connection (``aws-c-s3``: 25 connections at 10 Gb/s)."""

LEAST_MEMORY = 256 * MiB
"""The C library refuses less."""

ENGINE_RESERVE = 128 * MiB
"""Of what it is told, the C library keeps so much for what is no part's buffer, and never comes to use it."""

KEPT = 8
"""Of all memory, the part that what programs have dropped of their downloads may take for some seconds, to be used
again (``native/kept.c``). With ``memory_limit=`` it is nothing."""

WINDOW = 256
"""Requests of a batch that are with the C library at a time; see ``native/submit.pyx``."""


ASIDE = 2
"""Threads that compute what the engine does not. They start with the first that has something to do."""

INLINE = 64 * 1024
"""Bytes whose checksum costs less than handing them to a thread: 0.1 ms of SHA-256."""

Blocks = Callable[[], Iterable[Any]]
"""Content to go through, from its beginning."""


class CrtBase:
    """What :class:`objectfs.backends.crt.CrtBackend` is made of, without the verbs."""

    name = "crt"
    capabilities = frozenset(("zero-copy", "crc64nvme"))

    def __init__(self, session: Session, config: Config) -> None:
        if config.memory_limit is not None and config.memory_limit < LEAST_MEMORY:
            raise errors.UnsupportedError(
                f"memory_limit={config.memory_limit} is less than the engine can work with (256 MiB)",
                hint="Give memory_limit= at least 256 MiB, or use backend='sdk'",
            )
        self._pace_file = PaceFile(config.pace_file) if config.pace_file is not None else None
        crt_log.follow()
        self.session = session
        self.config = config
        self.presigner = Presigner(session)
        self.part_size = config.part_size or PART_SIZE
        self.memory_limit = config.memory_limit or machine.default_memory_limit()
        self.connections = config.max_connections or min(MAX_CONNECTIONS, self.memory_limit // CONNECTION_MEMORY)
        large = None
        if config.throughput_gbps is not None:
            large = max(1, math.ceil(config.throughput_gbps / CONNECTION_GBPS))
        elif config.max_connections is not None:
            large = config.max_connections
        self.large_connections = min(self.connections, large or TRANSFER_CONNECTIONS)
        self._adapts = large is None
        # half is the C library's; it wants room for two parts
        self.engine_memory = min(
            self.memory_limit, max(LEAST_MEMORY, self.memory_limit // 2 + ENGINE_RESERVE, 2 * self.part_size)
        )
        self._keep = min(machine.memory_available() // KEPT, sys.maxsize) if config.memory_limit is None else 0
        self.budget = Budget(self.memory_limit, _native.trim, engine=self.engine_memory - ENGINE_RESERVE)
        self.window = WINDOW
        self.checksums = ChecksumPolicy(config.checksum)
        self._policies = {config.checksum: self.checksums}
        self._aside = Workers(ASIDE)
        self.leftovers = Leftovers()
        self._pid = os.getpid()
        self._lock = threading.RLock()  # what handles a record of the log may use the client
        self.sessions = Sessions(session)
        self._shared = _native.Shared(self.connections)
        self._telemetry = NativeSource(self._shared.telemetry)
        self.traces = Traces(self._telemetry)
        self._engines: dict[tuple[str, int, str, str, str | None], Any] = {}
        self._targets: dict[str | None, Target] = {}
        self._others: dict[tuple[str | None, Endpoint], Target] = {}
        self._credentials: Any = None
        self._renewal: Renewal | None = None  # for credentials that expire
        self._closed = False
        _open_backends.add(self)

    # -- where to, and by which engine -------------------------------------------------------------------------------
    def target(self, bucket: str | None) -> Target:
        """Engine and address for a bucket, with credentials in force."""
        self.check_usable()
        found = self._targets.get(bucket)
        while found is None:
            region = self.session.learned_region(bucket)
            endpoint = self.session.endpoint(bucket)
            made = Target(self.engine(endpoint, bucket), endpoint)
            with self._lock:
                if region == self.session.learned_region(bucket):  # else another thread has learned better meanwhile
                    found = self._targets[bucket] = made
        return self._signed(found, bucket)

    def target_at(self, bucket: str | None, endpoint: Endpoint) -> Target:
        """The same for an endpoint that is not the bucket's own, or none's."""
        self.check_usable()
        key = (bucket if endpoint.sessions else None, endpoint)
        found = self._others.get(key)
        if found is None:
            found = self._others[key] = Target(self.engine(endpoint, bucket), endpoint)
        return self._signed(found, bucket)

    def ready(self, bucket: str | None, endpoint: Endpoint | None = None) -> Steps[None]:
        """What has to be waited for before a request to a bucket can be signed: the session of a directory bucket."""
        self.check_usable()
        if endpoint is None:
            found = self._targets.get(bucket)
            endpoint = self.session.endpoint(bucket) if found is None else found.endpoint
        if endpoint.sessions and bucket is not None and self.sessions.due(bucket):
            yield self.sessions.start(bucket)

    def check_usable(self) -> None:
        """Raise ClosedError for a client that is closed, or the parent process's."""
        if self._closed:
            raise errors.ClosedError("the client is closed")
        if self._pid != os.getpid():
            raise errors.ClosedError("the client belongs to the process that this one was forked from")

    def _signed(self, found: Target, bucket: str | None) -> Target:
        if found.endpoint.sessions:
            assert bucket is not None
            self.sessions.sign(bucket, found.engine)
            self._expect_renewals()
        elif self._credentials is None or self.session.credentials_refresh_due():
            self.renew()
        if self._renewal is not None:
            self._renewal.ensure()
        return found

    def engine(self, endpoint: Endpoint, bucket: str | None = None) -> Any:
        """The engine for an endpoint.

        One for each scheme and port: the C library's table of endpoints is keyed by host name alone, so two ports of
        one host would share a pool. One for each region and service: they are part of the signature. One for each
        directory bucket: each has keys of its own.
        """
        owner = bucket if endpoint.sessions else None
        key = (endpoint.scheme, endpoint.port, endpoint.signing_region, endpoint.signing_name, owner)
        with self._lock:
            if self._closed:  # meanwhile, in another thread
                raise errors.ClosedError("the client is closed")
            engine = self._engines.get(key)
            if engine is None:
                engine = self._engines[key] = self._make_engine(endpoint, bucket)
                if self._credentials is not None and owner is None:
                    self._give_credentials(engine)
            return engine

    def _make_engine(self, endpoint: Endpoint, bucket: str | None) -> Any:
        config = self.config
        tls = endpoint.scheme == "https"
        verify = self.session.verify if tls else True
        try:
            engine = _native.Engine(
                region=endpoint.signing_region,
                service=endpoint.signing_name,
                sessions=endpoint.sessions,
                tls=tls,
                verify=verify is not False,
                ca=machine.ca_bundle(verify) if tls else None,
                threads=machine.event_loops(),
                part_size=self.part_size,
                max_connections=self.connections,
                memory_limit=self.engine_memory,
                shared=self._shared,
                keep=self._keep,
                # the C library can only be capped below its own plan
                throughput_gbps=max(config.throughput_gbps or 0.0, self.connections * CONNECTION_GBPS),
                connect_timeout_ms=max(1, round(config.connect_timeout * 1000)),
                read_timeout_s=max(1, round(config.read_timeout)),
                max_retries=config.max_attempts - 1,
            )
        except ValueError as error:
            raise errors.ConfigError(str(error)) from None
        engine.watchers = Watchers(engine)
        engine.paces = Paces(
            engine,
            down=self.large_connections,
            up=self._upload_connections(tls),
            most=self.connections,
            cores=machine.usable_cores(),
            part_size=self.part_size,
            connections_adapt=self._adapts,
            parts_adapt=self._adapts and config.part_size is None,
            hedges=config.hedge and config.max_attempts > 1,
        )
        if self._pace_file is not None:
            engine.paces.place = place_of(endpoint, bucket, machine.usable_cores())
            self._pace_file.recall(engine.paces)
        return engine

    def buffer(self, size: int, sparse: bool = False) -> _native.Buffer:
        """Memory for what the caller will have."""
        return _native.Buffer(size, sparse, keep=self._keep > 0)

    def _upload_connections(self, tls: bool) -> int:
        few = tls and self._adapts
        return min(self.large_connections, TLS_UPLOAD_CONNECTIONS * machine.usable_cores() if few else self.connections)

    def renew(self) -> None:
        """Sign from now on, also the requests of operations under way, with what is in force now.

        Raises:
            CredentialsError: there are none, or they have expired and new ones cannot be fetched.
        """
        frozen = self.session.frozen_credentials() or (None, None, None)
        with self._lock:
            if frozen != self._credentials:
                self._credentials = frozen
                for key, engine in self._engines.items():
                    if key[-1] is None:
                        self._give_credentials(engine)
        if self.session.credentials_expire():
            self._expect_renewals()

    def _give_credentials(self, engine: Any) -> None:
        engine.set_credentials(*self._credentials)
        engine.renews(self.session.credentials_expire())

    def take_refused(self) -> bool:
        """Whether a server has called the token expired since the last call, and requests wait for :meth:`replace`."""
        return True in [engine.take_refused() for engine in tuple(self._engines.values())]

    def replace(self) -> bool:
        """As :meth:`renew`, with others than those in force; whether there are any. See
        :meth:`Session.replace_credentials`."""
        changed = False
        try:
            changed = self.session.replace_credentials()
            if changed:
                self.renew()
        finally:
            for engine in tuple(self._engines.values()):
                engine.renewed(changed)
        return changed

    def worth_repeating(self, bucket: str | None, error: errors.ObjectFSError, asked: str | None) -> bool:
        """Whether a verb has failed for what it does not meet again: see :meth:`follow` and :meth:`replace`."""
        return self.follow(bucket, error, asked) or (token_expired(error) and self.replace())

    def _expect_renewals(self) -> None:
        with self._lock:
            if self._renewal is None:
                self._renewal = Renewal(self)

    def renew_sessions(self) -> None:
        """As :meth:`renew`, for the sessions of directory buckets."""
        with self._lock:
            engines = [(key[-1], engine) for key, engine in self._engines.items() if key[-1] is not None]
        for bucket, engine in engines:
            self.sessions.renew(bucket)
            self.sessions.sign(bucket, engine)

    def follow(self, bucket: str | None, error: errors.ObjectFSError, asked: str | None) -> bool:
        """See :meth:`Session.follow`."""
        if not self.session.elsewhere(bucket, error, asked):
            return False
        # Who sees the new region must not find the old target: such a request would be refused, and not followed, for
        # it would seem to have been made for the region that the answer names. So first the target goes.
        with self._lock:
            self._targets.pop(bucket, None)
            return self.session.follow(bucket, error, asked)

    # -- checksums ---------------------------------------------------------------------------------------------------
    def validation(self, options: GetOptions, whole: bool = False) -> str | None:
        """What the engine validates of a download: nothing, its answers, or (``full``) the whole object."""
        mode = options.checksum or self.config.checksum
        return None if mode == "off" else "full" if whole else "request"

    def policy(self, options: PutOptions) -> ChecksumPolicy:
        """What an upload with these options carries."""
        mode = options.expected.algorithm if options.expected is not None else options.checksum
        if mode is None:
            return self.checksums
        with self._lock:
            found = self._policies.get(mode)
            if found is None:
                found = self._policies[mode] = ChecksumPolicy(mode)
            return found

    def expect(self, expected: Expected | None, blocks: Blocks, size: int, *where: str, **whose: str) -> Steps[None]:
        """Hold content to the checksum that the caller knows; ``where``: operation, bucket and key. What takes its
        time runs on a thread, so that a loop goes on meanwhile.

        Raises:
            ChecksumError: it has another.
        """
        if expected is None:
            return
        if size <= INLINE:
            check_content(expected, blocks(), *where, **whose)
            return

        def work(task: Task) -> None:
            def cancellable() -> Iterator[Any]:
                for block in blocks():
                    task.check()
                    yield block

            check_content(expected, cancellable(), *where, **whose)

        yield self.start_aside(work)

    def aside(self, work: Callable[[], None]) -> Steps[None]:
        yield self.start_aside(lambda task: work())

    def start_aside(self, work: Callable[[Task], None]) -> Operation[None]:
        """Run ``work`` on a thread."""
        op: Operation[None] = Operation([work], single=True)
        op.start(self._aside)
        return op

    def bell(self) -> Bell:
        return PollBell(_native.Notifier)

    def busy(self) -> bool:
        """Whether any operation is under way."""
        return any(engine.inflight for engine in tuple(self._engines.values()))

    # -- life --------------------------------------------------------------------------------------------------------
    def stats(self) -> dict[str, Any]:
        engines = list(self._engines.values()) if self._pid == os.getpid() else []
        return {
            "backend": self.name,
            "part_size": self.part_size,
            "max_connections": self.connections,
            "connections": self._count_connections(),
            "max_connections_per_transfer": self.large_connections,
            "pace": [
                {"endpoint": f"{key[0]}, port {key[1]}, {key[2]}", **engine.paces.describe()}
                for key, engine in tuple(self._engines.items())
            ],
            "memory_limit": self.memory_limit,
            "budget": self.budget.describe(),
            "memory_kept": _native.kept_bytes(),
            "checksum": self.checksums.describe(),
            "event_loops": machine.event_loops(),
            "operations_in_flight": sum(engine.inflight for engine in engines),
            "meta_requests": sum(engine.submitted for engine in engines),
            "retries": sum(engine.retries for engine in engines),
            **self._telemetry.describe(),
        }

    def _count_connections(self) -> dict[str, Any]:
        used, most, waiting = self._shared.connections()
        return {
            "in_use": used,
            "most_in_use": most,
            "requests_waiting": waiting,
            "engines": len(self._engines),
            "bound": "client" if self._shared.bounds_connections else "engine",
        }

    def __del__(self) -> None:
        # a client that was dropped unclosed: operations under way keep the engine alive, not the backend
        if not getattr(self, "_closed", True):
            self.close()

    def close(self, patience: float = CLOSE_PATIENCE) -> None:
        if self._closed:
            return
        self._closed = True
        if self._pid != os.getpid():
            return
        self.budget.close()
        self.traces.close()
        if self._renewal is not None:
            self._renewal.close()
        self.sessions.close()
        self._aside.stop()
        try:
            self.leftovers.close(patience)
        finally:
            self._close_engines()

    def _close_engines(self) -> None:
        with self._lock:
            engines = list(self._engines.values())
            self._engines.clear()
            self._targets.clear()
            self._others.clear()
        self._shared.close()
        for engine in engines:
            engine.cancel()
        for engine in engines:
            engine.close()
            if engine.watchers is not None:
                engine.watchers.close()
                engine.watchers = None
        if self._pace_file is not None:  # last: a disk may be slow, and Ctrl-C end this
            self._pace_file.keep(engine.paces for engine in engines)


_open_backends: weakref.WeakSet[CrtBase] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """While Python still works: its end must not meet the C library's threads."""
    ending.begin()
    for backend in list(_open_backends):
        backend.close(EXIT_PATIENCE)
