"""How cases are run: fresh processes, in turns; what fails is told and does not stop the others.

The client here is a program of its own, in the place of a Python that has one: it writes down when it is started, and
does what its scenario's name in ``behaviour`` says.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from objectfs.bench import command, machine, run
from objectfs.bench.places import Counted
from objectfs.bench.results import Client, Report, Run
from objectfs.bench.runner import Found, Peer, Settings, find_peers, run_place, turns
from objectfs.bench.scenarios import BY_NAME, Item

FAKE = """#!{python}
import json, os, sys, time
order = json.loads(sys.stdin.readline())
client = order["target"]["client"]
with open({log!r}, "a") as file:
    file.write(json.dumps([client, order["scenario"], os.getpid()]) + "\\n")
with open({log!r} + ".environment", "w") as file:
    json.dump(dict(os.environ), file)
behaviour = json.loads({behaviour!r}).get(client, "")
if behaviour == "hang":
    time.sleep(60)
if behaviour == "die":
    sys.exit("these are my last words")
if behaviour in ("failed", "missing"):
    print(json.dumps(dict(event=behaviour, reason="the reason")), flush=True)
    sys.exit()
print("what a library prints")
print(json.dumps(dict(event="warm")), flush=True)
if sys.stdin.readline().strip() == "go":
    figures = dict(wall=1.0, user=0.5, system=0.25, peak_rss=7, first_byte=None, latency=None)
    print(json.dumps(dict(event="done") | figures), flush=True)
