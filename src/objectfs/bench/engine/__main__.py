"""``python -m objectfs.bench.engine``: see the package's docstring."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from objectfs.bench.engine import report
from objectfs.bench.engine.runner import as_json, judge, run_scenario
from objectfs.bench.engine.scenarios import BY_NAME, CLIENTS, OURS, SCENARIOS
from objectfs.bench.engine.server import KINDS, running


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench-engine", description="Measure the engine beside its peers.")
    parser.add_argument("--only", action="append", choices=list(BY_NAME), help="this scenario; may be repeated")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="rounds; medians are shown (default: %(default)s)")
    parser.add_argument("--server", choices=KINDS, default="sim", help="the embedded one, or nothing but sockets")
    parser.add_argument("--endpoint-url", help="use the server that runs there instead; it must have the objects")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write engine.json and engine.md there")
    parser.add_argument("--ours", default=OURS, choices=list(CLIENTS), help="whom the limits are for")
    return parser


def _cores() -> tuple[int | None, int | None]:
    """A core for the server and another for the client, where the system lets us choose."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def main() -> int:
    options = _parser().parse_args()
    clients = options.clients.split(",")
    if unknown := set(clients) - set(CLIENTS):
        _parser().error(f"unknown clients: {', '.join(sorted(unknown))}; there are {', '.join(CLIENTS)}")
    scenarios = [BY_NAME[name] for name in options.only] if options.only else list(SCENARIOS)
    server_cpu, client_cpu = _cores()
    # tmpfs, so that the disk is not what is measured.
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    blocks, limits, records = [], [], []
    with contextlib.ExitStack() as stack:
        endpoint = options.endpoint_url or stack.enter_context(running(options.server, scenarios, server_cpu))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="objectfs-bench-", dir=base))
        for scenario in scenarios:
            outcomes = run_scenario(
                scenario,
                clients,
                endpoint,
                runs=options.runs,
                cpu=client_cpu,
                folder=folder,
                tell=lambda line: print(line, file=sys.stderr, flush=True),
            )
            verdicts = judge(scenario, outcomes, options.ours)
            blocks.append((scenario, report.client_rows(scenario, outcomes)))
            limits += report.limit_rows(scenario, verdicts)
            records.append(as_json(scenario, outcomes, verdicts))
    for scenario, rows in blocks:
        print(f"\n{scenario.title}\n{report.text_table(report.CLIENT_HEAD, rows)}")
    print(f"\n{report.text_table(report.LIMIT_HEAD, limits)}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        where = report.machine()
        facts = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "runs": options.runs,
            "server": options.server,
        }
        document = facts | {"machine": where, "scenarios": records}
        (options.out / "engine.json").write_text(json.dumps(document, indent=1) + "\n")
        lines = [
            f"{where['processor']}, {where['cores']} cores, {where['system']}, Python {where['python']}; "
            f"medians of {options.runs}; server: {options.server}; {facts['date']}.",
            "",
            ", ".join(f"{name} {version}" for name, version in where["versions"].items()) + ".",
            "",
            report.markdown_table(report.LIMIT_HEAD, limits),
        ]
        for scenario, rows in blocks:
            lines += ["", f"### {scenario.title}", "", report.markdown_table(report.CLIENT_HEAD, rows)]
        (options.out / "engine.md").write_text("\n".join(lines) + "\n")
    return 0 if all(row[-1] == "yes" for row in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
