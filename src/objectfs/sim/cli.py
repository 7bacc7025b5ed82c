"""The command line: serve until a signal comes. ``objectfs serve`` and ``python -m objectfs.sim`` are both this."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from objectfs.sim.network.profile import PROFILES, Profile, ProfileError, get_profile, shape_fields
from objectfs.sim.network.rules import FaultError
from objectfs.sim.server import ACCESS_KEY, SECRET_KEY, S3Server, is_loopback

_METAVARS = {"bytes": "BYTES", "seconds": "TIME", "rate": "N", "share": "SHARE", "seed": "N"}
_DESCRIPTION = """\
Serve S3 on this machine, from memory or from a directory, until Ctrl-C.
It is for development and tests: one process, no access control but the one key.
"""
_SHAPES = """\
What the network is like. The options change the profile: sizes such as 90MB or 64KiB, times such as 30ms, shares from
0 to 1.
"""


def build_parser(prog: str) -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=prog, description=_DESCRIPTION, formatter_class=formatter)
    add = parser.add_argument
    add("directory", nargs="?", metavar="DIR", help="keep the objects here (default: in memory)")
    add("--host", default="127.0.0.1", help="default: 127.0.0.1; one that other machines can reach needs keys")
    add("--port", type=int, default=0, help="default: any free port")
    add("--tls", action="store_true", help="HTTPS with a certificate made for it")
    add("--access-key", help=f"default: {ACCESS_KEY}")
    add("--secret-key", help=f"default: {SECRET_KEY}")
    add("--region", default="us-east-1", help="default: us-east-1")
    add("--bucket", action="append", metavar="NAME", help="create it (default: bucket); may be repeated")
    add("--no-verify", action="store_true", help="do not check signatures")
    add("--anonymous", action="store_true", help="let unsigned requests in")
    add("--discard", action="store_true", help="keep only size and checksums of what is put")
    text = "an object of so many bytes that takes no memory; may be repeated"
    add("--synthetic", action="append", default=[], metavar="BUCKET/KEY=SIZE", help=text)
    add("--cpu", type=int, metavar="N", help="run on this processor only")
    add("--faults", metavar="PLAN", help="a TOML file of faults to inject")
    group = parser.add_argument_group("network", _SHAPES)
    group.add_argument("--profile", default="loopback", choices=PROFILES, help="default: loopback, with no limits")
    for item in shape_fields():
        group.add_argument(
            f"--{item.name.replace('_', '-')}", metavar=_METAVARS[item.metadata["kind"]], help=item.metadata["help"]
        )
    return parser


def main(argv: Sequence[str] | None = None, prog: str = "python -m objectfs.sim") -> int:
    """Returns the exit code: 130 after SIGINT, 143 after SIGTERM, 1 when it cannot serve. Wrong usage raises
    SystemExit(2)."""
    parser = build_parser(prog)
    options = parser.parse_args(argv)
    try:
        server = _make_server(options)
    except ValueError as error:  # of the profile, the plan, the keys or a name
        parser.error(str(error))
    except OSError as error:
        return _fail(prog, error)
    if options.cpu is not None:
        if not hasattr(os, "sched_setaffinity"):
            parser.error("--cpu is not supported on this system")
        os.sched_setaffinity(0, {options.cpu})
    # Blocked before the server's thread starts, so that only the wait receives them.
    signals = {signal.SIGINT, signal.SIGTERM}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signals) if hasattr(signal, "pthread_sigmask") else None
    try:
        try:
            server.start()
        except OSError as error:
            return _fail(prog, error, f"cannot listen on {options.host}:{options.port}: ")
        try:
            print(_greeting(server, options.bucket or ["bucket"]), flush=True)
            return 128 + _wait(signals)
        finally:
            server.stop()
    finally:
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _make_server(options: argparse.Namespace) -> S3Server:
    local = is_loopback(options.host)
    own = options.access_key and options.secret_key and options.secret_key != SECRET_KEY
    if not local and (not own or options.anonymous or options.no_verify):
        raise ValueError(
            f"--host {options.host} can be reached from other machines: it needs --access-key and --secret-key of "
            "your own, and neither --anonymous nor --no-verify"
        )
    server = S3Server(
        options.directory,
        options.host,
        options.port,
        options.tls,
        options.access_key or ACCESS_KEY,
        options.secret_key or SECRET_KEY,
        (),
        not options.no_verify,
        options.region,
        anonymous=options.anonymous,
        discard=options.discard,
        profile=_profile(options),
        # Nobody can ask for the requests.
        log_bytes=4 * 1024 * 1024,
    )
    for name in options.bucket or ("bucket",):
        server.create_bucket(name)
    for item in options.synthetic:
        name, separator, size = item.rpartition("=")
        bucket, slash, key = name.partition("/")
        if not separator or not slash or not key or not size.isdigit():
            raise ValueError(f"--synthetic {item}: expected BUCKET/KEY=SIZE")
        server.store.add_synthetic(bucket, key, int(size))
    if options.faults is not None:
        try:
            server.faults.load(options.faults)
        except FaultError as error:
            raise ValueError(f"--faults {error}") from None
    return server


def _profile(options: argparse.Namespace) -> Profile:
    given = {item.name: value for item in shape_fields() if (value := getattr(options, item.name)) is not None}
    try:
        return get_profile(options.profile).replace(**given)
    except ProfileError as error:
        # In the words of the command line.
        text = str(error)
        for item in dataclasses.fields(Profile):
            text = text.replace(f"{item.name} =", f"--{item.name.replace('_', '-')}")
        raise ValueError(text) from None


def _greeting(server: S3Server, buckets: Sequence[str]) -> str:
    """The endpoint, for programs in the first lines, and what to paste elsewhere."""
    variables = {
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        # What was chosen because others can get here is not for screens and logs.
        "AWS_SECRET_ACCESS_KEY": server.secret_key if is_loopback(server.host) else "YOUR-SECRET-KEY",
        "AWS_DEFAULT_REGION": server.region,
    }
    ours = {"OBJECTFS_ENDPOINT_URL": server.endpoint_url, "OBJECTFS_REGION": server.region}
    call = [
        f"endpoint_url={server.endpoint_url!r}",
        f"region_name={server.region!r}",
        f"aws_access_key_id={variables['AWS_ACCESS_KEY_ID']!r}",
        f"aws_secret_access_key={variables['AWS_SECRET_ACCESS_KEY']!r}",
    ]
    lines = [f"endpoint {server.endpoint_url}"]
    if server.ca_file:
        lines.append(f"ca-file {server.ca_file}")
        variables["AWS_CA_BUNDLE"] = server.ca_file
        call.append(f"verify={server.ca_file!r}")
    lines += [
        "",
        "To use it from a shell:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in (variables | ours).items()),
        "",
        "The AWS CLI, objectfs, and boto3 then find it by themselves:",
        f"  aws s3 ls s3://{buckets[0]}",
        f"  objectfs ls s3://{buckets[0]}",
        """  python -c 'import boto3; print(boto3.client("s3").list_buckets()["Buckets"])'""",
        "",
        "Or in Python, without the variables:",
        f"  s3 = boto3.client('s3', {', '.join(call)})",
        "",
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)


def _wait(signals: set[signal.Signals]) -> int:
    """Wait for a signal, and tell which."""
    if hasattr(signal, "sigwait"):
        return signal.sigwait(signals)
    stop = threading.Event()
    came = [signal.SIGINT]

    def handle(number: int, frame: object) -> None:
        came[0] = signal.Signals(number)
        stop.set()

    for number in signals:
        signal.signal(number, handle)
    # Windows hands signals over between two calls only.
    while not stop.wait(0.5):
        pass
    return came[0]


def _fail(prog: str, error: OSError, before: str = "") -> int:
    name = f"{error.filename}: " if error.filename else ""
    print(f"{prog}: {before}{name}{error.strerror or error}", file=sys.stderr)
    return 1
