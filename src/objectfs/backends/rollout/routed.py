"""The routed backend: the trusted one and the engine, behind the contract of either. ``base.py`` has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from objectfs import errors
from objectfs.backends import machine
from objectfs.backends.base import Backend, Steps
from objectfs.backends.bell import Bell
from objectfs.backends.rollout.reads import Reads
from objectfs.backends.rollout.routing import Router
from objectfs.backends.rollout.shadow import Shadows
from objectfs.backends.rollout.writes import Writes
from objectfs.backends.session import Session
from objectfs.config import Config
from objectfs.options import Options
from objectfs.rollout import Rollout
from objectfs.telemetry import JoinedSource, Traces, joined
from objectfs.types import PresignedPost, PresignedUrl

__all__ = ["RoutedBackend"]

MiB = 1024 * 1024

ENGINE_LEAST = 256 * MiB
"""What the C library needs."""

TRUSTED_LEAST = 64 * MiB
"""What a client may have at least."""

Make = Callable[[Session, Config], Backend]


class RoutedBackend(Reads, Writes):
    """See :class:`objectfs.backends.base.Backend`. It owns both backends, which share the session, and ``memory_limit``
    by halves.

    Args:
        rules: the setting.
        make_trusted, make_engine: make the backends.
    """

    name = "routed"

    def __init__(self, session: Session, config: Config, rules: Rollout, make_trusted: Make, make_engine: Make) -> None:
        memory = config.memory_limit or machine.default_memory_limit()
        engine_memory = max(ENGINE_LEAST, memory // 2)
        if memory - engine_memory < TRUSTED_LEAST:
            raise errors.UnsupportedError(
                f"memory_limit={memory} is less than two backends can work with (320 MiB)",
                hint="Give memory_limit= at least 320 MiB, or no rollout",
            )
        self._session = session
        self.engine = make_engine(session, attrs.evolve(config, memory_limit=engine_memory))
        try:
            self.trusted = make_trusted(session, attrs.evolve(config, memory_limit=memory - engine_memory))
        except BaseException:
            self.engine.close()
            raise
        self.memory_limit = memory
        self.capabilities = self.trusted.capabilities & self.engine.capabilities
        self.connections = max(self.trusted.connections, self.engine.connections)
        self.traces = Traces(JoinedSource(self.engine.traces.source, self.trusted.traces.source))
        self.part_size = max(self.trusted.part_size, self.engine.part_size)
        self.budget = self.engine.budget if rules.canary >= 50 else self.trusted.budget
        self.router = Router(rules, session, self.trusted)
        self.shadows = (
            None if rules.shadow is None else Shadows(rules.shadow, self.router.ledger, self.trusted, self.engine)
        )

    def __repr__(self) -> str:
        return f"<RoutedBackend of {self.trusted.name} and {self.engine.name}>"

    @property
    def custom_endpoint(self) -> bool:
        return self.trusted.custom_endpoint

    def aside(self, work: Callable[[], None]) -> Steps[None]:
        return self.trusted.aside(work)

    def presign(
        self, method: str, bucket: str, key: str, expires: int, params: Mapping[str, Any], options: Options
    ) -> PresignedUrl:
        self.router.ledger.note("no-request", "presign", bucket, key)
        return self.trusted.presign(method, bucket, key, expires, params, options)

    def presign_post(
        self, bucket: str, key: str, expires: int, fields: Mapping[str, str], conditions: Sequence[Any]
    ) -> PresignedPost:
        self.router.ledger.note("no-request", "presign_post", bucket, key)
        return self.trusted.presign_post(bucket, key, expires, fields, conditions)

    def bell(self) -> Bell:
        return self.engine.bell()  # which hears of operations on threads too

    def stats(self) -> dict[str, Any]:
        both = {backend.name: backend.stats() for backend in (self.engine, self.trusted)}
        ours = both[self.trusted.name]
        rollout = self.router.describe()
        rollout["shadow"] = None if self.shadows is None else self.shadows.describe()
        return {
            "backend": self.name,
            "part_size": self.part_size,
            "max_connections": self.connections,
            "memory_limit": self.memory_limit,
            **{name: ours[name] for name in ("max_attempts", "connect_timeout", "read_timeout") if name in ours},
            "retries": sum(each["retries"] for each in both.values()),
            **joined(both.values()),
            "rollout": rollout,
            "backends": both,
        }

    def close(self) -> None:
        self.traces.close()
        if self.shadows is not None:
            self.shadows.close()
        try:
            self.engine.close()
        finally:
            self.trusted.close()
            if self.shadows is not None:
                self.shadows.join()
