"""Settings: where they come from, what they may be, and what is used where none is given.

Each setting is taken from the first of these that has it:

1. the keyword arguments of :class:`objectfs.Client` (``None`` means: not given),
2. the environment, ``OBJECTFS_<NAME>``,
3. the config file: its section ``[profiles.<name>]`` if a profile is chosen, then its top level,
4. AWS's own variables and files, which botocore reads (region, credentials, endpoint, CA bundle, proxies),
5. the default in :class:`Config`.

The config file is TOML: ``OBJECTFS_CONFIG``, else ``objectfs/config.toml`` in the user's configuration folder
(``$XDG_CONFIG_HOME`` or ``~/.config``; ``~/Library/Application Support``; ``%APPDATA%``)::

    part_size = "16 MiB"

    [profiles.minio]
    endpoint_url = "http://127.0.0.1:9000"
    access_key_id = "…"

What says *who* asks (keys, token, ``anonymous``, ``profile``) is taken from one place only: a token of the
environment must not be sent with a key that was given as an argument.

docs/design/0003-config.md tells why attrs is the library underneath. This module is imported with the first
client, not with ``import objectfs``.
"""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from objectfs.errors import ConfigError
from objectfs.units import parse_size

__all__ = ["Config", "Secret", "config_path", "load"]

GiB = 1024**3
MiB = 1024**2

_IDENTITY = ("access_key_id", "secret_access_key", "session_token", "anonymous", "profile")

# Variables with our prefix that are no settings of a client: the build's, the tests' and the scripts'.
_NOT_SETTINGS = (
    "BENCH",
    "BUILD",
    "CACHE",
    "CONFIG",
    "CRT",
    "DEBUG",
    "DEMO",
    "LIBCRYPTO",
    "LOG",
    "MEMTRACE",
    "MOUNT",
    "NATIVE",
    "QUIET",
    "REQUIRE",
    "SANITIZE",
    "SERVE",
    "SERVERS",
    "TEST",
    "VENV",
    "VERSIONS",
)


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


