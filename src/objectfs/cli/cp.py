"""``objectfs cp``"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from objectfs import uri
from objectfs.cli import copying
from objectfs.cli.options import connection_options, make_client
from objectfs.cli.stream import blocks, write_all
from objectfs.cli.work import Account, Pool
from objectfs.client import Client
from objectfs.uri import S3Uri

STREAM = "-"


@dataclass(frozen=True, slots=True)
class Flags:
    recursive: bool
    dry_run: bool
    resume: bool


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.argument("target", metavar="TARGET")
@click.option("-r", "--recursive", is_flag=True, help="Whole folders.")
@click.option("-j", "--jobs", type=click.IntRange(1, 256), default=8, show_default=True, help="Files at a time.")
@click.option("--resume", is_flag=True, help="Go on with large files that an earlier cp --resume did not finish.")
@click.option("--dry-run", is_flag=True, help="Only say what would be copied.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Name each file.")
@connection_options
def command(
    sources: tuple[str, ...],
    target: str,
    recursive: bool,
    jobs: int,
    resume: bool,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Copy between this machine and S3, or within S3.

    SOURCE and TARGET are paths, s3://bucket/key addresses, or - for the standard input or output. With
    several sources, or when it ends in /, TARGET is a folder. A file that cannot be copied is told of, the
    others still are, and the exit code is 1. Downloads appear under their name when they are complete. Keys
    that would be written outside of TARGET are refused.
    """
    remote = [is_address(source) for source in sources]
    if not is_address(target) and not all(remote):
        raise click.UsageError("one of SOURCE and TARGET must be an s3:// address")
    if STREAM in (*sources, target) and (len(sources) > 1 or recursive or dry_run or resume):
        raise click.UsageError("- stands for one stream: no -r, no --dry-run, no --resume, no second source")
    if resume and is_address(target) and any(remote):
        raise click.UsageError("--resume is for copies from and to this machine")
    to = uri.parse(target) if is_address(target) else None
    flags = Flags(recursive, dry_run, resume)
    with (
        make_client(options) as client,
        Account(quiet=quiet or dry_run, verbose=verbose) as account,
        Pool(jobs) as pool,
    ):
        for source in sources:
            if to is not None and not is_address(source):
                _upload(client, source, to, flags, pool, account, several=len(sources) > 1)
            elif to is not None:
                _within(client, uri.parse(source), to, flags, pool, account, several=len(sources) > 1)
            else:
                _download(client, uri.parse(source), target, flags, pool, account, several=len(sources) > 1)
        pool.finish()
    return account.summary("copied")


def is_address(text: str) -> bool:
    return text.startswith("s3://")


def _named(to: S3Uri, name: str, *, several: bool) -> str:
    """The key for one object: a folder's new entry, or the key that was given."""
    if not to.key or to.key.endswith("/"):
        return to.key + name
    return f"{to.key}/{name}" if several else to.key


def folder(key: str) -> str:
    """A key as the prefix of what lies in it."""
    return key if not key or key.endswith("/") else f"{key}/"


def last_name(source: S3Uri) -> str:
    """What a source is called in the folder that receives it. UsageError where that could be another
    place."""
    name = source.key.rstrip("/").rpartition("/")[2] or source.bucket
    if name in (".", "..") or os.path.basename(name) != name or chr(0) in name:
        raise click.UsageError(f"{source} has no name that a folder could have; copy it alone")
    return name


def _upload(
    client: Client, source: str, to: S3Uri, flags: Flags, pool: Pool, account: Account, *, several: bool
) -> None:
    if source == STREAM:
        if not to.key or to.key.endswith("/"):
            raise click.UsageError(f"{to} names no object: a stream has no name of its own")
        copying.upload_stream(client, sys.stdin.buffer, to, account)
    elif os.path.isdir(source):
        if not flags.recursive:
            raise click.UsageError(f"{source} is a folder; -r copies folders")
        name = os.path.basename(os.path.abspath(source)) + "/" if several else ""
        copying.upload_tree(
            client,
            source,
            S3Uri(to.bucket, folder(to.key) + name),
            pool,
            account,
            dry_run=flags.dry_run,
            resume=flags.resume,
        )
    else:
        key = _named(to, os.path.basename(source), several=several)
        copying.upload_one(
            client, source, S3Uri(to.bucket, key), pool, account, dry_run=flags.dry_run, resume=flags.resume
        )


def _download(
    client: Client, source: S3Uri, target: str, flags: Flags, pool: Pool, account: Account, *, several: bool
) -> None:
    if target == STREAM:
        if not source.key:
            raise click.UsageError(f"{source} names no object")
        for block in blocks(client, source.bucket, source.key):
            write_all(sys.stdout.buffer, block)
            account.moved(len(block))
        sys.stdout.buffer.flush()
        account.done(f"{source} -> -", 0)
    elif flags.recursive:
        whole = S3Uri(source.bucket, folder(source.key))
        if several:  # each folder under its own name, as cp has it
            target = os.path.join(target, last_name(source))
        copying.download_tree(client, whole, target, pool, account, dry_run=flags.dry_run, resume=flags.resume)
    else:
        if not source.key:
            raise click.UsageError(f"{source} names no object; -r copies all that is under it")
        copying.download_one(
            client,
            source,
            target,
            pool,
            account,
            into_folder=several or _is_folder(target),
            dry_run=flags.dry_run,
            resume=flags.resume,
        )


def _is_folder(path: str) -> bool:
    separators: Sequence[str] = [mark for mark in (os.sep, os.altsep) if mark]
    return os.path.isdir(path) or path.endswith(tuple(separators))


def _within(
    client: Client, source: S3Uri, to: S3Uri, flags: Flags, pool: Pool, account: Account, *, several: bool
) -> None:
    if flags.recursive:
        pairs = copying.keys_below(client, S3Uri(source.bucket, folder(source.key)), folder(to.key))
    elif source.key:
        size = client.head(source.bucket, source.key).size
        pairs = iter([(source.key, _named(to, source.key.rpartition("/")[2], several=several), size)])
    else:
        raise click.UsageError(f"{source} names no object; -r copies all that is under it")
    copying.copy_objects(client, source.bucket, to.bucket, pairs, pool, account, dry_run=flags.dry_run)
