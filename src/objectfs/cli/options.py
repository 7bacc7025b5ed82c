"""The options that every command with a connection has, and the client made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from objectfs.client import Client

F = TypeVar("F", bound=Callable[..., Any])

# Without defaults: what is not given is taken from the environment and the config file by the client.
_OPTIONS = (
    click.option("--backend", type=click.Choice(["auto", "crt", "sdk"]), help="The engine, or boto3."),
    click.option(
        "--endpoint-url", "--endpoint", metavar="URL", help="A service that is not AWS, such as http://127.0.0.1:9000."
    ),
    click.option("--region", metavar="NAME", help="The region of the bucket."),
    click.option("--profile", metavar="NAME", help="A profile of the config file or of AWS's files."),
    click.option("--no-sign-request", "anonymous", is_flag=True, default=None, help="Send no credentials."),
    click.option(
        "--addressing-style", type=click.Choice(["auto", "path", "virtual"]), help="How URLs name the bucket."
    ),
    click.option("--ca-bundle", metavar="FILE", help="Certificates that are trusted."),
    click.option("--no-verify-ssl", is_flag=True, help="Accept any TLS certificate."),
    click.option("--max-connections", type=int, metavar="N", help="At most so many connections."),
    click.option("--memory-limit", metavar="SIZE", help="For data in flight, such as '256 MiB'."),
)


def connection_options(function: F) -> F:
    """Add the options; the command gets them as keywords and hands them to :func:`make_client`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def settings(*, ca_bundle: str | None, no_verify_ssl: bool, **rest: Any) -> dict[str, Any]:
    """The keyword arguments of a client."""
    if ca_bundle and no_verify_ssl:
        raise click.UsageError("--ca-bundle and --no-verify-ssl exclude each other")
    verify = False if no_verify_ssl else ca_bundle
    return {name: value for name, value in (rest | {"verify": verify}).items() if value is not None}


def make_client(options: dict[str, Any]) -> Client:
    return Client(**settings(**options))