class _Invalid(Exception):
    """What a converter raises; the loader adds the key, the value and where it came from."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Invalid(f"a string, not {type(value).__name__}")
    if not value:
        raise _Invalid("a string that is not empty")
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
    raise _Invalid("true or false")


def _one_of(*allowed: str, upper: bool = False) -> Any:
    def convert(value: Any) -> str:
        if isinstance(value, str):
            for name in allowed:
                if name.lower() == value.lower():
                    return name
        raise _Invalid("one of " + ", ".join(repr(name) for name in allowed))

    return convert


def _size(low: int, high: int) -> Any:
    def convert(value: Any) -> int:
        try:
            size = parse_size(value)
        except (TypeError, ValueError):
            raise _Invalid('a size: bytes as a number, or text such as "256 MiB"') from None
        if not low <= size <= high:
            raise _Invalid(f"a size from {_human(low)} to {_human(high)}")
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
                raise _Invalid(f"a whole number from {low} to {high}") from None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _Invalid(f"a whole number from {low} to {high}")
        return value

    return convert


def _number(low: float, high: float, what: str) -> Any:
    def convert(value: Any) -> float:
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not low <= number <= high:
            raise _Invalid(f"{what} from {low:g} to {high:g}")
        return number

    return convert


def _verify(value: Any) -> bool | str:
    try:
        return _boolean(value)
    except _Invalid:
        pass
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path:
        raise _Invalid("true, false, or the path of a file (or folder) with CA certificates")
    path = os.path.expanduser(path)
    if not os.path.exists(path):
        raise _Invalid("true, false, or the path of a file with CA certificates that exists")
    return path


def _endpoint(value: Any) -> str:
    text = _text(value)
    if text != text.strip() or any(ord(char) <= 32 for char in text):
        raise _Invalid("a URL without spaces, such as https://s3.example.com:9000")
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname
    except ValueError as error:
        raise _Invalid(f"a URL such as https://s3.example.com:9000 ({error})") from None
    if parts.scheme not in ("http", "https"):
        raise _Invalid("a URL that begins with http:// or https://")
    if not host:
        raise _Invalid("a URL with a host, such as https://s3.example.com:9000")
    if port == 0:
        raise _Invalid("a URL whose port is from 1 to 65535")
    if parts.username is not None or parts.password is not None:
        raise _Invalid("a URL without user or password; give access_key_id and secret_access_key instead")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _Invalid("a URL of scheme, host and port only: no path, query or fragment")
    return f"{parts.scheme}://{parts.netloc}"


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
    """A section ``[profiles.<name>]`` of the config file, or a profile of AWS's files, or both."""
    access_key_id: str | None = _setting(None, _text)
    secret_access_key: Secret | None = _setting(None, _secret)  # noqa: RUF009 - an attrs.field
    session_token: Secret | None = _setting(None, _secret)  # noqa: RUF009 - an attrs.field
    anonymous: bool = _setting(False, _boolean)
    addressing_style: str = _setting("auto", _one_of("auto", "path", "virtual"))
    """auto: path for an endpoint_url, otherwise virtual hosts where the bucket's name allows."""
    verify: bool | str = _setting(True, _verify)
    """Of TLS: True, False, or a CA bundle. True also honours AWS_CA_BUNDLE and REQUESTS_CA_BUNDLE."""
    part_size: int | None = _setting(None, _size(5 * MiB, 5 * GiB))
    """S3 takes parts of 5 MiB to 5 GiB. None: 8 MiB, which S3's own guide and both engines use, growing for
    objects that would otherwise need more than 10,000 parts."""
    max_connections: int | None = _setting(None, _integer(1, 10_000))
    memory_limit: int | None = _setting(None, _size(64 * MiB, 1024 * GiB))
    """Bytes in flight in buffers of ours. None: chosen by the backend from what the container allows."""
    throughput_gbps: float | None = _setting(None, _number(0.1, 10_000, "gigabits per second"))
    """What the crt backend plans its number of connections for. None: the machine's network class, or 10."""
    max_attempts: int = _setting(5, _integer(1, 100))
    """Tries of one request, the first included. 5: AWS's SDKs use 3 for single requests and 5 for transfers;
    with back-off from 1 s five tries outlast the few seconds that S3 needs to scale a hot prefix."""
    connect_timeout: float = _setting(10.0, _number(0.001, 3600, "seconds"))
    """10 s is three SYN retransmissions: what has not answered by then is not there. (botocore's 60 s hides
    typos.)"""
    read_timeout: float = _setting(60.0, _number(0.001, 86_400, "seconds"))
    """Without a byte from the server. S3 can take long over CompleteMultipartUpload; 60 s is botocore's
    default."""
    checksum: str = _setting("auto", _one_of("auto", "off", "CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256"))
    """auto: uploads carry the best checksum that the endpoint takes (found out once), downloads are validated
    where the server reports one. off: neither. A name: that algorithm, and an error where it cannot be
    had."""

    aws_profile: str | None = attrs.field(default=None)
    """The profile that botocore is to use: ``profile`` unless that names only a section of our file."""
    sources: Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    """Where each setting that is not a default came from, for ``objectfs doctor``."""


_FIELDS: dict[str, Any] = {field.name: field for field in attrs.fields(Config) if "convert" in field.metadata}


def config_path(environ: Mapping[str, str] | None = None) -> str:
    """The config file that is read if it exists."""
    environ = os.environ if environ is None else environ
    explicit = environ.get("OBJECTFS_CONFIG")
    if explicit:
        return os.path.expanduser(explicit)
    if sys.platform == "win32":
        base = environ.get("APPDATA") or os.path.expanduser(r"~\AppData\Roaming")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Application Support")
    else:
        base = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "objectfs", "config.toml")


class _Layer:
    """The settings of one source, converted."""

    def __init__(self, where: str, raw: Iterable[tuple[str, Any, str]]) -> None:
        self.where = where
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        for name, value, source in raw:
            field = _FIELDS.get(name)
            if field is None:
                raise _unknown(name, source, _FIELDS)
            try:
                self.values[name] = field.metadata["convert"](value)
            except _Invalid as error:
                shown = "***" if field.metadata["secret"] else _shown(name, value)
                raise ConfigError(f"{name}={shown} ({source}) is not allowed: it must be {error}") from None
            self.sources[name] = source

    def has_identity(self) -> bool:
        return any(self.values.get(name) for name in _IDENTITY)


def _shown(name: str, value: Any) -> str:
    # a URL may carry a password; it was refused, but must not be repeated either
    if name == "endpoint_url" and isinstance(value, str) and "@" in value:
        return repr("***@" + value.rpartition("@")[2])
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


