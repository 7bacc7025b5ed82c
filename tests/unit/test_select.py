"""The factory: what it tries, what it says, and that an explicit choice is kept."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.backends import select
from objectfs.backends.base import Backend, Op
from objectfs.backends.sdk import SdkBackend
from objectfs.backends.sdk_ops import Operation

HERE: dict[str, Any] = {"endpoint_url": "http://127.0.0.1:9", "anonymous": True}


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "objectfs._native", None)
    monkeypatch.delattr(objectfs, "_native", raising=False)
    select._announced.clear()
    yield
    select._announced.clear()


@pytest.mark.usefixtures("no_engine")
def test_auto_falls_back_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="objectfs")
    for _ in range(2):
        with objectfs.Client(**HERE) as client:
            assert client.backend.name == "sdk"
            crt, sdk = client.backend.attempts
            assert (crt.name, crt.ok, sdk.name, sdk.ok) == ("crt", False, "sdk", True)
            assert "engine" in crt.reason
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert len(messages) == 1
    assert messages[0].startswith("backend sdk (crt was not possible: the engine")


@pytest.mark.usefixtures("no_engine")
def test_an_explicit_choice_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.BackendUnavailableError) as caught:
        objectfs.Client(**HERE, backend="crt")
    assert isinstance(caught.value, ImportError)
    assert "crt: the engine" in str(caught.value)
    assert "backend='sdk'" in str(caught.value)
    assert "(argument)" in str(caught.value)
    monkeypatch.setenv("OBJECTFS_BACKEND", "crt")
    with pytest.raises(errors.BackendUnavailableError, match="OBJECTFS_BACKEND"):
        objectfs.Client(**HERE)
    with objectfs.Client(**HERE, backend="sdk") as client:
        assert [attempt.name for attempt in client.backend.attempts] == ["sdk"]


@pytest.mark.usefixtures("no_engine")
def test_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def unusable(session: object, config: object) -> Backend:
        raise errors.UnsupportedError("not today")

    monkeypatch.setattr("objectfs.backends.sdk.SdkBackend", unusable)
    with pytest.raises(errors.BackendUnavailableError) as caught:
        objectfs.Client(**HERE)
    assert "crt: the engine" in str(caught.value)
    assert "sdk: not today" in str(caught.value)


@pytest.mark.usefixtures("no_engine")
def test_available() -> None:
    crt, sdk = select.available()
    assert (crt.ok, sdk.ok) == (False, True)


def test_wrong_name() -> None:
    with pytest.raises(errors.ConfigError, match="'auto', 'crt', 'sdk'"):
        objectfs.Client(**HERE, backend="boto3")


@pytest.mark.parametrize("kind", [objectfs.Client, objectfs.AsyncClient])
def test_a_client_that_could_not_be_made_can_be_shown(kind: type) -> None:
    """By whoever reports the error with the variables of each frame."""
    made = kind.__new__(kind)
    with pytest.raises(errors.ConfigError):
        made.__init__(backend="boto3", secret_access_key="not to be seen")
    assert repr(made) == f"<objectfs.{kind.__name__} that could not be made>"


def test_algorithm_that_botocore_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.compat.HAS_CRT", False)
    with pytest.raises(errors.BackendUnavailableError, match="CRC64NVME"):
        objectfs.Client(**HERE, backend="sdk", checksum="CRC64NVME")


@pytest.mark.skipif(not select.available()[0].ok, reason="the engine is not built")
def test_memory_that_the_engine_cannot_do_with() -> None:
    with pytest.raises(errors.BackendUnavailableError, match="256 MiB"):
        objectfs.Client(**HERE, backend="crt", memory_limit="128 MiB")
    with objectfs.Client(**HERE, memory_limit="128 MiB") as client:
        assert client.backend.name == "sdk"
        assert "256 MiB" in client.backend.attempts[0].reason


@pytest.mark.skipif(not select.available()[0].ok, reason="the engine is not built")
@pytest.mark.parametrize(
    ("settings", "connections", "large"),
    [
        ({}, 256, 64),
        ({"throughput_gbps": 40}, 256, 100),
        ({"throughput_gbps": 0.1}, 256, 1),
        ({"throughput_gbps": 1000}, 256, 256),
        ({"max_connections": 7}, 7, 7),
        ({"max_connections": 50, "throughput_gbps": 4}, 50, 10),
    ],
)
def test_connections(settings: dict[str, Any], connections: int, large: int) -> None:
    with objectfs.Client(**HERE, backend="crt", **settings) as client:
        stats = client.stats()
    assert (stats["max_connections"], stats["max_connections_per_transfer"]) == (connections, large)


def test_contract_is_typed() -> None:
    """For mypy, which checks these assignments; at run time they are nothing."""
    backend: type[Backend] = SdkBackend
    operation: type[Op[Any]] = Operation
    assert backend
    assert operation


@pytest.mark.skipif(not select.available()[0].ok, reason="the engine is not built")
def test_an_engine_that_fails_its_self_check_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from objectfs import _native

    assert {name: _native.crc(name, b"123456789") for name in select.KNOWN} == select.KNOWN
    monkeypatch.setattr(_native, "crc", lambda name, data: 0)
    with objectfs.Client(**HERE) as client:
        assert client.backend.name == "sdk"
        assert "fails its self-check: it computes wrong CRC32, CRC32C, CRC64NVME" in client.backend.attempts[0].reason
    with pytest.raises(errors.BackendUnavailableError, match="self-check"):
        objectfs.Client(**HERE, backend="crt")
