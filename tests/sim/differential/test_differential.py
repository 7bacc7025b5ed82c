"""The same requests to this server and to servers that nobody here wrote; each difference has an explanation.

Ceph's gateway and OpenStack Swift join with ``scripts/test --rgw --swift``. ``differences.toml`` beside this file says
what may differ and who is right by AWS's documentation. A difference that is not in it fails, and so does an entry that
explains nothing any more.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from objectfs.sim import S3Server

from .compare import differences, facts
from .service_scenarios import SCENARIOS
from .wire import Request, Sender

SEED = int(os.environ.get("OBJECTFS_DIFFERENTIAL_SEED", "1"))
# With this, what is not explained is appended to a file instead of failing: for writing the explanations.
REPORT = os.environ.get("OBJECTFS_DIFFERENTIAL_REPORT", "")
RIGHT = ("ours", "theirs", "both", "neither")


@dataclass
class Rule:
    """An explanation. ``request`` (SCENARIO/NAME), ``what``, ``ours`` and ``theirs`` are regular expressions that
    must match as a whole; what is not given matches everything."""

    server: str
    reason: str
    right: str
    request: str = ".*"
    what: str = ".*"
    ours: str = ".*"
    theirs: str = ".*"
    used: int = field(default=0, compare=False)

    def explains(self, request: str, what: str, ours: str, theirs: str) -> bool:
        pairs = ((self.request, request), (self.what, what), (self.ours, ours), (self.theirs, theirs))
        return all(re.fullmatch(pattern, text, re.DOTALL) for pattern, text in pairs)


def read_rules() -> list[Rule]:
    table = tomllib.loads((Path(__file__).parent / "differences.toml").read_text(encoding="utf-8"))
    return [Rule(server, **entry) for server, entries in table.items() for entry in entries]


RULES = read_rules()


def requests_of(scenario: str) -> list[Request]:
    return SCENARIOS[scenario](random.Random(f"{scenario} {SEED}"))


def test_explanations_are_complete() -> None:
    for rule in RULES:
        assert rule.server in ("rgw", "swift")
        assert rule.right in RIGHT, rule
        assert len(rule.reason) > 10, rule


def test_requests_are_many_and_the_same_each_time() -> None:
    lists = {name: requests_of(name) for name in SCENARIOS}
    assert lists == {name: requests_of(name) for name in SCENARIOS}
    for requests in lists.values():
        names = [request.name for request in requests]
        assert len(names) == len(set(names))
    assert sum(len(requests) for requests in lists.values()) >= 500


@pytest.fixture(scope="module")
def ours() -> Iterator[S3Server]:
    with S3Server(buckets=()) as server:
        yield server


@pytest.mark.parametrize("name", ["rgw", "swift"])
def test_every_difference_is_explained(name: str, ours: S3Server, request: pytest.FixtureRequest) -> None:
    endpoint: list[str] | None = request.config.objectfs_endpoints.get(name)  # type: ignore[attr-defined]
    if endpoint is None:
        pytest.skip(f"{name} is not running here: scripts/test --{name}")
    rules = [rule for rule in RULES if rule.server == name]
    unexplained: list[tuple[str, str, str, str]] = []
    count = different = 0
    for scenario in SCENARIOS:
        for found in compare(scenario, ours, endpoint):
            count += 1
            different += bool(found)
            for difference in found:
                rule = next((rule for rule in rules if rule.explains(*difference)), None)
                if rule is None:
                    unexplained.append(difference)
                else:
                    rule.used += 1
    print(f"{name}: {count} requests, {different} answered differently, {len(unexplained)} differences unexplained")
    if REPORT:
        with open(f"{REPORT}.{name}", "w", encoding="utf-8") as file:
            file.writelines(f"{line!r}\n" for line in unexplained)
            file.writelines(f"UNUSED {rule}\n" for rule in rules if not rule.used)
        return
    assert not unexplained, "\n".join(map(str, unexplained[:40]))
    if SEED == 1:
        assert not [rule for rule in rules if not rule.used], "explains nothing any more"


def compare(scenario: str, ours: S3Server, endpoint: list[str]) -> Iterator[list[tuple[str, str, str, str]]]:
    """For each request of a scenario, what the two servers' answers differ in."""
    bucket = f"diff-{scenario}-{secrets.token_hex(4)}"
    url, access, secret, *region = endpoint
    sides = [
        Sender(ours.endpoint_url, "test", "testtest", "us-east-1", bucket),
        Sender(url, access, secret, region[0] if region else "us-east-1", bucket),
    ]
    for sender in sides:
        assert sender.send(Request("create", "PUT")).status == 200, sender.host
    for item in requests_of(scenario):
        pair: list[Any] = [facts(sender.send(item), sender, item.method) for sender in sides]
        yield [(f"{scenario}/{item.name}", *difference) for difference in differences(*pair)]
    for sender in sides:
        sender.close()
