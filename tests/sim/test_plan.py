"""Plans of faults: which requests they hit, what they do, what is recorded, and what is refused."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from objectfs.sim import Fault, FaultError, Faults, S3Server, synthetic_bytes
from objectfs.sim.bench import client as bench
from objectfs.sim.network.plan import parse_plan
from objectfs.sim.network.rules import API_ONLY, RULES

from .conftest import Wire, connect

BODY = bytes(range(256)) * 40
GET = b"GET /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n"
PART = b"GET /bucket/k HTTP/1.1\r\nHost: x\r\nRange: bytes=100-199\r\n\r\n"
Opener = Callable[[], Wire]


@pytest.fixture
def stored(memory: S3Server, wire: Opener) -> S3Server:
    head = b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    assert wire().send(head + BODY).response()[0] == 200
    memory.clear_requests()
    return memory


def effects(server: S3Server) -> list[tuple[str, int | None]]:
    return [(item.effect, item.offset) for item in server.faults.injected]


def statuses(connection: Wire, count: int, request: bytes = GET) -> list[int]:
    return [connection.send(request).response()[0] for _ in range(count)]


# --- which requests are hit ---


def test_nth(stored: S3Server, wire: Opener) -> None:
    stored.faults.add(Fault("GetObject", nth=2, status=500))
    stored.faults.add(Fault("GetObject", nth=[4, 6], status=503))
    # The second is no business of the other fault, which therefore does not count it.
    assert statuses(wire(), 8) == [200, 500, 200, 200, 503, 200, 503, 200]


def test_glob_bucket_and_range(stored: S3Server, wire: Opener) -> None:
    connection = wire()
    fault = stored.faults.add(Fault(key_glob="data/*.parquet", status=500, times=None))
    for path, status in ((b"data/a/b.parquet", 500), (b"data/a.csv", 404), (b"x/data/a.parquet", 404)):
        assert connection.send(GET.replace(b"/k ", b"/" + path + b" ")).response()[0] == status
    assert fault.hits == 1
    # An exact key is just that, whatever signs it has.
    stored.faults.add(Fault(key="[k]*", status=500, times=None))
    assert connection.send(GET).response()[0] == 200
    stored.faults.add(Fault(bucket="other", status=500, times=None))
    assert connection.send(GET).response()[0] == 200
    stored.faults.add(Fault(ranged=True, status=500, times=None))
    assert connection.send(GET).response()[0] == 200
    assert connection.send(PART).response()[0] == 500


def test_probability_and_seed(stored: S3Server, wire: Opener) -> None:
    def run(**options: Any) -> list[int]:
        stored.faults.clear()
        stored.faults.add(Fault(status=500, probability=0.3, **options))
        return statuses(wire(), 200)

    first = run(seed=1)
    assert 40 <= first.count(500) <= 80
    assert run(seed=1) == first
    assert run(seed=2) != first
    # Without a seed of its own it has the plan's, and draws other than its neighbours.
    assert run() == run()
    assert run(times=3).count(500) == 3


# --- what is done ---


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(status=500), 500, "InternalError"),
        (Fault(status=503), 503, "ServiceUnavailable"),
        (Fault(status=429), 429, "TooManyRequests"),
        (Fault(code="SlowDown"), 503, "SlowDown"),
        (Fault(code="RequestTimeout"), 400, "RequestTimeout"),
        (Fault(code="ExpiredToken"), 400, "ExpiredToken"),
        (Fault(status=418, code="Teapot", message="short & stout"), 418, "Teapot"),
    ],
    ids=lambda value: str(getattr(value, "code", value)),
)
def test_errors(stored: S3Server, wire: Opener, fault: Fault, status: int, code: str) -> None:
    stored.faults.add(fault)
    seen, headers, body = wire().send(GET).response()
    assert seen == status
    assert f"<Code>{code}</Code>".encode() in body
    assert (headers.get("connection") == "close") == (code == "RequestTimeout")
    assert effects(stored) == [("status", None)]
    injection = stored.faults.injected[0]
    assert (injection.fault, injection.request.key, injection.request.error) == (fault, "k", code)


@pytest.mark.parametrize("at", [0, 1, 5000, len(BODY)])
def test_reset_in_the_body(stored: S3Server, wire: Opener, at: int) -> None:
    stored.faults.add(Fault(reset=True, at=at))
    connection = wire().send(GET)
    got = bytearray()

    def read() -> None:
        while piece := connection.sock.recv(65536):
            got.extend(piece)

    with pytest.raises(ConnectionResetError):
        read()
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(BODY) in head
    assert body == BODY[:at]
    assert effects(stored) == [("reset", at)]


def test_reset_behind_the_end_does_not_happen(stored: S3Server, wire: Opener) -> None:
    fault = stored.faults.add(Fault(reset=True, at=len(BODY) + 1))
    assert wire().send(GET).response()[2] == BODY
    assert (fault.hits, effects(stored)) == (1, [])


def test_reset_before_the_head_is_recorded(stored: S3Server, wire: Opener) -> None:
    stored.faults.add(Fault(reset=True))
    with pytest.raises(ConnectionResetError):
        wire().send(GET).read_all()
    assert effects(stored) == [("reset", None)]


@pytest.mark.parametrize("at", [0, 5000])
def test_stall_in_the_body(stored: S3Server, wire: Opener, at: int) -> None:
    stored.faults.add(Fault(stall=True, at=at))
    connection = wire().send(GET)
    got = b""
    while not got.partition(b"\r\n\r\n")[1] or len(got.partition(b"\r\n\r\n")[2]) < at:
        got += connection.sock.recv(65536)
    assert got.partition(b"\r\n\r\n")[2] == BODY[:at]
    connection.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        connection.sock.recv(1)
    assert effects(stored) == [("stall", at)]
    # Others are served; what the client gives up ends on the server too.
    assert wire().send(GET).response()[2] == BODY
    connection.sock.settimeout(10)
    connection.sock.shutdown(1)
    assert connection.sock.recv(1) == b""


def test_delay_in_the_body(stored: S3Server, wire: Opener) -> None:
    stored.faults.add(Fault(delay=0.3, at=5000))
    start = time.monotonic()
    connection = wire().send(GET + GET)
    assert connection.response()[2] == BODY
    assert time.monotonic() - start >= 0.29
    assert effects(stored) == [("delay", 5000)]
    assert connection.response()[2] == BODY


@pytest.mark.parametrize("what", ["reset", "stall"])
def test_broken_uploads(stored: S3Server, wire: Opener, what: str) -> None:
    size = 8 * 1024 * 1024
    stored.faults.add(Fault("PutObject", received=size // 2, reset=what == "reset", stall=what == "stall"))
    connection = wire().send(b"PUT /bucket/new HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    connection.sock.settimeout(1)

    def upload() -> None:
        connection.sock.sendall(bytes(size))
        connection.read_all()

    with pytest.raises(ConnectionError if what == "reset" else TimeoutError):
        upload()
    (injection,) = stored.faults.injected
    assert (injection.effect, injection.request.status) == (what, None)
    assert injection.offset is not None
    assert size // 2 <= injection.offset < size
    assert wire().send(GET.replace(b"/k ", b"/new ")).response()[0] == 404


def test_extra_bytes(stored: S3Server, wire: Opener) -> None:
    stored.faults.add(Fault(extra=3))
    connection = wire().send(GET)
    assert connection.response()[2] == BODY
    assert connection.sock.recv(10) == b"xxx"
    assert effects(stored) == [("extra", len(BODY))]
    # The connection goes on, with the rubbish in front of the next answer that a careless client reads.
    assert connection.send(GET).response()[0] == 200


def test_wrong_content_range_and_etag(stored: S3Server, wire: Opener) -> None:
    connection = wire()
    true = connection.send(PART).response()[1]
    assert true["content-range"] == f"bytes 100-199/{len(BODY)}"
    stored.faults.add(Fault(shift_range=100))
    status, headers, body = connection.send(PART).response()
    assert (status, headers["content-range"], body) == (206, f"bytes 200-299/{len(BODY)}", BODY[100:200])
    stored.faults.add(Fault(etag='"0123"', set_headers={"X-Amz-Meta-A": "b", "Server": "other"}))
    headers = connection.send(PART).response()[1]
    assert (headers["etag"], headers["x-amz-meta-a"], headers["server"]) == ('"0123"', "b", "other")
    assert effects(stored) == [("shift_range", None), ("etag", None), ("set_headers", None)]
    # There is no Content-Range to be wrong.
    stored.faults.add(Fault(shift_range=100))
    assert "content-range" not in connection.send(GET).response()[1]
    assert len(stored.faults.injected) == 3


def test_flipped_bit_with_and_without_checksum() -> None:
    with S3Server() as server:
        s3 = connect(server)
        s3.put_object(Bucket="bucket", Key="k", Body=BODY, ChecksumAlgorithm="SHA256")
        server.faults.add(Fault("GetObject", corrupt=3))
        from botocore.exceptions import FlexibleChecksumError

        with pytest.raises(FlexibleChecksumError):
            s3.get_object(Bucket="bucket", Key="k", ChecksumMode="ENABLED")["Body"].read()
        server.faults.add(Fault("GetObject", corrupt=3, drop_headers=["x-amz-checksum-*"]))
        got = s3.get_object(Bucket="bucket", Key="k", ChecksumMode="ENABLED")["Body"].read()
        assert [i for i in range(len(BODY)) if got[i] != BODY[i]] == [3]
        assert effects(server) == [("corrupt", 3), ("drop_headers", None), ("corrupt", 3)]
        s3.close()


def test_two_hundred_with_an_error() -> None:
    """What Complete and Copy answer when they fail after the head was sent; nothing is done."""
    with S3Server() as server:
        s3 = connect(server)
        s3.put_object(Bucket="bucket", Key="k", Body=BODY)
        upload = s3.create_multipart_upload(Bucket="bucket", Key="m")["UploadId"]
        etag = s3.upload_part(Bucket="bucket", Key="m", UploadId=upload, PartNumber=1, Body=BODY)["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        server.faults.add(Fault("CopyObject", status=200, code="InternalError"))
        server.faults.add(Fault("CompleteMultipartUpload", status=200, code="InternalError"))
        with pytest.raises(ClientError, match="InternalError"):
            s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/k")
        with pytest.raises(ClientError, match="InternalError"):
            s3.complete_multipart_upload(Bucket="bucket", Key="m", UploadId=upload, MultipartUpload=parts)
        assert [item.request.status for item in server.faults.injected] == [200, 200]
        assert [item["Key"] for item in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["k"]
        # The upload is as it was.
        s3.complete_multipart_upload(Bucket="bucket", Key="m", UploadId=upload, MultipartUpload=parts)
        s3.close()


@pytest.mark.parametrize("store", ["memory", "directory"])
def test_object_replaced_between_parts(tmp_path: Path, store: str) -> None:
    with S3Server(None if store == "memory" else tmp_path / "s") as server:
        s3 = connect(server)
        s3.put_object(Bucket="bucket", Key="k", Body=BODY, ContentType="text/x")
        server.faults.add(Fault("GetObject", ranged=True, nth=2, replace=True))
        one = s3.get_object(Bucket="bucket", Key="k", Range="bytes=0-99")
        two = s3.get_object(Bucket="bucket", Key="k", Range="bytes=100-199")
        assert one["Body"].read() == BODY[:100]
        new = two["Body"].read()
        assert all(a != b for a, b in zip(new, BODY[100:200], strict=True))
        assert one["ETag"] != two["ETag"]
        assert two["ContentRange"] == f"bytes 100-199/{len(BODY)}"
        assert two["ContentType"] == "text/x"
        server.faults.add(Fault("GetObject", replace="short"))
        with pytest.raises(ClientError, match="PreconditionFailed"):
            s3.get_object(Bucket="bucket", Key="k", IfMatch=two["ETag"])
        assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"short"
        assert effects(server) == [("replace", None), ("replace", None)]
        server.faults.add(Fault(replace=True))
        with pytest.raises(ClientError, match="NoSuchKey"):
            s3.get_object(Bucket="bucket", Key="none")
        assert len(server.faults.injected) == 2
        s3.close()


def test_a_version_is_replaced_by_another() -> None:
    """As by a client that puts: what was asked for by its version is still there."""
    with S3Server() as server:
        s3 = connect(server)
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        first = s3.put_object(Bucket="bucket", Key="k", Body=b"first")["VersionId"]
        server.faults.add(Fault("GetObject", replace="second"))
        got = s3.get_object(Bucket="bucket", Key="k")
        assert got["Body"].read() == b"second"
        assert got["VersionId"] != first
        assert s3.get_object(Bucket="bucket", Key="k", VersionId=first)["Body"].read() == b"first"
        s3.close()


def test_a_synthetic_object_is_replaced_by_another(memory: S3Server, wire: Opener) -> None:
    memory.store.add_synthetic("bucket", "k", 1 << 40)
    memory.faults.add(Fault(replace=True, nth=2))
    connection = wire()
    first, second = (connection.send(PART).response()[2] for _ in range(2))
    assert first == synthetic_bytes(100, 200)
    assert second == synthetic_bytes(101, 201)


def test_clock_skew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that corrects its clock by the answer's Date gets through; one that does not, does not."""
    with S3Server() as server:
        fault = server.faults.add(Fault(clock_skew=3600, times="all"))
        wire = Wire(server)

        def ask() -> tuple[int, dict[str, str], bytes]:
            return wire.send(bench.request("GET", "/")).response()

        status, headers, body = ask()
        assert (status, b"<Code>RequestTimeTooSkewed</Code>" in body) == (403, True)
        theirs = email.utils.parsedate_to_datetime(headers["date"]).timestamp()
        assert theirs == pytest.approx(time.time() + 3600, abs=5)
        assert time.strftime("<ServerTime>%Y-%m-%dT%H:", time.gmtime(theirs)).encode() in body
        clock = SimpleNamespace(strftime=time.strftime, gmtime=lambda: time.gmtime(theirs))
        with monkeypatch.context() as patch:
            patch.setattr(bench, "time", clock)
            assert ask()[0] == 200
            server.faults.clear()
            assert ask()[0] == 403
        assert ask()[0] == 200
        wire.close()
    assert fault.hits == 2
    assert effects(server) == [("clock_skew", None)] * 2


