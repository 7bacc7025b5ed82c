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

What each may be, :mod:`objectfs.settings` says. Both modules are imported with the first client, not with
``import objectfs``.
"""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from objectfs.errors import ConfigError
from objectfs.settings import FIELDS, Config, Secret

__all__ = ["Config", "Secret", "config_path", "load"]

_IDENTITY = ("access_key_id", "secret_access_key", "session_token", "anonymous", "profile")

# Variables with our prefix that are no settings of a client: the build's, the tests' and the scripts'.
_NOT_SETTINGS = (
    "BENCH",
    "BUILD",
    "CACHE",
    "CLIENTS",
    "CONFIG",
    "CRT",
    "DEBUG",
    "DEMO",
    "FUZZ",
    "LIBCRYPTO",
    "LOG",
    "MEMTRACE",
    "MOUNT",
    "NATIVE",
    "NIGHTLY",
    "QUIET",
    "REQUIRE",
    "SANITIZE",
    "SANITIZER",
    "SERVE",
    "SERVERS",
    "TEST",
    "VENV",
    "VERSIONS",
)


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
            field = FIELDS.get(name)
            if field is None:
                raise _unknown(name, source, FIELDS)
            try:
                self.values[name] = field.metadata["convert"](value)
            except ValueError as error:
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
    overruled = _one_choice(layers)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in reversed(layers):
        values.update(layer.values)
        sources.update(layer.sources)
    if overruled is not None:
        sources["rollout"] = overruled
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
        elif name.lower() not in FIELDS:
            raise _unknown(name.lower(), f"environment variable {variable}", FIELDS)


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


def _one_choice(layers: list[_Layer]) -> str | None:
    """A backend that is named above a rollout overrules it, so that one variable ends a rollout that a file describes.
    Says so; None where there is nothing to say.

    Raises:
        ConfigError: it is named in the same place as the rollout, or below it.
    """
    named = next((layer for layer in layers if "backend" in layer.values), None)
    rollout = next((layer for layer in layers if "rollout" in layer.values), None)
    if named is None or rollout is None or named.values["backend"] == "auto" or not rollout.values["rollout"]:
        return None
    choice = f"backend={named.values['backend']!r} ({named.sources['backend']})"
    where = rollout.sources["rollout"]
    if layers.index(named) >= layers.index(rollout):
        raise ConfigError(
            f"{choice} and rollout ({where}) exclude each other",
            hint="A rollout uses both backends: leave backend out, or give 'auto'",
        )
    for layer in layers:
        layer.values.pop("rollout", None)
    return f"{where}, but not in force: {choice} overrules it"


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
