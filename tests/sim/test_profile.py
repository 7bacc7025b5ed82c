"""Measured transfers obey the profile, within 5 %.

A busy machine can add time to a measurement, and cannot take any away. So nothing may ever be faster than the profile
says, and of several measurements one has to be as slow as it says: the first that is ends the test.
"""

from __future__ import annotations

import contextlib
import math
import random
import selectors
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from objectfs.sim import PROFILES, Profile, ProfileError, S3Server, synthetic_bytes
from objectfs.sim.network.pacing import Flow, SharedFlow, draw_latencies
from objectfs.sim.network.profile import Z99

from .conftest import Wire, connect

MB = 1_000_000
KEY = "big"


def serve(profile: Profile, **options: Any) -> S3Server:
    server = S3Server(verify_signatures=False, profile=profile, **options)
    server.store.add_synthetic("bucket", KEY, 1 << 40)
    return server


def get(size: int, key: str = KEY) -> bytes:
    return b"GET /bucket/%s HTTP/1.1\r\nHost: x\r\nRange: bytes=0-%d\r\n\r\n" % (key.encode(), size - 1)


def timed(function: Callable[[], Any]) -> float:
    start = time.monotonic()
    function()
    return time.monotonic() - start


TOLERANCE = 0.05
SCALES = (1, 1, 2, 2, 4, 4, 8, 16)


def takes(seconds: float, measure: Callable[[int], float]) -> None:
    """Assert that what is measured takes so long for each unit: never less, and no more in one of many attempts.

    ``measure`` is called with a number of units, which grows: what the machine adds becomes small against it."""
    seen = []
    for scale in SCALES:
        seen.append(measure(scale) / scale)
        assert seen[-1] >= (1 - TOLERANCE) * seconds
        if seen[-1] <= (1 + TOLERANCE) * seconds:
            return
    raise AssertionError(f"never as fast as {seconds} s: {seen}")


@contextlib.contextmanager
def opened(server: S3Server, count: int = 1) -> Iterator[list[Wire]]:
    wires = [Wire(server) for _ in range(count)]
    try:
        yield wires
    finally:
        for wire in wires:
            wire.close()


