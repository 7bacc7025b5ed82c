"""The ``objectfs`` command.

Exit codes: 0 done; 1 the operation failed, wholly or for some files; 2 wrong usage or settings; 130
interrupted, 143 terminated.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from objectfs.errors import ConfigError, LocalFileError, ObjectFSError

# What --help shows: the modules of the commands are not imported for it.
_COMMANDS = {
    "bench": "Measure S3 clients side by side.",
    "cat": "Write objects to the standard output.",
    "compare-backends": "Run generated operations on both backends and print what differs.",
    "cp": "Copy files and objects, to, from and between buckets.",
    "doctor": "Show what this installation has and which settings are in force.",
    "ls": "List buckets, or the objects under a prefix.",
    "rm": "Delete objects.",
    "serve": "Run the embedded S3 server on this machine.",
    "soak": "Work for hours, with faults, and see whether anything grows.",
    "version": "Show the version; with -v those of the C libraries too.",
}


class _Failure(click.ClickException):
    """An error of the library, in the shape that click prints."""

    def __init__(self, error: ObjectFSError) -> None:
        super().__init__(str(error))

    def show(self, file: Any = None) -> None:
        click.echo(f"objectfs: {self.format_message()}", file=file, err=True)


class _WrongSetting(_Failure):
    exit_code = 2


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(f"objectfs.cli.{cmd_name.replace('-', '_')}"), "command", None)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its return value is the exit code."""
        try:
            code = super().invoke(ctx)
        except ObjectFSError as error:
            raise (_WrongSetting if isinstance(error, ConfigError) else _Failure)(error) from error
        except OSError as error:  # of our own output: what concerns files is told as a LocalFileError
            if error.errno == errno.EPIPE:
                raise  # click ends quietly: whoever reads has seen enough
            raise _Failure(LocalFileError.from_oserror(error)) from error
        except KeyboardInterrupt:
            click.echo("\nobjectfs: interrupted", err=True)
            ctx.exit(130)
        ctx.exit(code or 0)


@click.group(cls=_Commands, context_settings={"help_option_names": ["--help"], "max_content_width": 100})
def cli() -> None:
    """Move data between this machine and Amazon S3, or anything that speaks S3.

    Objects are addressed as s3://bucket/key. Settings come from the options, then from OBJECTFS_* variables,
    the config file, and AWS's own files and variables; `objectfs doctor` shows which are in force.
    """


def _terminated(number: int, frame: object) -> None:
    """End as on Ctrl-C: with temporary files removed and uploads aborted; the exit code is a shell's for the signal."""
    sys.exit(128 + number)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the installed command."""
    with contextlib.suppress(ValueError):  # not on the main thread: somebody else's program
        signal.signal(signal.SIGTERM, _terminated)
    try:
        cli.main(args=arguments, prog_name="objectfs")
    except KeyboardInterrupt:  # before a command ran
        sys.exit(130)


if __name__ == "__main__":
    main()
