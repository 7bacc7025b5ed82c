"""``objectfs rm``"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from objectfs import uri
from objectfs.cli.options import connection_options, make_client
from objectfs.cli.text import printable
from objectfs.cli.work import Account


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="S3://BUCKET/KEY...")
@click.option("-r", "--recursive", is_flag=True, help="All objects in the folder s3://bucket/folder.")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@connection_options
def command(addresses: tuple[str, ...], recursive: bool, dry_run: bool, quiet: bool, **options: Any) -> int:
    """Delete objects. A key that does not exist is no error, as S3 has it."""
    targets = [uri.parse(address) for address in addresses]
    for target in targets:
        if not target.key and not recursive:
            raise click.UsageError(f"{target} names no object; -r deletes all that is under it")
    account = Account(quiet=quiet)
    with make_client(options) as client:
        for target in targets:
            keys: Iterator[str] = iter((target.key,))
            if recursive:
                # The folder's own objects: with "dir" given, "dir/x" is meant and "directory" is not.
                prefix = target.key if not target.key or target.key.endswith("/") else f"{target.key}/"
                keys = (entry.key for entry in client.list(target.bucket, prefix))
            if dry_run:
                for key in keys:
                    click.echo(f"(dry run) delete s3://{target.bucket}/{printable(key)}")
                continue
            count = 0

            def counted(keys: Iterator[str] = keys) -> Iterator[str]:
                nonlocal count
                for key in keys:
                    count += 1
                    yield key

            if recursive:
                failures = client.delete_many(target.bucket, counted())
            else:
                client.delete(target.bucket, target.key)
                count, failures = 1, {}
            account.files += count - len(failures)
            for key, error in failures.items():
                account.failed(f"s3://{target.bucket}/{key}", error)
    if not quiet and not dry_run:
        click.echo(
            f"deleted {account.files}" + (f"; {account.failures} failed" if account.failures else ""),
            err=True,
        )
    return 1 if account.failures else 0
