"""What all tests share: which backends there are, which servers, and an environment of their own.

The contract tests run on every backend that is built and against the embedded server; other servers join by
``--s3-endpoint NAME=URL,ACCESS_KEY,SECRET_KEY[,REGION[,CA_FILE]]`` or a variable ``OBJECTFS_TEST_<NAME>`` of that form,
which ``scripts/test --rgw --swift`` sets. With ``--variants`` they run over TLS and with virtual hosts too; an endpoint
``NAME_tls`` is that server's for it.
``OBJECTFS_REQUIRE=crt,sdk`` makes a backend that is missing a failure, and with ``clients`` in it a foreign client that
is missing (tests/sim/clients).
"""

from __future__ import annotations

import gc
import os
import signal

# Before the engine is imported: it reads this once, and the leak check needs it.
os.environ.setdefault("OBJECTFS_MEMTRACE", "1")

from pathlib import Path
from typing import Any

import pytest

from objectfs.backends.select import available

_PREFIX = "OBJECTFS_TEST_"
_KEEP = ("OBJECTFS_MEMTRACE", "OBJECTFS_SANITIZER")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("objectfs")
    group.addoption(
        "--s3-endpoint",
        action="append",
        default=[],
        metavar="NAME=URL,ACCESS_KEY,SECRET_KEY[,REGION[,CA_FILE]]",
        help="run the contract tests against this server too",
    )
    group.addoption(
        "--variants",
        action="store_true",
        help="run the contract tests with virtual hosts, and over TLS, too",
    )
    group.addoption("--rgw", metavar="URL", help="Ceph's gateway with the keys test and testtest")
    group.addoption("--swift", metavar="URL", help="OpenStack Swift with the keys test:tester and testtest")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # as in the background of a script; tests of Ctrl-C would wait for ever, and programs that they start likewise
        signal.signal(signal.SIGINT, signal.default_int_handler)
    required = [name.strip() for name in os.environ.get("OBJECTFS_REQUIRE", "").split(",") if name.strip()]
    required = [name for name in required if name != "clients"]
    attempts = {attempt.name: attempt for attempt in available()}
    unknown = [name for name in required if name not in attempts]
    if unknown:
        raise pytest.UsageError(f"OBJECTFS_REQUIRE names {unknown}; there are {sorted(attempts)} and clients")
    missing = [f"{name}: {attempts[name].reason}" for name in required if not attempts[name].ok]
    if missing:
        raise pytest.UsageError("a required backend is missing: " + "; ".join(missing))
    config.objectfs_endpoints = _endpoints(config)  # type: ignore[attr-defined]


def _endpoints(config: pytest.Config) -> dict[str, list[str]]:
    """The foreign servers: name to URL, access key, secret key, and region where it matters."""
    given = {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in os.environ.items()
        if name.startswith(_PREFIX) and value
    }
    if url := config.getoption("--rgw"):
        given["rgw"] = f"{url},test,testtest"
    if url := config.getoption("--swift"):
        given["swift"] = f"{url},test:tester,testtest"
    for option in config.getoption("--s3-endpoint"):
        name, equals, value = option.partition("=")
        if not equals:
            raise pytest.UsageError(f"--s3-endpoint {option}: it must be NAME=URL,ACCESS_KEY,SECRET_KEY")
        given[name] = value
    endpoints = {}
    for name, value in given.items():
        parts = value.split(",")
        if len(parts) < 3:
            raise pytest.UsageError(f"endpoint {name}={value}: it must be URL,ACCESS_KEY,SECRET_KEY[,REGION[,CA_FILE]]")
        endpoints[name] = parts
    return endpoints


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what the sanitizer that is on does not support. ``scripts/sanitize`` says which one it is."""
    tools = os.environ.get("OBJECTFS_SANITIZER", "").split(",")
    for item in items:
        for mark in item.iter_markers("not_under"):
            tool, reason = mark.args
            if tool not in ("address", "undefined", "thread"):
                raise pytest.UsageError(f"{item.nodeid}: not_under names {tool!r}, which is no sanitizer")
            if tool in tools:
                item.add_marker(pytest.mark.skip(reason=f"not under the {tool} sanitizer: {reason}"))


def pytest_collection_finish() -> None:
    """What is there by now stays: no test's search for leaks has to look at it. It took most of a short test's time."""
    gc.collect()
    gc.freeze()


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = [
        f"backend {attempt.name}: {attempt.reason if attempt.ok else 'NOT TESTED: ' + attempt.reason}"
        for attempt in available()
    ]
    try:
        from objectfs import _native
    except ImportError:
        pass
    else:
        versions = getattr(_native, "CRT_VERSIONS", {})
        lines.append("engine: " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    lines.append("servers: " + ", ".join(["sim", *config.objectfs_endpoints]))
    return lines


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting, credential or config file of the machine's reaches a test."""
    empty: Path = tmp_path_factory.getbasetemp() / "no-config"
    for name in list(os.environ):
        if (name.startswith("OBJECTFS_") and name not in _KEEP) or name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    settings: dict[str, Any] = {
        "AWS_CONFIG_FILE": empty / "aws-config",
        "AWS_SHARED_CREDENTIALS_FILE": empty / "aws-credentials",
        "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_CONFIG_HOME": empty,
        "APPDATA": empty,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