def test_redirect_to_another_region() -> None:
    with S3Server() as server:
        server.faults.add(Fault("PutObject", redirect="eu-west-1"))
        s3 = connect(server)
        # boto3 asks for the bucket's region, and signs for that.
        s3.put_object(Bucket="bucket", Key="k", Body=b"x")
        assert server.requests[0].status == 301
        assert "/eu-west-1/s3/" in server.requests[-1].headers["authorization"]
        assert (server.requests[-1].operation, server.requests[-1].status) == ("PutObject", 200)
        s3.close()
        server.faults.add(Fault(redirect="eu-west-1"))
        wire = Wire(server)
        signed = server.requests[-1]
        assert signed.bucket == "bucket"
        wire.close()
    with S3Server(verify_signatures=False) as server:
        server.faults.add(Fault(redirect="eu-west-1"))
        wire = Wire(server)
        wire.sock.sendall(GET)
        text = wire.sock.recv(65536).decode()
        assert text.count("x-amz-bucket-region") == 1
        assert "x-amz-bucket-region: eu-west-1\r\n" in text
        assert "<Code>PermanentRedirect</Code>" in text
        assert "amazonaws.com" not in text
        wire.close()


# --- plans ---

PLAN = """
seed = 7

[[fault]]
operation = "GetObject"
key_glob = "data/*"
nth = [2, 3]
code = "SlowDown"

[[fault]]
key = "k"
probability = 0.5
corrupt = 3

[[fault]]
operation = "CompleteMultipartUpload"
times = "all"
body = "<Error/>"
headers = { Retry-After = "1" }
status = 200
"""