"""


class FakePlace:
    """A server that has seen what it is told to have seen."""

    server, profile, tls = "sim", "loopback", False
    target: ClassVar[dict[str, Any]] = {"endpoint": "http://127.0.0.1:1", "region": "here"}
    prefix, read, warm, write = "p/", "read", "warm", "write"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.wrong: dict[str, str] = {}

    def forget(self) -> None:
        self.calls.append("forget")

    def count(self) -> Counted:
        self.calls.append("count")
        return Counted(3, Counter({"SlowDown": 2}))

    def check(self, bucket: str, items: Sequence[Item], *, whole: bool) -> None:
        assert whole == (bucket == self.warm)
        assert all(item.key.startswith(self.prefix) for item in items)
        self.calls.append(f"check {bucket}")
        if bucket in self.wrong:
            raise ValueError(self.wrong[bucket])

    def clean(self, bucket: str, items: Sequence[Item]) -> None:
        self.calls.append(f"clean {bucket}")


class Silent:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, case: str) -> None:
        self.lines.append(case)

    def finish(self, outcome: str = "") -> None:
        self.lines[-1] += f": {outcome}"

    def say(self, text: str) -> None:
        pass


class Fake:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.python = str(folder / "python")

    def behave(self, **behaviour: str) -> None:
        text = FAKE.format(python=sys.executable, log=str(self.log), behaviour=json.dumps(behaviour))
        Path(self.python).write_text(text, encoding="utf-8")
        os.chmod(self.python, 0o755)

    @property
    def started(self) -> list[tuple[str, str, int]]:
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [(client, scenario, pid) for client, scenario, pid in map(json.loads, lines)]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    made = Fake(tmp_path)
    made.behave()
    return made


Measure = Callable[..., tuple[Found, FakePlace, list[str]]]


@pytest.fixture
def measure(fake: Fake) -> Measure:
    def call(
        *clients: str,
        scenarios: Sequence[str] = ("large-down-memory",),
        runs: int = 1,
        timeout: float = 20,
        **wrong: str,
    ) -> tuple[Found, FakePlace, list[str]]:
        found, place, watch = Found(), FakePlace(), Silent()
        place.wrong = wrong
        peers = [Peer(client, fake.python) for client in clients]
        settings = Settings(runs, 0.0001, timeout=timeout, folder=str(fake.folder))
        run_place(place, [BY_NAME[name] for name in scenarios], peers, settings, watch, found)
        return found, place, watch.lines

    return call


def test_clients_take_turns_in_fresh_processes(fake: Fake, measure: Measure) -> None:
    found, _, lines = measure("a", "b", scenarios=("large-down-memory", "many-4k"), runs=3)
    started = fake.started
    rounds = [[client for client, _, _ in started[at : at + 2]] for at in range(0, 12, 2)]
    assert [sorted(each) for each in rounds] == [["a", "b"]] * 6
    assert rounds[0] == rounds[3] == ["a", "b"]  # the first of each scenario, as given
    assert [scenario for _, scenario, _ in started] == ["large-down-memory"] * 6 + ["many-4k"] * 6
    assert len({pid for _, _, pid in started}) == 12
    assert [(case.scenario, case.client, len(case.good)) for case in found.cases] == [
        ("large-down-memory", "a", 3),
        ("large-down-memory", "b", 3),
        ("many-4k", "a", 3),
        ("many-4k", "b", 3),
    ]
    assert len(lines) == 12
    assert lines[0].startswith("large-down-memory, loopback, a, run 1 of 3: 1.000 s")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 12])
def test_nobody_always_comes_behind_the_same_one(count: int) -> None:
    peers = [Peer(str(number), "python") for number in range(count)]
    rounds = [turns(peers, number) for number in range(1, count + 1)]
    assert rounds[0] == peers
    assert all(sorted(each, key=peers.index) == peers for each in rounds)
    behind = Counter(pair for each in rounds for pair in pairwise(each))
    if count % 2 == 0:  # each comes once behind each other one
        assert set(behind.values()) <= {1}
        assert len(behind) == count * (count - 1)
    elif count > 3:
        assert max(behind.values()) <= 2


def test_figures(measure: Measure) -> None:
    found, place, _ = measure("a", scenarios=("large-up-memory",))
    (case,) = found.cases
    assert case.runs == (Run(1.0, 0.5, 0.25, 7, case.bytes, 3, errors=2, error_names=("2 x SlowDown",)),)
    # What the warm-up wrote is compared, and gone before it is measured; requests are counted from there.
    assert place.calls[:5] == ["check warm", "clean warm", "forget", "count", "check write"]
    assert sorted(place.calls[5:]) == ["clean warm", "clean write"]


@pytest.mark.parametrize(
    ("behaviour", "text", "timeout"),
    [
        ("failed", "the reason", 20),
        ("die", "these are my last words", 20),
        # in which the others' processes have to begin, on a busy machine too
        ("hang", "no answer within 5 seconds", 5),
    ],
)
def test_a_failure_is_told_and_does_not_stop_the_others(
    fake: Fake, measure: Measure, behaviour: str, text: str, timeout: float
) -> None:
    fake.behave(a=behaviour)
    found, _, lines = measure("a", "b", runs=2, timeout=timeout)
    first, second = found.cases
    (run,) = first.runs
    assert run.error is not None
    assert text in run.error
    assert first.median("wall") is None
    assert len(second.good) == 2
    # It is not tried again.
    assert [client for client, _, _ in fake.started] == ["a", "b", "b"]
    assert "FAILED" in lines[0]
    assert [line.endswith("left out") for line in lines if ", a, run 2" in line] == [True]


@pytest.mark.parametrize("bucket", ["warm", "write"])
def test_an_upload_that_did_not_arrive_is_a_failure(measure: Measure, bucket: str) -> None:
    found, place, _ = measure("a", scenarios=("large-up-memory",), **{bucket: "p/large was not written"})
    assert [run.error for run in found.cases[0].runs] == ["p/large was not written"]
    assert place.calls[-1].startswith("clean")


def test_what_a_client_cannot_do_is_no_failure(fake: Fake, measure: Measure) -> None:
    fake.behave(a="missing")
    found, _, _ = measure("a", "b", runs=2)
    assert [(missed.scenario, missed.client, missed.reason) for missed in found.missed] == [
        ("large-down-memory", "a", "the reason")
    ]
    assert [case.client for case in found.cases] == ["b"]
    assert [client for client, _, _ in fake.started] == ["a", "b", "b"]


def test_nothing_is_left_in_the_folder(fake: Fake, measure: Measure) -> None:
    measure("a")
    assert {path.name for path in fake.folder.iterdir()} == {"python", "log", "log.environment"}


def test_a_users_own_settings_are_not_measured(fake: Fake, measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"OBJECTFS_MAX_CONNECTIONS": "1", "AWS_PROFILE": "slow", "RCLONE_TRANSFERS": "1", "OTHER": "kept"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    measure("a")
    seen = json.loads((fake.folder / "log.environment").read_text(encoding="utf-8"))
    assert {name: seen[name] for name in given if name in seen} == {"OTHER": "kept"}
    assert seen["AWS_CONFIG_FILE"] == os.devnull


def test_what_was_measured_before_ctrl_c_is_kept(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(Silent):
        def start(self, case: str) -> None:
            super().start(case)
            if len(self.lines) == 4:
                raise KeyboardInterrupt

    request = run.Request(("list-100k",), ("a", "b"), runs=2, scale=0.001, folder=fake.folder)
    report, interrupted = run.run(request, [], [Peer("a", fake.python), Peer("b", fake.python)], Impatient())
    assert isinstance(interrupted, KeyboardInterrupt)
    assert [case.client for case in report.cases] == ["a", "b"]
    assert sorted(len(case.runs) for case in report.cases) == [1, 2]  # the second round has an order of its own


def test_the_commit_is_that_of_the_beginning(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(("measured", "committed meanwhile", "later"))
    monkeypatch.setattr(machine, "commit", lambda: next(names))
    request = run.Request(("list-100k",), ("a",), runs=1, scale=0.001, folder=fake.folder)
    report, _ = run.run(request, [], [Peer("a", fake.python)], Silent())
    assert report.commit == "measured"


def test_a_run_goes_on_where_it_was_left(fake: Fake) -> None:
    peers = [Peer("a", fake.python), Peer("b", fake.python)]
    request = run.Request(("list-100k",), ("a", "b"), runs=2, scale=0.001, folder=fake.folder)
    saved: list[Report] = []
    first, _ = run.run(request, [], peers, Silent(), saved.append)
    assert [len(report.cases) for report in saved] == [2]
    assert len(fake.started) == 4
    # One scenario more; of the one that is there nothing is measured again.
    request = replace(request, scenarios=("list-100k", "many-4k"), resume=first)
    run.check_resumable(request)
    assert run.count(request, peers) == 4
    second, _ = run.run(request, [], peers, Silent())
    assert [case.scenario for case in second.cases] == ["list-100k"] * 2 + ["many-4k"] * 2
    assert second.cases[:2] == first.cases
    assert second.settings.scenarios == ("many-4k", "list-100k")
    assert len(fake.started) == 8
    # A client more: they have to take turns, so all of that scenario are measured anew.
    third, _ = run.run(replace(request, resume=second), [], [*peers, Peer("c", fake.python)], Silent())
    assert [case.client for case in third.cases] == ["a", "b", "c"] * 2
    assert len(fake.started) == 20
    with pytest.raises(ValueError, match="its runs is 2, and this run's 3"):
        run.check_resumable(replace(request, runs=3))


@pytest.mark.parametrize(("behaviour", "code"), [("", 0), ("failed", 1), ("missing", 0)])
def test_the_exit_code(fake: Fake, monkeypatch: pytest.MonkeyPatch, behaviour: str, code: int) -> None:
    fake.behave(minio=behaviour)
    client = Client("minio", "1", True, None, "")
    monkeypatch.setattr(run, "look", lambda request: ([client], [Peer("minio", fake.python)]))
    options = command.Options(
        **dict.fromkeys(("out", "compare", "resume", "limits", "endpoint_url", "bucket", "ca_bundle", "folder")),  # type: ignore[arg-type]
        **dict.fromkeys(("listed", "yes"), False),
        scenarios=("list-100k",),
        clients=("minio",),
        profiles=(),
        tls="off",
        runs=1,
        scale=0.001,
        seed=0,
        peers=(),
        region="us-east-1",
        quiet=True,
    )
    assert command.execute(options) == code


def test_clients_that_are_not_there_have_a_reason(fake: Fake) -> None:
    broken = fake.folder / "broken"
    broken.write_text("#!/bin/sh\necho no python >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    clients, peers = find_peers(["boto3-single", "minio", "objectfs-sdk"], [sys.executable, str(broken)])
    assert [peer.name for peer in peers if peer.python == sys.executable][:1] == ["boto3-single"]
    assert [client.name for client in clients] == ["boto3-single", "minio", "objectfs-sdk"]
    for client in clients:
        assert client.available == (client.reason is None) == (client.version is not None)
        if client.name == "minio" and not client.available:
            assert "minio is not installed" in (client.reason or "")
            assert "no python" in (client.reason or "")
