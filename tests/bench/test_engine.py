"""``scripts/bench-engine``: what its workers do and check, the limits, the tables, and the server of sockets alone."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("objectfs._native", reason="the engine is not built")

from objectfs.bench.content import MIB, check
from objectfs.bench.engine import __main__ as command
from objectfs.bench.engine import report, runner
from objectfs.bench.engine.runner import Outcome, Verdict, as_json, judge, run_once, run_scenario
from objectfs.bench.engine.scenarios import BY_NAME, SCENARIOS, Limit, Scenario
from objectfs.bench.engine.server import running
from objectfs.bench.engine.worker import Task, measure

CLIENTS = ("raw", "objectfs-crt", "objectfs-sdk", "boto3")
"""Those that the tests' own environment has."""
SIZE = 9 * MIB + 1
"""Two parts, and threads whose shares differ."""
SMALL = {
    "get_into": Scenario("s", "a download", "get_into", 1, SIZE, ()),
    "get_file": Scenario("s", "a file", "get_file", 1, SIZE, ()),
    "put": Scenario("s", "an upload", "put", 1, SIZE, ()),
    "get_many": Scenario("s", "many", "get_many", 9, 5000, (), settings=(("max_connections", 3),)),
}


@pytest.fixture(scope="module", params=["sim", "raw"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    with running(request.param, list(SMALL.values()), None) as url:
        yield request.param, url


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("verb", SMALL)
def test_work_is_done_and_checked(endpoint: tuple[str, str], tmp_path: Path, client: str, verb: str) -> None:
    kind, url = endpoint
    if kind == "raw" and verb == "put" and client != "raw":
        pytest.skip("it keeps nothing that could be compared")
    task = Task(SMALL[verb], client, url, str(tmp_path))
    try:
        figures = measure(task)
    finally:
        task.peer.close()
    assert figures["wall"] > 0
    assert figures["cpu"] == figures["user"] + figures["system"]
    assert figures["rss_mib"] > 1
    assert not list(tmp_path.iterdir())


def test_wrong_content_is_no_figure(tmp_path: Path) -> None:
    """A client that moves nothing, or less, must not win."""
    with running("sim", list(SMALL.values()), None) as url:
        for verb, change, said in (
            ("get_into", lambda task: setattr(task, "result", memoryview(bytes(SIZE))), "wrong content"),
            ("get_many", lambda task: setattr(task, "result", task.result[1:]), "8 objects arrived, not 9"),
            ("get_file", lambda task: Path(task.path).write_bytes(b"\0\1"), f"2 bytes, not {SIZE}"),
            ("put", lambda task: task.peer.put("bench", f"up-{task.keys[0]}", b"short"), "upload: HTTP 200, 5 bytes"),
            ("put", lambda task: task.peer.put("bench", f"up-{task.keys[0]}", bytes(SIZE)), "upload: wrong content"),
        ):
            task = Task(SMALL[verb], "objectfs-crt", url, str(tmp_path))
            try:
                task.run(measured=False)
                change(task)
                with pytest.raises(ValueError, match=said):
                    task.check(measured=False)
            finally:
                task.peer.close()


def test_the_server_of_sockets(endpoint: tuple[str, str]) -> None:
    """Both servers answer alike what the clients ask for."""
    connection = http.client.HTTPConnection(endpoint[1].removeprefix("http://"))

    def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, Any]:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers

    path = f"/bench/object-{SIZE}"
    status, body, headers = ask("GET", path, Range="bytes=1000-1999")
    assert (status, headers["Content-Range"]) == (206, f"bytes 1000-1999/{SIZE}")
    check(body, 1000, start=1000)
    status, body, headers = ask("GET", path, Range=f"bytes={SIZE - 10}-")
    assert (status, headers["Content-Range"]) == (206, f"bytes {SIZE - 10}-{SIZE - 1}/{SIZE}")
    check(body, 10, start=SIZE - 10)
    status, body, _ = ask("GET", path)
    assert status == 200
    check(body, SIZE)
    status, body, headers = ask("HEAD", path)
    assert (status, body, headers["Content-Length"]) == (200, b"", str(SIZE))
    # an upload in one piece and one in parts, as clients send them
    assert ask("PUT", "/sink/k", b"abc", Expect="100-continue")[0] == 200
    assert ask("PUT", "/sink/empty", b"")[0] == 200
    status, body, _ = ask("POST", "/bench/k?uploads")
    assert status == 200
    identifier = body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    etag = ask("PUT", f"/bench/k?partNumber=1&uploadId={identifier}", bytes(100_000))[2]["ETag"]
    parts = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    status, body, _ = ask("POST", f"/bench/k?uploadId={identifier}", f"{parts}</CompleteMultipartUpload>".encode())
    assert status == 200
    assert b"<Key>k</Key>" in body
    assert ask("DELETE", "/bench/k")[0] == 204
    connection.close()


def test_a_server_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(RuntimeError, match="the raw server did not start"), running("raw", [], 0):
        pass


LIMITS = (Limit("cpu", 0.5, "boto3"), Limit("wall", 2.0, "obstore"), Limit("rss_mib", 350))


def outcome(*cpu: float, rss: float = 100.0) -> Outcome:
    return Outcome([{"wall": 2 * each, "cpu": each, "user": each, "system": 0.0, "rss_mib": rss} for each in cpu])


def test_limits() -> None:
    scenario = replace(SMALL["get_into"], limits=LIMITS)
    outcomes = {
        "objectfs-crt": outcome(3.0, 1.0, 2.0, rss=400),
        "boto3": outcome(4.0),
        "obstore": Outcome(error="no module named obstore"),
    }
    verdicts = judge(scenario, outcomes, "objectfs-crt")
    assert [(verdict.measured, verdict.ok) for verdict in verdicts] == [(0.5, True), (None, None), (400.0, False)]
    assert [row[2:] for row in report.limit_rows(scenario, verdicts)] == [
        ["boto3", "<= 0.5", "0.50", "yes"],
        ["obstore", "<= 2", "-", "not measured"],
        ["-", "<= 350 MiB", "400 MiB", "NO"],
    ]
    assert [verdict.ok for verdict in judge(scenario, {}, "objectfs-crt")] == [None, None, None]
    record = as_json(scenario, outcomes, verdicts)
    assert record["clients"]["objectfs-crt"]["median"]["cpu"] == 2.0
    assert record["clients"]["obstore"] == {"error": "no module named obstore", "runs": []}
    assert record["limits"][2] == {"figure": "rss_mib", "peer": None, "must": 350, "measured": 400.0, "ok": False}
    rows = report.client_rows(scenario, outcomes)
    assert rows[0] == ["objectfs-crt", "2.000 s", "1.000-3.000", f"4.000 s, {SIZE / 4e6:.0f} MB/s", "400 MiB"]
    assert rows[2] == ["obstore", "no module named obstore", "", "", ""]
    many = report.client_rows(SMALL["get_many"], {"boto3": outcome(0.9)})
    assert many[0][1] == "0.900 s (100000 us each)"
    assert report.text_table(["a", "bb"], [["ccc", ""]]) == "a    bb\n---  --\nccc"


def test_a_client_that_fails_is_left_out() -> None:
    told: list[str] = []
    scenario = BY_NAME["many_4k"]
    outcomes = run_scenario(
        scenario, ["boto3"], "http://127.0.0.1:1", runs=2, cpu=None, folder="/nowhere", tell=told.append
    )
    assert outcomes["boto3"].runs == []
    assert "127.0.0.1:1" in (outcomes["boto3"].error or "")
    assert len(told) == 1


def test_a_client_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any, **more: Any) -> None:
        raise runner.subprocess.TimeoutExpired("worker", more["timeout"])

    monkeypatch.setattr(runner.subprocess, "run", hang)
    with pytest.raises(RuntimeError, match="no end after 10 minutes"):
        run_once(SCENARIOS[0], "raw", "http://127.0.0.1:1", None, "/nowhere")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "_cores", lambda: (None, None))
    # A verdict that depends on no machine's speed.
    monkeypatch.setattr(command, "judge", lambda scenario, *_: [Verdict(scenario.limits[0], 0.05)])
    arguments = ["bench-engine", "--only", "import", "--clients", "objectfs-crt,raw", "--runs", "2", "--out"]
    monkeypatch.setattr(sys, "argv", [*arguments, str(tmp_path / "new")])
    assert command.main() == 0
    shown = capsys.readouterr()
    assert "import 2/2 objectfs-crt: " in shown.err
    assert "import objectfs  wall    -        <= 0.06 s  0.050 s   yes" in shown.out
    document = json.loads((tmp_path / "new" / "engine.json").read_text(encoding="utf-8"))
    (record,) = document["scenarios"]
    assert list(record["clients"]) == ["objectfs-crt"]  # raw sockets import nothing
    assert len(record["clients"]["objectfs-crt"]["runs"]) == 2
    assert "boto3" in document["machine"]["versions"]
    text = (tmp_path / "new" / "engine.md").read_text(encoding="utf-8")
    assert "### import objectfs" in text
    assert "| import objectfs | wall | - | <= 0.06 s | 0.050 s | yes |" in text
    monkeypatch.setattr(command, "judge", lambda scenario, *_: [Verdict(scenario.limits[0], 0.07)])
    assert command.main() == 1


def test_the_command_used_wrongly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench-engine", "--clients", "boto3,other"])
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 2
    assert "unknown clients: other" in capsys.readouterr().err
