"""Rules of the engine's sources and of the built module that no linter knows. tests/structure has the general ones."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from objectfs import _native

NATIVE = Path(__file__).resolve().parents[2] / "native"
UNITS = sorted(NATIVE.glob("*.pyx"))
DEFINITION = re.compile(r"^(?:cdef|cpdef|def)\s[^\n]*?\w+\((?:[^()]|\([^()]*\))*\)([^:\n]*):", re.M)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_nothing_takes_the_gil_back(path: Path) -> None:
    assert "with gil" not in path.read_text()


@pytest.mark.parametrize("name", ["callbacks.pyx", "submit.pyx", "retry.pyx"])
def test_what_runs_without_the_gil_says_so(name: str) -> None:
    text = (NATIVE / name).read_text()
    found = DEFINITION.findall(text)
    assert len(found) == len(re.findall(r"^(?:cdef (?!enum|extern|struct)|cpdef |def )[^=\n]*\(", text, re.M))
    assert len(found) >= 5
    assert [qualifiers.strip() for qualifiers in found] == ["noexcept nogil"] * len(found)


@pytest.mark.parametrize(
    ("acquire", "release"),
    [
        ("aws_http_message_new_request", "aws_http_message_release"),
        ("aws_http_headers_acquire", "aws_http_headers_release"),
        ("aws_s3_meta_request_acquire", "aws_s3_meta_request_release"),
        ("aws_s3_client_new", "aws_s3_client_release"),
        ("aws_credentials_new", "aws_credentials_release"),
        ("aws_credentials_provider_new_delegate", "aws_credentials_provider_release"),
        ("aws_tls_client_ctx_new", "aws_tls_ctx_release"),
        ("aws_tls_ctx_options_init_default_client", "aws_tls_ctx_options_clean_up"),
        ("aws_tls_connection_options_init_from_ctx", "aws_tls_connection_options_clean_up"),
        ("aws_uri_init_parse", "aws_uri_clean_up"),
        ("aws_event_loop_group_new_default", "aws_event_loop_group_release"),
        ("aws_retry_strategy_new_standard", "aws_retry_strategy_release"),
        ("aws_retry_token_acquire", "aws_retry_token_release"),
        ("PyObject_GetBuffer", "PyBuffer_Release"),
        ("_pin", "_unpin"),
    ],
)
def test_what_is_acquired_is_released(acquire: str, release: str) -> None:
    texts = [path.read_text() for path in UNITS if path.name != "_native.pyx"]
    assert any(re.search(rf"\b{acquire}\(", text) for text in texts), "this rule has lost its subject"
    assert any(re.search(rf"\b{release}\(", text) for text in texts)


def test_only_the_init_function_is_exported() -> None:
    nm = shutil.which("nm")
    if nm is None or sys.platform == "win32":
        pytest.skip("nm is not installed")
    listing = subprocess.run([nm, "-D", "--defined-only", _native.__file__], capture_output=True, text=True, check=True)
    names = {line.split()[-1] for line in listing.stdout.splitlines() if not line.endswith((" _init", " _fini"))}
    assert names == {"PyInit__native"}
