"""Many small jobs at a time, with a bound on how many wait; and the account of how they went."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any

import click

from objectfs.cli.text import human_size, printable


class Account:
    """What was done: counters, messages, and a bar where somebody watches."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.files = 0
        self.bytes = 0
        self.failures = 0
        self.quiet = quiet
        self.verbose = verbose
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Account:
        if not self.quiet and sys.stderr.isatty():
            from objectfs.cli.progress import Bar  # rich costs 100 ms: only where it is looked at

            self._bar = Bar()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def expect(self, size: int) -> None:
        """So many more bytes are going to be moved."""
        if self._bar is not None:
            with self._lock:
                self._bar.expect(size)

    def meter(self) -> Callable[[int], None] | None:
        """A progress callback for one transfer; None where nobody watches."""
        if self._bar is None:
            return None
        last = 0

        def progress(total: int) -> None:
            nonlocal last
            with self._lock:
                if self._bar is not None:
                    self._bar.advance(total - last)
            last = total

        return progress

    def moved(self, size: int) -> None:
        """So many bytes of something whose size was not known before."""
        with self._lock:
            self.bytes += size
            if self._bar is not None:
                self._bar.expect(size)
                self._bar.advance(size)

    def done(self, what: str, size: int, *, metered: bool = False) -> None:
        with self._lock:
            self.files += 1
            self.bytes += size
            if self._bar is not None and not metered:
                self._bar.advance(size)
        if self.verbose:
            self._say(what)

    def failed(self, what: str, error: Exception) -> None:
        """Tell of a failure at once; the others go on."""
        with self._lock:
            self.failures += 1
        text = str(error)
        if what != getattr(error, "filename", None) and getattr(error, "key", None) is None:  # it does not tell that
            text = f"{what}: {text}"
        self._say(f"objectfs: {text}")

    def _say(self, text: str) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.say(printable(text))
            else:
                click.echo(printable(text), err=True)

    def summary(self, verb: str) -> int:
        """Print the closing line; the exit code."""
        if not self.quiet:
            seconds = max(time.monotonic() - self._start, 1e-3)
            rate = f", {self.bytes / seconds / 1e6:.0f} MB/s" if self.bytes else ""
            line = f"{verb} {self.files} {'object' if self.files == 1 else 'objects'}, {human_size(self.bytes)}"
            line += f" in {seconds:.1f} s{rate}"
            if self.failures:
                line += f"; {self.failures} failed"
            click.echo(line, err=True)
        return 1 if self.failures else 0


class Pool:
    """Threads for blocking calls. ``submit`` waits while as many jobs are under way as there are threads."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._executor = ThreadPoolExecutor(jobs, thread_name_prefix="objectfs-cp")
        self._pending: set[Future[None]] = set()

    def submit(self, function: Callable[..., None], *arguments: Any) -> None:
        self._reap(self._jobs)
        self._pending.add(self._executor.submit(function, *arguments))

    def finish(self) -> None:
        """Wait for all jobs."""
        self._reap(1)

    def _reap(self, below: int) -> None:
        """Wait until fewer than ``below`` jobs are under way. A job's unforeseen exception comes out here."""
        while len(self._pending) >= below:
            done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # After Ctrl-C: what runs ends when the client is closed, which comes next; what waits never starts.
        self._executor.shutdown(wait=kind is None, cancel_futures=True)
