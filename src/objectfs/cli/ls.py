"""``objectfs ls``"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from objectfs import uri
from objectfs.cli.options import connection_options, make_client
from objectfs.cli.text import human_size, printable
from objectfs.types import Prefix


@click.command()
@click.argument("address", required=False, metavar="[S3://BUCKET[/PREFIX]]")
@click.option("-r", "--recursive", is_flag=True, help="Everything under the prefix, not only one level.")
@click.option("-h", "--human-readable", is_flag=True, help="Sizes as 1.5 GiB.")
@click.option("--summarize", is_flag=True, help="End with the number of objects and their size.")
@connection_options
def command(address: str | None, recursive: bool, human_readable: bool, summarize: bool, **options: Any) -> int:
    """List buckets, or the objects whose keys begin with a prefix. Exit code 1 if there is none."""
    if address is None:
        return _buckets(options)
    source = uri.parse(address)
    count = total = 0
    found = False
    with make_client(options) as client:
        for entry in client.list(source.bucket, source.key, None if recursive else "/"):
            found = True
            if isinstance(entry, Prefix):
                click.echo(f"{'PRE':>30} {printable(entry.prefix)}")
                continue
            count += 1
            total += entry.size
            size = human_size(entry.size) if human_readable else str(entry.size)
            click.echo(f"{_time(entry.last_modified)} {size:>10} {printable(entry.key)}")
    if summarize:
        click.echo(f"{count} objects, {human_size(total) if human_readable else f'{total} bytes'}")
    return 0 if found or not source.key else 1


def _buckets(options: dict[str, Any]) -> int:
    with make_client(options) as client:
        for bucket in client.call("ListBuckets").get("Buckets", []):
            click.echo(f"{_time(bucket.get('CreationDate'))} s3://{printable(bucket['Name'])}")
    return 0


def _time(when: datetime | None) -> str:
    """Local time, as ls has it."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S") if when else " " * 19
