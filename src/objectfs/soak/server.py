"""The embedded server of a soak, with its faults, in a process of its own: ``python -m objectfs.soak.server``.

As :mod:`objectfs.bench.simserver`: lines of JSON on both sides, it ends with its standard input.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from objectfs.sim import Fault, S3Server

REGION = "us-east-1"

# Each one's share of the requests that it is for. Together some 6 % are hit: nearly all are sent again, and some verbs
# fail all the same, in each of the ways in which they may.
_READS = ("GetObject", "HeadObject", "ListObjectsV2")
_WRITES = ("PutObject", "UploadPart", "CopyObject", "DeleteObject", "DeleteObjects")


def faults(seed: int) -> list[Fault]:
    """What goes wrong, and how often."""
    share: Any = iter(range(seed, seed + 1000))
    found = []
    for operation in (*_READS, *_WRITES):
        found += [
            Fault(operation, code="SlowDown", probability=0.01, seed=next(share)),
            Fault(operation, code="InternalError", probability=0.01, seed=next(share)),
            Fault(operation, reset=True, probability=0.008, seed=next(share)),
            Fault(operation, code="AccessDenied", probability=0.004, seed=next(share)),
            Fault(operation, delay=0.05, probability=0.02, seed=next(share)),
        ]
    for operation in ("PutObject", "UploadPart"):
        found.append(Fault(operation, reset=True, received=1000, probability=0.01, seed=next(share)))
    for operation in ("GetObject", "ListObjectsV2"):
        found += [
            Fault(operation, truncate=100, probability=0.01, seed=next(share)),
            Fault(operation, close_at=60, probability=0.005, seed=next(share)),
        ]
    return [
        *found,
        Fault("GetObject", at=2000, reset=True, probability=0.01, seed=next(share)),
        Fault("GetObject", at=2000, delay=0.05, probability=0.01, seed=next(share)),
        Fault("GetObject", at=1000, stall=True, probability=0.001, seed=next(share)),
        Fault("CompleteMultipartUpload", code="InternalError", probability=0.02, seed=next(share)),
        Fault("CreateMultipartUpload", code="SlowDown", probability=0.02, seed=next(share)),
    ]


def main() -> None:
    order = json.loads(sys.stdin.readline())
    server = S3Server(buckets=order["buckets"], region=REGION, log_bytes=1 << 20)
    planned = faults(order["seed"]) if order["faults"] else []
    for fault in planned:
        server.faults.add(fault)
    with server:
        hello = {"endpoint": server.endpoint_url, "access_key": server.access_key, "secret_key": server.secret_key}
        print(json.dumps(hello), flush=True)
        for _ in sys.stdin:  # any line asks how many it were
            print(json.dumps({"faults": sum(fault.hits for fault in planned)}), flush=True)


if __name__ == "__main__":
    main()
