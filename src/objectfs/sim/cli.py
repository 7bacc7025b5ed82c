"""The command line: serve until a signal comes."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence

from objectfs.sim.server import S3Server


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="objectfs.sim", description="Serve S3 on a local socket.")
    parser.add_argument("directory", nargs="?", help="keep objects here (default: in memory)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--tls", action="store_true", help="HTTPS with a self-signed certificate")
    parser.add_argument("--access-key", default="test")
    parser.add_argument("--secret-key", default="testtest")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--no-verify", action="store_true", help="do not check signatures")
    parser.add_argument("--anonymous", action="store_true", help="let unsigned requests in")
    parser.add_argument("--discard", action="store_true", help="keep only size and checksums of what is put")
    parser.add_argument("--cpu", type=int, metavar="N", help="run on this processor only")
    parser.add_argument("--bucket", action="append", metavar="NAME", help="create it; may be repeated")
    parser.add_argument(
        "--synthetic",
        action="append",
        default=[],
        metavar="BUCKET/KEY=SIZE",
        help="an object of this many bytes that takes no memory; may be repeated",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.cpu is not None:
        if not hasattr(os, "sched_setaffinity"):
            parser.error("--cpu is not supported on this system")
        os.sched_setaffinity(0, {options.cpu})
    # Blocked before the server's thread starts, so that only sigwait receives them.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = S3Server(
        options.directory,
        options.host,
        options.port,
        options.tls,
        options.access_key,
        options.secret_key,
        options.bucket or ("bucket",),
        not options.no_verify,
        options.region,
        anonymous=options.anonymous,
        discard=options.discard,
    )
    for item in options.synthetic:
        name, separator, size = item.rpartition("=")
        bucket, slash, key = name.partition("/")
        if not separator or not slash or not key or not size.isdigit():
            parser.error(f"--synthetic {item}: expected BUCKET/KEY=SIZE")
        server.store.add_synthetic(bucket, key, int(size))
    with server:
        print("endpoint", server.endpoint_url, flush=True)
        if server.ca_file:
            print("ca-file", server.ca_file, flush=True)
        signal.sigwait(signals)
    return 0
