"""What the threads do: every verb of :class:`objectfs.Client`, and every byte is compared.

A scene ends early where a call failed as it may (:class:`objectfs.soak.outcomes.Failed`).
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TypeVar

from objectfs.soak.content import WrongBytesError, fill
from objectfs.soak.outcomes import MAY_BE
from objectfs.soak.stage import DEADLINE, LARGE, PART, Play

T = TypeVar("T")


def one(play: Play) -> None:
    """put, head, get, a range, get_into, exists, delete."""
    key, size = play.key(), play.size()
    client, bucket = play.client, play.bucket
    with play.verb("put"):
        client.put(bucket, key, fill(key, size), timeout=DEADLINE)
    with play.verb("head"):
        _equal(client.head(bucket, key, timeout=DEADLINE).size, size, key)
    with play.verb("get"):
        play.check(key, size, client.get(bucket, key, timeout=DEADLINE))
    if size:
        start, end = play.range(size)
        with play.verb("get range"):
            play.check(key, size, client.get(bucket, key, start, end, timeout=DEADLINE), start, end)
    buffer = bytearray(size + 1)
    with play.verb("get_into"):
        _equal(client.get_into(bucket, key, buffer, timeout=DEADLINE), size, key)
        play.check(key, size, memoryview(buffer)[:size])
    with play.verb("exists"):
        _equal(client.exists(bucket, key, timeout=DEADLINE), True, key)
    with play.verb("delete"):
        client.delete(bucket, key, timeout=DEADLINE)
    with play.verb("exists"):
        _equal(client.exists(bucket, key, timeout=DEADLINE), False, key)


def large(play: Play) -> None:
    """An upload and a download in parts, from and to memory."""
    key, client = play.key(), play.client
    with play.verb("put large"):
        client.put(play.bucket, key, fill(key, LARGE), timeout=DEADLINE)
    with play.verb("get large"):
        play.check(key, LARGE, client.get(play.bucket, key, timeout=DEADLINE))


def files(play: Play) -> None:
    """put_file and get_file."""
    key, size = play.key(), play.random.choice((play.size(), LARGE))
    play.write_file(key, size)
    with play.verb("put_file"):
        play.client.put_file(play.bucket, key, play.path, timeout=DEADLINE)
    with play.verb("get_file"):
        play.client.get_file(play.bucket, key, play.path, timeout=DEADLINE)
        play.check_file(key, size)


def many(play: Play) -> None:
    """put_many, get_many, iter_many to its end or left early, delete_many."""
    sizes = {play.key(): play.size() for _ in range(play.random.randint(1, 20))}
    client, bucket = play.client, play.bucket
    with play.verb("put_many"):
        client.put_many(bucket, {key: fill(key, size) for key, size in sizes.items()}, timeout=DEADLINE)
    with play.verb("get_many"):
        found = client.get_many(bucket, list(sizes), on_error="return", timeout=DEADLINE)
        for (key, size), data in zip(sizes.items(), found, strict=True):
            if isinstance(data, Exception):
                _may_be(data)
            else:
                play.check(key, size, data)
    left = play.random.choice((0, 3))
    with play.verb("iter_many"), closing(_generator(client.iter_many(bucket, iter(sizes), timeout=DEADLINE))) as items:
        for key, data in items:
            play.check(key, sizes[key], data)
            left -= 1
            if not left:
                break
    with play.verb("delete_many"):
        for error in client.delete_many(bucket, sizes, timeout=DEADLINE).values():
            _may_be(error)


def ranges(play: Play) -> None:
    """get_ranges, near each other and far."""
    key, size = play.key(), 1_048_576
    with play.verb("put"):
        play.client.put(play.bucket, key, fill(key, size), timeout=DEADLINE)
    pairs = [play.range(size) for _ in range(play.random.randint(1, 12))]
    with play.verb("get_ranges"):
        found = play.client.get_ranges(
            play.bucket, key, pairs, coalesce=play.random.choice((0, None)), timeout=DEADLINE
        )
        for (start, end), data in zip(pairs, found, strict=True):
            play.check(key, size, data, start, end)


def listing(play: Play) -> None:
    """list, with and without a delimiter, to its end and left early; list_versions and list_buckets."""
    client, bucket = play.client, play.bucket
    keys = [f"{play.prefix}{folder}/{play.key()[len(play.prefix) :]}" for folder in ("a", "b") for _ in range(4)]
    with play.verb("put_many"):
        client.put_many(bucket, dict.fromkeys(keys, b""), timeout=DEADLINE)
    with play.verb("list"):
        _equal([entry.key for entry in client.list(bucket, play.prefix, timeout=DEADLINE)], keys, play.prefix)
    with play.verb("list"):
        _equal(len(list(client.list(bucket, play.prefix, "/", timeout=DEADLINE))), 2, play.prefix)
    with play.verb("list"), closing(_generator(client.list(bucket, play.prefix, timeout=DEADLINE))) as entries:
        _equal(next(entries).key, keys[0], play.prefix)
    with play.verb("list_versions"):
        versions = client.list_versions(bucket, play.prefix, timeout=DEADLINE)
        _equal(len(list(versions)), len(keys), play.prefix)


def copying(play: Play) -> None:
    """copy, at once and in parts."""
    key, copy, size = play.key(), play.key(), play.random.choice((play.size(), LARGE))
    client, bucket = play.client, play.bucket
    with play.verb("put"):
        client.put(bucket, key, fill(key, size), timeout=DEADLINE)
    with play.verb("copy"):
        client.copy(bucket, key, bucket, copy, multipart_threshold=PART, part_size=PART, timeout=DEADLINE)
    with play.verb("get"):
        play.check(key, size, client.get(bucket, copy, timeout=DEADLINE))


def writers(play: Play) -> None:
    """open() to write bytes: to the end, or aborted by an exception. Then to read: in order, or with leaps."""
    key, size = play.key(), play.random.choice((play.size(), LARGE))
    client, bucket, data = play.client, play.bucket, fill(key, size)
    with play.verb("open wb"), client.open(bucket, key, "wb", timeout=DEADLINE) as file:
        for start in range(0, size, 700_001):
            file.write(data[start : start + 700_001])
    with play.verb("open rb"), client.open(bucket, key, timeout=DEADLINE) as file:
        play.check(key, size, file.read())
    if size:
        with play.verb("open rb, leaps"), client.open(bucket, key, prefetch=0, timeout=DEADLINE) as file:
            for _ in range(3):
                start, end = play.range(size)
                end = min(end, start + 100_000)
                file.seek(start)
                play.check(key, size, file.read(end - start), start, end)
    with play.verb("open wb, aborted", _OnPurposeError):
        with client.open(bucket, play.key(), "wb", timeout=DEADLINE) as file:
            file.write(data)
            raise _OnPurposeError
        raise AssertionError("the block's exception was lost")


def text(play: Play) -> None:
    """open() of text, line by line."""
    key, lines = play.key(), [f"{number} é\n" for number in range(play.random.randint(0, 5_000))]
    with play.verb("open wt"), play.client.open(play.bucket, key, "w", timeout=DEADLINE) as file:
        file.writelines(lines)
    with play.verb("open rt"), play.client.open(play.bucket, key, "r", timeout=DEADLINE) as file:
        _equal(list(file), lines, key)


def streams(play: Play) -> None:
    """put of a file object and of an iterable."""
    key, size = play.key(), play.random.choice((play.size(), LARGE))
    data = fill(key, size)
    pieces = (data[start : start + 400_000] for start in range(0, size, 400_000))
    with play.verb("put stream"):
        play.client.put(play.bucket, key, play.random.choice((io.BytesIO(data), pieces)), timeout=DEADLINE)
    with play.verb("get"):
        play.check(key, size, play.client.get(play.bucket, key, timeout=DEADLINE))


def calls(play: Play) -> None:
    """call: an upload in parts by hand, completed or aborted; presigned URLs."""
    key, bucket, data = play.key(), play.bucket, fill("part", 10)
    call = play.client.call
    with play.verb("call CreateMultipartUpload"):
        upload = call("CreateMultipartUpload", Bucket=bucket, Key=key, timeout=DEADLINE)["UploadId"]
    with play.verb("call UploadPart"):
        call("UploadPart", Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=data, timeout=DEADLINE)
    with play.verb("call AbortMultipartUpload"):
        call("AbortMultipartUpload", Bucket=bucket, Key=key, UploadId=upload, timeout=DEADLINE)
    with play.verb("presign"):
        play.client.presign("get", bucket, key)


class _OnPurposeError(Exception):
    pass


def _generator(items: Iterator[T]) -> Generator[T, None, None]:
    """What the verb returns has a close(); its type does not say so."""
    assert isinstance(items, Generator)
    return items


def _equal(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise WrongBytesError(f"{what}: {found!r:.200} and not {wanted!r:.200}")


def _may_be(error: Exception) -> None:
    if not isinstance(error, MAY_BE):
        raise error


SCENES = (one, large, files, many, ranges, listing, copying, writers, text, streams, calls)
