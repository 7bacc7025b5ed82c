"""Threshold files: what they may say, and how a report is held against them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from objectfs.bench.results import Report, Run, Settings
from objectfs.bench.scenarios import SCENARIOS
from objectfs.bench.thresholds import PYTHON, ThresholdError, judge, load

from .made import case, report, walls

ROOT = Path(__file__).resolve().parents[2]
PROMISED = ROOT / "docs" / "benchmarks" / "thresholds.toml"


def made(*scenarios: str, fail: bool = False) -> Report:
    cases = []
    for place, scenario in enumerate(scenarios or ("large-down-memory",), 1):
        cases += [
            case(scenario, "objectfs-crt", walls(1.0, 2.0, 3.0)),
            case(scenario, "boto3-single", walls(20.0 * place)),
            case(scenario, "obstore", [Run(4.0 * place, 9.0, 1.0, 1, 1)]),
            case(scenario, "raw-c", walls(1.0)),
        ]
    if fail:
        cases.append(case(cases[0].scenario, "minio", [*walls(0.1), Run(0.0, 0.0, 0.0, 0, 0, error="it broke")]))
    names = tuple(dict.fromkeys(item.scenario for item in cases))
    return report(cases, settings=Settings(1, names, (), ("s3",), (False,), "sim", "none", 1.0))


def judged(tmp_path: Path, text: str, given: Report | None = None) -> list[tuple[float | None, bool]]:
    path = tmp_path / "limits.toml"
    path.write_text(text, encoding="utf-8")
    found, left_out = judge(given or made(), load(path))
    assert not left_out
    return [(item.measured, item.met) for item in found]


HEAD = '[[threshold]]\nscenario = "large-down-memory"\nprofile = "s3"\n'


@pytest.mark.parametrize(
    ("rest", "measured", "met"),
    [
        ('against = "boto3-single"\nat_least = 10', 10.0, True),
        ('against = "boto3-single"\nat_least = 10.1', 10.0, False),
        ('against = "boto3-single"\nat_most = 0.1', 0.1, True),
        ('against = "best-python"\nat_least = 2', 2.0, True),
        ('against = ["boto3-single", "obstore"]\nat_least = 2.1', 2.0, False),
        # The fastest is obstore, the one with the least CPU is boto3-single: 7.5 seconds.
        ('against = "best-python"\nfigure = "cpu"\nat_most = 0.1', 0.1, True),
        ('against = "best-python"\nfigure = "cpu"\nbest_by = "wall"\nat_most = 0.05', 0.075, False),
        ("at_most = 2", 2.0, True),
        ('client = "obstore"\nat_most = 3.9', 4.0, False),
        # Nobody there, which is no success.
        ('against = "s5cmd"\nat_least = 1', None, False),
    ],
)
def test_a_limit(tmp_path: Path, rest: str, measured: float | None, met: bool) -> None:
    ((value, verdict),) = judged(tmp_path, HEAD + rest)
    assert value == (None if measured is None else pytest.approx(measured))
    assert verdict is met


def test_a_client_that_failed_once_has_no_figure(tmp_path: Path) -> None:
    assert judged(tmp_path, f'{HEAD}against = "minio"\nat_least = 0.001', made(fail=True)) == [(None, False)]
    assert judged(tmp_path, f'{HEAD}against = "best-python"\nat_least = 2', made(fail=True)) == [(2.0, True)]


def test_each_scenario_and_the_median_of_all(tmp_path: Path) -> None:
    text = '[[threshold]]\nscenario = "*"\nprofile = "s3"\nagainst = "best-python"\nat_least = 3\n'
    given = made("large-down-memory", "many-4k", "mixed")
    assert judged(tmp_path, text, given) == [(2.0, False), (4.0, True), (6.0, True)]
    assert judged(tmp_path, f'{text}over = "median"\n', given) == [(4.0, True)]


def test_the_median_does_not_leave_out_what_is_missing(tmp_path: Path) -> None:
    text = '[[threshold]]\nscenario = "*"\nprofile = "s3"\nagainst = "best-python"\nat_least = 3\nover = "median"\n'
    given = made("large-down-memory", "mixed")
    whole = given.cases
    assert judged(tmp_path, text, given) == [(3.0, True)]
    less = report(
        [item for item in whole if (item.scenario, item.client) != ("mixed", "objectfs-crt")], settings=given.settings
    )
    assert judged(tmp_path, text, less) == [(None, False)]


def test_what_was_not_run_is_counted_and_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    other = '[[threshold]]\nscenario = "mixed"\nprofile = "s3"\nat_most = 1\n'
    path.write_text(f"{HEAD}at_most = 1\n{other}{HEAD}tls = true\nat_most = 1", encoding="utf-8")
    found, left_out = judge(made(), load(path))
    assert (len(found), left_out) == (1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("= 1", "limits.toml"),
        ("speed = 1", "nothing else"),
        (f"{HEAD}at_mots = 1", "at_mots is none of"),
        (HEAD, "one of at_least and at_most"),
        (f"{HEAD}at_least = 1\nat_most = 1", "one of at_least and at_most"),
        (f'{HEAD}at_least = "1"', "at_least is a number"),
        (f'{HEAD}at_least = 1\nagainst = "boto4"', "'boto4' is none of"),
        (f'{HEAD}at_least = 1\nclient = "boto4"', "'boto4' is none of"),
        (f'{HEAD}at_least = 1\nfigure = "speed"', "'speed' is none of"),
        (f'{HEAD}at_least = 1\nover = "mean"', "'median' only"),
        (f"{HEAD}at_least = 1\ntls = 1", "tls is bool"),
        ("[[threshold]]\nscenario = 1\nat_least = 1", "a name or a list"),
        ('[[threshold]]\nscenario = ["none"]\nat_least = 1', "'none' is none of"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ThresholdError, match=re.escape(message)):
        load(path)


def test_the_best_python_client_is_none_of_ours_and_no_limit() -> None:
    assert "boto3-single" in PYTHON
    assert not {"objectfs-crt", "objectfs-sdk", "raw-python", "raw-c", "raw-ssl", "s5cmd", "rclone"} & set(PYTHON)


def test_what_the_project_promises() -> None:
    limits = load(PROMISED)
    of_all = {scenario.name for scenario in SCENARIOS}
    assert {name for limit in limits for name in limit.scenario if limit.profile == "loopback"} == of_all
    assert {limit.profile for limit in limits} == {"loopback", "s3"}
    assert all(limit.client == "objectfs-crt" for limit in limits)
    strictest = {
        (name, limit.against): limit.at_least
        for limit in limits
        for name in limit.scenario
        if limit.profile == "s3" and limit.figure == "wall"
    }
    assert strictest["large-down-memory", ("boto3-single",)] == 10
    assert strictest["large-up-file", ("boto3-transfer",)] == 1.8
    assert strictest["many-4k", PYTHON] == 2.5