def _unknown(name: str, source: str, known: Iterable[str]) -> ConfigError:
    near = difflib.get_close_matches(name, list(known), 1)
    hint = f"Did you mean {near[0]!r}?" if near else "Known are: " + ", ".join(sorted(known))
    return ConfigError(f"unknown setting {name!r} ({source})", hint=hint)


def load(
    arguments: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    path: str | None = None,
) -> Config:
    """The settings in force.

    Args:
        arguments: the keyword arguments of a client; those that are None count as not given.
        environ: instead of ``os.environ``.
        path: of the config file, instead of :func:`config_path`.

    Raises:
        ConfigError: names the setting, the value, where it came from, and what is allowed.
    """
    environ = os.environ if environ is None else environ
    given = _Layer("argument", ((n, v, "argument") for n, v in (arguments or {}).items() if v is not None))
    variables = _Layer("environment", _from_environment(environ))
    file_path = path or config_path(environ)
    document = _read(file_path, required=path is not None or bool(environ.get("OBJECTFS_CONFIG")))
    profiles = document.pop("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(section, dict) for section in profiles.values()):
        raise ConfigError(f"profiles ({file_path}) must be sections of the form [profiles.<name>]")
    top = _Layer("file", ((name, value, file_path) for name, value in document.items()))
    for name, section in profiles.items():  # all are checked: a typo shows before that profile is needed
        _Layer(name, ((key, value, f"{file_path} [profiles.{name}]") for key, value in section.items()))

    profile = next((layer.values["profile"] for layer in (given, variables, top) if "profile" in layer.values), None)
    layers = [given, variables, top]
    aws_profile = profile
    if profile in profiles:
        label = f"{file_path} [profiles.{profile}]"
        section_layer = _Layer("profile", ((key, value, label) for key, value in profiles[profile].items()))
        layers.insert(2, section_layer)
        # within a section, profile= names the one of AWS's files; without it the section needs none
        aws_profile = section_layer.values.pop("profile", None)

    _one_identity(layers)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in reversed(layers):
        values.update(layer.values)
        sources.update(layer.sources)
    values["profile"] = profile
    _check_together(values, sources)
    return Config(**values, aws_profile=aws_profile, sources=sources)


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    for variable in sorted(environ):
        if not variable.startswith("OBJECTFS_"):
            continue
        name = variable.removeprefix("OBJECTFS_")
        if name.split("_")[0] in _NOT_SETTINGS:
            continue
        if environ[variable] != "":  # set to nothing is how a shell unsets for one command
            yield name.lower(), environ[variable], f"environment variable {variable}"
        elif name.lower() not in _FIELDS:
            raise _unknown(name.lower(), f"environment variable {variable}", _FIELDS)


def _read(path: str, required: bool) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        if required:
            raise ConfigError(f"the config file {path} does not exist", hint="Correct OBJECTFS_CONFIG") from None
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the config file {path} is not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the config file {path} cannot be read: {error}") from None


def _one_identity(layers: list[_Layer]) -> None:
    """Keep what says who asks in the first layer that says it; if that only names a profile, also in its
    section."""
    first = next((layer for layer in layers if layer.has_identity()), None)
    if first is None:
        return
    keep = [first]
    if {name for name in _IDENTITY if first.values.get(name)} == {"profile"}:
        keep += [layer for layer in layers if layer.where == "profile"]
    for layer in layers:
        if layer not in keep:
            for name in _IDENTITY:
                layer.values.pop(name, None)
                layer.sources.pop(name, None)


def _check_together(values: dict[str, Any], sources: dict[str, str]) -> None:
    key, secret = values.get("access_key_id"), values.get("secret_access_key")
    if (key is None) != (secret is None):
        have, lack = (
            ("access_key_id", "secret_access_key") if secret is None else ("secret_access_key", "access_key_id")
        )
        raise ConfigError(f"{have} ({sources[have]}) is given without {lack}", hint="Give both, or neither")
    if values.get("session_token") is not None and key is None:
        raise ConfigError(f"session_token ({sources['session_token']}) is given without access_key_id")
    if values.get("anonymous") and key is not None:
        raise ConfigError(f"anonymous=True ({sources['anonymous']}) and access_key_id exclude each other")
    part, memory = values.get("part_size"), values.get("memory_limit")
    if part and memory and part * 2 > memory:
        raise ConfigError(
            f"memory_limit={memory} ({sources['memory_limit']}) must hold at least two parts of part_size={part}"
        )