def test_a_plan_says_what_the_api_says(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    faults = Faults()
    one, two, three = faults.load(path)
    assert faults.seed == 7
    assert len(faults) == 3
    assert (one.operation, one.key_glob, one.nth, one.status, one.times) == ("GetObject", "data/*", [2, 3], 503, None)
    assert (two.key, two.probability, two.corrupt, two.times) == ("k", 0.5, 3, None)
    assert (three.body, dict(three.headers), three.times) == (b"<Error/>", {"Retry-After": "1"}, None)


def test_every_field_has_its_rule() -> None:
    import dataclasses

    fields = {item.name for item in dataclasses.fields(Fault) if item.init} - {"hits", "seen", "length"}
    assert fields == RULES.keys() | API_ONLY.keys()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("sttus = 500", "fault 1: sttus: there is no such field; allowed are operation, bucket, key"),
        ('operation = "GetObjekt"', "operation = 'GetObjekt': must be the name of an S3 operation"),
        ("probability = 1.5", "probability = 1.5: must be a number from 0 to 1"),
        ("nth = 0", "nth = 0: must be a whole number from 1, or several of them"),
        ("times = true", "times = True: must be a whole number from 1, or 'all'"),
        ("status = 99", "status = 99: must be a status from 200 to 599"),
        ('code = "NoSuch"', "code = 'NoSuch' is not known: it needs status; known are AccessDenied"),
        ('key = "a"\nkey_glob = "b"', "key and key_glob exclude each other"),
        ("nth = 2\nafter = 1", "nth and after exclude each other"),
        ("nth = 2\ntimes = 1", "nth and times exclude each other"),
        ("at = 5", "at says where: it needs reset, stall or delay"),
        ("received = 5", "received says where"),
        ("reset = true\nstall = true", "stall and reset exclude each other"),
        ('redirect = "x"\nstatus = 500', "exclude each other"),
        ('message = "x"', "message belongs to an error"),
        ("corrupt = -1", "corrupt = -1: must be a whole number of bytes from 0"),
        ("hold = 1", "hold: there is no such field"),
        ("hits = 1", "hits: there is no such field"),
        ('drop_headers = "ETag"', "drop_headers = 'ETag': must be a list of header names or patterns"),
        ("replace = false", "replace = False: must be true, or the new content"),
        ("delay = inf", "delay = inf: must be a number of seconds from 0"),
    ],
)
def test_plans_that_make_no_sense(tmp_path: Path, table: str, words: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(f"[[fault]]\n{table}\n")
    faults = Faults()
    with pytest.raises(FaultError) as caught:
        faults.load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(faults) == 0


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"faults": []}, "faults: there is no such key; allowed are seed, and tables [[fault]]"),
        ({"fault": {}}, "fault: must be tables, each headed [[fault]]"),
        ({"seed": "x"}, "seed = 'x': must be a whole number"),
    ],
)
def test_plans_of_another_shape(plan: dict[str, Any], words: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse_plan(plan)
    assert words in str(caught.value)


def test_a_fault_shows_what_was_said() -> None:
    fault = Fault("GetObject", key_glob="a*", nth=[1, 2], code="SlowDown")
    assert repr(fault) == (
        "Fault(operation='GetObject', times=None, status=503, code='SlowDown', key_glob='a*', nth=[1, 2])"
    )


def test_what_is_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("[[fault")
    with pytest.raises(FaultError, match="no TOML"):
        Faults().load(path)
    with pytest.raises(OSError, match="missing"):
        Faults().load(tmp_path / "missing")


def test_the_constructor_checks_the_same() -> None:
    with pytest.raises(FaultError, match="operation = 'Get'"):
        Fault("Get", status=500)
    with pytest.raises(FaultError, match="hold"):
        Fault(hold=True)  # type: ignore[arg-type]