def receive(wire: Wire, count: int) -> int:
    """The status of an answer with a body of ``count`` bytes."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        head += wire.sock.recv(1)
    assert f"\r\nContent-Length: {count}\r\n".encode() in head
    buffer = memoryview(bytearray(1 << 20))
    while count:
        got = wire.sock.recv_into(buffer[: min(count, len(buffer))])
        assert got
        count -= got
    return int(head.split()[1])


def download(wire: Wire, size: int) -> None:
    wire.send(get(size))
    assert receive(wire, size) == 206


def upload(wire: Wire, size: int, key: str = "k") -> None:
    piece = bytes(MB // 4)
    wire.send(b"PUT /bucket/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (key.encode(), size))
    while size:
        wire.send(piece[:size])
        size -= min(size, len(piece))
    assert receive(wire, 0) == 200


@pytest.mark.parametrize("transfer", [download, upload])
@pytest.mark.parametrize("tls", [False, True])
def test_bandwidth_of_a_connection(transfer: Callable[[Wire, int], None], tls: bool) -> None:
    rate, size = 8 * MB, 6 * MB
    with serve(Profile(bandwidth=rate), tls=tls) as server, opened(server) as (wire,):
        if tls:
            context = ssl.create_default_context(cafile=server.ca_file)
            wire.sock = context.wrap_socket(wire.sock, server_hostname="localhost")
        takes(size / rate, lambda n: timed(lambda: transfer(wire, n * size)))
        # A pause earns nothing.
        threading.Event().wait(0.3)
        assert timed(lambda: transfer(wire, size)) >= (1 - TOLERANCE) * size / rate


def test_bandwidth_of_files(tmp_path: Any) -> None:
    """Sent by the kernel, at the same pace."""
    rate, size = 8 * MB, 6 * MB
    with S3Server(tmp_path, verify_signatures=False) as server, opened(server) as (wire,):
        upload(wire, max(SCALES) * size, KEY)
        server.profile = Profile(bandwidth=rate)
        takes(size / rate, lambda n: timed(lambda: download(wire, n * size)))


@pytest.mark.parametrize("transfer", [download, upload])
@pytest.mark.parametrize("bandwidth", [None, 3 * MB])
def test_total_bandwidth(transfer: Callable[[Wire, int], None], bandwidth: float | None) -> None:
    """Four connections share the total evenly, with a limit of their own that is higher, and without."""
    total, size, count = 8 * MB, 2 * MB, 4
    shares: list[float] = []

    def measure(scale: int) -> float:
        ends: list[float] = []
        start = time.monotonic()

        def work(wire: Wire) -> None:
            transfer(wire, scale * size)
            ends.append(time.monotonic() - start)

        threads = [threading.Thread(target=work, args=(wire,)) for wire in wires]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shares.append(min(ends) / max(ends))
        return max(ends)

    with serve(Profile(total_bandwidth=total, bandwidth=bandwidth)) as server, opened(server, count) as wires:
        takes(count * size / total, measure)
    # None of them had to wait until another was done.
    assert max(shares) > 0.8


def test_slow_start() -> None:
    """The rate grows with what was sent, which is exponential in time."""
    full, start, ramp = 8 * MB, 1 * MB, 4 * MB
    growing = ramp * math.log(full / start) / (full - start)

    def cold(transfer: Callable[[Wire, int], None], scale: int) -> float:
        server.profile = Profile(bandwidth=full, slow_start=start, slow_start_bytes=scale * ramp)
        with opened(server) as (wire,):
            return timed(lambda: transfer(wire, scale * ramp))

    with serve(Profile()) as server:
        takes(growing, lambda n: cold(download, n))
        takes(growing, lambda n: cold(upload, n))
        server.profile = Profile(bandwidth=full, slow_start=start, slow_start_bytes=ramp)
        with opened(server) as (wire,):
            download(wire, ramp)
            takes(ramp / full, lambda n: timed(lambda: download(wire, n * ramp)))


def test_new_connections_cost() -> None:
    def measure(scale: int) -> float:
        server.profile = Profile(connect=0.5 * scale)
        with opened(server) as (wire,):
            first = timed(lambda: download(wire, 100))
            later.append(timed(lambda: download(wire, 100)))
            return first

    later: list[float] = []
    with serve(Profile()) as server:
        takes(0.5, measure)
    assert min(later) < 0.25


def first_bytes(server: S3Server, request: bytes, count: int, connections: int) -> list[float]:
    """Seconds to the first byte of each of ``count`` answers, which each come as one piece."""
    selector = selectors.DefaultSelector()
    started: dict[socket.socket, float] = {}
    seen: list[float] = []
    left = count

    def ask(sock: socket.socket) -> None:
        nonlocal left
        left -= 1
        started[sock] = time.monotonic()
        sock.sendall(request)

    for _ in range(connections):
        sock = socket.create_connection((server.host, server.port))
        selector.register(sock, selectors.EVENT_READ)
        ask(sock)
    while len(seen) < count:
        for key, _ in selector.select():
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            now = time.monotonic()
            assert ready.recv(65536).startswith(b"HTTP/1.1 206 ")
            seen.append(now - started[ready])
            if left:
                ask(ready)
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    selector.close()
    return seen


def test_first_byte_latency() -> None:
    """The figures of the ``s3`` profile, ten times as long and longer: what the machine adds becomes small."""
    count, connections = 1000, 250
    s3 = PROFILES["s3"]
    assert (s3.latency, s3.latency_p99) == (0.030, 0.300)
    seen = []
    for scale in (10, 10, 20, 40, 80):
        with serve(Profile(latency=scale * 0.030, latency_p99=scale * 0.300, seed=1)) as server:
            times = first_bytes(server, get(10), count, connections)
            # The log tells the same from the other side.
            logged = [r.ended - r.answered for r in server.requests if r.ended and r.answered]
        figures = (statistics.median(times), statistics.quantiles(times, n=100)[98], statistics.median(logged))
        promised = (scale * 0.030, scale * 0.300, scale * 0.030)
        assert all(a >= (1 - TOLERANCE) * b for a, b in zip(figures, promised, strict=True))
        if figures == pytest.approx(promised, rel=TOLERANCE):
            return
        seen.append(figures)
    raise AssertionError(f"never as fast as promised: {seen}")


@pytest.mark.parametrize("name", ["s3", "cross-region", "express"])
def test_latencies_are_drawn_as_promised(name: str) -> None:
    profile = PROFILES[name]
    draws = draw_latencies(profile, random.Random(3))
    values = [next(draws) for _ in range(10_000)]
    assert profile.latency_p99 is not None
    assert statistics.median(values) == pytest.approx(profile.latency, rel=0.005)
    assert statistics.quantiles(values, n=100)[98] == pytest.approx(profile.latency_p99, rel=0.02)
    # Any thousand of them has the same percentiles, and is in another order.
    assert statistics.quantiles(values[:1000], n=100)[98] == pytest.approx(profile.latency_p99, rel=0.05)
    assert sorted(values[:1000]) != values[:1000] != values[1000:2000]
    again = draw_latencies(profile, random.Random(3))
    assert [next(again) for _ in range(100)] == values[:100]


def test_the_fit_of_the_distribution() -> None:
    assert PROFILES["s3"].sigma == pytest.approx(math.log(10) / 2.326, rel=1e-3)
    assert statistics.NormalDist().cdf(Z99) == pytest.approx(0.99)


def check_rate(server: S3Server, operation: str, prefix: str, limit: int) -> tuple[int, int]:
    """Every request was admitted exactly if fewer than ``limit`` were in the second before; how many were and not."""
    admitted: list[float] = []
    refused = 0
    for request in server.requests:
        if request.operation != operation or not request.key.startswith(prefix):
            continue
        recent = sum(start > request.started - 1.0 for start in admitted)
        assert (request.error == "SlowDown") == (recent >= limit)
        assert (request.status == 503) == (request.error == "SlowDown")
        if request.error == "SlowDown":
            refused += 1
        else:
            admitted.append(request.started)
    return len(admitted), refused


def test_request_rate_of_a_prefix() -> None:
    """Prefixes count on their own, and so do reads and writes; what is not there counts too."""
    reads, writes, rounds = 20, 10, 3
    delete = b"DELETE /bucket/a/2 HTTP/1.1\r\nHost: x\r\n\r\n"
    expected = {("GetObject", "a/"): reads, ("GetObject", "b/"): reads, ("DeleteObject", "a/"): writes}
    requests = dict(zip(expected, (get(1, "a/1"), get(1, "b/2"), delete), strict=True))
    with serve(Profile(reads=reads, writes=writes)) as server, opened(server) as (wire,):
        for _ in range(rounds):
            for name, limit in expected.items():
                # Together, so that they are the server's in a moment: twice as many as there may be in a second.
                wire.send(requests[name] * (2 * limit))
                for _ in range(2 * limit):
                    status, _, body = wire.response()
                    assert (status == 503) == (b"<Code>SlowDown</Code>" in body)
            threading.Event().wait(1.05)
        for (operation, prefix), limit in expected.items():
            assert check_rate(server, operation, prefix, limit) == (rounds * limit, rounds * limit)


def test_lists_count_for_their_prefix() -> None:
    with serve(Profile(reads=1)) as server:
        wire = Wire(server)
        listing = b"GET /bucket?list-type=2&prefix=%s HTTP/1.1\r\nHost: x\r\n\r\n"
        seen = [wire.send(listing % prefix).response()[0] for prefix in (b"a/b", b"a/c", b"b/", b"b/c")]
        wire.close()
    assert seen == [200, 503, 200, 503]


def test_lossy_answers_are_recorded() -> None:
    """The same seed loses the same answers, at the same bytes."""
    outcomes = []
    for _ in range(2):
        with serve(Profile(resets=0.2, stalls=0.3, stall_time=0.01, seed=5)) as server:
            resets = 0
            wire = Wire(server)
            for _ in range(60):
                try:
                    download(wire, 1000)
                except (ConnectionError, EOFError):
                    resets += 1
                    wire.close()
                    wire = Wire(server)
            wire.close()
            injected = [(item.effect, item.offset) for item in server.faults.injected]
            assert all(item.fault is None and item.request.key == KEY for item in server.faults.injected)
        assert resets == sum(effect == "reset" for effect, _ in injected)
        outcomes.append(injected)
    assert outcomes[0] == outcomes[1]
    effects = [effect for effect, _ in outcomes[0]]
    assert 5 < effects.count("reset") < 20
    assert 8 < effects.count("delay") < 30
    assert len({offset for _, offset in outcomes[0]}) > 20


def test_slow_connections() -> None:
    """Which ones are slow is the seed's choice."""
    fast, slow, size = 40 * MB, 2 * MB, MB // 2
    with serve(Profile(bandwidth=fast, slow=0.5, slow_bandwidth=slow, seed=2)) as server, opened(server, 12) as wires:
        best = [min(timed(lambda wire=wire: download(wire, size)) for _ in range(5)) for wire in wires]
    assert 3 <= sum(seconds >= 0.95 * size / slow for seconds in best) <= 9
    assert min(best) < 0.5 * size / slow


