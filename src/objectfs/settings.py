"""What a setting may be: the type, the range and the default of each, and what is said of a value that is none of it.

A converter raises ValueError with what the value must be; the loader adds the key, the value and where it came from.

docs/design/0003-config.md tells why attrs is the library underneath.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from objectfs.rollout import Rollout, parse_rollout
from objectfs.units import number, parse_size

__all__ = ["FIELDS", "Config", "Secret"]

GiB = 1024**3
MiB = 1024**2


class Secret:
    """A string that shows itself only to :meth:`reveal`.

    It is no ``str``: nothing that formats, logs, joins or serialises strings can let it out by accident.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled: let the other process find its credentials (profile, environment)")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a string, not {type(value).__name__}")
    if not value:
        raise ValueError("a string that is not empty")
    return value


def _secret(value: Any) -> Secret:
    return value if isinstance(value, Secret) else Secret(_text(value))


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError("true or false")


def _one_of(*allowed: str, upper: bool = False) -> Any:
    def convert(value: Any) -> str:
        if isinstance(value, str):
            for name in allowed:
                if name.lower() == value.lower():
                    return name
        raise ValueError("one of " + ", ".join(repr(name) for name in allowed))

    return convert


def _size(low: int, high: int) -> Any:
    def convert(value: Any) -> int:
        try:
            size = parse_size(value)
        except (TypeError, ValueError):
            raise ValueError('a size: bytes as a number, or text such as "256 MiB"') from None
        if not low <= size <= high:
            raise ValueError(f"a size from {_human(low)} to {_human(high)}")
        return size

    return convert


