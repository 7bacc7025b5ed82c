"""Measured transfers obey the profile. Rates are low enough that the processor is no limit, and late timers are caught
up; what a busy machine may add at the ends is small against the whole."""

from __future__ import annotations

import selectors
import socket
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from objectfs.sim import PROFILES, Profile, ProfileError, S3Server, synthetic_bytes
from objectfs.sim.pacing import Flow, SharedFlow, draw_latencies
from objectfs.sim.profile import Z99

from .conftest import Wire, connect

MB = 1_000_000
KEY = "big"


def serve(profile: Profile, **options: Any) -> S3Server:
    server = S3Server(verify_signatures=False, profile=profile, **options)
    server.store.add_synthetic("bucket", KEY, 1 << 40)
    return server


def get(size: int, key: str = KEY) -> bytes:
    return b"GET /bucket/%s HTTP/1.1\r\nHost: x\r\nRange: bytes=0-%d\r\n\r\n" % (key.encode(), size - 1)


def put(size: int, key: str = "k") -> bytes:
    return b"PUT /bucket/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (key.encode(), size) + bytes(size)


def timed(function: Callable[[], Any]) -> float:
    start = time.monotonic()
    function()
    return time.monotonic() - start


def download(wire: Wire, size: int) -> None:
    status, _, body = wire.send(get(size)).response()
    assert (status, len(body)) == (206, size)


def upload(wire: Wire, size: int, key: str = "k") -> None:
    assert wire.send(put(size, key)).response()[0] == 200


@pytest.mark.parametrize("transfer", [download, upload])
@pytest.mark.parametrize("tls", [False, True])
def test_bandwidth_of_a_connection(transfer: Callable[[Wire, int], None], tls: bool) -> None:
    rate, size = 8 * MB, 6 * MB
    with serve(Profile(bandwidth=rate), tls=tls) as server:
        wire = Wire(server)
        if tls:
            wire.sock = client_tls(server, wire.sock)
        # The pause earns nothing: the second transfer is no faster than the first.
        for _ in range(2):
            assert timed(lambda: transfer(wire, size)) == pytest.approx(size / rate, rel=0.05)
            threading.Event().wait(0.2)
        wire.close()


def client_tls(server: S3Server, sock: socket.socket) -> socket.socket:
    import ssl

    return ssl.create_default_context(cafile=server.ca_file).wrap_socket(sock, server_hostname="localhost")


def test_bandwidth_of_files(tmp_path: Any) -> None:
    """Sent by the kernel, at the same pace."""
    rate, size = 8 * MB, 6 * MB
    with S3Server(tmp_path, verify_signatures=False) as server:
        wire = Wire(server)
        upload(wire, size, KEY)
        server.profile = Profile(bandwidth=rate)
        assert timed(lambda: download(wire, size)) == pytest.approx(size / rate, rel=0.05)
        wire.close()


@pytest.mark.parametrize("transfer", [download, upload])
@pytest.mark.parametrize("bandwidth", [None, 3 * MB])
def test_total_bandwidth(transfer: Callable[[Wire, int], None], bandwidth: float | None) -> None:
    """Four connections share the total evenly, with a limit of their own that is higher, and without."""
    total, size, count = 8 * MB, 2 * MB, 4
    with serve(Profile(total_bandwidth=total, bandwidth=bandwidth)) as server:
        wires = [Wire(server) for _ in range(count)]
        ends: list[float] = []
        start = time.monotonic()

        def work(wire: Wire) -> None:
            transfer(wire, size)
            ends.append(time.monotonic() - start)

        threads = [threading.Thread(target=work, args=(wire,)) for wire in wires]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for wire in wires:
            wire.close()
    assert max(ends) == pytest.approx(count * size / total, rel=0.05)
    assert min(ends) > 0.85 * max(ends)


def test_slow_start() -> None:
    """The rate grows with what was sent, which is exponential in time."""
    import math

    full, start, ramp = 8 * MB, 1 * MB, 4 * MB
    growing = ramp * math.log(full / start) / (full - start)
    with serve(Profile(bandwidth=full, slow_start=start, slow_start_bytes=ramp)) as server:
        wire = Wire(server)
        assert timed(lambda: download(wire, ramp)) == pytest.approx(growing, rel=0.05)
        # Warm now; a new connection is not.
        assert timed(lambda: download(wire, ramp)) == pytest.approx(ramp / full, rel=0.05)
        wire.close()
        wire = Wire(server)
        assert timed(lambda: upload(wire, ramp)) == pytest.approx(growing, rel=0.05)
        wire.close()


def test_new_connections_cost() -> None:
    with serve(Profile(connect=0.5)) as server:
        wire = Wire(server)
        assert timed(lambda: download(wire, 100)) == pytest.approx(0.5, rel=0.05)
        assert timed(lambda: download(wire, 100)) < 0.25
        wire.close()


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
    """The figures of the ``s3`` profile, five times as long: then what the machine adds is small against them."""
    profile = Profile(latency=5 * PROFILES["s3"].latency, latency_p99=5 * 0.300, seed=1)
    with serve(profile) as server:
        seen = first_bytes(server, get(10), 1000, 125)
        logged = [request.ended - request.answered for request in server.requests if request.ended and request.answered]
    assert statistics.median(seen) == pytest.approx(0.150, rel=0.05)
    assert statistics.quantiles(seen, n=100)[98] == pytest.approx(1.5, rel=0.05)
    # The log tells the same from the other side.
    assert statistics.median(logged) == pytest.approx(0.150, rel=0.05)


