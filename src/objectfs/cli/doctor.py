"""``objectfs doctor``"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from typing import Any

import click

import objectfs
from objectfs.backends import machine
from objectfs.cli import report as reporting
from objectfs.cli.options import connection_options, settings
from objectfs.cli.text import human_size
from objectfs.cli.version import crt_versions
from objectfs.config import Config, load
from objectfs.errors import ConfigError, ObjectFSError

_SECRETS = {"access_key_id", "secret_access_key", "session_token"}


@click.command()
@click.option("--check", metavar="BUCKET", help="Also make a request to this bucket.")
@click.option("--report", metavar="FILE", help="Write all that a report of a problem needs to a file ('-': show it).")
@connection_options
def command(check: str | None, report: str | None, **options: Any) -> int:
    """Show what this installation has and which settings are in force. Prints no secret."""
    given = settings(**options)
    parts: list[reporting.Section] = [("installation", list(_installation())), ("machine", list(_machine()))]
    config: Config | None = None
    code = 0
    try:
        config = load(given)
    except ConfigError as error:
        parts.append(("settings", [("not usable:", str(error))]))
        code = 2
        if report is not None:
            parts += reporting.sections(None)
    else:
        parts.append(("settings", list(_settings(config))))
        code = _backends(parts, given, check, report is not None)
    if report is None:
        for title, lines in parts:
            click.echo(title)
            for name, value in lines:
                click.echo(f"  {name:<22} {value}")
        return code
    with click.open_file(report, "w", encoding="utf-8") as file:
        file.write(reporting.render(parts, config))
    if report != "-":
        click.echo(f"{report}: read it before you send it; it has host names, bucket names and folders, and no secrets")
    return code


def _backends(parts: list[reporting.Section], given: dict[str, Any], check: str | None, more: bool) -> int:
    """Make a client, and say what came of it."""
    lines: list[tuple[str, str]] = []
    parts.append(("backends", lines))
    try:
        with objectfs.Client(**given) as client:
            info = client.backend
            lines += [(each.name, f"{'ok' if each.ok else 'no'}: {each.reason}") for each in info.attempts]
            lines.append(("in use", f"{info.name} ({', '.join(sorted(info.capabilities)) or 'no capabilities'})"))
            try:
                if check:
                    next(iter(client.list(check, limit=1)), None)
                    lines.append((f"s3://{check}", "answers"))
            finally:  # of a request that failed too
                if "rollout" in (stats := client.stats()):
                    lines.extend(_rollout(stats["rollout"]))
                if more:
                    parts += reporting.sections(client)
    except ObjectFSError as error:
        lines.append(("problem", str(error)))
        return 1
    return 0


def _rollout(stats: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What has been decided so far: by the request of ``--check``, here."""
    from objectfs.backends.rollout.ledger import REASONS

    yield "rollout", stats["settings"]
    for reason, count in stats["decisions"].items():
        yield f"  {reason}", f"{count}: {REASONS[reason]}"
    for circuit in stats["circuits"] or ():
        yield f"  {circuit['operation']}", f"{circuit['state']} on {circuit['endpoint']}"


def _installation() -> Iterator[tuple[str, str]]:
    yield "objectfs", f"{objectfs.__version__} in {os.path.dirname(objectfs.__file__)}"
    yield "python", f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    yield "platform", platform.platform()
    try:
        from objectfs import _build_info
    except ImportError:
        yield "built as", "unknown: this is a source tree, not an installation"
    else:
        native = getattr(_build_info, "NATIVE", None)
        reason = getattr(_build_info, "REASON", None)
        yield "built as", ("with the engine" if native else "pure Python") + (f": {reason}" if reason else "")
    try:
        from objectfs import _native
    except ImportError as error:
        yield "engine", f"not there: {error}"
    else:
        yield "engine", str(_native.__file__)
    for name, version in crt_versions().items():
        yield f"  {name}", version
    from importlib import metadata

    for name in ("boto3", "botocore"):
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"


def _machine() -> Iterator[tuple[str, str]]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "cores", f"{usable} usable of {os.cpu_count()}"
    limit = machine.cgroup_memory_limit()
    yield "cgroup memory limit", "none" if limit is None else human_size(limit)
    yield "default memory_limit", human_size(machine.default_memory_limit())


def _settings(config: Config) -> Iterator[tuple[str, str]]:
    for name in config.__attrs_attrs__:
        if name.name in ("sources", "aws_profile"):
            continue
        value = getattr(config, name.name)
        if name.name in _SECRETS and value is not None:
            shown = "***"
        else:
            shown = "-" if value is None else str(value)
        yield name.name, f"{shown:<24} {config.sources.get(name.name, 'default')}".rstrip()