def _human(size: int) -> str:
    for unit, name in ((1024**4, "TiB"), (GiB, "GiB"), (MiB, "MiB"), (1024, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def _integer(low: int, high: int) -> Any:
    def convert(value: Any) -> int:
        if isinstance(value, str):
            try:
                value = int(value)
            except ValueError:
                raise ValueError(f"a whole number from {low} to {high}") from None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return convert


def _verify(value: Any) -> bool | str:
    try:
        return _boolean(value)
    except ValueError:
        pass
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path:
        raise ValueError("true, false, or the path of a file (or folder) with CA certificates")
    path = os.path.expanduser(path)
    if not os.path.exists(path):
        raise ValueError("true, false, or the path of a file with CA certificates that exists")
    return path


def _file(value: Any) -> str:
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    try:
        if not isinstance(path, str) or not path or b"\0" in os.fsencode(path):
            raise ValueError
    except ValueError:  # what is no name in this file system, too
        raise ValueError("the path of a file") from None
    path = os.path.abspath(os.path.expanduser(path))  # where it is now: a program may change its folder
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError("the path of a file, not of a folder, a pipe or a device")
    return path


def _endpoint(value: Any) -> str:
    text = _text(value)
    if text != text.strip() or any(ord(char) <= 32 for char in text):
        raise ValueError("a URL without spaces, such as https://s3.example.com:9000")
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname
    except ValueError as error:
        raise ValueError(f"a URL such as https://s3.example.com:9000 ({error})") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("a URL that begins with http:// or https://")
    if not host:
        raise ValueError("a URL with a host, such as https://s3.example.com:9000")
    if port == 0:
        raise ValueError("a URL whose port is from 1 to 65535")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL without user or password; give access_key_id and secret_access_key instead")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("a URL of scheme, host and port only: no path, query or fragment")
    return f"{parts.scheme}://{parts.netloc}"


def _rollout(value: Any) -> Rollout | None:
    if value is False or value == "off":  # above a rollout that a file describes
        return None
    return parse_rollout(value)


def _setting(default: Any, convert: Any) -> Any:
    secret = convert is _secret
    return attrs.field(default=default, metadata={"convert": convert, "secret": secret}, repr=not secret)


@attrs.frozen(kw_only=True)
class Config:
    """The settings in force. Made by :func:`load`, which validates; the fields are the keyword arguments of
    Client."""

    backend: str = _setting("auto", _one_of("auto", "crt", "sdk"))
    endpoint_url: str | None = _setting(None, _endpoint)
    """None: botocore's endpoint rules (region, dual stack, FIPS) and AWS_ENDPOINT_URL."""
    region: str | None = _setting(None, _text)
    profile: str | None = _setting(None, _text)
    """The two may have the same name: then both are used."""
    access_key_id: str | None = _setting(None, _text)
    secret_access_key: Secret | None = _setting(None, _secret)  # noqa: RUF009 - an attrs.field
    session_token: Secret | None = _setting(None, _secret)  # noqa: RUF009 - an attrs.field
    anonymous: bool = _setting(False, _boolean)
    addressing_style: str = _setting("auto", _one_of("auto", "path", "virtual"))
    """Virtual hosts only where the bucket's name allows. Not set: what AWS's config file says, then auto."""
    use_dualstack_endpoint: bool | None = _setting(None, _boolean)
    """AWS's addresses that speak IPv6 too. None: AWS_USE_DUALSTACK_ENDPOINT and AWS's config file."""
    use_fips_endpoint: bool | None = _setting(None, _boolean)
    """AWS's addresses with FIPS 140 cryptography. None: AWS_USE_FIPS_ENDPOINT and AWS's config file."""
    use_accelerate_endpoint: bool | None = _setting(None, _boolean)
    """S3 Transfer Acceleration, for buckets that have it switched on. None: AWS's config file."""
    verify: bool | str = _setting(True, _verify)
    """True also honours AWS_CA_BUNDLE and REQUESTS_CA_BUNDLE."""
    part_size: int | None = _setting(None, _size(5 * MiB, 5 * GiB))
    """S3 takes parts of 5 MiB to 5 GiB. None: 8 MiB, which S3's own guide and both engines use, growing for
    objects that would otherwise need more than 10,000 parts."""
    max_connections: int | None = _setting(None, _integer(1, 10_000))
    memory_limit: int | None = _setting(None, _size(64 * MiB, 1024 * GiB))
    """The caller's memory and what verbs return do not count. None: a quarter of what the machine or container has,
    from 256 MiB to 2 GiB. The crt backend needs 256 MiB."""
    throughput_gbps: float | None = _setting(None, number(0.1, 10_000, "gigabits per second"))
    """Those of one large transfer, at 0.4 Gb/s each and at most max_connections, on the crt backend. None: 10."""
    max_attempts: int = _setting(5, _integer(1, 100))
    """5: AWS's SDKs use 3 for single requests and 5 for transfers;
    with back-off from 1 s five tries outlast the few seconds that S3 needs to scale a hot prefix."""
    connect_timeout: float = _setting(10.0, number(0.001, 3600, "seconds"))
    """10 s is three SYN retransmissions: what has not answered by then is not there. (botocore's 60 s hides
    typos.)"""
    read_timeout: float = _setting(60.0, number(0.001, 86_400, "seconds"))
    """Without a byte from the server. S3 can take long over CompleteMultipartUpload; 60 s is botocore's
    default."""
    hedge: bool = _setting(True, _boolean)
    """Send a GET or HEAD again, at most twice, where its answer is late, and take the answer that comes first
    (docs/design/0022-hedging.md), on the crt backend. Only from far away. That is 4 to 10 of 100 requests
    more (up to 50 for objects of 10 to 100 MiB one after the other), at S3's price of a request, and cuts off the
    slowest answers. With ``max_attempts=1`` nothing is sent again."""
    pace_file: str | None = _setting(None, _file)
    """It is made if it is not there, with its folder; replaced when a client is closed that has moved large objects;
    ConfigError is raised for a file that is something else. For each endpoint it holds the connections of transfers,
    the wait for a first byte and what a connection carries (docs/design/0015-pace.md), which otherwise each process
    finds out anew; what was learned 30 days ago does not count. On the crt backend."""
    checksum: str = _setting("auto", _one_of("auto", "off", "CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256"))
    """auto: uploads carry the best checksum that the endpoint takes (found out once), downloads are validated
    where the server reports one. off: neither. A name: that algorithm, and an error where it cannot be
    had."""

    rollout: Rollout | None = _setting(None, _rollout)  # noqa: RUF009 - an attrs.field
    """How far the engine is trusted beside the standard SDK: docs/rollout.md. None: as ``backend`` says."""

    aws_profile: str | None = attrs.field(default=None)
    """The profile that botocore is to use: ``profile`` unless that names only a section of our file."""
    sources: Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    """Where each setting that is not a default came from, for ``objectfs doctor``."""


FIELDS: dict[str, Any] = {field.name: field for field in attrs.fields(Config) if "convert" in field.metadata}
"""The settings by name, without what the loader adds of its own."""
