"""The programs that are compared, each in a module of its own, and the table of them.

The modules run in the environment that has the client's package, which need not have ObjectFS: they import nothing
of it but :mod:`objectfs.bench`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """``module`` has ``make(target)``, which returns a :class:`~objectfs.bench.clients.base.Client`, and
    ``version()``, which raises ImportError or OSError where the client is missing. ``how`` says how it is used for
    speed, and where that is from."""

    name: str
    module: str
    how: str
    own: bool = False


_S3_GUIDE = "boto3's guide, 'File transfer configuration'"

ENTRIES = (
    Entry("objectfs-crt", "ours", "defaults; get, put, get_many, put_many, get_ranges; docs/reference", own=True),
    Entry("objectfs-sdk", "ours", "backend='sdk', else as objectfs-crt", own=True),
    Entry(
        "objectfs-crt-unchecked",
        "ours",
        "checksum='off', so that none is sent or compared, else as objectfs-crt: like with like beside awscrt, "
        "s3torchconnector and the sockets, whose uploads have none",
        own=True,
    ),
    Entry(
        "boto3-single",
        "boto",
        "get_object, put_object; 16 threads and as many pooled connections for many objects (boto3's guide, 'Low-level "
        "clients': they are thread-safe)",
    ),
    Entry(
        "boto3-transfer",
        "boto_transfer",
        "upload_fileobj, download_file ... with preferred_transfer_client='classic' and the defaults, 10 threads and 8 "
        f"MiB parts ({_S3_GUIDE}: 'well-suited for most scenarios'); 16 threads for many objects",
    ),
    Entry(
        "boto3-crt",
        "boto_crt",
        "the transfer manager of preferred_transfer_client='crt' (boto3's reference of TransferConfig), made as the "
        "AWS CLI makes it, because boto3 gives it no endpoint; 16 threads for many objects",
    ),
    Entry("awscrt", "awscrt", "S3Client with its defaults, requests started all at once (awscrt.s3's reference)"),
    Entry(
        "obstore",
        "obstore",
        "get_async and put_async in asyncio.gather, 64 at a time; large objects by get_range in 64 threads, 8 MiB "
        "each; put in parts, 12 at a time; get_ranges where ranges are read (obstore's reference)",
    ),
    Entry(
        "s3torchconnector",
        "s3torch",
        "the client below its datasets and checkpoints with its defaults, streams joined as its sequential reader does "
        "(its reference: S3ReaderConstructor); 16 threads for many objects",
    ),
    Entry(
        "minio",
        "minio",
        "put_object with num_parallel_uploads=10 and part_size 8 MiB, get_object; one client in 16 threads with a pool "
        "of as many connections (its API reference: thread-safe)",
    ),
    Entry(
        "s3fs",
        "s3fs",
        "S3FileSystem(asynchronous=True) with its defaults but 64 pooled connections: _cat_file, _pipe_file, 64 at a "
        "time, _cat_ranges, _get and _put (fsspec's documentation, 'Async'; s3fs's reference of max_concurrency)",
    ),
    Entry(
        "s5cmd",
        "s5cmd",
        "cp --concurrency 16 --part-size 16 for one large file, wildcards for many and for trees, 'run' of a list of "
        "commands for the mixed work (its README: 'Download multiple S3 objects', 'Run multiple commands in "
        "parallel'); to files in memory, a new process each time",
    ),
    Entry(
        "rclone",
        "rclone",
        "copy --transfers 16 --checkers 16 --multi-thread-streams 16 --s3-upload-concurrency 16 --s3-chunk-size 16M "
        "--no-traverse --fast-list (its documentation of global flags and of S3); to files in memory, a new process "
        "each time",
    ),
    Entry(
        "raw-python",
        "raw",
        "sockets, recv_into with MSG_WAITALL, 16 threads; no signatures, no checksums: what Python can reach",
    ),
    Entry(
        "raw-c",
        "raw_c",
        "a C program with epoll, recv and send over 16 connections; no signatures, no checksums, no TLS: what this "
        "machine and server can reach",
    ),
    Entry("raw-ssl", "raw", "as raw-python with Python's ssl on its sockets, for servers with TLS"),
)
BY_NAME = {entry.name: entry for entry in ENTRIES}
