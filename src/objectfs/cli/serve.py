"""``objectfs serve``"""

from __future__ import annotations

import os
import shlex
import signal
import threading

import click


@click.command()
@click.argument("directory", required=False, type=click.Path(file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free port.")
@click.option("--tls", is_flag=True, help="HTTPS with a certificate made for it.")
@click.option(
    "--bucket", "buckets", multiple=True, metavar="NAME", help="Create it; may be repeated. [default: bucket]"
)
@click.option("--access-key", default="test", show_default=True)
@click.option("--secret-key", default="testtest", show_default=True)
@click.option("--no-verify", is_flag=True, help="Do not check signatures.")
def command(
    directory: str | None,
    host: str,
    port: int,
    tls: bool,
    buckets: tuple[str, ...],
    access_key: str,
    secret_key: str,
    no_verify: bool,
) -> int:
    """Run the embedded S3 server until Ctrl-C. It keeps objects in DIRECTORY, or in memory without one.

    It is for development and tests: one process, no access control but the one key.
    """
    from objectfs.sim import S3Server

    if directory:
        os.makedirs(directory, exist_ok=True)
    stop = threading.Event()
    # So that `kill` ends it as cleanly as Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        server = S3Server(directory, host, port, tls, access_key, secret_key, buckets or ("bucket",), not no_verify)
        server.start()
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    try:
        click.echo(f"Serving S3 at {server.endpoint_url}. Paste into another terminal:\n")
        click.echo(f"  export OBJECTFS_ENDPOINT_URL={shlex.quote(server.endpoint_url)} OBJECTFS_REGION={server.region}")
        click.echo(
            f"  export AWS_ACCESS_KEY_ID={shlex.quote(access_key)} AWS_SECRET_ACCESS_KEY={shlex.quote(secret_key)}"
        )
        if server.ca_file:
            click.echo(f"  export AWS_CA_BUNDLE={shlex.quote(str(server.ca_file))}")
        click.echo(f"  objectfs ls s3://{(buckets or ('bucket',))[0]}\n")
        click.echo("Ctrl-C stops it.")
        while not stop.wait(3600):
            pass
    except KeyboardInterrupt:
        click.echo("\nstopped")
    finally:
        server.stop()
    return 0
