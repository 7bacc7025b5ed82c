"""``objectfs cat``"""

from __future__ import annotations

import sys
from typing import Any

import click

from objectfs import uri
from objectfs.cli.options import connection_options, make_client
from objectfs.cli.stream import blocks, write_all


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="S3://BUCKET/KEY...")
@connection_options
def command(addresses: tuple[str, ...], **options: Any) -> int:
    """Write objects to the standard output, one after the other."""
    sources = [uri.parse(address) for address in addresses]
    for source in sources:
        if not source.key:
            raise click.UsageError(f"{source} names no object")
    output = sys.stdout.buffer
    with make_client(options) as client:
        for source in sources:
            for block in blocks(client, source.bucket, source.key):
                write_all(output, block)
    output.flush()
    return 0
