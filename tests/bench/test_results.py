"""The schema of reports: what is written is read again, and what is no report is refused with the place named."""

from __future__ import annotations

import dataclasses
import json

import pytest

from objectfs.bench.results import (
    FIGURES,
    GIB,
    SCHEMA,
    Case,
    Client,
    Latency,
    Machine,
    Missed,
    Report,
    ReportError,
    Run,
    Settings,
    Threshold,
    from_json,
    to_json,
)

RUNS = (
    Run(2.0, 0.5, 0.5, 100, GIB, 128, 0.03, Latency(0.1, 0.1, 0.2)),
    Run(1.0, 0.25, 0.25, 300, GIB, 128, 0.04, Latency(0.2, 0.2, 0.3), errors=2),
    Run(4.0, 1.0, 1.0, 200, GIB, 128, 0.05, Latency(0.3, 0.3, 0.4)),
    Run(0.1, 0.0, 0.0, 0, 0, error="ConnectionError: closed"),
)
REPORT = Report(
    created="2026-01-02T03:04:05+00:00",
    commit=None,
    objectfs_version="1",
    machine=Machine("cpu", 2, 1 << 34, "6.1", "3.11.2", "Linux"),
    settings=Settings(5, ("large-down-memory",), ("objectfs-crt", "s5cmd"), ("s3",), (False, True), "sim", "1, 0", 1.0),
    clients=(
        Client("objectfs-crt", "1", True, None, "defaults"),
        Client("s5cmd", None, False, "not installed", "defaults"),
    ),
    cases=(
        Case("large-down-memory", "objectfs-crt", "sim", "s3", False, GIB, 1, None, RUNS),
        Case("large-down-memory", "objectfs-crt", "sim", "s3", True, GIB, 1, None),
    ),
    missed=(Missed("large-down-memory", "s5cmd", "not installed"),),
    thresholds=(Threshold("x", None, 10.0, False),),
)


def test_what_is_written_is_read() -> None:
    assert from_json(to_json(REPORT)) == REPORT
    assert json.loads(to_json(REPORT))["schema"] == SCHEMA


def test_figures_are_of_the_good_runs() -> None:
    case = REPORT.cases[0]
    assert case.median("wall") == 2.0
    assert case.spread("wall") == (1.0, 4.0)
    assert case.median("cpu_per_gib") == 1.0
    assert case.median("throughput") == GIB / 2
    assert case.median("requests_per_second") == 64
    assert case.median("latency_p99") == 0.3
    assert case.objects_per_second == 0.5
    assert [run.error for run in case.failed] == ["ConnectionError: closed"]


def test_what_was_not_measured_has_no_figure() -> None:
    case = REPORT.cases[1]
    assert case.objects_per_second is None
    for figure in FIGURES:
        assert case.median(figure) is None
        assert case.spread(figure) is None
    with pytest.raises(KeyError):
        case.median("speed")


def test_cases_are_found_by_their_network() -> None:
    assert REPORT.find("large-down-memory", "objectfs-crt") is REPORT.cases[0]
    assert REPORT.find("large-down-memory", "objectfs-crt", tls=True) is REPORT.cases[1]
    assert REPORT.find("large-down-memory", "objectfs-crt", profile="loopback") is None
    assert list(REPORT.groups) == [("large-down-memory", "s3", False), ("large-down-memory", "s3", True)]


def test_fields_that_come_later_are_ignored() -> None:
    document = json.loads(to_json(REPORT))
    document["later"] = document["cases"][0]["later"] = 1
    assert from_json(json.dumps(document)) == REPORT


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda document: document.update(schema="objectfs-bench/2"), "objectfs-bench/2"),
        (lambda document: document.pop("machine"), "report: machine is missing"),
        (lambda document: document.update(cases={}), "report.cases: a list is wanted"),
        (lambda document: document["cases"][0].update(bytes="many"), r"report.cases\[0\].bytes: int is wanted"),
        (lambda document: document["cases"][0].update(tls=1), r"report.cases\[0\].tls: bool is wanted"),
        (lambda document: document["cases"][0]["runs"][1].pop("wall"), r"report.cases\[0\].runs\[1\]: wall is missing"),
    ],
)
def test_what_is_no_report_is_refused(change: object, text: str) -> None:
    document = json.loads(to_json(REPORT))
    change(document)  # type: ignore[operator]
    with pytest.raises(ReportError, match=text):
        from_json(json.dumps(document))


def test_no_json_is_refused() -> None:
    with pytest.raises(ReportError, match="no JSON"):
        from_json("{")
    with pytest.raises(ReportError, match="not a JSON object"):
        from_json("[]")


def test_results_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        REPORT.cases[0].client = "other"  # type: ignore[misc]
