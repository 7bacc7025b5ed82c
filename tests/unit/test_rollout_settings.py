"""The setting ``rollout``: its forms, what it may be, and what stands above it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from objectfs.config import Config, load
from objectfs.errors import ConfigError
from objectfs.rollout import Breaker, Rollout, Shadow, parse_rollout

MiB = 1024 * 1024


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"canary": 5}, Rollout(canary=5)),
        ({"canary": "5 %"}, Rollout(canary=5)),
        ({"canary": 0.5, "breaker": True}, Rollout(canary=0.5, breaker=Breaker())),
        ({"shadow": True}, Rollout(canary=0, shadow=Shadow())),
        ({"breaker": 3}, Rollout(canary=100, breaker=Breaker(failures=3))),
        ({"canary": 1, "breaker": False}, Rollout(canary=1)),
        (
            {"shadow": {"share": 10, "max_bytes": "1 MiB", "max_in_flight": 4, "deadline": 2}},
            Rollout(canary=0, shadow=Shadow(share=10, max_bytes=MiB, max_in_flight=4, deadline=2)),
        ),
        ("canary=5", Rollout(canary=5)),
        ("shadow", Rollout(canary=0, shadow=Shadow())),
        (
            " canary=5 , shadow=1, shadow.max_bytes=1 MiB, breaker.cooldown=7",
            Rollout(canary=5, shadow=Shadow(share=1, max_bytes=MiB), breaker=Breaker(cooldown=7)),
        ),
        ('{"canary": 5, "breaker": {"failures": 2}}', Rollout(canary=5, breaker=Breaker(failures=2))),
    ],
)
def test_forms(value: Any, expected: Rollout) -> None:
    parsed = parse_rollout(value)
    assert parsed == expected
    assert parse_rollout(str(parsed)) == parsed
    assert parse_rollout(parsed) is parsed


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "at least one of canary, shadow and breaker"),
        ({"canary": 101}, "percent from 0 to 100, for canary"),
        ({"canary": "many"}, "percent from 0 to 100, for canary"),
        ({"canery": 1}, "without 'canery' in rollout"),
        ({"canary": 1, "shadow": {"size": 1}}, "without 'size' in shadow: there are share, max_bytes"),
        ({"shadow": {"max_bytes": "256M"}}, "a size"),
        ({"shadow": {"max_in_flight": 0}}, "a whole number from 1 to 64, for shadow.max_in_flight"),
        ({"breaker": {"failures": 1.5}}, "a whole number from 1 to 1000, for breaker.failures"),
        ({"breaker": {"window": float("nan")}}, "seconds from 0.001"),
        ("canary", "words such as"),
        ("canary=5,,", "words such as"),
        ("{", "JSON"),
        (7, "a mapping such as"),
        (["canary"], "a mapping such as"),
    ],
)
def test_what_it_may_not_be(value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"rollout": value}, environ={}, path="/dev/null")
    assert "(argument) is not allowed: it must be" in str(caught.value)
    assert said in str(caught.value)


def resolve(tmp_path: Path, text: str, environ: dict[str, str] | None = None, **arguments: Any) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    return load(arguments, environ=environ or {}, path=str(file))


FILE = """
[rollout]
canary = 5
[rollout.breaker]
failures = 2
[profiles.careful.rollout]
shadow = true
"""


def test_from_the_file(tmp_path: Path) -> None:
    config = resolve(tmp_path, FILE)
    assert config.rollout == Rollout(canary=5, breaker=Breaker(failures=2))
    assert config.sources["rollout"].endswith("config.toml")
    assert resolve(tmp_path, FILE, profile="careful").rollout == Rollout(canary=0, shadow=Shadow())
    assert resolve(tmp_path, FILE, {"OBJECTFS_ROLLOUT": "canary=9"}).rollout == Rollout(canary=9)


@pytest.mark.parametrize("off", [{"environ": {"OBJECTFS_ROLLOUT": "off"}}, {"rollout": False}])
def test_off(tmp_path: Path, off: dict[str, Any]) -> None:
    assert resolve(tmp_path, FILE, **off).rollout is None
    assert resolve(tmp_path, 'backend = "sdk"\n' + FILE, **off).backend == "sdk"


def test_a_backend_that_is_named_above_overrules_it(tmp_path: Path) -> None:
    config = resolve(tmp_path, FILE, {"OBJECTFS_BACKEND": "sdk"})
    assert config.rollout is None
    assert "not in force: backend='sdk' (environment variable OBJECTFS_BACKEND)" in config.sources["rollout"]
    assert resolve(tmp_path, FILE, backend="crt").rollout is None
    assert resolve(tmp_path, FILE, backend="auto").rollout is not None


def test_a_backend_that_is_named_beside_or_below_contradicts_it(tmp_path: Path) -> None:
    for text, arguments in (
        ('backend = "crt"\n' + FILE, {}),
        ('backend = "crt"\n', {"rollout": {"canary": 5}}),
        ("", {"rollout": {"canary": 5}, "backend": "crt"}),
    ):
        with pytest.raises(ConfigError, match=r"backend='crt' .* and rollout .* exclude each other"):
            resolve(tmp_path, text, **arguments)
    assert resolve(tmp_path, 'backend = "crt"\n', backend="auto", rollout="canary=5").rollout is not None
