"""``objectfs version``"""

from __future__ import annotations

import click

import objectfs


def crt_versions() -> dict[str, str]:
    """The C libraries in the engine; empty if it is not built."""
    try:
        from objectfs import _native
    except ImportError:
        return {}
    return dict(getattr(_native, "CRT_VERSIONS", {}))


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Also the versions of what it is made of.")
def command(verbose: bool) -> int:
    """Show the version."""
    click.echo(f"objectfs {objectfs.__version__}")
    if verbose:
        from importlib import metadata

        for name in ("boto3", "botocore"):
            click.echo(f"{name} {metadata.version(name)}")
        for name, version in crt_versions().items():
            click.echo(f"{name} {version}")
    return 0
