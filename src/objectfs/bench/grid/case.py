"""One setting on one network with objects of one size, in a process of its own: ``python -m objectfs.bench.grid.case``.

Its only argument is a line of JSON, its answer another.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import Any

import objectfs

KIB, MIB = 1024, 1024**2
BUCKET = "grid"
BATCH_BYTES, MOST = 64 * MIB, 1000
"""Small objects come in batches: so many bytes, or so many objects."""


def key_of(size: int) -> str:
    return f"{size}"


def run(order: dict[str, Any]) -> dict[str, Any]:
    size, settings = order["size"], order["settings"]
    client = objectfs.Client(
        backend="crt",
        endpoint_url=order["endpoint"],
        region="us-east-1",
        access_key_id=order["access_key"],
        secret_access_key=order["secret_key"],
        **settings,
    )
    count = min(MOST, BATCH_BYTES // size) if size < 8 * MIB else 1
    keys = [key_of(size)] * count
    buffer = bytearray(size if count == 1 else 0)
    buffer[::KIB] = bytes(len(buffer[::KIB]))  # its pages are there
    began = time.perf_counter()
    cpu = time.process_time()
    first, measured, moved = 0.0, 0.0, 0
    rates: list[float] = []
    while measured < order["seconds"] or len(rates) < 3:
        start = time.perf_counter()
        if count == 1:
            moved += client.get_into(BUCKET, keys[0], buffer)
        else:
            moved += sum(map(len, client.get_many(BUCKET, keys)))
        took = time.perf_counter() - start
        rate = size * count / took
        first = first or rate
        if start - began >= order["warm"]:
            rates.append(rate)
            measured += took
    cpu = time.process_time() - cpu
    pace = client.stats()["pace"][0]
    client.close()
    return {"rate": statistics.median(rates), "first": first, "cpu": cpu / moved * 1024**3, "pace": pace}


def main() -> None:
    order = json.loads(sys.argv[1])
    if order["cpu"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {order["cpu"]})
    print(json.dumps(run(order)), flush=True)


if __name__ == "__main__":
    main()
