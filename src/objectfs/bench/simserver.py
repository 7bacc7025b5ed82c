"""The embedded server of a run, in a process of its own: ``python -m objectfs.bench.simserver``.

The first line of the standard input says how it is to be; then each line is a question, and each answer a line of JSON
on the standard output. It ends with its standard input.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

from objectfs.bench import content
from objectfs.bench.scenarios import BY_NAME
from objectfs.sim.http import FileSlice
from objectfs.sim.server import S3Server

READ, WARM, WRITE = "bench", "warm", "sink"
"""What is read; what is written in the warm-up, kept to be compared; what is written when it is measured, of which the
server keeps only sizes."""

REGION = "us-east-1"
SINGLE = 8 * content.MIB


@cache
def etag(size: int) -> str:
    """Of an object with the common content, as S3 would have it: clients compare it with the MD5 of what they read. A
    large object came in parts, and its ETag says nothing."""
    if size > SINGLE:
        return f"{size:032x}-{-(-size // SINGLE)}"
    return hashlib.md5(content.fill(size), usedforsecurity=False).hexdigest()


class Server:
    def __init__(self, order: dict[str, Any]) -> None:
        # What is measured is the client: the server checks no signatures. All requests of a run are kept.
        self.server = S3Server(
            buckets=(READ, WARM, WRITE),
            tls=order["tls"],
            profile=order["profile"],
            verify_signatures=False,
            anonymous=True,
            region=REGION,
            log_bytes=1 << 30,
        )
        for name in order["scenarios"]:
            for item in BY_NAME[name].plan(order["scale"], order["seed"]).sources:
                record = self.server.store.add_synthetic(READ, item.key, item.size)
                self.server.store.bucket(READ).set(replace(record, etag=etag(item.size)))

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        server = self.server
        match question["ask"]:
            case "count":
                requests = [request for request in server.requests if request.status is not None]
                errors = Counter(
                    request.error or str(request.status)
                    for request in requests
                    # Whether something is there is a question, and no an answer.
                    if (request.status or 0) >= 400 and (request.method, request.status) != ("HEAD", 404)
                )
                return {"requests": len(requests), "errors": errors}
            case "forget":
                server.clear_requests()
            case "check":
                return {"wrong": server.run(lambda: self.check(question["bucket"], question["items"]))}
            case "clean":
                server.run(lambda: self.clean(question["bucket"]))
        return {}

    def check(self, bucket: str, items: list[tuple[str, int]]) -> str | None:
        """What is wrong with what was written; None when nothing is."""
        for key, size in items:
            record = self.server.store.bucket(bucket).latest(key)
            if record is None:
                return f"{key} was not written"
            if record.blob.size != size:
                return f"{key} has {record.blob.size} bytes, not {size}"
            if bucket == WARM:
                done = 0
                for chunk in record.blob.chunks(0, size):
                    assert not isinstance(chunk, FileSlice)  # of a store in a directory
                    data = bytes(chunk)
                    try:
                        content.check(data, len(data), f"upload {key}", start=done)
                    except ValueError as error:
                        return str(error)
                    done += len(data)
        return None

    def clean(self, bucket: str) -> None:
        store = self.server.store
        store.delete_bucket(bucket)
        store.create_bucket(bucket)


def main() -> None:
    order = json.loads(sys.stdin.readline())
    if order["cpu"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {order["cpu"]})
    bench = Server(order)
    # Python's collector would stop the server for 150 ms now and then, to look through the requests that are kept.
    gc.freeze()
    gc.disable()
    with bench.server as server:
        hello = {
            "endpoint": server.endpoint_url,
            "ca_file": server.ca_file,
            "access_key": server.access_key,
            "secret_key": server.secret_key,
        }
        print(json.dumps(hello), flush=True)
        for line in sys.stdin:
            print(json.dumps(bench.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
