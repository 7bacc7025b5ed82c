"""One budget of connections for everything that runs on a client."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import objectfs
from objectfs.sim import Fault, S3Server

from .conftest import Make
from .support import MiB, python, ramp


def at_a_time(times: list[tuple[float, float]]) -> int:
    """How many lasted at the same time, at most."""
    most = now = 0
    for _, step in sorted([(start, 1) for start, _ in times] + [(end, -1) for _, end in times]):
        now += step
        most = max(most, now)
    return most


def test_no_more_connections_than_were_allowed(connect: Make, sim: S3Server) -> None:
    """Batches, parallel parts and single requests at the same time, of several threads."""
    client = connect(max_connections=4, part_size=5 * MiB)
    data = {f"k{number:03}": ramp(2000, number) for number in range(60)}
    large = ramp(24 * MiB)
    client.put_many("bucket", data)
    client.put("bucket", "large", large)
    sim.clear_requests()
    sim.faults.add(Fault(delay=0.01, times="all"))
    with ThreadPoolExecutor(7) as pool:
        jobs = [
            pool.submit(lambda: [bytes(one) for one in client.get_many("bucket", list(data))] == list(data.values())),
            pool.submit(lambda: {key: bytes(one) for key, one in client.iter_many("bucket", data)} == data),  # type: ignore[arg-type]
            pool.submit(lambda: client.get("bucket", "large") == large),
            pool.submit(lambda: len(client.put_many("bucket", {f"p{key}": one for key, one in data.items()})) == 60),
            pool.submit(lambda: bool(client.put("bucket", "other", large))),
            pool.submit(
                lambda: len(client.get_ranges("bucket", "large", [(i * MiB, i * MiB + 9) for i in range(24)])) == 24
            ),
            pool.submit(lambda: all(client.head("bucket", "large").size == len(large) for _ in range(20))),
        ]
        assert all(job.result() for job in jobs)
    used: dict[int, list[float]] = {}
    for request in sim.requests:
        assert request.ended is not None
        used.setdefault(request.connection, []).extend((request.started, request.ended))
    # sdk closes the connection whose answer it takes only the first part of
    assert at_a_time([(min(times), max(times)) for times in used.values()]) <= 4
    requests = [(request.started, request.ended or 0.0) for request in sim.requests]
    assert 2 <= at_a_time(requests) <= 4


def test_regions_share_the_connections(backend: str) -> None:
    """On crt each region has an engine of its own; the bound is the client's."""
    with S3Server(buckets=("bucket", "far"), check_region=False) as sim:
        client = objectfs.Client(
            endpoint_url=sim.endpoint_url,
            access_key_id="test",
            secret_access_key="testtest",
            region="us-east-1",
            backend=backend,
            max_connections=4,
            part_size=5 * MiB,
        )
        with client:
            client._core.session._regions["far"] = "eu-central-1"
            data = {f"k{number:03}": ramp(2000, number) for number in range(60)}
            large = ramp(24 * MiB)
            for bucket in ("bucket", "far"):
                client.put_many(bucket, data)
                client.put(bucket, "large", large)
            sim.clear_requests()
            sim.faults.add(Fault(delay=0.01, times="all"))
            verbs = [
                lambda bucket: [bytes(one) for one in client.get_many(bucket, list(data))] == list(data.values()),
                lambda bucket: len(dict(client.iter_many(bucket, data))) == 60,
                lambda bucket: client.get(bucket, "large") == large,
                lambda bucket: bool(client.put(bucket, "other", large)),
            ]
            with ThreadPoolExecutor(8) as pool:
                jobs = [pool.submit(verb, bucket) for verb in verbs for bucket in ("bucket", "far")]
                assert all(job.result() for job in jobs)
            stats = client.stats()
            if backend == "crt" and stats["connections"]["bound"] == "client":
                assert stats["connections"] == {
                    "in_use": 0,
                    "most_in_use": 4,
                    "requests_waiting": 0,
                    "engines": 2,
                    "bound": "client",
                }
        both = {bucket: at_a_time(times_of(sim, bucket)) for bucket in ("bucket", "far")}
        assert min(both.values()) >= 2
        assert at_a_time(times_of(sim, "bucket") + times_of(sim, "far")) <= 4


def times_of(sim: S3Server, bucket: str) -> list[tuple[float, float]]:
    """When requests to a bucket began and ended."""
    return [(one.started, one.ended or 0.0) for one in sim.requests if one.bucket == bucket]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the address space of a process is limited on Linux")
def test_one_large_object_among_many_small_ones(connect: Make, sim: S3Server, backend: str) -> None:
    """It is no reason to set as much memory aside for each of them."""
    client = connect()
    client.put_many("bucket", {f"k{number}": b"x" for number in range(600)})
    client.put("bucket", "k3", bytes(8 * MiB))
    done = python(
        """
        import resource, sys
        import objectfs
        client = objectfs.Client(
            endpoint_url=sys.argv[1], access_key_id="test", secret_access_key="testtest", backend=sys.argv[2]
        )
        client.get("bucket", "k0")
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), resource.RLIM_INFINITY))
        assert sum(map(len, client.get_many("bucket", [f"k{number}" for number in range(600)]))) == (8 << 20) + 599
        client.close()
        """,
        sim.endpoint_url,
        backend,
    )
    assert done.returncode == 0, done.stderr
