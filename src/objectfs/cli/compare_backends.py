"""``objectfs compare-backends``"""

from __future__ import annotations

import secrets
import time
from typing import Any

import click

from objectfs.cli.options import connection_options, settings
from objectfs.equivalence import Tester

SHOWN = 20
"""Differences that are printed; the others are counted."""


@click.command()
@click.option("--bucket", required=True, help="A bucket to write to; nothing in it is touched but what this stores.")
@click.option(
    "--operations",
    type=click.IntRange(1, 1_000_000),
    default=2000,
    show_default=True,
    help="How many, on each backend.",
)
@click.option("--seed", type=int, help="Of the operations: the same seed, the same operations. Else a new one.")
@click.option("--prefix", help="Of all keys that are written. Else a new one; what is under it is deleted at the end.")
@click.option("-q", "--quiet", is_flag=True, help="Print differences only.")
@connection_options
def command(bucket: str, operations: int, seed: int | None, prefix: str | None, quiet: bool, **options: Any) -> int:
    """Run generated operations on both backends, and print what comes to something else on one of them.

    Odd keys, ranges, conditions, metadata, uploads in parts, copies, listings, deletes, and what is refused: results,
    metadata, and classes and codes of errors have to agree. The exit code is 1 where anything does not.
    """
    if options.pop("backend", None) is not None:
        raise click.UsageError("--backend: both are compared")
    seed = secrets.randbelow(2**31) if seed is None else seed
    prefix = f"objectfs-compare-{secrets.token_hex(4)}/" if prefix is None else prefix
    if not prefix:
        raise click.UsageError("--prefix: it must not be empty, for all under it is deleted")
    differences = 0
    before = time.monotonic()
    with Tester(settings(**options), bucket, seed, prefix) as tester:
        if not quiet:
            click.echo(f"{operations} operations on each of crt and sdk in s3://{bucket}/{prefix}, seed {seed}")
        for number, found in enumerate(tester.run(operations), 1):
            if found is not None:
                differences += 1
                if differences <= SHOWN:
                    for line in found.lines():
                        click.echo(line)
            if not quiet and number % 1000 == 0 and number < operations:
                click.echo(f"  {number} done, {differences} differences, {time.monotonic() - before:.0f} s")
        if not quiet:
            kinds = ", ".join(f"{name} {count}" for name, count in sorted(tester.done.items()))
            click.echo(f"done: {kinds}; {tester.refused} of them came to the same error")
    if differences > SHOWN:
        click.echo(f"… and {differences - SHOWN} differences more")
    if differences or not quiet:
        again = f" (again: --seed {seed} --operations {operations})" if differences else ""
        click.echo(f"{differences or 'no'} difference{'' if differences == 1 else 's'}{again}")
    return 1 if differences else 0
