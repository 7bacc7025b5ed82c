"""What ``objectfs cp`` does: one listing or walk feeds a bounded pool; small files travel in batches.

A failure of one file is put on the account, and the others go on. A failure that would meet them all (no such
bucket, no credentials, no server) is raised by the listing itself.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import click

from objectfs.backends.resume_journal import is_journal
from objectfs.cli.paths import Destination
from objectfs.cli.text import printable
from objectfs.cli.work import Account, Pool
from objectfs.client import Client
from objectfs.errors import LocalFileError, ObjectFSError
from objectfs.types import ObjectInfo
from objectfs.uri import S3Uri

SMALL = 256 * 1024
"""Below this a file is sent or fetched together with others: the round trip counts, not the bytes."""
BATCH_FILES = 256
BATCH_BYTES = 8 * 1024 * 1024
"""A bound on memory: each thread of the pool holds at most one batch."""

T = TypeVar("T")


@dataclass(slots=True)
class Batch(Generic[T]):
    """Collects small items and hands them on together."""

    send: Callable[[list[T]], None]
    items: list[T] = field(default_factory=list)
    size: int = 0

    def add(self, item: T, size: int) -> None:
        self.items.append(item)
        self.size += size
        if len(self.items) >= BATCH_FILES or self.size >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self.items:
            self.send(self.items)
            self.items, self.size = [], 0


def _say_dry(what: str) -> None:
    click.echo(f"(dry run) {printable(what)}")


# -- to S3 ---------------------------------------------------------------------------------------------------


def upload_stream(client: Client, stream: Any, to: S3Uri, account: Account) -> None:
    """All of a pipe, in parts, within a bounded memory."""

    def chunks() -> Iterator[bytes]:
        while data := stream.read1(1024 * 1024):
            account.moved(len(data))
            yield data

    client.put(to.bucket, to.key, chunks())
    account.done(f"- -> {to}", 0)


def upload_one(
    client: Client, path: str, to: S3Uri, pool: Pool, account: Account, *, dry_run: bool, resume: bool
) -> None:
    try:
        size = _regular_size(path)
    except ObjectFSError as error:
        account.failed(path, error)
        return
    if dry_run:
        _say_dry(f"{path} -> {to}")
        return
    account.expect(size)
    pool.submit(_put_file, client, path, to, size, account, resume)


def upload_tree(
    client: Client, folder: str, to: S3Uri, pool: Pool, account: Account, *, dry_run: bool, resume: bool
) -> None:
    """Every file below ``folder``, under the key prefix ``to.key``."""
    batch: Batch[tuple[str, S3Uri, int]] = Batch(lambda items: pool.submit(_put_batch, client, items, account))
    for path in _walk(folder, account):
        name = os.path.relpath(path, folder).replace(os.sep, "/")
        target = S3Uri(to.bucket, to.key + name)
        try:
            target.key.encode()
            size = _regular_size(path)
        except UnicodeEncodeError:
            account.failed(path, LocalFileError("the file's name is not UTF-8, which keys are"))
        except ObjectFSError as error:
            account.failed(path, error)
        else:
            if dry_run:
                _say_dry(f"{path} -> {target}")
                continue
            account.expect(size)
            if size < SMALL:
                batch.add((path, target, size), size)
            else:
                pool.submit(_put_file, client, path, target, size, account, resume)
    batch.flush()


def _walk(folder: str, account: Account) -> Iterator[str]:
    """Paths of all files. Links to files are followed; links to folders are not, they may lead in circles."""

    def on_error(error: OSError) -> None:
        account.failed(str(error.filename), LocalFileError.from_oserror(error))

    for parent, folders, files in os.walk(folder, onerror=on_error):
        folders.sort()
        for name in folders:
            path = os.path.join(parent, name)
            if os.path.islink(path):
                account.failed(path, LocalFileError("not copied: a symbolic link to a folder"))
        for name in sorted(files):
            if not is_journal(name):  # of --resume, now or before
                yield os.path.join(parent, name)


def _regular_size(path: str) -> int:
    try:
        found = os.stat(path)
    except OSError as error:
        raise LocalFileError.from_oserror(error) from None
    if not stat.S_ISREG(found.st_mode):
        raise LocalFileError("not a regular file")
    return found.st_size


def _put_file(client: Client, path: str, to: S3Uri, size: int, account: Account, resume: bool = False) -> None:
    meter = account.meter()
    try:
        client.put_file(to.bucket, to.key, path, progress=meter, resume=resume)
    except ObjectFSError as error:
        account.failed(path, error)
    else:
        account.done(f"{path} -> {to}", size, metered=meter is not None)


def _put_batch(client: Client, items: list[tuple[str, S3Uri, int]], account: Account) -> None:
    loaded: dict[str, bytes] = {}
    ready = []
    for path, to, size in items:
        try:
            with open(path, "rb") as file:
                data = file.read(SMALL + 1)
        except OSError as error:
            account.failed(path, LocalFileError.from_oserror(error))
            continue
        if len(data) > SMALL:  # it grew
            _put_file(client, path, to, size, account)
            continue
        loaded[to.key] = data
        ready.append((path, to, size))
    if not ready:
        return
    try:
        client.put_many(ready[0][1].bucket, loaded)
    except ObjectFSError:
        # One of them failed and cancelled the rest: alone, each succeeds or says why.
        for path, to, size in ready:
            _put_file(client, path, to, size, account)
    else:
        for path, to, _ in ready:
            account.done(f"{path} -> {to}", len(loaded[to.key]))


# -- from S3 -------------------------------------------------------------------------------------------------


def download_one(
    client: Client,
    source: S3Uri,
    target: str,
    pool: Pool,
    account: Account,
    *,
    into_folder: bool,
    dry_run: bool,
    resume: bool,
) -> None:
    path = target
    if into_folder:
        name = source.key.rpartition("/")[2]
        if not dry_run:
            _make_folder(target)
        path = Destination(target, create=not dry_run).path_of(source.bucket, source.key, name)
    if dry_run:
        _say_dry(f"{source} -> {path}")
        return
    pool.submit(_get_file, client, source, path, None, account, resume)


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise LocalFileError.from_oserror(error) from None


def download_tree(
    client: Client, source: S3Uri, folder: str, pool: Pool, account: Account, *, dry_run: bool, resume: bool
) -> None:
    """Every object below the key prefix ``source.key``, as files below ``folder``."""
    if not dry_run:
        _make_folder(folder)
    destination = Destination(folder, create=not dry_run)
    batch: Batch[tuple[S3Uri, str, ObjectInfo]] = Batch(lambda items: pool.submit(_get_batch, client, items, account))
    for entry in client.list(source.bucket, source.key):
        name = entry.key[len(source.key) :]
        if entry.key.endswith("/") and entry.size == 0:
            # What consoles make for an empty folder. Where it is a plain name, the folder is made.
            _make_marker(destination, entry, name, account)
            continue
        try:
            path = destination.path_of(entry.bucket, entry.key, name)
        except ObjectFSError as error:
            account.failed(str(source), error)
            continue
        this = S3Uri(entry.bucket, entry.key)
        if dry_run:
            _say_dry(f"{this} -> {path}")
            continue
        account.expect(entry.size)
        if entry.size < SMALL:
            batch.add((this, path, entry), entry.size)
        else:
            pool.submit(_get_file, client, this, path, entry.size, account, resume)
    batch.flush()


def _make_marker(destination: Destination, entry: ObjectInfo, name: str, account: Account) -> None:
    if not name:  # the folder that is being copied
        return
    try:
        destination.make_folder(entry.bucket, entry.key, name)
    except ObjectFSError as error:
        account.failed(entry.key, error)


def _get_file(client: Client, source: S3Uri, path: str, size: int | None, account: Account, resume: bool) -> None:
    meter = account.meter()
    try:
        info = client.get_file(source.bucket, source.key, path, progress=meter, resume=resume)
    except ObjectFSError as error:
        account.failed(str(source), error)
    else:
        if size is None:
            account.expect(info.size)
        account.done(f"{source} -> {path}", info.size, metered=meter is not None)


def _get_batch(client: Client, items: list[tuple[S3Uri, str, ObjectInfo]], account: Account) -> None:
    try:
        results = client.get_many(items[0][0].bucket, [source.key for source, _, _ in items], on_error="return")
    except ObjectFSError as error:
        for source, _, _ in items:
            account.failed(str(source), error)
        return
    for (source, path, _), result in zip(items, results, strict=True):
        if isinstance(result, Exception):
            account.failed(str(source), result)
            continue
        try:
            _write_file(path, result)
        except OSError as error:
            account.failed(str(source), LocalFileError.from_oserror(error, bucket=source.bucket, key=source.key))
        else:
            account.done(f"{source} -> {path}", len(result))


def _write_file(path: str, data: Any) -> None:
    """Under its name only when complete, as the client's ``get_file`` has it."""
    handle, temporary = tempfile.mkstemp(prefix=".objectfs-", dir=os.path.dirname(path) or ".")
    try:
        with open(handle, "wb", buffering=0) as file:
            view = memoryview(data)
            while len(view):
                view = view[file.write(view) :]
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


