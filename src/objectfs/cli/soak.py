"""``objectfs soak``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

# objectfs.soak.leaks has them; it is not imported for --help.
LEAKS = ("rss", "native", "descriptors", "threads", "objects", "all")


@click.command(epilog="docs/soak.md says what is done, measured and judged.")
@click.option("--duration", default="10m", show_default=True, metavar="TIME", help="Such as 60s, 10m, 24h.")
@click.option(
    "--backend", "backends", multiple=True, type=click.Choice(["crt", "sdk"]), help="Default: all, at the same time."
)
@click.option("--threads", type=click.IntRange(1), default=3, show_default=True, help="Of each backend.")
@click.option("--tasks", type=click.IntRange(0), default=3, show_default=True, help="Of each backend's event loop.")
@click.option("--seed", type=int, default=0, help="Of everything that is drawn.")
@click.option("--no-faults", is_flag=True, help="The embedded server makes no mistakes.")
@click.option(
    "--warm-up", type=click.FloatRange(0, 0.9), default=1 / 3, metavar="SHARE", help="Not judged (default: a third)."
)
@click.option(
    "--endpoint-url",
    "--endpoint",
    metavar="URL",
    help="Work on this server, with --bucket, and not on the embedded one.",
)
@click.option("--bucket", metavar="NAME", help="Of --endpoint-url, or of AWS. What is written there is deleted again.")
@click.option("--region", metavar="NAME", help="Of the bucket.")
@click.option("--ca-bundle", metavar="FILE", help="Certificates that are trusted, for --endpoint-url.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write soak.json and soak.html there.")
@click.option("--leak", type=click.Choice(LEAKS), help="Leak on purpose, to see that it is found.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(**options: Any) -> int:
    """Work for hours, with faults, and see whether anything grows.

    All verbs, blocking and async, on both backends, with faults of the server, cancelled calls, clients made and
    closed, and requests that must be refused; every byte that is read is compared. Memory, descriptors, threads and
    objects are measured all the while. Ctrl-C ends it with a report. Exit codes: 1 where a measure grew or an outcome
    was wrong.
    """
    from objectfs.soak import command as soak

    return soak.execute(soak.Options(**options))
