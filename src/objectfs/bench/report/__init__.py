"""The reports of a benchmark run: in the terminal, as JSON, as Markdown, as one HTML page.

``write`` makes the files, ``show`` the final tables, ``watch`` the progress of a run, and ``compare`` judges a report
by an older one. None of them measures anything: what they show is a :class:`objectfs.bench.results.Report`.
"""

from __future__ import annotations

from pathlib import Path

from objectfs.bench.report.comparing import Comparison, compare
from objectfs.bench.report.markdown import markdown
from objectfs.bench.report.page import page
from objectfs.bench.report.terminal import Watch, compared, show, watch
from objectfs.bench.results import Report, to_json

__all__ = ["Comparison", "Watch", "compare", "compared", "markdown", "page", "show", "watch", "write"]


def write(report: Report, folder: Path, old: Report | None = None) -> tuple[Path, Path, Path]:
    """Write ``report.json``, ``report.md`` and ``report.html`` into a folder, which is made if it is not there.

    With an older report the Markdown and the page say what changed since. Returns the three paths. Raises OSError where
    a file cannot be written; JSON is first, so that what was measured is not lost with a page that cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = (folder / "report.json", folder / "report.md", folder / "report.html")
    paths[0].write_text(to_json(report), encoding="utf-8")
    paths[1].write_text(markdown(report, old), encoding="utf-8")
    paths[2].write_text(page(report, old), encoding="utf-8")
    return paths
