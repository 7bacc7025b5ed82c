"""What ``objectfs soak`` does, for its options."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from objectfs.backends.select import available
from objectfs.bench.process import ProcessError
from objectfs.bench.report import words
from objectfs.soak.measures import BY_NAME, Measure, Sample
from objectfs.soak.page import page, rate
from objectfs.soak.results import Course, Report, to_json
from objectfs.soak.run import Request, run
from objectfs.soak.slope import thin

_COLUMNS = 60
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Options:
    """Those of the command line, by their names there."""

    duration: str
    backends: tuple[str, ...]
    threads: int
    tasks: int
    seed: int
    no_faults: bool
    warm_up: float
    endpoint_url: str | None
    bucket: str | None
    region: str | None
    ca_bundle: str | None
    out: Path | None
    leak: str | None
    quiet: bool


def execute(options: Options) -> int:
    """The exit code: 1 where something grew or an outcome was wrong. click's exceptions for wrong usage."""
    request = _request(options)
    watch = _Watch(request.seconds, options.quiet)
    try:
        report, interrupted = run(request, watch.tell, watch.say)
    except ProcessError as error:
        raise click.ClickException(f"the server: {error}") from None
    show(report)
    if options.out is not None:
        for path in write(report, options.out):
            click.echo(f"wrote {path}", err=True)
    if interrupted is not None:
        raise interrupted
    return verdict(report)


def verdict(report: Report) -> int:
    """1 where something grew, or an outcome was wrong, or nothing could be decided."""
    return 1 if report.problems or not all(course.decided for course in report.courses) else 0


def seconds(text: str) -> float:
    """Of ``90``, ``60s``, ``10m``, ``1.5h``, ``2d``. click's exception for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    found = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if found <= 0:
        raise click.UsageError(f"--duration: {text!r} is no time: write it as 60s, 10m or 24h")
    return found


def _request(options: Options) -> Request:
    if (options.endpoint_url or options.ca_bundle or options.region) and options.bucket is None:
        raise click.UsageError("--endpoint-url, --region and --ca-bundle need --bucket: an existing one, to write in")
    there = {attempt.name: attempt for attempt in available()}
    backends = options.backends or tuple(name for name, attempt in there.items() if attempt.ok)
    for name in backends:
        if not there[name].ok:
            raise click.UsageError(f"--backend {name}: {there[name].reason}")
    request = Request(
        seconds=seconds(options.duration),
        backends=tuple(dict.fromkeys(backends)),
        threads=options.threads,
        tasks=options.tasks,
        seed=options.seed,
        faults=not options.no_faults,
        warm_up=options.warm_up,
        leak=options.leak,
    )
    if options.bucket is None:
        return request
    given = {"endpoint_url": options.endpoint_url, "region": options.region, "verify": options.ca_bundle}
    return replace(
        request,
        settings={name: value for name, value in given.items() if value is not None},
        bucket=options.bucket,
    )


class _Watch:
    """Says how it goes, some twenty times in a run."""

    def __init__(self, seconds: float, quiet: bool) -> None:
        self._step = seconds / 20
        self._next: dict[str, float] = {}
        self._quiet = quiet

    def tell(self, backend: str, sample: Sample) -> None:
        if self._quiet or sample.time < self._next.get(backend, 0.0):
            return
        self._next[backend] = sample.time + self._step
        memory = f", {words.mebibytes(sample.rss)}" if sample.rss is not None else ""
        click.echo(f"{words.duration(sample.time)}  {backend}: {sample.operations:,} operations{memory}", err=True)

    def say(self, text: str) -> None:
        click.echo(text, err=True)


def show(report: Report) -> None:
    """The verdicts, each with a chart of what was measured, on the standard output."""
    for course in report.courses:
        errors = f"{course.errors:,} of them ended with an error that may be"
        click.echo(f"{course.backend}: {course.operations:,} operations, {errors}; {words.size(course.bytes)} compared")
        for item in course.growth:
            title = f"  {BY_NAME[item.measure].title}: {item.verdict}"
            if item.verdict == "undecided":
                click.echo(f"{title} with {item.points} samples; a longer --duration")
            else:
                click.echo(
                    f"{title}; {rate(item, item.slope)} "
                    f"({rate(item, item.low)} to {rate(item, item.high)}, limit {rate(item, item.limit)})"
                )
            if chart := _chart(course, BY_NAME[item.measure]):
                click.echo(f"    {chart}")
        if course.uploads_left:
            click.echo(f"  {words.plural(course.uploads_left, 'upload')} had to be aborted at the server")
    for text in report.problems:
        click.echo(f"WRONG {text}")


def _chart(course: Course, measure: Measure) -> str:
    """All samples of a measure, the warm-up included, in a line. It does not begin at nought: what it goes from and to
    stands beside it."""
    points = [(each.time, value) for each in course.samples if (value := getattr(each, measure.name)) is not None]
    if not points:
        return ""
    values = [value for _, value in points]
    writer = words.size if measure.bytes else words.whole
    low, high = writer(min(values)), writer(max(values))
    ends = low if low == high else f"{low} to {high}"
    return f"{strip(points, sys.stdout.encoding)}  {ends}, {words.duration(points[-1][0])}"


def strip(points: Sequence[tuple[float, float]], encoding: str | None) -> str:
    """Values by time as a line of blocks, or of ASCII where a terminal or a file has no blocks."""
    _, heights = thin([time for time, _ in points], [value for _, value in points], _COLUMNS)
    marks = "▁▂▃▄▅▆▇█"
    try:
        marks.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        marks = "._-=+*%#"
    low, high = min(heights, default=0.0), max(heights, default=0.0)
    step = (high - low) / (len(marks) - 1) or 1.0
    return "".join(marks[round((height - low) / step)] for height in heights)


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """``soak.json`` and ``soak.html``, into a folder that is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = (folder / "soak.json", folder / "soak.html")
    paths[0].write_text(to_json(report), encoding="utf-8")
    paths[1].write_text(page(report), encoding="utf-8")
    return paths
