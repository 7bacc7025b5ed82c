"""A client in a process of its own, to be killed at a moment that the server knows."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from objectfs.sim import S3Server

PROGRAM = """
import json, sys
import objectfs
settings, verb, arguments, options = json.loads(sys.argv[1])
with objectfs.Client(**settings) as client:
    print("begun", flush=True)
    getattr(client, verb)(*arguments, **options)
    print("done", flush=True)
"""


def settings_of(sim: S3Server, backend: str, **changes: Any) -> dict[str, Any]:
    return {
        "endpoint_url": sim.endpoint_url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "max_attempts": 1,
        "backend": backend,
        "part_size": 5 * 1024 * 1024,
        **changes,
    }


@contextlib.contextmanager
def child(settings: dict[str, Any], verb: str, *arguments: Any, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that calls one verb. It is killed with SIGKILL when the block ends, wherever it is."""
    call = json.dumps([settings, verb, [str(each) for each in arguments], options])
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