@pytest.mark.parametrize("name", ["s3", "cross-region", "express"])
def test_latencies_are_drawn_as_promised(name: str) -> None:
    import random

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
    import math

    assert PROFILES["s3"].sigma == pytest.approx(math.log(10) / 2.326, rel=1e-3)
    assert statistics.NormalDist().cdf(Z99) == pytest.approx(0.99)


def check_rate(server: S3Server, operation: str, prefix: str, limit: int) -> tuple[int, int]:
    """Every request was admitted exactly if fewer than ``limit`` were in the second before; how many were and not."""
    admitted: list[float] = []
    refused = 0
    for request in server.requests:
        if request.operation != operation or not request.key.startswith(prefix):
            continue
        recent = sum(1 for start in admitted if start > request.started - 0.99)
        if request.error == "SlowDown":
            assert request.status == 503
            assert sum(1 for start in admitted if start > request.started - 1.01) >= limit
            refused += 1
        else:
            assert recent < limit
            admitted.append(request.started)
    return len(admitted), refused


def test_request_rate_of_a_prefix() -> None:
    reads, writes, duration = 40, 20, 2.5
    with serve(Profile(reads=reads, writes=writes)) as server:
        wire = Wire(server)
        for key in ("a/1", "b/1"):
            assert wire.send(put(1, key)).response()[0] == 200
        start = time.monotonic()
        sent = 0
        while time.monotonic() - start < duration:
            for key in ("a/1", "b/2"):
                wire.send(get(1, key)).response()
            wire.send(b"DELETE /bucket/a/%d HTTP/1.1\r\nHost: x\r\n\r\n" % (2 + sent)).response()
            sent += 1
        status, _, body = wire.send(get(1, "a/1")).response()
        wire.close()
        # Prefixes count on their own, and so do reads and writes; errors count as well as what is found.
        for operation, prefix, limit in (
            ("GetObject", "a/", reads),
            ("GetObject", "b/", reads),
            ("DeleteObject", "a/", writes),
        ):
            admitted, refused = check_rate(server, operation, prefix, limit)
            assert refused > 0
            # So many in each second, the first at once: in two and a half seconds three times.
            assert admitted == pytest.approx(3 * limit, rel=0.05)
    assert (status, b"<Code>SlowDown</Code>" in body) in ((503, True), (206, False))


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
    with serve(Profile(bandwidth=40 * MB, slow=0.5, slow_bandwidth=2 * MB, seed=2)) as server:
        wires = [Wire(server) for _ in range(12)]
        slow = sum(timed(lambda wire=wire: download(wire, MB // 2)) > 0.2 for wire in wires)
        for wire in wires:
            wire.close()
    assert 3 <= slow <= 9


def test_the_profile_changes_while_the_server_runs() -> None:
    """In the middle of a transfer, and back to none."""
    with serve(Profile(bandwidth=MB)) as server:
        wire = Wire(server)
        wire.send(get(20 * MB))
        got = 0
        while got < MB // 2:
            got += len(wire.sock.recv(65536))
        server.profile = "loopback"
        start = time.monotonic()
        while got < 20 * MB:
            piece = wire.sock.recv(1 << 20)
            assert piece
            got += len(piece)
        assert time.monotonic() - start < 10  # it would have been 19 s
        # The rest of the head and body, then a request on the same connection at a new pace.
        wire.sock.setblocking(False)
        server.profile = Profile(bandwidth=8 * MB)
        wire.close()
        wire = Wire(server)
        assert timed(lambda: download(wire, 4 * MB)) == pytest.approx(0.5, rel=0.05)
        wire.close()
        assert server.profile.bandwidth == 8 * MB


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


def test_flow_catches_up_what_a_late_timer_lost() -> None:
    """Time that passes while the flow waits is not lost; time in which there was nothing to send is no credit."""
    flow = Flow(1000.0, None, 0, None)
    assert flow.ready(10.0)[0] == 0
    flow.moved(100)
    assert flow.ready(10.0)[0] == pytest.approx(0.1)
    # 0.4 s late: 400 bytes are due at once.
    moved = 0
    while not (state := flow.ready(10.5))[0]:
        flow.moved(min(state[1], 10))
        moved += 10
    assert moved == pytest.approx(410, abs=10)
    flow.rest()
    assert flow.ready(100.0)[0] == 0
    flow.moved(1000)
    assert flow.ready(100.0)[0] == pytest.approx(1.0)


def test_shared_slots_are_in_order_and_given_back() -> None:
    shared = SharedFlow(1000.0)
    one, two = (Flow(None, None, 0, shared) for _ in range(2))
    assert one.ready(5.0) == (0.0, 1024)
    assert two.ready(5.0)[0] == pytest.approx(1.024)
    one.moved(24)
    # Its slot is given already; what the first gave back goes to whoever asks next.
    assert two.ready(5.0)[0] == pytest.approx(1.024)
    assert one.ready(5.0)[0] == pytest.approx(1.048)