def test_the_profile_changes_while_the_server_runs() -> None:
    """In the middle of a transfer, to none and back to one."""
    size = 20 * MB
    with serve(Profile(bandwidth=MB)) as server, opened(server) as (wire,):
        wire.send(get(size))
        got = len(wire.sock.recv(65536))
        server.profile = "loopback"
        start = time.monotonic()
        while got < size:
            piece = wire.sock.recv(1 << 20)
            assert piece
            got += len(piece)
        assert time.monotonic() - start < 10  # it would have been 20 s
    with serve(Profile(bandwidth=MB)) as server, opened(server) as (wire,):
        download(wire, 1000)
        server.profile = Profile(bandwidth=8 * MB)
        assert server.profile.bandwidth == 8 * MB
        takes(0.5, lambda n: timed(lambda: download(wire, n * 4 * MB)))


@pytest.mark.parametrize("tls", [False, True])
def test_content_is_unharmed_by_changes(tls: bool) -> None:
    """Whatever was half sent when the pace changed goes on where it was."""
    size = 16 * MB
    profiles = [Profile(bandwidth=40 * MB), Profile(), Profile(total_bandwidth=10 * MB), Profile(bandwidth=MB)]
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for profile in profiles:
                server.profile = profile
                stop.wait(0.02)

    with serve(Profile(), tls=tls) as server:
        s3 = connect(server)
        changing = threading.Thread(target=change)
        changing.start()
        try:
            content = synthetic_bytes(0, size)
            assert s3.get_object(Bucket="bucket", Key=KEY, Range=f"bytes=0-{size - 1}")["Body"].read() == content
            s3.put_object(Bucket="bucket", Key="put", Body=content)
            assert s3.get_object(Bucket="bucket", Key="put")["Body"].read() == content
        finally:
            stop.set()
            changing.join()
            s3.close()


