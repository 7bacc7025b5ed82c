"""What the network between the server and its clients is like: docs/design/0006-server-network.md."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Any

Z99 = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""

_UNITS: dict[str, dict[str, float]] = {
    "bytes": {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30},
    "seconds": {"": 1, "s": 1, "ms": 1e-3, "us": 1e-6},
    "number": {"": 1},
}
_ALLOWED = {
    "bytes": "a number above 0, such as 90e6, '90MB' or '64KiB'",
    "seconds": "a number from 0, in seconds, or such as '30ms'",
    "rate": "a whole number above 0",
    "share": "a number from 0 to 1",
    "seed": "a whole number",
}


class ProfileError(ValueError):
    """A profile's name or value that does not exist or makes no sense."""


def _limit(kind: str, text: str, default: Any = None) -> Any:
    return field(default=default, metadata={"kind": kind, "help": text})


@dataclass(frozen=True, slots=True)
class Profile:
    """The shape of the network; None and 0 mean that there is no such limit.

    Sizes are bytes, times are seconds, rates are per second. Bandwidths hold for each direction on its own.
    Raises ProfileError for values that make no sense.
    """

    name: str = "custom"
    bandwidth: float | None = _limit("bytes", "bytes per second of a connection, each way")
    total_bandwidth: float | None = _limit("bytes", "bytes per second of all connections together, each way")
    latency: float = _limit("seconds", "median time to the first byte of an answer", 0.0)
    latency_p99: float | None = _limit("seconds", "its 99th percentile (none: the median always)")
    connect: float = _limit("seconds", "time that a new connection costs before its first request is read", 0.0)
    slow_start: float | None = _limit("bytes", "bytes per second that a new connection begins with, each way")
    slow_start_bytes: float = _limit("bytes", "bytes after which it has its whole bandwidth", 2.0**20)
    reads: int | None = _limit("rate", "GET and HEAD requests per second and prefix; more get SlowDown")
    writes: int | None = _limit("rate", "PUT, POST and DELETE requests per second and prefix; more get SlowDown")
    resets: float = _limit("share", "share of answers whose connection is reset on the way", 0.0)
    stalls: float = _limit("share", "share of answers that pause on the way", 0.0)
    stall_time: float = _limit("seconds", "shortest such pause; each doubling is half as likely, up to 16 times", 0.2)
    slow: float = _limit("share", "share of connections that are slow throughout", 0.0)
    slow_bandwidth: float | None = _limit("bytes", "bytes per second of those, each way")
    seed: int = _limit("seed", "of everything that is drawn", 0)

    def __post_init__(self) -> None:
        for item in shape_fields():
            given = getattr(self, item.name)
            value = parse(item.name, item.metadata["kind"], given, optional=item.default is None)
            object.__setattr__(self, item.name, value)
        if self.latency_p99 is not None and not 0 < self.latency <= self.latency_p99:
            raise ProfileError(
                f"latency_p99 = {self.latency_p99!r}: must be at least latency ({self.latency!r}), above 0"
            )
        if self.slow_start is not None and self.bandwidth is None:
            raise ProfileError("slow_start: needs bandwidth, which it grows to")
        if self.slow_start is not None and self.bandwidth is not None and self.slow_start > self.bandwidth:
            raise ProfileError(f"slow_start = {self.slow_start!r}: must not be above bandwidth ({self.bandwidth!r})")
        if bool(self.slow) != (self.slow_bandwidth is not None):
            raise ProfileError("slow and slow_bandwidth: each needs the other")

    @property
    def sigma(self) -> float:
        """The spread of the latency's logarithm."""
        return math.log(self.latency_p99 / self.latency) / Z99 if self.latency_p99 else 0.0

    @property
    def paced(self) -> bool:
        """Bandwidth is limited in some way."""
        return self.bandwidth is not None or self.total_bandwidth is not None or self.slow_bandwidth is not None

    @property
    def unlimited(self) -> bool:
        """Nothing is shaped: the server is as fast as it can be."""
        return self.replace(name="", seed=0) == Profile("")

    def replace(self, **changes: Any) -> Profile:
        """The profile with other values; sizes and times may be text such as ``"90MB"`` and ``"30ms"``."""
        known = [item.name for item in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ProfileError(f"{name}: no value of a profile; there are {', '.join(known)}")
        return dataclasses.replace(self, **changes)


def shape_fields() -> list[dataclasses.Field[Any]]:
    """What a profile consists of, without its name."""
    return [item for item in dataclasses.fields(Profile) if item.metadata]


def parse(name: str, kind: str, value: object, *, optional: bool = False) -> Any:
    """A value as the field of that kind holds it. Raises ProfileError that names the field and what is allowed."""
    if value is None and optional:
        return None
    number = _number(kind, value)
    allowed = _ALLOWED[kind]
    good = number is not None and (
        number > 0
        if kind in ("bytes", "rate")
        else 0 <= number <= (1 if kind == "share" else math.inf)
        if kind != "seed"
        else True
    )
    if not good or number is None or (kind in ("rate", "seed") and number != int(number)):
        raise ProfileError(f"{name} = {value!r}: must be {allowed}")
    return int(number) if kind in ("rate", "seed") else number


def _number(kind: str, value: object) -> float | None:
    """The number that a value is or says; None when it is none, or not finite."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)(?:/s)?\s*", value)
        factor = _UNITS.get(kind, _UNITS["number"]).get(match[2].lower()) if match else None
        return float(match[1]) * factor if match and factor is not None else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


_S3 = Profile("s3", bandwidth=90e6, latency=0.030, latency_p99=0.300, connect=0.005, reads=5500, writes=3500)

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("loopback"),
        _S3,
        _S3.replace(
            name="cross-region",
            bandwidth=23e6,
            latency=0.120,
            latency_p99=0.450,
            connect=0.270,
            slow_start=160e3,
            slow_start_bytes=3e6,
        ),
        Profile("express", bandwidth=300e6, latency=0.004, latency_p99=0.012, connect=0.002),
        _S3.replace(
            name="lossy",
            bandwidth=20e6,
            resets=0.01,
            stalls=0.05,
            slow=0.1,
            slow_bandwidth=1e6,
        ),
    )
}
"""The named profiles; docs/server.md says where their numbers come from."""


def get_profile(profile: str | Profile | None) -> Profile:
    """A profile by name, or as it is; None is ``loopback``. Raises ProfileError for a name that there is not."""
    if isinstance(profile, Profile):
        return profile
    name = "loopback" if profile is None else profile
    if name not in PROFILES:
        raise ProfileError(f"profile = {name!r}: there are {', '.join(PROFILES)}")
    return PROFILES[name]
