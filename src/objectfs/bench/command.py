"""What ``objectfs bench`` does, for its options."""

from __future__ import annotations

from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

import objectfs.bench.report as reports
from objectfs.bench import run as running
from objectfs.bench.cost import estimate
from objectfs.bench.endpoint import EndpointPlace
from objectfs.bench.process import ProcessError
from objectfs.bench.results import Client, Report, ReportError, from_json, to_json
from objectfs.bench.scenarios import BY_NAME, SCENARIOS
from objectfs.bench.thresholds import Limit, ThresholdError, judge, load


@dataclass(frozen=True, slots=True)
class Options:
    """Those of the command line, by their names there."""

    scenarios: tuple[str, ...]
    clients: tuple[str, ...]
    profiles: tuple[str, ...]
    tls: str
    runs: int
    scale: float
    seed: int
    peers: tuple[Path, ...]
    out: Path | None
    compare: Path | None
    resume: Path | None
    limits: Path | None
    listed: bool
    endpoint_url: str | None
    bucket: str | None
    region: str
    ca_bundle: str | None
    yes: bool
    folder: Path | None
    quiet: bool


def execute(options: Options) -> int:
    """The exit code. click's exceptions for wrong usage."""
    # What can be wrong with files is wrong before hours of measuring, not behind them.
    limits = _limits(options.limits)
    old = _old(options.compare, "--compare")
    request = running.Request(
        scenarios=options.scenarios,
        clients=options.clients,
        profiles=options.profiles or ("loopback",),
        tls={"off": (False,), "on": (True,), "both": (False, True)}[options.tls],
        runs=options.runs,
        scale=options.scale,
        seed=options.seed,
        peers=options.peers,
        endpoint=_endpoint(options),
        folder=options.folder,
        resume=_old(options.resume, "--resume"),
    )
    try:
        running.check_resumable(request)
    except ValueError as error:
        raise click.UsageError(f"--resume: {options.resume}: {error}") from None
    try:
        clients, peers = running.look(request)
    except FileNotFoundError as error:
        raise click.UsageError(f"--peers-env: {error}") from None
    if options.listed:
        _list(clients)
        return 0
    if not peers:
        raise click.UsageError("none of the clients is there: " + "; ".join(f"{c.name}: {c.reason}" for c in clients))
    if request.endpoint is not None:
        _confirm(options, request, len(peers))
    with _watch(options, running.count(request, peers)) as watch:
        for client in clients:
            if not client.available:
                watch.say(f"{client.name} is left out: {client.reason}")
        try:
            report, interrupted = running.run(request, clients, peers, watch, partial(_save, options.out))
        except ProcessError as error:
            raise click.ClickException(f"the server: {error}") from None
    report, left_out = _judged(report, limits)
    compared = reports.compare(old, report) if old is not None else None
    reports.show(report, old=compared)
    if left_out:
        click.echo(f"{left_out} thresholds are about what was not run.", err=True)
    if options.out is not None:
        for path in reports.write(report, options.out, old):
            click.echo(f"wrote {path}", err=True)
    if interrupted is not None:
        raise interrupted
    return verdict(report)


def verdict(report: Report) -> int:
    """1 where a client failed or a threshold is not met. A client that is not there, or has no such call, is none of
    both: the report names it."""
    failed = any(case.failed for case in report.cases)
    return 1 if failed or not all(threshold.met for threshold in report.thresholds) else 0


def _limits(path: Path | None) -> list[Limit]:
    if path is None:
        return []
    try:
        return load(path)
    except OSError as error:
        raise click.UsageError(f"--thresholds: {path}: {error.strerror}") from None
    except ThresholdError as error:
        raise click.UsageError(f"--thresholds: {error}") from None


def _save(folder: Path | None, report: Report) -> None:
    """So that what took hours survives whatever comes; ``--resume`` goes on from there."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / "report.json.new"
        new.write_text(to_json(report), encoding="utf-8")
        new.replace(folder / "report.json")


def _old(path: Path | None, option: str) -> Report | None:
    if path is None:
        return None
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"{option}: {path}: {error.strerror}") from None
    except (ReportError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{option}: {path}: {error}") from None


def _judged(report: Report, limits: list[Limit]) -> tuple[Report, int]:
    found, left_out = judge(report, limits)
    return replace(report, thresholds=tuple(found)), left_out


def _endpoint(options: Options) -> EndpointPlace | None:
    if options.bucket is None:
        if options.endpoint_url is not None:
            raise click.UsageError("--endpoint-url needs --bucket: an existing one, in which objects may be written")
        return None
    if options.profiles or options.tls != "off":
        raise click.UsageError("--profile and --tls are for the embedded server, --bucket names another")
    import boto3

    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise click.UsageError("there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    frozen = credentials.get_frozen_credentials()
    keys = (frozen.access_key, frozen.secret_key, frozen.token)
    return EndpointPlace(options.endpoint_url, options.bucket, options.region, keys, options.ca_bundle)


def _confirm(options: Options, request: running.Request, clients: int) -> None:
    """Say what is going to happen; ask where it costs money."""
    place = request.endpoint
    assert place is not None
    scenarios = [BY_NAME[name] for name in request.scenario_names]
    cost = estimate(scenarios, clients, request.runs, request.scale, request.seed)
    click.echo(f"{place.target['endpoint']}, bucket {place.read}: {cost if place.aws else cost.traffic}", err=True)
    if place.aws and not options.yes:
        click.confirm("Spend that?", abort=True, err=True)


def _watch(options: Options, total: int) -> Any:
    if options.quiet:
        return nullcontext(_Silent())
    return closing(reports.watch(total))


class _Silent:
    """Progress that nobody wants."""

    def start(self, case: str) -> None:
        pass

    def finish(self, outcome: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        pass


def _list(clients: list[Client]) -> None:
    click.echo("Scenarios:")
    for scenario in SCENARIOS:
        click.echo(f"  {scenario.name:18}{scenario.title}")
    click.echo("\nClients:")
    for client in clients:
        there = client.version if client.available else f"missing: {client.reason}"
        click.echo(f"  {client.name:24}{there}\n  {'':24}{client.how}")