def test_lost_answers_without_a_body() -> None:
    with serve(Profile(resets=1)) as server, opened(server) as (wire,):
        wire.send(b"HEAD /bucket/%s HTTP/1.1\r\nHost: x\r\n\r\n" % KEY.encode())
        with pytest.raises(ConnectionResetError):
            wire.read_all()
        assert [(item.effect, item.offset) for item in server.faults.injected] == [("reset", 0)]


def test_content_is_unharmed_at_any_pace() -> None:
    with serve(PROFILES["lossy"].replace(resets=0, stalls=1, stall_time=0.001, slow_bandwidth="4MB")) as server:
        s3 = connect(server)
        for start in range(5):
            got = s3.get_object(Bucket="bucket", Key=KEY, Range=f"bytes={start}-{start + MB}")
            assert got["Body"].read() == synthetic_bytes(start, start + MB + 1)
        content = synthetic_bytes(7, MB)
        s3.put_object(Bucket="bucket", Key="put", Body=content)
        assert s3.get_object(Bucket="bucket", Key="put")["Body"].read() == content
        s3.close()


def test_half_closed_clients_get_their_late_answer() -> None:
    with serve(Profile(latency=0.1)) as server:
        wire = Wire(server)
        wire.send(get(10))
        wire.sock.shutdown(socket.SHUT_WR)
        assert wire.read_all().endswith(synthetic_bytes(0, 10))
        wire.close()


