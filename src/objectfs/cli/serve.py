"""``objectfs serve``"""

from __future__ import annotations

import click


# The server has a command line of its own, with the same options: they are defined there, and --help is its.
@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Run the embedded S3 server on this machine."""
    from objectfs.sim import cli

    return cli.main(arguments, "objectfs serve")
