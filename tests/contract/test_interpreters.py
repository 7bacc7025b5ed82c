"""Sub-interpreters: the engine is the main one's alone and says so, and an import that was refused spoils nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from objectfs.sim import S3Server

from .conftest import BACKENDS
from .processes import run

MODULE = "_interpreters" if importlib.util.find_spec("_interpreters") else "_xxsubinterpreters"  # until 3.12

PROGRAM = (
    f"""
import {MODULE} as interpreters
"""
    + """
def sub(isolated, code):
    code = "import objectfs\\nsettings = " + repr(json.loads(sys.argv[1])) + "\\n" + code
    if hasattr(interpreters, "RunFailedError"):  # until 3.12
        made = interpreters.create(isolated=isolated)
        interpreters.run_string(made, code)
    else:
        made = interpreters.create("isolated" if isolated else "legacy")
        failed = interpreters.exec(made, code)
        assert failed is None, failed
    interpreters.destroy(made)
"""
)

ENGINE = """
try:
    import objectfs._native
except ImportError as error:
    assert not isinstance(error, ModuleNotFoundError)
    assert "interpreter" in str(error), error
else:
    raise AssertionError("it was imported")
try:
    objectfs.Client(**settings, backend="crt")
except objectfs.errors.BackendUnavailableError as error:
    text = str(error)
    assert "interpreter" in text and "Use threads or processes" in text, text
else:
    raise AssertionError("there is a client")
"""

SDK = """
with objectfs.Client(**settings) as client:
    assert client.backend.name == "sdk"
    assert [attempt.ok for attempt in client.backend.attempts] == [False, True]
    assert "interpreter" in client.backend.attempts[0].reason
    client.put("bucket", "sub", bytes(range(256)))
    assert bytes(client.get("bucket", "sub")) == bytes(range(256))
"""

NOTHING = """
for backend in (None, "sdk"):
    try:
        objectfs.Client(**settings, backend=backend)
    except objectfs.errors.BackendUnavailableError as error:
        text = str(error)
        assert "interpreter" in text and "Use threads or processes" in text, text
    else:
        raise AssertionError("there is a client")
"""


@pytest.mark.skipif("crt" not in BACKENDS, reason="the engine is not built")
@pytest.mark.skipif(importlib.util.find_spec(MODULE) is None, reason="this Python makes no sub-interpreters")
def test_sub_interpreters(sim: S3Server, tmp_path: Path) -> None:
    code = f"""
sub(False, {ENGINE!r})  # before the main interpreter has it
sub(False, {SDK!r})
sub(True, {NOTHING!r})
client = objectfs.Client(**json.loads(sys.argv[1]))
print(client.backend.name)
client.put("bucket", "main", bytes(1000))
sub(False, {ENGINE!r})  # and after it
sub(True, {ENGINE!r})
assert bytes(client.get("bucket", "main")) == bytes(1000)
client.close()
"""
    settings = {"endpoint_url": sim.endpoint_url, "region": "us-east-1"}
    ended, out, err = run(tmp_path, PROGRAM + code, **settings)
    assert (ended, out) == (0, "crt\n"), err  # of decimal there may be a warning
