"""``objectfs bench``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from objectfs.bench import clients as known
from objectfs.bench.scenarios import BY_NAME

PROFILES = ("loopback", "s3", "cross-region", "express", "lossy")


@click.command(epilog="docs/benchmarks.md says what is measured, and how.")
@click.option("--scenario", "scenarios", multiple=True, type=click.Choice(list(BY_NAME)), help="Default: all.")
@click.option("--client", "clients", multiple=True, type=click.Choice(list(known.BY_NAME)), help="Default: all.")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Choice(PROFILES),
    help="Network of the embedded server (default: loopback).",
)
@click.option("--tls", type=click.Choice(["off", "on", "both"]), default="off", show_default=True)
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Rounds; medians are compared.")
@click.option("--scale", type=click.FloatRange(0, 1, min_open=True), default=1.0, help="Shrinks sizes and counts.")
@click.option("--seed", type=int, default=0, help="Of everything that is drawn.")
@click.option(
    "--peers-env",
    "peers",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A virtual environment with other clients.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write report.json, .md and .html there.")
@click.option("--compare", type=click.Path(path_type=Path), metavar="JSON", help="An older report.json.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="JSON",
    help="The report.json of a part: go on, and put both into one.",
)
@click.option(
    "--thresholds", "limits", type=click.Path(path_type=Path), metavar="TOML", help="Exit with 1 if one is not met."
)
@click.option("--list", "listed", is_flag=True, help="Show scenarios and clients, and measure nothing.")
@click.option(
    "--endpoint-url", "--endpoint", metavar="URL", help="Measure this server, with --bucket, and not the embedded one."
)
@click.option("--bucket", metavar="NAME", help="Of --endpoint-url, or of AWS. What is written there is deleted again.")
@click.option("--region", metavar="NAME", default="us-east-1", help="Of the bucket.")
@click.option("--ca-bundle", metavar="FILE", help="Certificates that are trusted, for --endpoint-url.")
@click.option("--yes", is_flag=True, help="Do not ask before a run that costs money.")
@click.option("--folder", type=click.Path(path_type=Path), metavar="DIR", help="For files (default: in memory).")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(**options: Any) -> int:
    """Measure S3 clients side by side: speed, processor time, memory, latencies.

    ObjectFS, other Python clients, s5cmd, rclone and plain sockets do the same work on the same server, in fresh
    processes and in turns. The server is the embedded one unless --bucket names another; clients that are not installed
    are named in the report. Exit codes: 1 where a client failed or a threshold was not met.
    """
    from objectfs.bench import command as bench

    return bench.execute(bench.Options(**options))
