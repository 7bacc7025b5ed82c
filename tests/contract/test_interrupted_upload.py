"""Ctrl-C in our own code while parts are under way, and a server that does not answer to the abort either."""

from __future__ import annotations

import time
from typing import Any

import pytest

from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, ramp, until

pytest.importorskip("objectfs._native", reason="the engine is not built")

from objectfs.backends import crt_upload

BACKENDS_HERE = ["crt"]  # where the parts are one operation that is started in one place

LARGE = ramp(11 * MiB)


@pytest.mark.parametrize("silent", ["UploadPart", "AbortMultipartUpload"])
def test_it_is_answered_soon(sim: S3Server, connect: Make, monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    client = connect(part_size=5 * MiB, max_attempts=3)
    stalls = [sim.faults.add(Fault(operation, stall=True, times=None)) for operation in {"UploadPart", silent}]
    original = crt_upload.Upload.start_parts
    raised: list[float] = []

    def start(*args: Any, **kwargs: Any) -> Any:
        original(*args, **kwargs)
        until(lambda: any(stall.hits for stall in stalls))
        raised.append(time.monotonic())
        raise KeyboardInterrupt

    monkeypatch.setattr(crt_upload.Upload, "start_parts", start)
    with pytest.raises(KeyboardInterrupt):
        client.put("bucket", "k", LARGE)
    assert time.monotonic() - raised[0] < 2  # and not the time that an answer may take, five times
    sim.faults.clear()
    if silent == "UploadPart":
        until(lambda: not client.call("ListMultipartUploads", Bucket="bucket").get("Uploads"))