def test_profiles_by_name() -> None:
    assert S3Server().profile.unlimited
    assert S3Server(profile="s3").profile.bandwidth == 90e6
    assert set(PROFILES) == {"loopback", "s3", "cross-region", "express", "lossy"}
    changed = PROFILES["s3"].replace(latency="60ms", latency_p99="0.5", bandwidth="1 MiB/s")
    assert (changed.latency, changed.latency_p99, changed.bandwidth) == (0.06, 0.5, 2**20)
    assert PROFILES["s3"].replace(bandwidth=None).bandwidth is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bandwidth": 0}, "bandwidth = 0: must be a number above 0"),
        ({"bandwidth": "90 parsecs"}, "bandwidth = '90 parsecs': must be"),
        ({"bandwidth": float("nan")}, "bandwidth = nan"),
        ({"latency": -1}, "latency = -1: must be a number from 0, in seconds"),
        ({"latency": None}, "latency = None"),
        ({"latency_p99": 0.001}, "latency_p99 = 0.001: must be at least latency"),
        ({"reads": 0.5}, "reads = 0.5: must be a whole number above 0"),
        ({"resets": 1.5}, "resets = 1.5: must be a number from 0 to 1"),
        ({"seed": "x"}, "seed = 'x': must be a whole number"),
        ({"slow": 0.5}, "slow and slow_bandwidth"),
        ({"slow_start": "1GB"}, "slow_start = 1000000000.0: must not be above bandwidth"),
        ({"bandwith": 1}, "bandwith: no value of a profile; there are"),
    ],
)
def test_profiles_that_make_no_sense(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        PROFILES["s3"].replace(**changes)
    assert words in str(caught.value)


def test_a_profile_that_does_not_exist() -> None:
    with pytest.raises(ProfileError, match=r"profile = 's4': there are loopback, s3, cross-region"):
        S3Server(profile="s4")


def test_a_flow_earns_nothing_while_it_rests() -> None:
    flow = Flow(1000.0, None, 0, None)
    assert flow.ready(10.0) == (10.0, 1024)
    flow.moved(100)
    assert flow.ready(10.0) == (pytest.approx(10.1), 0)
    assert flow.ready(10.1)[1] == 1024
    flow.moved(500)
    flow.rest()
    assert flow.ready(100.0)[1] == 1024
    flow.moved(1000)
    assert flow.ready(100.0)[0] == pytest.approx(101.0)


def test_shared_slots_are_in_order_and_given_back() -> None:
    shared = SharedFlow(1000.0)
    one, two = (Flow(None, None, 0, shared) for _ in range(2))
    assert one.ready(5.0) == (5.0, 1024)
    assert two.ready(5.0) == (pytest.approx(6.024), 0)
    one.moved(24)
    # Its slot is given already; what the first gave back goes to whoever asks next.
    assert two.ready(5.0) == (pytest.approx(6.024), 0)
    assert one.ready(5.0) == (pytest.approx(6.048), 0)


def test_late_timers_are_caught_up() -> None:
    """The server's thread stands still for a while, more than once, and the transfers take no longer."""
    size, total, count = 2 * MB, 8 * MB, 4

    def measure(scale: int) -> float:
        with opened(server, count) as wires:
            start = time.monotonic()
            for wire in wires:
                wire.send(get(scale * size))
            for _ in range(4 * scale):
                server.run(lambda: time.sleep(0.1))
                threading.Event().wait(0.1)
            for wire in wires:
                assert receive(wire, scale * size) == 206
            return time.monotonic() - start

    with serve(Profile(bandwidth=3 * MB, total_bandwidth=total)) as server:
        takes(count * size / total, measure)