_known_umask: list[int] = []


def _umask() -> int:
    """The process's mask. It can only be read by setting it, so it is read once."""
    if not _known_umask:
        mask = os.umask(0o077)
        os.umask(mask)
        _known_umask.append(mask)
    return _known_umask[0]


# -- within S3 -----------------------------------------------------------------------------------------------


def keys_below(client: Client, source: S3Uri, prefix: str) -> Iterator[tuple[str, str, int]]:
    """Each key below ``source.key``, what it is called below ``prefix``, and its size."""
    for entry in client.list(source.bucket, source.key):
        if isinstance(entry, ObjectInfo):
            yield entry.key, prefix + entry.key[len(source.key) :], entry.size


def copy_objects(
    client: Client,
    source: str,
    target: str,
    pairs: Iterator[tuple[str, str, int]],
    pool: Pool,
    account: Account,
    *,
    dry_run: bool,
) -> None:
    for key, new_key, size in pairs:
        if dry_run:
            _say_dry(f"s3://{source}/{key} -> s3://{target}/{new_key}")
            continue
        account.expect(size)
        pool.submit(_copy, client, S3Uri(source, key), S3Uri(target, new_key), size, account)


def _copy(client: Client, source: S3Uri, to: S3Uri, size: int, account: Account) -> None:
    try:
        # One request, which S3 takes up to 5 GiB; the bytes do not travel through this machine.
        client.call(
            "CopyObject",
            Bucket=to.bucket,
            Key=to.key,
            CopySource={"Bucket": source.bucket, "Key": source.key},
        )
    except ObjectFSError as error:
        account.failed(str(source), error)
    else:
        account.done(f"{source} -> {to}", size)
